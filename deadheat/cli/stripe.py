"""``deadheat stripe``: what stripe-cli does by hand, at the account of a running ``deadheat serve``.

Nothing is made up: an event follows from something that happens in the account. What goes out and how it
was answered is told in the lines of ``deadheat serve``. Exit codes: 0 done, 1 refused by the account, 2
when there is no serve to ask or the command makes no sense.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deadheat.cli.ending import one_message
from deadheat.cli.running import find_running
from deadheat.cli.serve import arrow
from deadheat.engine.forward import Answered, Sent
from deadheat.engine.stripe_desk import SHOWN_MAX
from deadheat.engine.stripe_trigger import RECIPES
from deadheat.errors import ActRefused
from deadheat.report.disk import check_writable, write_atomically
from deadheat.report.plain import plain
from deadheat.stripe_sim import DECLINE_CODES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deadheat.cli.running import Running

REFUSED = 1
COLUMNS = (
    *("id", "type", "status", "email", "name", "customer", "subscription", "product", "unit_amount"),
    *("amount_total", "total", "amount", "amount_refunded", "currency", "deleted"),
)
"""What a table of objects shows, as far as any of them has it."""

limit_option = click.option(
    "--limit", type=click.IntRange(1, SHOWN_MAX), default=10, show_default=True, help="How many."
)
json_option = click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Write them whole as JSON there; - is here.",
)


@click.group(invoke_without_command=True)
@click.option("--stripe-url", metavar="URL", help="Of a serve elsewhere; its key is in STRIPE_SECRET_KEY.")
@click.option("--print-secret", is_flag=True, help="Print the webhook signing secret of the running serve.")
@click.pass_context
def stripe(context: click.Context, stripe_url: str | None, print_secret: bool) -> None:
    """Do by hand what customers and Stripe do, at the account of the deadheat serve of this folder.

    Exit code: 0 done, 1 refused by the account, 2 when there is no serve to ask.
    """
    context.obj = stripe_url
    if print_secret:
        with _desk() as running:
            click.echo(running.ask("print-secret")["secret"])
        context.exit()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@stripe.command(epilog="EVENT_TYPE is one of: " + ", ".join(sorted(RECIPES)) + ".")
@click.argument("event_type")
@click.option("--customer", metavar="ID", help="About this customer, not a new one.")
def trigger(event_type: str, customer: str | None) -> None:
    """Make something happen that EVENT_TYPE follows from."""
    _do("trigger", type=event_type, customer=customer)


@stripe.command()
@click.argument("session")
@click.option("--card", metavar="TOKEN", help="A test card, as pm_card_chargeDeclined.")
@click.option("--promotion-code", metavar="CODE", help="What the customer types, where codes are taken.")
def pay(session: str, card: str | None, promotion_code: str | None) -> None:
    """Pay an open checkout SESSION as its customer."""
    _do("pay", session=session, card=card, promotion_code=promotion_code)


@stripe.command()
@click.argument("intent")
@click.option("--fail", is_flag=True, help="Do not pass the challenge.")
def authenticate(intent: str, fail: bool) -> None:
    """Pass the challenge (3-D Secure) that a payment or setup INTENT waits for."""
    _do("authenticate", intent=intent, fails="true" if fail else "false")


@stripe.command()
@click.argument("subscription")
@click.option(
    "--decline",
    metavar="CODE",
    type=click.Choice(DECLINE_CODES),
    help="Have the charge fail, as insufficient_funds.",
)
def renew(subscription: str, decline: str | None) -> None:
    """Begin a SUBSCRIPTION's next period and charge for it."""
    _do("renew", subscription=subscription, decline=decline)


@stripe.command()
@click.argument("subscription")
def cancel(subscription: str) -> None:
    """Cancel a SUBSCRIPTION at once."""
    _do("cancel", subscription=subscription)


