"""Bug: customers are listed at Stripe, then one is created, without an idempotency key.

The reference deletes a customer that lost the race, which would hide it: here nobody does, neither who
made it nor the webhook of ``customer.created``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.app import app
from reference_impl.customer_service import CustomerService
from reference_impl.losers import Losers

if TYPE_CHECKING:
    from uuid import UUID

    from reference_impl.profiles import Profile

__all__ = ["app"]


async def create(self: CustomerService, profile: Profile) -> str | None:
    user = str(profile.user_id)
    params: Any = {"email": profile.email or "", "metadata": {"user_id": user}}
    reply = await self._stripe.call(
        "customers.create", lambda: self._stripe.v1.customers.create_async(params=params)
    )
    return str(reply.data["id"])


async def remove(self: Losers, user: UUID, customer: str) -> None:
    """Leave it where it is."""


CustomerService._create = create  # type: ignore[method-assign]
Losers.remove = remove  # type: ignore[method-assign]
