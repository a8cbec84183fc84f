"""Bug: credits for a paid checkout are looked for, then granted, and no key says one.

Attempts to deliver one event that come one after the other are no trouble, whatever went wrong with the
first. Two at once both see no credits: a duplicate of Stripe's, or its retry while the target, which had
stood still for too long, goes on with the first attempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.app import app
from reference_impl.stripe_sync import StripeSync

if TYPE_CHECKING:
    import asyncpg

    from reference_impl.stripe_events import StripeEvent

__all__ = ["app"]

SQL = ("credits.sql",)

GRANT = "insert into credits (source_id) values ($1)"
take_as_before = StripeSync._take


async def take(self: StripeSync, event: StripeEvent) -> str:
    async def grant(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            if not await connection.fetchval("select source_id from credits where source_id = $1", event.id):
                await connection.execute(GRANT, event.id)

    outcome = await take_as_before(self, event)
    if event.type == "checkout.session.completed":
        await self._ledger._db.run(grant)
    return outcome


StripeSync._take = take  # type: ignore[method-assign]
