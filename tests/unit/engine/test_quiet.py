"""Rest: seen on the wires, and learned per deployment. Time is the test's own."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from deadheat.engine import quiet
from deadheat.engine.quiet import BRIEF_MS, LEARNING, QUIET_MS, Habits, Quiet
from deadheat.errors import Trouble
from deadheat.history import Plane, Recorder, StepKind

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """A clock that only sleeping moves; ``events`` happen at their millisecond."""

    def __init__(self) -> None:
        self.now_ms = 0.0
        self.events: dict[int, Callable[[], None]] = {}

    def perf_counter(self) -> float:
        return self.now_ms / 1000

    async def sleep(self, seconds: float) -> None:
        self.now_ms += seconds * 1000
        for at in [at for at in self.events if at <= self.now_ms]:
            self.events.pop(at)()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(quiet, "time", made)
    monkeypatch.setattr(quiet, "asyncio", made)
    return made


def a_quiet(habits: Habits, database: Any = None) -> tuple[Quiet, Any, Recorder]:
    gate = SimpleNamespace(in_flight=0)
    recorder = Recorder(1)
    return Quiet(gate, recorder, database, habits), gate, recorder  # type: ignore[arg-type]


def test_nothing_seen_takes_the_quiet_period(clock: Clock) -> None:
    wait, _, _ = a_quiet(Habits())
    asyncio.run(wait.reached())
    assert QUIET_MS <= clock.now_ms < QUIET_MS + 2 * quiet.POLL_MS


def test_a_stripe_call_in_flight_is_waited_for(clock: Clock) -> None:
    wait, gate, _ = a_quiet(Habits())
    gate.in_flight = 1
    clock.events[200] = lambda: setattr(gate, "in_flight", 0)
    asyncio.run(wait.reached())
    assert 200 + QUIET_MS - quiet.POLL_MS <= clock.now_ms <= 200 + QUIET_MS + 2 * quiet.POLL_MS


def test_a_step_begins_the_period_anew(clock: Clock) -> None:
    wait, _, recorder = a_quiet(Habits())
    clock.events[40] = lambda: recorder.record(  # type: ignore[assignment]
        actor="A", plane=Plane.STRIPE, kind=StepKind.EFFECT, label="x"
    )
    asyncio.run(wait.reached())
    assert clock.now_ms >= 40 + QUIET_MS


def test_a_session_that_works_is_waited_for_and_one_that_never_ends_is_trouble(clock: Clock) -> None:
    class Database:
        async def busy(self) -> int:
            return 1

    wait, _, _ = a_quiet(Habits(), Database())
    with pytest.raises(Trouble, match="1 of its database sessions"):
        asyncio.run(wait.reached())


def test_a_target_that_never_works_on_is_waited_for_briefly_in_the_end(clock: Clock) -> None:
    habits = Habits()
    wait, _, _ = a_quiet(habits)
    for _ in range(LEARNING):
        asyncio.run(wait.reached())
    clock.now_ms = 0
    asyncio.run(wait.reached())
    assert BRIEF_MS <= clock.now_ms < QUIET_MS


def test_work_that_is_seen_once_is_waited_for_ever_after(clock: Clock) -> None:
    habits = Habits(waits=LEARNING)
    wait, gate, _ = a_quiet(habits)
    gate.in_flight = 1
    clock.events[5] = lambda: setattr(gate, "in_flight", 0)
    asyncio.run(wait.reached())
    clock.now_ms = 0
    asyncio.run(wait.reached())
    assert clock.now_ms >= QUIET_MS


@pytest.mark.parametrize(("gets_it_at", "rests_at"), [(200, 200), (10_000, quiet.STARVED_MS_MAX)])
def test_who_wants_the_processor_is_not_at_rest_but_not_for_ever(
    clock: Clock, gets_it_at: int, rests_at: int
) -> None:
    wait, _, _ = a_quiet(Habits())
    starved = replace(wait, wants_processor=lambda: clock.now_ms < gets_it_at)
    asyncio.run(starved.reached())
    assert rests_at <= clock.now_ms <= rests_at + 2 * quiet.POLL_MS
