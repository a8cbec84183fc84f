"""The shrinker: from any failing schedule to the known smallest one, and nothing more to remove."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from toy_world import (
    SCHEDULE,
    SIGN_UPS,
    Move,
    Operation,
    Shared,
    Toy,
    one_statement,
    outcome,
    outcome_of,
    play,
    sign_up,
    steps,
    two_customers,
)

from deadheat.schedule import (
    Outcome,
    Overlap,
    RandomWalk,
    Replay,
    Schedule,
    Shrunk,
    StepName,
    Strategy,
    Switch,
    shrink,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

seeds = st.integers(0, 10_000)

NOISE = {
    "D1/customer.created/1": steps(2),
    "D1/customer.created/1/b": steps(1),
    "D1/invoice.paid/1": steps(3),
}
# Two sign-ups of one person, and beside them people, payments and deliveries that do not matter.
NOISY = Toy(
    actors={
        "A": (steps(2), sign_up, steps(2)),
        "B": (sign_up, steps(3)),
        "C": (steps(3), steps(2)),
    },
    deliveries=NOISE,
    violated=two_customers,
)


def failing(toy: Toy, strategy: Strategy) -> Outcome:
    """Give the first violated run."""
    played = next(p for run in range(1, 1000) if (p := play(toy, strategy, run)).violated)
    return outcome_of(played)


def driven(
    shrinking: Generator[Schedule, Outcome, Shrunk], run: Callable[[Schedule], Outcome]
) -> tuple[Shrunk, list[Schedule]]:
    """Run what a shrinker wants to be run; gives what it returned and all that it tried."""
    ended, tried = [], []

    def watched() -> Generator[Schedule, Outcome | None, None]:
        ended.append((yield from shrinking))

    watching, answer = watched(), None
    with suppress(StopIteration):
        while True:
            tried.append(watching.send(answer))
            answer = run(tried[-1])
    return ended[0], tried


def shrunk(toy: Toy, start: Outcome, *, tries_max: int = 200) -> tuple[Shrunk, list[Schedule]]:
    return driven(shrink(start, tries_max=tries_max), lambda candidate: outcome(toy, candidate))


def one_less(best: Outcome) -> Iterator[Schedule]:
    """Give every schedule with a single strand, or a single switch, less."""
    plain = replace(best.schedule, steps=(), fingerprint="")
    for strand in best.strands:
        yield replace(plain, dropped=(*plain.dropped, strand.key))
        order = tuple(step for step in best.schedule.steps if not step.startswith(f"{strand.key}s"))
        yield replace(plain, dropped=(*plain.dropped, strand.key), switches=(), steps=order)
    for number in range(len(plain.switches)):
        yield replace(plain, switches=plain.switches[:number] + plain.switches[number + 1 :])


class TestSmallest:
    @given(seeds)
    @settings(max_examples=60, deadline=None)
    def test_a_double_sign_up_comes_down_to_two_operations_and_two_switches(self, seed: int) -> None:
        result, tried = shrunk(NOISY, failing(NOISY, RandomWalk(seed)))
        assert [strand.key for strand in result.best.strands] == ["A2", "B1"]
        # There and back: A looks, B does all of it, A acts on what it saw. Coming back is the default.
        assert result.best.switches == 2
        assert len(result.best.schedule.switches) == 1
        assert result.best.violated
        assert result.tried == len(tried) <= 100

    @given(seeds)
    @settings(max_examples=30, deadline=None)
    def test_nothing_single_can_be_taken_from_the_result(self, seed: int) -> None:
        best = shrunk(NOISY, failing(NOISY, RandomWalk(seed)))[0].best
        for candidate in one_less(best):
            less = outcome(NOISY, candidate)
            assert not less.violated or (len(less.strands), less.switches) >= (
                len(best.strands),
                best.switches,
            )

    @given(seeds)
    @settings(max_examples=30, deadline=None)
    def test_the_result_replays_and_fits_a_token(self, seed: int) -> None:
        best = shrunk(NOISY, failing(NOISY, RandomWalk(seed)))[0].best
        for schedule in (best.schedule, Schedule.parse(best.schedule.token() or "")):
            replay = Replay(schedule)
            assert play(NOISY, replay, dropped=schedule.dropped).violated
            assert replay.finished() is None

    @given(seeds)
    @settings(max_examples=30, deadline=None)
    def test_what_needs_three_switches_keeps_three(self, seed: int) -> None:
        def mark(letter: str) -> Operation:
            def operation(shared: Shared) -> Iterator[Move]:
                for _ in range(3):
                    yield Move(label="flight")
                    shared["order"] = shared.get("order", "") + letter

            return operation

        def ping_pong(shared: Shared) -> bool:
            """Violated if four or more stretches were seen: ABAB or BABA, at least."""
            order = shared.get("order", "")
            return len([a for a, b in pairwise(order) if a != b]) >= 3

        toy = Toy(actors={"A": (mark("a"),), "B": (mark("b"),), "C": (steps(4),)}, violated=ping_pong)
        best = shrunk(toy, failing(toy, RandomWalk(seed)))[0].best
        assert [strand.key for strand in best.strands] == ["A1", "B1"]
        assert best.switches == 3

    @given(seeds)
    @settings(max_examples=30, deadline=None)
    def test_a_duplicate_that_matters_stays_and_one_that_does_not_goes(self, seed: int) -> None:
        def granted(shared: Shared) -> Iterator[Move]:
            yield Move(label="delivery customer.created", kind="delivery")
            shared["customers"] = shared.get("customers", 0) + 1

        toy = Toy(
            actors={"A": (steps(2),)},
            deliveries={
                "D1/customer.created/1": granted,
                "D1/customer.created/1/b": granted,
                "D1/customer.created/1/c": granted,
                "D1/invoice.paid/1": steps(1),
                "D1/invoice.paid/1/b": steps(1),
            },
            violated=two_customers,
        )
        result, _ = shrunk(toy, failing(toy, RandomWalk(seed)))
        kinds = sorted(strand.kind for strand in result.best.strands)
        assert kinds in (["delivery", "duplicate"], ["duplicate", "duplicate"])
        assert result.best.switches == 0
        assert result.removed["operations"] == 1
        assert result.removed["deliveries"] + result.removed["duplicates"] == 3

    @given(seeds)
    @settings(max_examples=30, deadline=None)
    def test_two_at_once_become_one_where_that_does_it_too(self, seed: int) -> None:
        best = shrunk(NOISY, failing(NOISY, Overlap(seed)))[0].best
        assert [strand.key for strand in best.strands] == ["A2", "B1"]
        assert not any(len(switch.to) > 1 for switch in best.schedule.switches)
        assert best.switches == 2

    def test_one_choice_more_is_better_than_two_at_once(self) -> None:
        def check_then_insert(shared: Shared) -> Iterator[Move]:
            yield Move(label="flight select profiles")
            missing = not shared.get("customers")
            yield Move(label="flight insert profiles")
            if missing:
                shared["customers"] = shared.get("customers", 0) + 1

        toy = Toy(actors={"A": (check_then_insert,), "B": (check_then_insert,)}, violated=two_customers)
        two_selects = Switch(
            StepName("A1", "flight select profiles").key,
            (StepName("A1", "flight select profiles").key, StepName("B1", "flight select profiles").key),
        )
        start = outcome(toy, replace(SCHEDULE, switches=(two_selects,)))
        assert (start.violated, start.switches, start.choices) == (True, 2, 3)
        best = shrunk(toy, start)[0].best
        assert (best.switches, best.choices) == (2, 4)
        assert all(len(switch.to) == 1 for switch in best.schedule.switches)

    @given(seeds)
    @settings(max_examples=30, deadline=None)
    def test_two_at_once_stay_where_only_that_does_it(self, seed: int) -> None:
        toy = Toy(
            actors={"A": (steps(1), one_statement), "B": (one_statement,), "C": (steps(2),)},
            deliveries=NOISE,
            violated=two_customers,
        )
        best = shrunk(toy, failing(toy, Overlap(seed)))[0].best
        assert [strand.key for strand in best.strands] == ["A2", "B1"]
        assert [len(switch.to) for switch in best.schedule.switches] == [2]


class TestSearch:
    @given(seeds, st.integers(0, 40))
    @settings(max_examples=40, deadline=None)
    def test_it_never_tries_twice_nor_more_than_it_may(self, seed: int, tries_max: int) -> None:
        start = failing(NOISY, RandomWalk(seed))
        result, tried = shrunk(NOISY, start, tries_max=tries_max)
        assert len(tried) == len(set(tried)) == result.tried <= tries_max
        assert result.best.violated

    def test_an_actor_goes_as_a_whole(self) -> None:
        toy = replace(SIGN_UPS, actors={**SIGN_UPS.actors, "C": (steps(1),) * 10})
        result, tried = shrunk(toy, failing(toy, RandomWalk(1)))
        assert tried[0].dropped == tuple(sorted(f"C{number}" for number in range(1, 11)))
        assert result.removed["operations"] == 10

    def test_what_is_no_race_loses_all_its_switches_at_once(self) -> None:
        def arrive(who: str) -> Operation:
            def operation(shared: Shared) -> Iterator[Move]:
                for _ in range(20):
                    yield Move(label="flight")
                shared[who] = True

            return operation

        toy = Toy(actors={"A": (arrive("a"),), "B": (arrive("b"),)}, violated=lambda shared: len(shared) > 1)
        start = next(o for n in range(9) if (o := failing(toy, RandomWalk(n))).switches > 5)
        result, tried = shrunk(toy, start)
        assert result.best.schedule.switches == ()
        # Without A, without B, without a switch.
        assert len(tried) == 3

    def test_nothing_smaller_leaves_the_start(self) -> None:
        start = failing(NOISY, RandomWalk(1))
        result, tried = driven(shrink(start), lambda candidate: replace(start, violated=False))
        assert result.best is start
        assert start.schedule not in tried
        assert set(result.removed.values()) == {0}

    def test_a_violation_that_is_no_smaller_does_not_count(self) -> None:
        # As when what was dropped made no difference to what ran: it would go round for ever.
        start = failing(NOISY, RandomWalk(1))
        assert driven(shrink(start), lambda candidate: replace(start))[0].best is start

    def test_it_counts_what_it_removed(self) -> None:
        start = failing(NOISY, RandomWalk(1))
        result, _ = shrunk(NOISY, start)
        assert result.removed == {
            "operations": 5,
            "deliveries": 2,
            "switches": start.switches - 2,
            "duplicates": 1,
            "faults": 0,
        }

    def test_a_start_without_steps_is_shrunk_by_its_switches(self) -> None:
        start = failing(NOISY, RandomWalk(1))
        start = replace(start, schedule=replace(start.schedule, steps=(), fingerprint=""))
        result, _ = shrunk(NOISY, start)
        assert [strand.key for strand in result.best.strands] == ["A2", "B1"]
        assert result.best.switches == 2

    def test_what_stays_of_the_schedule_is_what_it_is_of(self) -> None:
        start = failing(NOISY, RandomWalk(1))
        start = replace(start, schedule=replace(start.schedule, seed=9, yields=True))
        for candidate in shrunk(NOISY, start)[1]:
            assert (candidate.scenario, candidate.source) == (SCHEDULE.scenario, SCHEDULE.source)
            assert (candidate.seed, candidate.yields) == (9, True)
