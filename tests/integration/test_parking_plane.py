"""Yield points under control: a real session through the proxy, whose parks are steps of the schedule."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from postgres_house import DATABASE, House, open_house

from deadheat import World
from deadheat.engine.cast import Cast
from deadheat.engine.conduct import Conductor, Sequels, sequels
from deadheat.engine.conduct.blocking import Blocking
from deadheat.engine.conduct.sql_plane import PARKS_MAX, SqlPlane
from deadheat.engine.postgres.parking import Parking
from deadheat.engine.postgres.proxy import OpenGate, PostgresProxy
from deadheat.history import Recorder
from deadheat.schedule import Serial, Yield
from deadheat.stripe_sim import MONTHLY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from deadheat.schedule import Strategy

pytestmark = pytest.mark.slow

SCHEMA = "create table plans (id int primary key, n int default 0)"
INSERT = "insert into plans values (1)"
UPSERT = "insert into plans values (1) on conflict (id) do update set n = plans.n + 1"
MANY = "insert into plans select generate_series(1, 200)"


@pytest.fixture(autouse=True)
def _known_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequels, "UNKNOWN_MS", 5.0)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with open_house(SCHEMA) as made:
        yield made


class Shop:
    """Sessions of a target behind the proxy, one for each actor, and the triggers put up."""

    def __init__(self, house: House, proxy: PostgresProxy, parking: Parking, blocking: Blocking) -> None:
        self.house = house
        self.proxy = proxy
        self.parking = parking
        self.blocking = blocking
        self.dsn = ""
        self.apps: list[Any] = []
        self.tags: list[str] = []

    @classmethod
    @asynccontextmanager
    async def of(cls, house: House, actors: int = 1) -> AsyncIterator[Shop]:
        """Open it with so many sessions."""
        holder, builder, watcher = [await house.session() for _ in range(3)]
        address = house.server.address()
        async with PostgresProxy(address, OpenGate()) as proxy:
            made = cls(house, proxy, Parking(holder, builder), Blocking(watcher))
            dsn = house.server.dsn_through(proxy.port, DATABASE)
            made.dsn = dsn
            made.apps = [await asyncpg.connect(dsn) for _ in range(actors)]
            async with made.parking.installed():
                yield made
            for app in made.apps:
                await app.close()

    async def race(self, strategy: Strategy, *actors: tuple[str, ...], run: int = 1) -> list[str]:
        """Let each actor send its statements, one after the other; gives the steps in order."""
        conductor = Conductor(Cast([World("aa").user()], MONTHLY), Sequels())
        plane = SqlPlane(conductor, Recorder(run), self.proxy, self.parking)
        conductor.pace.sql, conductor.pace.blocking = plane, self.blocking
        self.proxy.gate, conductor.controls = plane, True
        strategy.begin(run)
        left = len(actors)

        async def play(number: int, statements: tuple[str, ...]) -> None:
            nonlocal left
            if number == len(self.apps):
                self.apps.append(await asyncpg.connect(self.dsn))
            actor, app = "AB"[number], self.apps[number]
            strand = conductor.strand(f"{actor}1", actor=actor, operation="write", order=(number,))
            conductor.opened(strand, "request")
            line = plane._line(next(c for c in self.proxy.connections if c.pid == app.get_server_pid()))  # type: ignore[arg-type]
            for sql in statements:
                line.bound = strand
                with suppress(asyncpg.UniqueViolationError):
                    self.tags.append(await app.execute(sql))
            left -= 1
            conductor.answered(strand, to_be_continued=False)

        async with self.parking.holding(self.proxy.pids()), asyncio.TaskGroup() as group:
            for number, statements in enumerate(actors):
                group.create_task(play(number, statements))
            await conductor.conduct(strategy, lambda: left == 0)
        self.proxy.gate = OpenGate()
        assert self.parking.failure is None
        strands = conductor.strands.values()
        assert not any(s.held or s.executing or s.blocked for s in strands)
        return [str(step.name) for choice in conductor.trace for step in choice.steps]

    async def empty(self) -> None:
        """Let the next race begin with no rows."""
        await (await self.house.session()).execute("truncate plans")


def test_a_statement_of_many_rows_parks_three_times_and_then_goes_for_good(house: House) -> None:
    async def test(house: House) -> None:
        async with Shop.of(house) as shop:
            assert await shop.race(Serial(), (MANY,)) == [
                "A1 flight insert plans",
                "A1 park insert plans",
                "A1 park insert plans #2",
                "A1 park insert plans #3",
            ]
            assert PARKS_MAX == 3
            assert shop.tags == ["INSERT 0 200"]
            parked = await shop.race(Serial(), ("delete from plans where id < 3",))
            assert parked[1:] == ["A1 park delete plans", "A1 park delete plans #2"], "held anew by each run"

    house.run(test)


def test_a_session_that_connects_during_the_race_parks_as_well(house: House) -> None:
    async def test(house: House) -> None:
        async with Shop.of(house, actors=0) as shop:
            steps = await shop.race(Serial(), (INSERT, "delete from plans"))
            assert steps == [
                "A1 flight insert plans",
                "A1 park insert plans",
                "A1 flight delete plans",
                "A1 park delete plans",
            ]

    house.run(test)


def test_each_statement_of_a_run_parks(house: House) -> None:
    async def test(house: House) -> None:
        async with Shop.of(house) as shop:
            steps = await shop.race(
                Serial(), (INSERT, "begin", UPSERT, "rollback", INSERT, "delete from plans")
            )
            assert steps == [
                "A1 flight insert plans",
                "A1 park insert plans",
                "A1 flight insert plans #2",
                "A1 park insert plans #2",
                "A1 park insert plans #3",
                "A1 flight rollback",
                "A1 flight insert plans #3",
                "A1 park insert plans #4",
                "A1 flight delete plans",
                "A1 park delete plans",
            ]

    house.run(test)


def test_what_a_backend_writes_after_many_rows_parks_too(house: House) -> None:
    async def test(house: House) -> None:
        async with Shop.of(house) as shop:
            steps = await shop.race(Serial(), (MANY, "delete from plans where id = 1"))
            assert steps[-1] == "A1 park delete plans"

    house.run(test)


def test_an_upsert_has_the_same_steps_in_every_run(house: House) -> None:
    async def test(house: House) -> None:
        async with Shop.of(house) as shop:
            await shop.race(Serial(), (INSERT,))
            runs = [tuple(await shop.race(Serial(), (UPSERT, UPSERT))) for _ in range(10)]
            assert {len(steps) for steps in runs} == {6}
            assert len(set(runs)) == 1

    house.run(test)


@pytest.mark.parametrize("seed", range(5))
def test_two_that_upsert_one_row_park_the_same_for_the_same_seed(house: House, seed: int) -> None:
    async def test(house: House) -> None:
        async with Shop.of(house, actors=2) as shop:
            orders = set()
            for _ in range(4):
                await shop.empty()
                orders.add(tuple(await shop.race(Yield(seed), (UPSERT, UPSERT), (UPSERT, UPSERT))))
            assert len(orders) == 1
            assert await shop.apps[0].fetchval("select n from plans") == 3

    house.run(test)