@stripe.command()
@click.argument("event")
def resend(event: str) -> None:
    """Send an EVENT to the application once more."""
    with _desk() as running:
        for answered in _answers(running.ask("resend", event=event)):
            _tell(Sent(event_type=answered.event_type, event_id=event, attempt=answered.attempt))
            _tell(answered)


@stripe.command()
@limit_option
@click.option("--type", "event_type", metavar="TYPE", help="Only these, as in customer.created or invoice.*")
@json_option
def events(limit: int, event_type: str | None, json_path: Path | None) -> None:
    """List events, newest first, with their deliveries still due."""
    with _desk() as running:
        found = running.ask("events", limit=limit, type=event_type)["data"]
        _show(found, [_event_row(event) for event in found], json_path)


@stripe.command()
@click.argument("kind", required=False)
@limit_option
@json_option
def state(kind: str | None, limit: int, json_path: Path | None) -> None:
    """Count objects or, of one KIND, show the newest."""
    with _desk() as running:
        said = running.ask("state", kind=kind, limit=limit)
        if kind is None:
            counts = said["counts"]
            _show(counts, [(known, str(count)) for known, count in counts.items()], json_path)
        else:
            _show(said["data"], _object_rows(said["data"]), json_path)
            if json_path is None:
                click.echo(f"{len(said['data'])} of {said['total']}")


@contextmanager
def _desk() -> Iterator[Running]:
    """Give the serve to ask; what goes wrong is one message."""
    with one_message():
        url: str | None = click.get_current_context().obj
        try:
            yield find_running(Path.cwd() / ".deadheat", url=url, environ=os.environ)
        except ActRefused as refused:
            click.echo(f"deadheat: {plain(refused)}", err=True)
            sys.exit(REFUSED)


def _do(command: str, **arguments: Any) -> None:
    """Have something done; tell what was emitted, and when it was answered how."""
    with _desk() as running:
        done = running.ask(command, **arguments)
        about, events = done["object"], done["events"]
        click.echo(" ".join(filter(None, (about["object"], about["id"], about.get("status")))))
        for event in events:
            if event["goes_out"]:
                _tell(Sent(event_type=event["type"], event_id=event["id"], attempt=1))
            else:
                _tell_line(f"     {plain(event['type'])} [{event['id']}] is not delivered")
        if done["is_forwarding"]:
            for answered in _answers(running.ask("answers", events=[event["id"] for event in events])):
                _tell(answered)
        else:
            click.echo("Events are delivered by deadheat serve --forward-to URL.")


def _answers(said: dict[str, Any]) -> list[Answered]:
    return [Answered(**answered) for answered in said["answers"]]


def _tell(told: Sent | Answered) -> None:
    _tell_line(arrow(told))


def _tell_line(line: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {line}")


def _show(found: Any, rows: Sequence[tuple[str, ...]], json_path: Path | None) -> None:
    """Print rows, or write what they show as JSON where that is asked for."""
    if json_path is None:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            click.echo("  ".join(cells).rstrip())
    elif json_path == Path("-"):
        click.echo(json.dumps(found, indent=2))
    else:
        check_writable(json_path, "--json")
        write_atomically(json_path, json.dumps(found, indent=2) + "\n")


def _event_row(event: dict[str, Any]) -> tuple[str, ...]:
    pending = event["pending_webhooks"]
    about = event["data"]["object"]["id"]
    due = f"{pending} pending" if pending else ""
    return _clock(event), event["type"], f"[{event['id']}]", about, due


def _object_rows(objects: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Give a heading and a row for each object, in the columns that any of them fills."""
    names = [name for name in COLUMNS if any(found.get(name) is not None for found in objects)]
    cells = [[plain("" if (value := o.get(name)) is None else value) for name in names] for o in objects]
    return [("created", *names), *((_clock(o), *row) for o, row in zip(objects, cells, strict=True))]


def _clock(found: dict[str, Any]) -> str:
    return time.strftime("%H:%M:%S", time.localtime(found["created"])) if "created" in found else ""
