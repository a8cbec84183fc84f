"""Bug: the subscription is read at Stripe and then written, so an older read can overwrite a newer one.

The ticket that should order the reads is drawn after reading, and so orders the writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.app import app
from reference_impl.stripe_sync import StripeSync
from reference_impl.subscriptions import read_subscription

if TYPE_CHECKING:
    from reference_impl.stripe_events import StripeEvent

__all__ = ["app"]


async def sync_subscription(self: StripeSync, event: StripeEvent, subscription: str) -> str:
    reply = await self._stripe.call(
        "subscriptions.retrieve", lambda: self._stripe.v1.subscriptions.retrieve_async(subscription)
    )
    ticket = await self._ledger.draw_ticket()
    return await self._ledger.apply(event.entry, ticket, read_subscription(reply.data))


StripeSync._sync_subscription = sync_subscription  # type: ignore[method-assign]
