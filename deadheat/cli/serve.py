"""``deadheat serve``: Postgres, Stripe and its webhooks for an application that is run by hand.

Ctrl-C (and SIGTERM) is how it is meant to end, so that is exit code 0; 2 when it could not begin.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deadheat.cli.ending import one_message
from deadheat.cli.running import Running, noted
from deadheat.engine.events import Notice
from deadheat.engine.forward import Sent
from deadheat.engine.serve import STRIPE_PORT, Order, Served, check_forward_to
from deadheat.engine.serve import serve as serve_until_cancelled
from deadheat.errors import SettingsError
from deadheat.report.disk import check_writable
from deadheat.report.plain import plain
from deadheat.settings import load_settings

if TYPE_CHECKING:
    from deadheat.engine.forward import Answered
    from deadheat.engine.serve import Told
    from deadheat.settings import Settings

FIRST_LINE = "# Written by deadheat serve; written anew each time it starts."


@click.command()
@click.option(
    "--postgres",
    metavar="auto|embedded|docker|DSN",
    help="A new, empty database, or the DSN of one that is taken as it is (default: auto).",
)
@click.option("--stripe-mock", metavar="auto|docker|PATH|URL|off", help="What validates Stripe calls.")
@click.option(
    "--stripe-port",
    type=click.IntRange(0, 65535),
    default=STRIPE_PORT,
    show_default=True,
    help="Where the simulator listens, 0 for any. (stripe-mock's own are 12111 and 12112.)",
)
@click.option("--forward-to", metavar="URL", help="Bring events to this address on this machine.")
@click.option("--events", metavar="TYPE,…", help="Only these types, as in invoice.*,customer.created.")
@click.option(
    "--env-file", type=click.Path(dir_okay=False, path_type=Path), help="Write the environment there too."
)
def serve(
    postgres: str | None,
    stripe_mock: str | None,
    stripe_port: int,
    forward_to: str | None,
    events: str | None,
    env_file: Path | None,
) -> None:
    """Put up Postgres, stripe-mock and the Stripe simulator, and bring webhooks, until Ctrl-C.

    Prints the environment to start your application with. Nothing that it serves is kept: the
    database and the Stripe account are gone when it ends. Exit code: 0 after Ctrl-C, 2 when
    something could not be put up.
    """
    with one_message():
        options = {"postgres": postgres, "stripe-mock": stripe_mock}
        settings = load_settings(options=options, environ=os.environ, cwd=Path.cwd())
        types = tuple(filter(None, (name.strip() for name in (events or "").split(","))))
        order = Order(stripe_port=stripe_port, forward_to=forward_to, types=types)
        if forward_to is not None:
            check_forward_to(forward_to)
        if env_file is not None:
            _check_env_file(env_file)
        try:
            asyncio.run(_until_interrupted(settings, order, env_file))
        except asyncio.CancelledError:
            click.echo("stopped")


async def _until_interrupted(settings: Settings, order: Order, env_file: Path | None) -> None:
    task = asyncio.current_task()
    assert task is not None
    stack = ExitStack()

    def end() -> None:
        stack.close()  # first of all: nothing is to be asked here any more
        task.cancel()

    for wanted in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(wanted, end)

    def tell(told: Told) -> None:
        if isinstance(told, Served):
            _note(stack, settings.state_folder, told)
            if env_file is not None:
                _write(env_file, told)
            _show(told)
        elif isinstance(told, Notice):
            click.echo(f"note: {plain(told.text)}", err=True)
        else:
            click.echo(f"{time.strftime('%H:%M:%S')} {arrow(told)}")

    with stack:
        await serve_until_cancelled(settings, order, tell)


def exports(served: Served) -> list[str]:
    """Give the environment as lines that a shell reads, and readers of .env files too."""
    return [f"export {name}={shlex.quote(value)}" for name, value in served.environment.items()]


def arrow(told: Sent | Answered) -> str:
    """Give one line for an event on its way, or for its answer, much as stripe-cli's ``listen`` does."""
    if isinstance(told, Sent):
        counted = {0: " (sent again)", 1: ""}.get(told.attempt, f" (attempt {told.attempt})")
        return f" --> {plain(told.event_type)} [{told.event_id}]{counted}"
    status = "no answer" if told.status is None else told.status
    line = f"<--  [{status}] POST {plain(told.url)} [{told.event_id}] {told.elapsed_ms:.0f} ms"
    if told.problem:
        line += f": {plain(told.problem)}"
    if told.taken or told.attempt == 0:
        return line
    return line + (f"; again in {told.retry_s:g} s" if told.retry_s is not None else "; given up")


def _note(stack: ExitStack, state_folder: Path, served: Served) -> None:
    """Leave a note for `deadheat stripe` until the end; where it cannot be left, say so and go on."""
    running = Running(served.stripe_url, served.environment["STRIPE_SECRET_KEY"], os.getpid())
    try:
        stack.enter_context(noted(state_folder, running))
    except SettingsError as error:
        click.echo(f"note: deadheat stripe needs --stripe-url to find this: {error}", err=True)


def _show(served: Served) -> None:
    click.echo(f"PostgreSQL {plain(served.postgres)}; stripe-mock {plain(served.stripe_mock)}")
    click.echo(f"Stripe at {served.stripe_url}, prices {' and '.join(served.prices)}")
    if served.forward_to is None:
        click.echo("Events are not delivered anywhere: --forward-to URL brings them.")
    else:
        click.echo(f"Events go to {plain(served.forward_to)}")
    click.echo("\n# The environment of your application:")
    for line in exports(served):
        click.echo(line)
    click.echo("\nCtrl-C ends it.")


def _check_env_file(path: Path) -> None:
    """Refuse to write over a file that is somebody's own."""
    if path.is_file() and path.stat().st_size and not path.read_text(errors="replace").startswith(FIRST_LINE):
        raise SettingsError(
            f"--env-file {path}: there is a file that deadheat serve has not written. Name another."
        )
    check_writable(path, "--env-file")


def _write(path: Path, served: Served) -> None:
    """Write the environment for its owner's eyes only: it holds a database's password."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text("\n".join([FIRST_LINE, *exports(served), ""]), encoding="utf-8")
