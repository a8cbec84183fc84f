"""Webhooks: brings the local rows to where Stripe is, whatever events come, in whatever order.

For a subscription: draw a ticket, read the subscription from the API, then write line and row in one
transaction, unless a newer ticket has written (see ledger.py). An event that is in the ledger changes
nothing. What cannot be read or written now is answered 503, and Stripe sends it again.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from reference_impl import logs
from reference_impl.answers import Refusal, unavailable
from reference_impl.database import DatabaseUnavailable
from reference_impl.logs import STRIPE_SYNC
from reference_impl.stripe_calls import Refused, Reply, StripeTrouble
from reference_impl.stripe_events import NotStripes, StripeEvent, receive
from reference_impl.subscriptions import read_subscription, user_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    import stripe

    from reference_impl.ledger import Ledger
    from reference_impl.losers import Losers
    from reference_impl.metrics import Metrics
    from reference_impl.stripe_calls import StripeCalls

# Stripe gives up on a delivery after about ten seconds; better to say so in time and be sent it again.
PATIENCE_S = 8.0


class StripeSync:
    """Takes deliveries. Safe to call at once from any number of tasks and processes."""

    def __init__(
        self,
        ledger: Ledger,
        losers: Losers,
        stripe: StripeCalls,
        metrics: Metrics,
        *,
        secret: str,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._ledger = ledger
        self._losers = losers
        self._stripe = stripe
        self._metrics = metrics
        self._secret = secret
        self._patience_s = patience_s

    async def deliver(self, body: bytes, signature: str | None) -> str:
        """Take one delivery; returns applied, kept, ignored or duplicate.

        Raises Refusal: 400 where it is not Stripe's, 503 where it must be sent again.
        """
        try:
            event = receive(body, signature, self._secret)
        except NotStripes as error:
            self._metrics.count("reference_webhooks_total", type="unknown", outcome="forged")
            logs.warning(STRIPE_SYNC, f"delivery refused: {error}")
            raise Refusal(400, "bad_signature", "not a signed event of Stripe") from error
        try:
            async with asyncio.timeout(self._patience_s):
                outcome = await self._take(event)
        except (StripeTrouble, DatabaseUnavailable, TimeoutError) as error:
            self._metrics.count("reference_webhooks_total", type=event.type, outcome="again")
            logs.warning(STRIPE_SYNC, f"send again: {error or 'too slow'}", event=event.id, type=event.type)
            raise unavailable("not now: send it again") from error
        self._metrics.count("reference_webhooks_total", type=event.type, outcome=outcome)
        logs.info(
            STRIPE_SYNC,
            outcome,
            event=event.id,
            type=event.type,
            customer=event.customer,
            subscription=event.subscription,
        )
        return outcome

    async def _take(self, event: StripeEvent) -> str:
        if await self._ledger.knows(event.id):
            return "duplicate"
        if event.subscription is not None:
            return await self._sync_subscription(event, event.subscription)
        if event.type == "customer.deleted" and event.customer is not None:
            return await self._ledger.forget_customer(event.entry, event.customer)
        if event.type == "customer.created" and event.customer is not None and event.user_hint is not None:
            return await self._adopt(event, event.customer)
        return await self._ledger.apply(event.entry)

    async def _sync_subscription(self, event: StripeEvent, subscription: str) -> str:
        ticket = await self._ledger.draw_ticket()
        reply = await self._read(
            "subscriptions.retrieve", lambda: self._stripe.v1.subscriptions.retrieve_async(subscription)
        )
        if reply is None:
            logs.warning(STRIPE_SYNC, "Stripe does not know the subscription", subscription=subscription)
            return await self._ledger.apply(event.entry)
        state = read_subscription(reply.data)
        if state.user_hint is None:
            hint = event.user_hint or await self._customers_user(state.customer)
            state = replace(state, user_hint=hint)
        return await self._ledger.apply(event.entry, ticket, state)

    async def _customers_user(self, customer: str) -> UUID | None:
        """Give the user that the metadata of a subscription's customer name, if any."""
        reply = await self._read(
            "customers.retrieve", lambda: self._stripe.v1.customers.retrieve_async(customer)
        )
        return None if reply is None else user_of((reply.data.get("metadata") or {}).get("user_id"))

    async def _adopt(self, event: StripeEvent, customer: str) -> str:
        """Record a customer whose maker died, or gave up, between Stripe and the database.

        One that came too late, when the user has another, is removed: nobody else knows of it.
        """
        assert event.user_hint is not None
        reply = await self._read(
            "customers.retrieve", lambda: self._stripe.v1.customers.retrieve_async(customer)
        )
        if reply is None or reply.data.get("deleted"):
            return await self._ledger.apply(event.entry)
        outcome = await self._ledger.adopt_customer(event.entry, customer, event.user_hint)
        if outcome == "lost":
            await self._losers.remove(event.user_hint, customer)
            return await self._ledger.apply(event.entry)
        return outcome

    async def _read(self, name: str, send: Callable[[], Awaitable[stripe.StripeObject]]) -> Reply | None:
        """Read an object; None where Stripe does not have it."""
        try:
            return await self._stripe.call(name, send, patience_s=self._patience_s)
        except Refused as error:
            if error.missing:
                return None
            raise
