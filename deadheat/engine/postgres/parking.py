"""Yield points: a place inside a statement, after its snapshot and before its write, to be held at.

One flight is not atomic just because it is one flight. In databases that we provisioned, each table
can get a trigger that sorts last and runs before each row is written: it takes and drops an advisory
lock that carries the backend's own pid. A session of ours holds these locks, so the backend stands
there, seen by the same question that finds blocked ones (`pg_blocking_pids`), until it is let through.

The triggers are there only while runs want them: `installed` puts them up and takes them down again.
Source: PostgreSQL documentation, "Explicit Locking", "Advisory Locks"; "Overview of Trigger Behavior".
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from deadheat.errors import DatabaseLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

TAG = 0x0DEAD4EA  # the first key of our advisory locks; the second is the backend's pid
SCHEMA = "deadheat_parking"
TRIGGER = "zzzz_deadheat_park"

_UP = f"""
    create schema {SCHEMA};
    grant usage on schema {SCHEMA} to public;
    create function {SCHEMA}.park() returns trigger language plpgsql as $park$
    begin
        perform pg_advisory_lock({TAG}, pg_backend_pid());
        perform pg_advisory_unlock({TAG}, pg_backend_pid());
        return case when tg_op = 'DELETE' then old else new end;
    end $park$;
    do $up$
    declare relation regclass;
    begin
        for relation in
            select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p') and not c.relispartition
                and n.nspname not like 'pg\\_%' and n.nspname not in ('information_schema', '{SCHEMA}')
        loop
            execute format(
                'create trigger {TRIGGER} before insert or update or delete on %s '
                'for each row execute function {SCHEMA}.park()', relation);
        end loop;
    end $up$;
"""
_DOWN = f"drop schema if exists {SCHEMA} cascade"


class Parking:
    """Holds backends of one database at their writes. Two connections of its own: one that holds."""

    def __init__(self, holder: Any, builder: Any) -> None:
        self._holder = holder
        self._builder = builder
        self._held: set[int] = set()
        self._turns: asyncio.Queue[tuple[int, Callable[[], None], bool]] = asyncio.Queue()
        self.pid: int = holder.get_server_pid()
        self.failure: BaseException | None = None

    @asynccontextmanager
    async def installed(self) -> AsyncIterator[None]:
        """Put the triggers up for as long as the block lasts; DatabaseLost when that cannot be done."""
        try:
            await self._builder.execute(_UP)
            try:
                yield
            finally:
                await self._builder.execute(_DOWN)
        except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError) as error:
            raise DatabaseLost(f"the database went away: {error}") from error

    @asynccontextmanager
    async def holding(self, pids: Iterable[int]) -> AsyncIterator[Parking]:
        """Hold these backends at each write for as long as the block lasts; they may grow by `hold`."""
        for pid in pids:
            await self.hold(pid)
        worker = asyncio.create_task(self._work())
        try:
            yield self
        finally:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
            while not self._turns.empty():
                self._turns.get_nowait()
            await self._holder.execute("select pg_advisory_unlock_all()")
            self._held.clear()

    async def hold(self, pid: int) -> None:
        """Hold one more backend from its next write on."""
        if pid not in self._held:
            self._held.add(pid)
            await self._holder.execute(f"select pg_advisory_lock({TAG}, {pid})")

    def let_through(self, pid: int, passed: Callable[[], None], *, for_good: bool = False) -> None:
        """Let a parked backend write, and say when it has ``passed``.

        The next row parks again unless it is ``for_good``.
        """
        self._turns.put_nowait((pid, passed, for_good))

    async def _work(self) -> None:
        """Drop and take the locks that were asked for, one after the other."""
        while True:
            pid, passed, for_good = await self._turns.get()
            await self._holder.execute(f"select pg_advisory_unlock({TAG}, {pid})")
            # Whoever waits has it now, and drops it at once; we are next in its queue.
            self._held.discard(pid)
            if not for_good:
                await self.hold(pid)
            passed()
