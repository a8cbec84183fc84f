"""Faults in the place of steps: how likely each is drawn, that they replay, and that they are made few."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from toy_world import SCHEDULE, Move, Shared, Toy, about, found, outcome, outcome_of, play

from deadheat.schedule import (
    FAULTABLE,
    Faultable,
    Faulty,
    RandomWalk,
    Replay,
    Serial,
    context_switches,
    default_choice,
    faults_in,
    make_strategy,
    shrink,
    with_faults,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deadheat.schedule import Released, Schedule, Shrunk, Strategy

CUTS = ("cut before", "cut after")


def works(shared: Shared) -> Iterator[Move]:
    """Do the same as `pays`, with nothing that could go wrong."""
    for move in pays(shared):
        yield Move(label=move.label, kind=move.kind)


def pays(shared: Shared) -> Iterator[Move]:
    """Do many statements, each of which may be cut, and one call whose answer may get lost."""
    for _ in range(10):
        yield Move(label="flight select", fails=CUTS)
    yield Move(label="response POST /v1/customers", kind="response", fails=("lost",))
    for _ in range(10):
        yield Move(label="flight select", fails=CUTS)


def lost(shared: Shared) -> bool:
    return any(" fault lost " in name for name in shared.get("faults", ()))


def cut_at(nth: int) -> Callable[[Shared], bool]:
    return lambda shared: any(
        name.endswith(f"fault cut after flight select #{nth}") for name in shared.get("faults", ())
    )


ONE = Toy(actors={"A": (pays,)}, violated=lost)
SEVENTH = Toy(actors={"A": (pays,)}, violated=cut_at(7))
LAST = Toy(actors={"A": (pays,)}, violated=cut_at(20))
SOUND = Toy(actors={"A": (works,), "B": (works,)}, violated=lost)
TWO = Toy(actors={"A": (pays,), "B": (pays,)}, violated=lost)


def faulty(
    inner: Strategy | None = None, *, seed: int = 1, faults: int = 1, faultable: Faultable | None = None
) -> Faulty:
    return Faulty(inner or Serial(), seed, faults, faultable=faultable)


def test_each_kind_is_as_likely_however_many_steps_have_it() -> None:
    # Of K = 3 kinds one is drawn, and "lost" has its one moment in every run: 1/3 of the runs, although
    # 40 of the 41 faults that there are in a run are cuts. The first run measures, and has none.
    low, high = about(1 / 3, 900)
    assert low <= found(ONE, faulty(), range(1, 902)) <= high


def test_within_a_kind_each_moment_is_as_likely() -> None:
    # "cut after" is drawn in 1/3 of the runs, and the seventh of its 20 moments in 1/20 of those: 1/60.
    # Most runs have their fault before the last moments; that these are drawn no less is half of the test.
    low, high = about(1 / 60, 3000)
    assert low <= found(SEVENTH, faulty(), range(1, 3002)) <= high
    assert low <= found(LAST, faulty(), range(1, 3002)) <= high


def test_the_first_run_measures_and_a_strategy_that_shares_its_count_need_not() -> None:
    faultable = Faultable()
    first = faulty(faultable=faultable)
    assert faults_in(play(TWO, first, 1).trace) == 0
    first.ended()
    first.ended()
    assert faultable.runs == 1
    assert faultable.choices == {"cut before": 40, "cut after": 40, "lost": 2}
    second = faulty(RandomWalk(2), faultable=faultable)
    assert faults_in(play(TWO, second, 2).trace) == 1


@pytest.mark.parametrize("faults", [1, 2])
def test_after_its_faults_a_run_is_counted_to_its_end(faults: int) -> None:
    strategy = faulty(RandomWalk(4), faults=faults, faultable=(faultable := Faultable()))
    for run in range(1, 60):
        play(TWO, strategy, run)
    assert {kind: faultable.mean(kind) for kind in faultable.choices} == {
        "cut before": 40,
        "cut after": 40,
        "lost": 2,
    }


def test_a_run_has_no_more_faults_than_it_may() -> None:
    strategy = faulty(RandomWalk(2), faults=2)
    counts = Counter(faults_in(play(TWO, strategy, run).trace) for run in range(1, 201))
    # The first measures; every second one of the others draws one; of two both may be for one moment.
    assert set(counts) == {0, 1, 2}
    assert counts[0] == 1
    assert counts[1] > 80
    assert counts[2] > 40


@pytest.mark.parametrize("name", FAULTABLE)
def test_same_seed_same_choices(name: str) -> None:
    def traces(seed: int) -> list[tuple[Released, ...]]:
        strategy = with_faults(make_strategy(name, 5), seed, 1)  # type: ignore[arg-type]
        return [play(TWO, strategy, run).trace for run in (1, 2, 3)]

    assert traces(5) == traces(5)
    assert traces(5) != traces(6)


@pytest.mark.parametrize("name", FAULTABLE)
def test_the_strategy_within_sees_no_fault_and_draws_as_it_does_alone(name: str) -> None:
    alone, within = make_strategy(name, 3), Faulty(make_strategy(name, 3), 3, 1)  # type: ignore[arg-type]
    for run in range(1, 20):
        steps = [[(s.name.strand, s.actor) for s in c.steps] for c in play(SOUND, alone, run).trace]  # type: ignore[arg-type]
        assert [[(s.name.strand, s.actor) for s in c.steps] for c in play(TWO, within, run).trace] == steps


@pytest.mark.parametrize("name", ["overlap", "exhaustive"])
def test_who_lets_two_go_or_goes_through_all_has_no_faults(name: str) -> None:
    strategy = make_strategy(name, 1)
    assert with_faults(strategy, 1, 3) is strategy  # type: ignore[arg-type]
    assert strategy.faults == 0  # type: ignore[union-attr]
    assert with_faults(Serial(), 1, 0).name == "serial"
    assert not isinstance(with_faults(Serial(), 1, 0), Faulty)


def test_no_fault_goes_by_default() -> None:
    class Shown(Serial):
        faults = 1

    trace = play(TWO, Shown()).trace
    assert faults_in(trace) == 0
    for choice in trace:
        assert any(step.fault for step in choice.held)
        for last in (None, "A1", "B1", "C1"):
            assert not choice.held[default_choice(choice.held, last)].fault


def the_first_lost(seed: int = 1) -> Schedule:
    strategy = faulty(RandomWalk(seed), seed=seed)
    for run in range(1, 100):
        played = play(TWO, strategy, run)
        if played.violated:
            return SCHEDULE.recorded(played.trace)
    raise AssertionError("never drawn")


def test_a_schedule_with_a_fault_replays_by_its_steps_and_by_its_switches() -> None:
    schedule = the_first_lost()
    for known in (schedule, type(schedule).parse(str(schedule.token() or minimal().best.schedule.token()))):
        replay = Replay(known)
        assert play(TWO, replay).violated
        assert replay.finished() is None


def minimal() -> Shrunk:
    search = shrink(outcome_of(play(TWO, Replay(the_first_lost()))))
    try:
        candidate = next(search)
        while True:
            candidate = search.send(outcome(TWO, candidate))
    except StopIteration as stop:
        shrunk: Shrunk = stop.value
    return shrunk


def test_the_fault_is_what_is_left_of_a_schedule_that_needs_nothing_else() -> None:
    best = minimal().best
    assert best.faults == 1
    assert len(best.schedule.switches) == 1
    assert [strand.key for strand in best.strands] in (["A1"], ["B1"])
    (switch,) = best.schedule.switches
    assert switch.to != (switch.at,)


def test_a_fault_that_is_not_needed_is_dropped() -> None:
    def twice(shared: Shared) -> bool:
        return lost(shared) and cut_at(7)(shared)

    toy = Toy(actors={"A": (pays,)}, violated=lost)
    both = Toy(actors={"A": (pays,)}, violated=twice)
    strategy = faulty(faults=2)
    played = next(p for run in range(1, 2000) if (p := play(both, strategy, run)).violated)
    search = shrink(outcome_of(played))
    try:
        candidate = next(search)
        while True:
            candidate = search.send(outcome(toy, candidate))
    except StopIteration as stop:
        shrunk: Shrunk = stop.value
    assert shrunk.best.faults == 1
    assert shrunk.removed["faults"] == 1
    assert context_switches(played.trace) == 0
