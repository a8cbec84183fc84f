"""Repaired: only a profile that names its customer will do, and there is no session without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.answers import unavailable

from . import carries_on
from .carries_on import app

if TYPE_CHECKING:
    from reference_impl.auth import Auth
    from reference_impl.profiles import Profile

__all__ = ["app"]


async def set_up(self: Auth, link: Any) -> Profile | None:
    result = await self._customers.ensure_customer_exists(link["user_id"], link["email"], link["full_name"])
    if result.stripe_customer_id is None:
        raise unavailable("your account is not ready yet: follow the link again in a moment")
    return result.profile


carries_on.set_up = set_up
