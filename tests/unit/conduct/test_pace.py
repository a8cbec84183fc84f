"""The pace of a race with Postgres in it: blocked ones, slow ones, strangers, and when to ask."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from conduct_stage import Hand, People, Postgres, Wire, Yard, played, until

from deadheat.engine.conduct import pace, sequels
from deadheat.engine.conduct.pace import POLLS_MS
from deadheat.engine.conduct.sql_plane import SqlPlane
from deadheat.errors import Trouble
from deadheat.history import Plane, Recorder, StepKind
from deadheat.pgwire import Transaction
from deadheat.schedule import RandomWalk

if TYPE_CHECKING:
    from deadheat.engine.conduct.strands import Strand

UPDATE = "update profiles set n = n + 1"


@pytest.fixture(autouse=True)
def _short_periods(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pace, sequels):
        monkeypatch.setattr(module, "QUIET_MS", 2.0)
    monkeypatch.setattr(sequels, "UNKNOWN_MS", 2.0)


class Row:
    """A database of one row, whose lock a transaction keeps until its COMMIT; who waits gets it then."""

    def __init__(self) -> None:
        self.people = People()
        self.conductor = self.people.conductor
        self.recorder = Recorder(1)
        self.postgres = Postgres()
        self.wires: dict[int, Backend] = {}
        proxy = SimpleNamespace(pids=lambda: self.wires)
        self.plane = SqlPlane(self.conductor, self.recorder, proxy)  # type: ignore[arg-type]
        self.conductor.pace.sql = self.plane
        self.conductor.pace.blocking = self.postgres  # type: ignore[assignment]
        self.owner: int | None = None
        self.queue: list[int] = []
        self.working = 0
        self.at_once = 0
        self.left = 0

    def connect(self, pid: int) -> Backend:
        made = self.wires[pid] = Backend(self.plane, pid, number=pid - 100, row=self)
        return made

    def works(self, wire: Backend) -> None:
        """Work off a flight: what came back of it is told in a later turn of the loop."""
        sql = wire.flights[0].statements[0].sql
        if sql.startswith("update") and self.owner not in (None, wire.pid):
            assert self.owner is not None
            self.queue.append(wire.pid)
            self.postgres.waits[wire.pid] = {self.owner}
            return
        self.working += 1
        self.at_once = max(self.at_once, self.working)
        if sql.startswith("update"):
            self.owner = wire.pid
        asyncio.get_running_loop().call_soon(self._done, wire, sql)

    def _done(self, wire: Backend, sql: str) -> None:
        self.working -= 1
        if sql == "commit":
            self.owner = None
            if self.queue:
                first = self.wires[self.queue.pop(0)]
                self.postgres.waits = {pid: {first.pid} for pid in self.queue}
                self.works(first)
        wire.comes_back(Transaction.IDLE if sql == "commit" else Transaction.OPEN)

    async def race(self, strategy: object, *names: str) -> None:
        """Let strands go through an update and a commit each, every one on a connection of its own."""
        self.left = len(names)
        self.conductor.controls = True
        async with asyncio.TaskGroup() as group:
            for number, name in enumerate(names):
                group.create_task(self._play(self.people.strand(name), self.connect(101 + number)))
            await self.conductor.conduct(strategy, lambda: self.left == 0)  # type: ignore[arg-type]

    async def _play(self, strand: Strand, wire: Backend) -> None:
        wire.plane._line(wire).bound = strand  # type: ignore[arg-type]  # its BEGIN has passed
        for sql in (UPDATE, "commit"):
            wire.answered.clear()
            wire.send(sql)
            await wire.answered.wait()
        self.left -= 1
        self.conductor.answered(strand, to_be_continued=False)

    def results(self) -> list[str]:
        return [s.label for s in self.recorder.history().of(Plane.SQL, StepKind.RESULT)]


@dataclass(eq=False)
class Backend(Wire):
    """A wire whose flights are worked off by the row's database."""

    row: Row = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.answered = asyncio.Event()

    def release(self) -> None:
        super().release()
        self.row.works(self)

    def comes_back(self, transaction: Transaction | None = Transaction.IDLE, **result: object) -> None:
        held = self.hold_result
        super().comes_back(transaction, **result)
        if not held:
            self.answered.set()

    def release_result(self) -> None:
        super().release_result()
        self.answered.set()


