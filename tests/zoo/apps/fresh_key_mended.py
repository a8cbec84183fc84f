"""Repaired: every attempt for one user, whoever makes it, is made under the same idempotency key.

A failure that Stripe keeps under that key is left for the next one, by the number in the profile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.customer_service import CustomerService
from reference_impl.stripe_calls import Unavailable

from .fresh_key import app, create_under

if TYPE_CHECKING:
    from reference_impl.profiles import Profile

__all__ = ["app"]


async def create(self: CustomerService, profile: Profile) -> str | None:
    attempt = profile.customer_attempt
    try:
        return await create_under(self, profile, lambda: f"customer:{profile.user_id}:{attempt}")
    except Unavailable:
        await self._profiles.next_attempt(profile.user_id, attempt)
        return await self._find(profile)


CustomerService._create = create  # type: ignore[method-assign]
