"""Bug: the page that the browser comes back to inserts the subscription's row, and so does the webhook.

The page looks for the row first; the webhook updates it, or inserts it where there was none to update.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.app import app
from reference_impl.ledger import Ledger, _enter

if TYPE_CHECKING:
    from reference_impl.ledger import EventEntry, SubscriptionState

__all__ = ["app"]

SQL = ("no_subscription_key.sql",)

LOOK = "select id from subscriptions where stripe_subscription_id = $1"
UPDATE = "update subscriptions set status = $2 where stripe_subscription_id = $1 returning id"
INSERT = """
insert into subscriptions (stripe_subscription_id, status, stripe_customer_id, user_id)
values ($1, $2, $3, $4)
"""


async def apply(
    self: Ledger, event: EventEntry | None, ticket: int | None = None, state: SubscriptionState | None = None
) -> str:
    if state is not None:
        if event is None:
            known = await self._db.value(LOOK, state.id)
        else:
            known = await self._db.value(UPDATE, state.id, state.status)
        if known is None:
            await self._db.value(INSERT, state.id, state.status, state.customer, state.user_hint)
    if event is not None:
        await self._db.run(lambda connection: _enter(connection, event, state is not None))
    return "ignored" if state is None else "applied"


Ledger.apply = apply  # type: ignore[method-assign]