@played
async def test_who_is_blocked_is_passed_over_and_their_result_is_held_after_the_commit() -> None:
    row, hand = Row(), Hand("A1", "B1", "A1", "A1")
    await row.race(hand, "A1", "B1")
    assert hand.went == [
        "A1 flight update profiles",
        "B1 flight update profiles",
        "A1 flight commit",
        "B1 result update profiles",
        "B1 flight commit",
    ]
    assert hand.seen[2] == ("A1 flight commit",), "B is blocked: nothing of it is held"
    told = row.recorder.history().of(Plane.SQL, StepKind.RESULT)
    assert [s.data.get("waited_for") for s in told] == [None, None, ["A1"], None]


@played
async def test_whom_a_commit_woke_is_waited_for_until_it_has_come_back() -> None:
    row = Row()
    row.conductor.controls = True
    wires = []
    for n, user in enumerate((row.people.ada, row.people.bob)):
        strand = row.people.strand("AB"[n] + "1", user)
        wires.append(Wire(row.plane, 101 + n))
        row.wires[101 + n] = wires[n]  # type: ignore[assignment]
        wires[n].send(UPDATE, user.id.encode())
        strand.held.pop().release()
    row.postgres.waits = {102: {101}}
    await row.conductor.pace.look()
    row.postgres.waits = {}
    wires[0].comes_back()
    quiet = asyncio.create_task(row.conductor.pace.quiet())
    await until(lambda: row.conductor.strands["A1"].silent)
    assert not quiet.done(), "B works on"
    wires[1].comes_back()
    await quiet
    assert row.conductor.strands["B1"].held


@pytest.mark.parametrize("seed", range(5))
def test_whatever_the_order_one_backend_works_beside_the_committer_at_most(seed: int) -> None:
    async def race() -> Row:
        row = Row()
        async with asyncio.timeout(5):
            await row.race(RandomWalk(seed), "A1", "B1", "C1")
        return row

    row = asyncio.run(race())
    assert sorted(row.results()) == ["commit"] * 3 + ["update profiles"] * 3
    strands = row.conductor.strands.values()
    assert not any(s.held or s.executing or s.blocked for s in strands)
    assert row.at_once <= 2, "the committer, and whom it woke"


@played
async def test_a_stranger_that_blocks_for_too_long_is_trouble_that_names_it() -> None:
    row = Row()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pace, "FOREIGN_SECONDS_MAX", 0.01)
        row.owner = 777
        with pytest.raises(ExceptionGroup) as failed:
            await row.race(Hand(), "A1")
    (trouble,) = failed.value.exceptions
    assert isinstance(trouble, Trouble)
    assert "a lock that a foreign session holds: session 777 (application 'psql')" in str(trouble)


@played
async def test_a_stranger_that_lets_go_in_time_is_none() -> None:
    row, hand = Row(), Hand()
    row.owner = 777
    race = asyncio.create_task(row.race(hand, "A1"))
    await until(lambda: 777 in row.conductor.pace.foreign_since)
    row.owner = None
    row.postgres.waits.clear()
    row.works(row.wires[row.queue.pop()])
    await race
    assert hand.went == ["A1 flight update profiles", "A1 flight commit"], (
        "it was never blocked by one of ours"
    )


@played
async def test_a_stranger_that_let_go_has_its_time_anew() -> None:
    row = Row()
    strand = row.people.strand("A1", row.people.ada)
    row.conductor.controls = True
    row.connect(101).send(UPDATE, row.people.ada.id.encode())
    row.owner = 777
    strand.held.pop().release()
    await row.conductor.pace.look()
    assert set(row.conductor.pace.foreign_since) == {777}
    row.wires[101].comes_back()
    await row.conductor.pace.look()
    assert row.conductor.pace.foreign_since == {}


@played
async def test_each_stranger_has_a_time_of_its_own() -> None:
    pacing = Row().conductor.pace
    await pacing._check_foreign({1})
    first = dict(pacing.foreign_since)
    await pacing._check_foreign({1, 2})
    assert pacing.foreign_since[1] == first[1]
    await pacing._check_foreign({2})
    assert set(pacing.foreign_since) == {2}


