"""Bug: credits for a paid checkout are inserted where there are none yet, and no key says one.

``INSERT … SELECT … WHERE NOT EXISTS`` is one statement; two of them at once see no row, and insert.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.app import app
from reference_impl.stripe_sync import StripeSync

if TYPE_CHECKING:
    from reference_impl.stripe_events import StripeEvent

__all__ = ["app"]

SQL = ("credits.sql",)

GRANT = """
insert into credits (source_id)
select $1
where not exists (select from credits where source_id = $1)
"""
take_as_before = StripeSync._take


async def take(self: StripeSync, event: StripeEvent) -> str:
    outcome = await take_as_before(self, event)
    if event.type == "checkout.session.completed":
        await self._ledger._db.value(GRANT, event.id)
    return outcome


StripeSync._take = take  # type: ignore[method-assign]
