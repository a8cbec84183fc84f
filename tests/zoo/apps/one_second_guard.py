"""Bug: a payload is written unless the row has a newer event's, and events are dated to the second.

Of two events of one second the one that arrives last wins.
"""

from __future__ import annotations

import json

from reference_impl.stripe_sync import StripeSync

from .payload_wins import app, received

__all__ = ["app"]

CHANGES = ("customer.subscription.updated", "customer.subscription.deleted")
GUARDED = """
update subscriptions set status = $2, event_created = $3
where stripe_subscription_id = $1 and coalesce(event_created, 0) <= $3
"""
take = StripeSync._take


async def deliver(self: StripeSync, body: bytes, signature: str | None) -> str:
    event = received(self, body, signature)
    if event.type not in CHANGES:
        return await take(self, event)
    if await self._ledger.knows(event.id):
        return "duplicate"
    thing = json.loads(body)["data"]["object"]
    await self._ledger._db.value(GUARDED, thing["id"], thing["status"], event.created)
    return await self._ledger.apply(event.entry)


StripeSync.deliver = deliver  # type: ignore[method-assign]