def test_postgres_is_asked_at_growing_distances_after_a_release() -> None:
    row = Row()
    row.people.strand("A1", row.people.ada)
    wire = Wire(row.plane, 101)
    row.wires[101] = wire  # type: ignore[assignment]
    wire.send(UPDATE)
    line = row.plane.lines[wire]  # type: ignore[index]
    dues = []
    for polls in range(len(POLLS_MS) + 3):
        line.polls = polls
        dues.append(round((row.plane.next_poll() - line.sent_at) * 1000, 6))
    assert dues == [1, 3, 7, 15, 31, 63, 95, 127, 159], "the last distance over and over"


def test_where_nothing_is_under_way_nothing_is_due() -> None:
    row = Row()
    assert not row.plane.is_due()
    assert row.plane.next_poll() > time.perf_counter() + 0.5


async def slow(row: Row, *, park: bool = False) -> int:
    """Have a statement take 300 ms, beside one that is parked if so; returns how often was asked."""
    conductor = row.conductor
    conductor.controls = True
    if park:
        parked = row.people.strand("B1", row.people.bob)
        wire = Wire(row.plane, 102)
        row.wires[102] = wire  # type: ignore[assignment]
        row.plane.parking = yard = Yard()  # type: ignore[assignment]
        wire.send(UPDATE, row.people.bob.id.encode())
        parked.held.pop().release()
        row.postgres.waits[102] = {yard.pid}  # type: ignore[attr-defined]
        await conductor.pace.look()
        assert parked.held
    strand = row.people.strand("A1", row.people.ada)
    wire = Wire(row.plane, 101)
    row.wires[101] = wire  # type: ignore[assignment]
    wire.send(UPDATE, row.people.ada.id.encode())
    strand.held.pop().release()
    before = row.postgres.polls
    asyncio.get_running_loop().call_later(0.3, wire.comes_back)
    await until_quiet(row)
    return row.postgres.polls - before


async def until_quiet(row: Row) -> None:
    """Wait until the slow statement is over; its strand shows nothing then."""
    async with asyncio.timeout(5):
        await row.conductor.pace.quiet()


@pytest.mark.slow
def test_a_slow_statement_is_asked_about_now_and_then() -> None:
    assert asyncio.run(slow(Row())) < 30


@pytest.mark.slow
def test_beside_a_parked_one_too() -> None:
    assert asyncio.run(slow(Row(), park=True)) < 30


@pytest.mark.slow
def test_a_slow_statement_is_waited_for_and_blocks_nobody() -> None:
    row = Row()
    began = time.perf_counter()
    asyncio.run(slow(row))
    assert time.perf_counter() - began > 0.29
    strand = row.conductor.strands["A1"]
    assert (strand.executing, strand.blocked, strand.held) == (0, 0, [])


@played
async def test_a_call_under_way_at_stripe_is_waited_for() -> None:
    people = People()
    strand = people.strand("A1", people.ada)
    strand.calls = 1
    quiet = asyncio.create_task(people.conductor.pace.quiet())
    for _ in range(3):
        people.conductor.wake()
        await asyncio.sleep(0.003)
    assert not quiet.done()
    strand.calls = 0
    people.conductor.moved(strand)
    await quiet
    assert strand.silent


@played
async def test_rest_waits_for_who_is_blocked_and_for_every_answer() -> None:
    people = People()
    strand = people.strand("A1", people.ada)
    strand.blocked = 1
    rest = asyncio.create_task(people.conductor.rest())
    for _ in range(5):
        people.conductor.wake()
        await asyncio.sleep(0.003)
    assert not rest.done(), "blocked"
    strand.blocked = 0
    for _ in range(5):
        people.conductor.wake()
        await asyncio.sleep(0.003)
    assert not rest.done(), "not answered"
    people.conductor.answered(strand, to_be_continued=False)
    await rest


@played
async def test_no_rest_is_trouble_that_says_what_each_waits_for() -> None:
    people = People()
    for name, what in (("A1", "executing"), ("B1", "blocked"), ("C1", "calls")):
        setattr(people.strand(name, people.ada), what, 1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pace, "REST_SECONDS_MAX", 0.0)
        with pytest.raises(Trouble) as trouble:
            await people.conductor.rest()
    assert str(trouble.value) == (
        "no rest within 0 s: A1 has a statement at work in Postgres; B1 is blocked in Postgres; "
        "C1 has a Stripe call under way"
    )
