"""The connection to Postgres: a pool, and transactions that are run again where that helps.

No transaction of this application spans a call to Stripe and none needs a second connection, so a
connection is never waited for by somebody who holds one. Every transaction may be run again from the
start: it is, when Postgres chose it as the victim of a deadlock, when a lock did not come in time, or
when the connection broke. All tries together have ten seconds; when no connection is free in that time
there is no second try, since whoever waits longer only makes the queue longer. `Database.run` is the
one place that knows.
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
RUN_S_MAX = 10.0
PING_S_MAX = 2.0
RELEASE_S_MAX = 2.0
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
    """Postgres did not do it, several times over or in all the time there was."""


class Database:
    """The database, through a pool. One for each process."""

    def __init__(self, pool: asyncpg.Pool, metrics: Metrics, *, patience_s: float = RUN_S_MAX) -> None:
        self._pool = pool
        self._patience_s = patience_s
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

    async def run(
        self, work: Callable[[asyncpg.Connection], Awaitable[T]], *, within_s: float | None = None
    ) -> T:
        """Run ``work`` on a connection, again where that may help; DatabaseUnavailable if it never did."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + (self._patience_s if within_s is None else within_s)
        last: Exception | None = None
        for tried in range(TRIES_MAX):
            if clock() >= deadline:
                break
            try:
                return await self._try(work, deadline)
            except _AGAIN as error:
                state = getattr(error, "sqlstate", None) or type(error).__name__
                self._metrics.count("reference_database_retries_total", sqlstate=str(state))
                logs.warning(DATABASE, "the database did not do it", sqlstate=state, tried=tried + 1)
                last = error
            await asyncio.sleep(0.01 * 2**tried * random.uniform(0.5, 1))
        raise DatabaseUnavailable("the database did not do it in all the tries and time there were") from last

    async def _try(self, work: Callable[[asyncpg.Connection], Awaitable[T]], deadline: float) -> T:
        connection = None
        try:
            async with asyncio.timeout_at(deadline):
                connection = await self._pool.acquire()
                return await work(connection)
        except TimeoutError as error:
            if connection is None:
                raise DatabaseUnavailable("no connection was free in time") from error
            raise
        finally:
            if connection is not None:
                await self._pool.release(connection, timeout=RELEASE_S_MAX)

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
        """Ask for a sign of life; DatabaseUnavailable after two seconds without one."""
        await self.run(
            lambda connection: connection.fetchval("select 1"), within_s=min(PING_S_MAX, self._patience_s)
        )
