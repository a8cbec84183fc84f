"""Repaired: all who create a customer for one user do it under the same idempotency key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.customer_service import CustomerService

from .create_without_key import app

if TYPE_CHECKING:
    from reference_impl.profiles import Profile

__all__ = ["app"]


async def create(self: CustomerService, profile: Profile) -> str | None:
    user = str(profile.user_id)
    params: Any = {"email": profile.email or "", "metadata": {"user_id": user}}
    options: Any = {"idempotency_key": f"customer:{user}"}
    reply = await self._stripe.call(
        "customers.create", lambda: self._stripe.v1.customers.create_async(params=params, options=options)
    )
    return str(reply.data["id"])


CustomerService._create = create  # type: ignore[method-assign]
