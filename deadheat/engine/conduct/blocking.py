"""Who waits for whom in Postgres: asked of Postgres itself, on a connection beside the target's.

`pg_blocking_pids` gives the sessions that a backend waits for (PostgreSQL documentation, "System
Information Functions"). A backend that waits for none is at work, however slow its statement is.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import asyncpg

from deadheat.engine.conduct.stuck import end_stuck
from deadheat.errors import DatabaseLost, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_BLOCKERS = "select pid, pg_blocking_pids(pid) as by from unnest($1::int[]) as pid"
_GONE = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
_WHO = """
    select format('%s (application %L, user %s, database %s)', pid, application_name, usename, datname)
    from pg_stat_activity where pid = $1
"""
_IDLE = "select state ^@ 'idle in transaction' from pg_stat_activity where pid = $1"
_THERE = "select exists (select from pg_stat_activity where pid = $1)"
END_SECONDS_MAX = 5.0  # for a backend to take note that its client has gone
END_POLL_SECONDS = 0.001


class Blocking:
    """Asks who blocks whom. ``connection`` is asyncpg's, and nobody else's while a race goes on."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()  # asyncpg answers one question at a time
        self._prepared: Any = None
        self.polls = 0

    @property
    def pid(self) -> int:
        """The backend that answers us."""
        return int(self._connection.get_server_pid())

    async def of(self, pids: Iterable[int]) -> Mapping[int, frozenset[int]]:
        """Give for each backend those it waits for; DatabaseLost when there is no asking."""
        self.polls += 1
        try:
            async with self._turn:
                if self._prepared is None:
                    self._prepared = await self._connection.prepare(_BLOCKERS)
                rows = await self._prepared.fetch(list(pids))
        except _GONE as error:
            raise DatabaseLost(f"the database went away: {error}") from error
        return {row["pid"]: frozenset(row["by"]) for row in rows}

    async def ended(self, pid: int) -> None:
        """Wait until a backend whose client has gone is gone too, with its transaction and its locks.

        Trouble when it is not within `END_SECONDS_MAX`, DatabaseLost when there is no asking.
        """
        until = time.perf_counter() + END_SECONDS_MAX
        while await self._is_there(pid):
            if time.perf_counter() > until:
                raise Trouble(
                    f"backend {pid} is still there {END_SECONDS_MAX:.0f} s after its client has gone"
                )
            await asyncio.sleep(END_POLL_SECONDS)

    async def _is_there(self, pid: int) -> bool:
        try:
            async with self._turn:
                return bool(await self._connection.fetchval(_THERE, pid))
        except _GONE as error:
            raise DatabaseLost(f"the database went away: {error}") from error

    async def is_idle(self, pid: int) -> bool:
        """Whether a session has a transaction open and runs no statement."""
        async with self._turn:
            return bool(await self._connection.fetchval(_IDLE, pid))

    async def end_stuck(self, pids: Iterable[int]) -> int:
        """End the statements and transactions that these backends are stuck in; says how many were."""
        async with self._turn:
            return await end_stuck(self._connection, list(pids))

    async def who(self, pid: int) -> str:
        """Name a session for people."""
        return str(await self._connection.fetchval(_WHO, pid) or pid)
