"""Bug: each attempt to create a customer has an idempotency key of its own.

One attempt makes one customer, and who loses a race deletes theirs: without trouble nothing is wrong. An
attempt whose answer got lost, or that took effect and was answered 500, made one all the same; the next
makes a second.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from reference_impl.app import app
from reference_impl.customer_service import CustomerService

if TYPE_CHECKING:
    from reference_impl.profiles import Profile

__all__ = ["app"]


async def create(self: CustomerService, profile: Profile) -> str | None:
    return await create_under(self, profile, lambda: f"customer:{uuid.uuid4()}")


async def create_under(self: CustomerService, profile: Profile, key: Any) -> str | None:
    """Create the customer; ``key`` gives the idempotency key of each attempt."""
    params: Any = {"email": profile.email or "", "metadata": {"user_id": str(profile.user_id)}}
    reply = await self._stripe.call(
        "customers.create",
        lambda: self._stripe.v1.customers.create_async(params=params, options={"idempotency_key": key()}),
    )
    return str(reply.data["id"])


CustomerService._create = create  # type: ignore[method-assign]
