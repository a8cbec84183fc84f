"""Bug: a profile is looked for, then inserted, and no constraint stops the second one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.app import app
from reference_impl.profiles import Profiles

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["app"]

SQL = ("no_profile_keys.sql",)


async def ensure_profile(self: Profiles, user_id: UUID, email: str) -> bool:
    if await self._db.value("select id from profiles where user_id = $1", user_id):
        return False
    await self._db.value("insert into profiles (user_id, email) values ($1, $2)", user_id, email)
    return True


Profiles.ensure_profile = ensure_profile  # type: ignore[method-assign]
