"""Bug: a PL/pgSQL function looks for the subscription's row, then inserts it, and there is no key.

To call it is one statement, and that is not one step: two calls that overlap both find nothing. The
event's line follows in a statement of its own, since what is written may be written again.
"""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING

from reference_impl.app import app
from reference_impl.ledger import Ledger, _enter

if TYPE_CHECKING:
    from reference_impl.ledger import EventEntry, SubscriptionState

__all__ = ["app"]

SQL = (
    "no_subscription_key.sql",
    "apply_after_a_look.sql",
)

APPLY = "select apply_subscription($1, $2, $3, $4, $5, $6, $7)"


async def apply(
    self: Ledger, event: EventEntry | None, ticket: int | None = None, state: SubscriptionState | None = None
) -> str:
    if state is not None:
        await self._db.value(APPLY, ticket, *astuple(state))
    if event is not None:
        await self._db.run(lambda connection: _enter(connection, event, state is not None))
    return "ignored" if state is None else "applied"


Ledger.apply = apply  # type: ignore[method-assign]
