"""Sessions that a run left stuck in Postgres: what the next run would wait for, ended before it begins.

A run that came to nothing may leave statements that wait for locks and transactions that nobody ends. They
get a little time to be over by themselves. Then statements are cancelled, so that whoever sent them can
roll back and go on with the connection; a session that still holds a transaction is terminated. Only
sessions of the target that came through our proxy are touched, and only those in its own database.

Source: PostgreSQL documentation, "System Administration Functions" (Server Signaling Functions).
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Collection

GRACE_SECONDS = 0.5  # for each: to be over by itself, to be cancelled, to be terminated
POLL_SECONDS = 0.02
_BUSY = """
    select pid from pg_stat_activity
    where pid = any($1) and datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'
"""
_CANCEL = f"select pg_cancel_backend(pid) from ({_BUSY} and state = 'active') busy"
_TERMINATE = f"select pg_terminate_backend(pid) from ({_BUSY}) busy"
_GONE = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)


async def end_stuck(connection: Any, pids: Collection[int]) -> int:
    """End what these backends are stuck in; says how many were. A database that is gone has none."""
    try:
        stuck = await _still_busy(connection, pids)
        if stuck:
            await connection.fetch(_CANCEL, list(stuck))
            left = await _still_busy(connection, stuck)
            if left:
                await connection.fetch(_TERMINATE, list(left))
                await _still_busy(connection, left)
    except _GONE:
        return 0
    return len(stuck)


async def _still_busy(connection: Any, pids: Collection[int]) -> list[int]:
    """Give those that are in a statement or a transaction for as long as they may be."""
    until = time.perf_counter() + GRACE_SECONDS
    while True:
        busy = [row["pid"] for row in await connection.fetch(_BUSY, list(pids))]
        if not busy or time.perf_counter() > until:
            return busy
        await asyncio.sleep(POLL_SECONDS)
