"""How long those who showed nothing were waited for: counted once, and only where nothing was at work."""

from __future__ import annotations

import asyncio
import time

import pytest
from conduct_stage import Hand, People, played
from hypothesis import given, settings
from hypothesis import strategies as st

from deadheat.engine.conduct import pace, sequels
from deadheat.engine.conduct.pace import Silence


@pytest.fixture(autouse=True)
def _short_periods(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pace, sequels):
        monkeypatch.setattr(module, "QUIET_MS", 2.0)
    monkeypatch.setattr(pace, "SLOW_MS", 20.0)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), max_size=12))
@settings(max_examples=15)
def test_no_time_is_counted_twice_and_none_is_lost(times: list[tuple[int, int]]) -> None:
    """Times that begin one after the other count as their union does, what touches being one period."""
    silence = Silence()
    seconds: set[int] = set()
    since = 1
    for later, long in times:
        since += later
        silence.lasted(float(since), float(since + long))
        seconds |= set(range(since, since + long))
    assert silence.seconds == len(seconds)
    assert silence.periods == sum(second - 1 not in seconds for second in seconds)


def test_two_who_fall_silent_together_are_one_period() -> None:
    silence = Silence()
    silence.lasted(1.0, 1.5)
    silence.lasted(1.2, 1.75)
    assert (silence.seconds, silence.periods) == (0.75, 1)
    silence.lasted(3.0, 4.0)
    assert (silence.seconds, silence.periods) == (1.75, 2)


@played
async def test_who_shows_nothing_in_a_race_costs_the_quiet_period() -> None:
    people = People()
    people.strand("A1", people.ada)
    people.conductor.controls = True
    began = time.perf_counter()
    await people.conductor.pace.quiet()
    took = time.perf_counter() - began
    silence = people.conductor.pace.silence
    assert silence.periods == 1
    assert 0.002 <= silence.seconds <= took + 0.001


@played
async def test_the_whole_sleep_counts_where_nobody_else_can_go_on() -> None:
    """The quiet period, and then all the time in which nothing is held: one period on end."""
    people = People()
    conductor = people.conductor
    strand = people.strand("A1", people.ada)
    began = time.perf_counter()

    def wakes() -> None:
        conductor.answered(strand, to_be_continued=False)

    asyncio.get_running_loop().call_later(0.02, wakes)
    await conductor.conduct(Hand(), lambda: not strand.is_open)
    assert conductor.pace.silence.periods == 1
    assert 0.018 <= conductor.pace.silence.seconds <= time.perf_counter() - began


@played
async def test_at_rest_a_sleep_counts_too() -> None:
    people = People()
    strand = people.strand("A1", people.ada)
    asyncio.get_running_loop().call_later(0.02, lambda: people.conductor.answered(strand))
    await people.conductor.rest()
    assert people.conductor.pace.silence.periods == 1
    assert people.conductor.pace.silence.seconds >= 0.018


@played
async def test_work_at_stripe_or_in_postgres_is_no_silence() -> None:
    people = People()
    strand, other = people.strand("A1", people.ada), people.strand("B1", people.bob)
    strand.calls = 1
    conductor = people.conductor

    def done() -> None:
        strand.calls = 0
        conductor.answered(strand)
        conductor.answered(other)

    asyncio.get_running_loop().call_later(0.02, done)
    await conductor.rest()
    assert conductor.pace.silence == Silence()


@played
async def test_silence_begins_when_the_work_beside_it_is_over() -> None:
    people = People()
    strand, other = people.strand("A1", people.ada), people.strand("B1", people.bob)
    strand.calls = 1
    conductor = people.conductor
    began = time.perf_counter()

    def done() -> None:
        nonlocal began
        began = time.perf_counter()
        strand.calls = 0
        conductor.answered(strand)
        asyncio.get_running_loop().call_later(0.01, lambda: conductor.answered(other))

    asyncio.get_running_loop().call_later(0.02, done)
    await conductor.rest()
    assert 0.008 <= conductor.pace.silence.seconds <= time.perf_counter() - began + 0.001


@played
async def test_a_target_that_shows_something_in_time_is_not_silent() -> None:
    people = People()
    strand = people.strand("A1", people.ada)
    asyncio.get_running_loop().call_soon(lambda: people.conductor.answered(strand))
    await people.conductor.rest()
    assert people.conductor.pace.silence == Silence()


@pytest.mark.parametrize(("answered", "patience"), [(False, "SLOW_MS"), (True, "QUIET_MS")])
def test_who_shows_nothing_is_waited_for_while_the_target_wants_the_processor(
    answered: bool, patience: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the answer is still to come, or only work after it."""
    monkeypatch.setattr(pace, patience, 10_000.0)
    asked = iter([True] * 5)

    async def story() -> None:
        people = People()
        strand = people.strand("A1", people.ada)
        people.conductor.controls = True
        people.conductor.pace.wants_processor = lambda: next(asked, False)
        if answered:
            people.conductor.answered(strand, to_be_continued=False)
        await people.conductor.pace.quiet()
        assert strand.silent is not answered

    played(story)()
    assert next(asked, None) is None, "it was given up while its target worked"


@played
async def test_a_target_that_never_rests_is_not_waited_for_without_end() -> None:
    people = People()
    strand = people.strand("A1", people.ada)
    people.conductor.controls = True
    people.conductor.pace.wants_processor = lambda: True
    began = time.perf_counter()
    await people.conductor.pace.quiet()
    assert strand.silent
    assert time.perf_counter() - began >= 0.02, "it was given up as if its target slept"
