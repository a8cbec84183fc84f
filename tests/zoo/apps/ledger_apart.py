"""Bug: credits are granted when the ledger does not know the event, which is entered only afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.app import app
from reference_impl.stripe_sync import StripeSync

if TYPE_CHECKING:
    from reference_impl.stripe_events import StripeEvent

__all__ = ["app"]

SQL = ("credits.sql",)

take_as_before = StripeSync._take


async def take(self: StripeSync, event: StripeEvent) -> str:
    if event.type == "checkout.session.completed" and not await self._ledger.knows(event.id):
        await self._ledger._db.value("insert into credits (source_id) values ($1)", event.id)
    return await take_as_before(self, event)


StripeSync._take = take  # type: ignore[method-assign]
