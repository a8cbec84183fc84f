"""Repaired: whoever comes second runs into the key on ``user_id``, and lets it be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.app import app
from reference_impl.profiles import Profiles

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["app"]


async def ensure_profile(self: Profiles, user_id: UUID, email: str) -> bool:
    if await self._db.value("select id from profiles where user_id = $1", user_id):
        return False
    made = await self._db.value(
        "insert into profiles (user_id, email) values ($1, $2) on conflict (user_id) do nothing returning id",
        user_id,
        email,
    )
    return made is not None


Profiles.ensure_profile = ensure_profile  # type: ignore[method-assign]
