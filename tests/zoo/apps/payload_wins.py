"""Bug: what a webhook's payload says is written as it is, so the event that arrives last wins."""

from __future__ import annotations

import json

from reference_impl.answers import Refusal
from reference_impl.app import app
from reference_impl.stripe_events import NotStripes, StripeEvent, receive
from reference_impl.stripe_sync import StripeSync
from reference_impl.subscriptions import read_subscription

__all__ = ["app"]


async def deliver(self: StripeSync, body: bytes, signature: str | None) -> str:
    event = received(self, body, signature)
    if not event.type.startswith("customer.subscription."):
        return await self._ledger.apply(event.entry)
    ticket = await self._ledger.draw_ticket()
    state = read_subscription(json.loads(body)["data"]["object"])
    return await self._ledger.apply(event.entry, ticket, state)


def received(self: StripeSync, body: bytes, signature: str | None) -> StripeEvent:
    try:
        return receive(body, signature, self._secret)
    except NotStripes as error:
        raise Refusal(400, "bad_signature", "not a signed event of Stripe") from error


StripeSync.deliver = deliver  # type: ignore[method-assign]
