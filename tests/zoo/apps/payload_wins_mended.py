"""Repaired: an event says that something changed; what it is now is asked of Stripe."""

from __future__ import annotations

from reference_impl.stripe_sync import StripeSync

from .payload_wins import app, received

__all__ = ["app"]


async def deliver(self: StripeSync, body: bytes, signature: str | None) -> str:
    event = received(self, body, signature)
    if not event.type.startswith("customer.subscription."):
        return await self._ledger.apply(event.entry)
    assert event.subscription is not None
    return await self._sync_subscription(event, event.subscription)


StripeSync.deliver = deliver  # type: ignore[method-assign]
