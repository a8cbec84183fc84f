"""The target once it is up: its webhooks and its mapped queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from deadheat.engine.courier import Courier
from deadheat.engine.postbag import Postbag
from deadheat.engine.tables import COLUMNS, Database
from deadheat.errors import DeadheatError
from deadheat.history import Plane, Recorder, StepKind
from deadheat.stripe_sim import PRODUCT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deadheat.engine.deployment import Deployment
    from deadheat.engine.doctor.check import Page
    from deadheat.engine.doctor.operations import Tried
    from deadheat.invariants.settled import Delivered
    from deadheat.program import Forgery
    from deadheat.settings import WebhookSettings

EVENT_TYPE = "deadheat.doctor"  # no application acts on it
FORGERIES: tuple[Forgery, ...] = ("unsigned", "badly-signed", "stale")
BODY_SHOWN = 200


async def examine_webhooks(page: Page, deployment: Deployment) -> None:
    """Send each endpoint a signed event of a type that nobody knows, and the same forged in every way."""
    if not deployment.settings.target.webhooks:
        page.warn("webhook", "there is no [target.webhook]: no event is delivered, and none is checked")
        return
    if not deployment.reach.stripe:
        page.ok("webhook", "not tried: its events are Stripe's own here, and Deadheat sends none")
        return
    account = deployment.account
    since = account.mark()
    product = account.ledger.find("product", PRODUCT)
    assert product is not None  # every account has it
    account.ledger.begin(None)
    account.ledger.emit(EVENT_TYPE, product)
    postbag = Postbag.of(account, deployment.endpoints, since=since, every_type=True)
    for hook, delivery in zip(deployment.settings.target.webhooks, postbag.emitted(), strict=True):
        await _examine_webhook(page, deployment, hook, postbag, delivery)


async def _examine_webhook(
    page: Page, deployment: Deployment, hook: WebhookSettings, postbag: Postbag, delivery: str
) -> None:
    recorder = Recorder(0)
    courier = Courier(deployment.client, postbag, recorder)
    about = f"webhook {hook.name}".rstrip()
    delivered = await courier.deliver(courier.next_attempt(delivery), "stripe", "race")
    said = f"a signed {EVENT_TYPE} at {hook.path} was answered {delivered.status or 'not at all'}"
    if delivered.status is None or delivered.status == 404:
        page.fail(about, said, "Correct [target.webhook] path.")
        return
    if not _taken(delivered):
        body = _body(recorder) or "no body"
        page.warn(about, f"{said}: {body}", _remedy(hook, body))
        page.warn(f"{about} forgeries", "not told apart, as the true event was refused as well")
        return
    page.ok(about, said)
    for kind in FORGERIES:
        forged = await courier.forge(delivery, kind, "race")
        name, told = f"{about}, {kind}", f"answered {forged.status or 'not at all'}"
        if _taken(forged):
            page.warn(name, f"{told}: it was not refused", "bad-webhook-refused will be violated.")
        else:
            page.ok(name, f"{told}: refused")


def _remedy(hook: WebhookSettings, body: str) -> str:
    """Say what to do about a true event that was refused with this body."""
    if "api version" in body.lower():  # as stripe-go and Stripe.net say of events of a version not theirs
        return "Name the version that the target's library expects: api-version, beside the webhook's path."
    named = f".{hook.name}" if hook.name else ""
    return (
        f"Does the target verify with {{stripe.webhook-secret{named}}}? Stripe asks for 2xx for unknown "
        "types too."
    )


def _taken(delivered: Delivered) -> bool:
    return delivered.status is not None and 200 <= delivered.status <= 299


def _body(recorder: Recorder) -> str:
    answers = [s for s in recorder.history().of(Plane.WEBHOOK) if s.kind is StepKind.ANSWER]
    return str(answers[-1].data["body"])[:BODY_SHOWN]


async def examine_tables(
    page: Page, deployment: Deployment, tables: Mapping[str, str], tried: list[Tried]
) -> None:
    """Run each mapped query for the users of the operations that were done."""
    if deployment.database is None:
        if tables:
            page.warn("tables", "mapped, and not read: no database is named", "--postgres DSN")
        return
    connection = deployment.database.connection
    users = [user_id for one in tried for user_id in one.part.ids]
    named = [one for one in tried if one.answer.success and one.answer.customer]
    for name, sql in tables.items():
        try:
            database = await Database.of(connection, {name: sql})
            read = await database.read(users)
        except (DeadheatError, asyncpg.PostgresError) as error:
            page.fail(f"table {name}", str(error), f"Correct [target.tables] {name}.")
            continue
        rows = getattr(read, name) or ()
        seen = f"gives {', '.join(COLUMNS[name])}; rows for the {len(tried)} users tried: {len(rows)}"
        if name == "customers" and named and not rows:
            page.warn(
                f"table {name}",
                f"{seen}, though {', '.join(one.operation.name for one in named)} named customers",
                'Is user_id the id that the target gives? Capture it: capture = { "user.id" = "$.…" }.',
            )
        else:
            page.ok(f"table {name}", seen)
