"""The connection to Postgres: a pool, and transactions that are run again where that helps.

No transaction of this application spans a call to Stripe and none needs a second connection, so a
connection is never waited for by somebody who holds one. Every transaction may be run again from the
start: it is, when Postgres chose it as the victim of a deadlock, when a lock or a connection did not
come in time, or when the connection broke. `Database.run` is the one place that knows.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from reference_impl import logs
from reference_impl.logs import DATABASE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from reference_impl.metrics import Metrics
    from reference_impl.settings import Settings

T = TypeVar("T")

TRIES_MAX = 6
ACQUIRE_S_MAX = 10.0
SESSION = {
    "application_name": "reference_impl",
    "default_transaction_isolation": "read committed",
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
}
_AGAIN = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
)


class DatabaseUnavailable(Exception):
    """Postgres did not do it, several times over."""


class Database:
    """The database, through a pool. One for each process."""

    def __init__(self, pool: asyncpg.Pool, metrics: Metrics) -> None:
        self._pool = pool
        self._metrics = metrics

    @classmethod
    async def connect(cls, settings: Settings, metrics: Metrics) -> Database:
        """Open the pool."""
        pool = await asyncpg.create_pool(
            settings.database_url,
            min_size=1,
            max_size=settings.pool_size,
            command_timeout=30,
            server_settings=SESSION,
        )
        return cls(pool, metrics)

    async def close(self) -> None:
        """Close the pool."""
        await self._pool.close()

    async def run(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """Run ``work`` on a connection, again where that may help; DatabaseUnavailable if it never did."""
        for tried in range(TRIES_MAX):
            try:
                async with self._pool.acquire(timeout=ACQUIRE_S_MAX) as connection:
                    return await work(connection)
            except _AGAIN as error:
                state = getattr(error, "sqlstate", None) or type(error).__name__
                self._metrics.count("reference_database_retries_total", sqlstate=str(state))
                logs.warning(DATABASE, "the database did not do it", sqlstate=state, tried=tried + 1)
                last = error
            await asyncio.sleep(0.01 * 2**tried * random.uniform(0.5, 1))
        raise DatabaseUnavailable(f"the database did not do it in {TRIES_MAX} tries") from last

    async def row(self, statement: str, *values: Any) -> Any:
        """Give the first row of a statement, or None."""
        return await self.run(lambda connection: connection.fetchrow(statement, *values))

    async def value(self, statement: str, *values: Any) -> Any:
        """Give the first value of a statement's first row, or None."""
        return await self.run(lambda connection: connection.fetchval(statement, *values))

    async def rows(self, statement: str, *values: Any) -> Sequence[Any]:
        """Give the rows of a statement."""
        found: Sequence[Any] = await self.run(lambda connection: connection.fetch(statement, *values))
        return found

    async def ping(self) -> None:
        """Ask for a sign of life."""
        await self.value("select 1")
