"""Customers that lost the race: made for a user who has another one, and to be deleted at Stripe.

First the loser is retired in Postgres, with a number of tries; from then on nobody records it. Then it
is deleted at Stripe, which may fail: later calls for the same user try again, until none is left. A
loser that has a subscription is never deleted, since that would end what somebody pays for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from reference_impl import logs
from reference_impl.logs import CUSTOMER_SERVICE
from reference_impl.stripe_calls import Refused, StripeTrouble

if TYPE_CHECKING:
    from uuid import UUID

    from reference_impl.metrics import Metrics
    from reference_impl.profiles import Profiles
    from reference_impl.stripe_calls import StripeCalls

AGAIN_MAX = 3
AGAIN_PATIENCE_S = 5.0


class Losers:
    """What is to be done about them. Safe to call at once from any number of tasks and processes."""

    def __init__(self, profiles: Profiles, stripe: StripeCalls, metrics: Metrics) -> None:
        self._profiles = profiles
        self._stripe = stripe
        self._metrics = metrics

    async def remove(self, user: UUID, customer: str) -> None:
        """Retire a loser and delete it at Stripe; nothing where a profile names it.

        Raises StripeTrouble where it could not be deleted now; `remove_pending` tries again.
        """
        if await self._profiles.drop_loser(customer, user):
            await self._delete(user, customer)

    async def remove_pending(self, user: UUID) -> None:
        """Delete up to three losers of the user that could not be deleted before, in five seconds."""
        pending = await self._profiles.pending_losers(user, AGAIN_MAX)
        if not pending:
            return
        try:
            async with asyncio.timeout(AGAIN_PATIENCE_S):
                for customer in pending:
                    await self._delete(user, customer)
        except (StripeTrouble, TimeoutError) as error:
            logs.warning(CUSTOMER_SERVICE, f"losers not deleted: {error or 'too slow'}", user=user)

    async def _delete(self, user: UUID, customer: str) -> None:
        try:
            subscriptions = await self._stripe.call(
                "subscriptions.list",
                lambda: self._stripe.v1.subscriptions.list_async(params={"customer": customer, "limit": 1}),
            )
            if subscriptions.data["data"]:
                await self._profiles.settle_loser(customer)
                logs.warning(CUSTOMER_SERVICE, "loser has a subscription", user=user, customer=customer)
                return
            await self._stripe.call(
                "customers.delete", lambda: self._stripe.v1.customers.delete_async(customer)
            )
        except Refused as error:
            if not error.missing:
                raise
        await self._profiles.settle_loser(customer)
        self._metrics.count("reference_customers_total", event="removed")
        logs.info(CUSTOMER_SERVICE, "loser deleted", user=user, customer=customer)
