"""Repaired: the ticket is drawn before reading, so that of two reads the later one stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.app import app
from reference_impl.stripe_sync import StripeSync
from reference_impl.subscriptions import read_subscription

if TYPE_CHECKING:
    from reference_impl.stripe_events import StripeEvent

__all__ = ["app"]


async def sync_subscription(self: StripeSync, event: StripeEvent, subscription: str) -> str:
    ticket = await self._ledger.draw_ticket()
    reply = await self._stripe.call(
        "subscriptions.retrieve", lambda: self._stripe.v1.subscriptions.retrieve_async(subscription)
    )
    return await self._ledger.apply(event.entry, ticket, read_subscription(reply.data))


StripeSync._sync_subscription = sync_subscription  # type: ignore[method-assign]
