"""Accounts: users, the links that go to them by mail, and who may act for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uuid import UUID

    from reference_impl.database import Database


class Accounts:
    """The rows of ``users`` and ``confirmations``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def register(self, email: str, full_name: str | None) -> UUID:
        """Give the user of an e-mail address; a new one where there was none."""
        user: UUID = await self._db.value("select register_user($1, $2)", email, full_name)
        return user

    async def add_link(self, code: str, user_id: UUID) -> None:
        """Keep the code of a link that goes to the user by mail."""
        await self._db.value(
            "insert into confirmations (code, user_id) values ($1, $2) on conflict do nothing", code, user_id
        )

    async def link(self, code: str) -> Any:
        """Give the link's ``user_id``, ``email``, ``full_name`` and whether it is ``expired``; or None."""
        return await self._db.row(
            """
            select c.user_id, u.email, u.full_name, c.created_at < now() - interval '24 hours' as expired
            from confirmations c join users u on u.id = c.user_id
            where c.code = $1
            """,
            code,
        )

    async def use_link(self, code: str) -> None:
        """Note that the link led to a session."""
        await self._db.value(
            "update confirmations set used_at = now() where code = $1 and used_at is null", code
        )

    async def admit(self, user_id: UUID, email: str) -> str:
        """Say whether a call may act for the user under this address (``admit_user`` in sql/)."""
        verdict: str = await self._db.value("select admit_user($1, $2)", user_id, email)
        return verdict
