"""Yield points: a place inside a statement, after its snapshot and before its write, to be held at.

One flight is not atomic just because it is one flight. In databases that we provisioned, each table
can get a trigger that sorts last and runs before each row is written: it takes and drops an advisory
lock that carries the backend's own pid. A session of ours holds these locks, so the backend stands
there, seen by the same question that finds blocked ones (`pg_blocking_pids`), until it is let through.
There are two locks for each backend, taken in turn: while one is let go, the next row already waits
for the other, so no row slips by.

The triggers are there only while runs want them: `installed` puts them up and takes them down again.
Source: PostgreSQL documentation, "Explicit Locking", "Advisory Locks"; "Overview of Trigger Behavior".
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any

import asyncpg

from deadheat.errors import DatabaseLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

TAGS = (0x0DEAD4EA, 0x0DEAD4EB)  # the first keys of our advisory locks; the second is the backend's pid
SCHEMA = "deadheat_parking"
TRIGGER = "zzzz_deadheat_park"
LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)

_UP = f"""
    create schema {SCHEMA};
    grant usage on schema {SCHEMA} to public;
    create function {SCHEMA}.park() returns trigger language plpgsql as $park$
    declare turn int := coalesce(nullif(current_setting('deadheat.turn', true), ''), '0')::int;
    begin
        perform set_config('deadheat.turn', (1 - turn)::text, false);
        perform pg_advisory_lock({TAGS[0]} + turn, pg_backend_pid());
        perform pg_advisory_unlock({TAGS[0]} + turn, pg_backend_pid());
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
_HOLD = f"select pg_advisory_lock({TAGS[0]}, $1::int), pg_advisory_lock({TAGS[1]}, $1::int)"
_LET_GO = f"select pg_advisory_unlock({TAGS[0]}, $1::int), pg_advisory_unlock({TAGS[1]}, $1::int)"
# Let go the one that the backend waits for, whichever turn it is, and queue for it behind the backend at
# once: where its work is rolled back the turn is too, and its next row wants the same lock again.
_LET_THROUGH = f"""
    select pg_advisory_unlock(classid::int8::int, $1::int), pg_advisory_lock(classid::int8::int, $1::int)
    from pg_locks where pid = $1::int and locktype = 'advisory' and not granted
        and classid::int8 in ({TAGS[0]}, {TAGS[1]})
"""


class _Turn(Enum):
    """What is to be done about a backend."""

    ONE_ROW = "let it write one row"
    FOR_GOOD = "let it write what it will"
    SHUT = "hold it again"


@contextmanager
def _while_it_stands() -> Iterator[None]:
    try:
        yield
    except LOST as error:
        raise DatabaseLost(f"the database went away: {error}") from error


class Parking:
    """Holds backends of one database at their writes. Two connections of its own: one that holds.

    ``failure`` is the first error while backends were let through.
    """

    def __init__(self, holder: Any, builder: Any) -> None:
        self._holder = holder
        self._builder = builder
        self._held: set[int] = set()
        self._turns: asyncio.Queue[tuple[_Turn, int, Callable[[], None]]] = asyncio.Queue()
        self.pid: int = holder.get_server_pid()
        self.failure: BaseException | None = None

    @asynccontextmanager
    async def installed(self) -> AsyncIterator[None]:
        """Put the triggers up for as long as the block lasts; DatabaseLost when that cannot be done."""
        with _while_it_stands():
            await self._builder.execute(_UP)
        try:
            yield
        finally:
            with _while_it_stands():
                await self._builder.execute(_DOWN)

    @asynccontextmanager
    async def holding(self, pids: Iterable[int]) -> AsyncIterator[Parking]:
        """Hold these backends, and those of `hold` and `shut`, at each write while the block lasts."""
        self.failure = None
        for pid in pids:
            await self.hold(pid)
        worker = asyncio.create_task(self._work())
        try:
            yield self
        finally:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
            while not self._turns.empty():
                _, _, passed = self._turns.get_nowait()
                passed()
            with _while_it_stands():
                await self._holder.execute("select pg_advisory_unlock_all()")
            self._held.clear()

    async def hold(self, pid: int) -> None:
        """Hold one more backend from its next write on."""
        if pid not in self._held:
            self._held.add(pid)
            with _while_it_stands():
                await self._holder.execute(_HOLD.replace("$1", str(pid)))

    def holds(self, pid: int) -> bool:
        """Whether a backend parks at its next write."""
        return pid in self._held

    def let_through(self, pid: int, passed: Callable[[], None], *, for_good: bool = False) -> None:
        """Let a parked backend write, and say when it has ``passed``.

        The next row parks again unless it is ``for_good``.
        """
        self._turns.put_nowait((_Turn.FOR_GOOD if for_good else _Turn.ONE_ROW, pid, passed))

    def shut(self, pid: int, passed: Callable[[], None]) -> None:
        """Hold a backend from now on, again or for the first time, and say when that is done."""
        self._turns.put_nowait((_Turn.SHUT, pid, passed))

    async def _work(self) -> None:
        """Drop and take the locks that were asked for, one after the other."""
        while True:
            turn, pid, passed = await self._turns.get()
            try:
                await self._take(turn, pid)
            except (asyncpg.PostgresError, *LOST, DatabaseLost) as error:
                self.failure = self.failure or error
            finally:
                passed()

    async def _take(self, turn: _Turn, pid: int) -> None:
        if turn is _Turn.SHUT:
            await self.hold(pid)
        elif turn is _Turn.ONE_ROW:
            await self._holder.execute(_LET_THROUGH.replace("$1", str(pid)))
        elif pid in self._held:
            self._held.discard(pid)
            await self._holder.execute(_LET_GO.replace("$1", str(pid)))
