"""Strategies: the same choices for the same seed, and how likely each finds what there is to find.

Each detection test states the probability of one run, from which its bounds follow: five standard
deviations around the mean. The seeds are fixed, so a test that passes once passes always.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_world import (
    LOCKED,
    ONE_STATEMENT,
    SIGN_UPS,
    Move,
    Shared,
    Toy,
    play,
    steps,
)

from deadheat.schedule import (
    PCT,
    PORTFOLIO,
    STRATEGIES,
    Barrage,
    Held,
    Overlap,
    RandomWalk,
    Serial,
    StepName,
    Strategy,
    default_choice,
    make_strategy,
    shares,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTROLLED = [name for name in STRATEGIES if name != "barrage"]


def controlled(name: str, seed: int) -> Strategy:
    strategy = make_strategy(name, seed)
    assert not isinstance(strategy, Barrage)
    return strategy


def found(toy: Toy, strategy: Strategy, runs: range) -> int:
    """Count the runs of a toy in which its invariant is violated."""
    return sum(play(toy, strategy, run).violated for run in runs)


def about(probability: float, runs: int) -> tuple[float, float]:
    """Give the bounds of a count: its mean, five standard deviations down and up."""
    spread = 5 * sqrt(runs * probability * (1 - probability))
    return runs * probability - spread, runs * probability + spread


def held(*strands: str, kind: str = "flight") -> tuple[Held, ...]:
    return tuple(Held(name=StepName(strand, "flight"), actor=strand[0], kind=kind) for strand in strands)


class TestDefault:
    """The default policy, which schedules are written against."""

    @pytest.mark.parametrize(
        ("last", "chosen"),
        [(None, 0), ("B2", 2), ("B9", 1), ("C1/customer.created/1", 4), ("D1", 0)],
        ids=["nothing moved yet", "same strand", "same actor", "same delivery", "nobody of these"],
    )
    def test_it_goes_on_with_what_moved_last(self, last: str | None, chosen: int) -> None:
        offered = held("A1", "B1", "B2", "C1/customer.created/2", "C1/customer.created/1")
        assert default_choice(offered, last) == chosen

    def test_serial_runs_actor_after_actor(self) -> None:
        toy = Toy(actors={"A": (steps(2), steps(1)), "B": (steps(2),)}, violated=bool)
        assert play(toy, Serial()).order == "AAABB"

    def test_serial_goes_elsewhere_only_where_it_is_blocked(self) -> None:
        assert play(LOCKED, Serial()).order == "AAABBB"

    def test_serial_finds_no_race(self) -> None:
        assert found(SIGN_UPS, Serial(), range(1, 4)) == 0


class TestSeeds:
    @pytest.mark.parametrize("name", CONTROLLED)
    def test_the_same_seed_and_run_make_the_same_choices(self, name: str) -> None:
        one, other = (
            [play(SIGN_UPS, strategy, run).order for run in range(1, 9)]
            for strategy in (controlled(name, 7), controlled(name, 7))
        )
        assert one == other

    @pytest.mark.parametrize("name", ["random-walk", "overlap", "yield"])
    def test_a_run_does_not_depend_on_the_runs_before(self, name: str) -> None:
        after_others = controlled(name, 7)
        found(SIGN_UPS, after_others, range(1, 5))
        assert play(SIGN_UPS, after_others, 5) == play(SIGN_UPS, controlled(name, 7), 5)

    @pytest.mark.parametrize("name", ["random-walk", "overlap", "yield", "pct"])
    def test_runs_and_seeds_differ(self, name: str) -> None:
        runs = {play(SIGN_UPS, controlled(name, 7), run).order for run in range(1, 30)}
        seeds = {play(SIGN_UPS, controlled(name, seed), 4).order for seed in range(30)}
        assert min(len(runs), len(seeds)) >= 5

    def test_what_each_says_of_itself(self) -> None:
        said = {
            name: (made.controlled, made.yields) for name in STRATEGIES for made in [make_strategy(name, 0)]
        }
        assert said.pop("barrage") == (False, False)
        assert said.pop("yield") == (True, True)
        assert set(said.values()) == {(True, False)}
        assert [make_strategy(name, 0).name for name in STRATEGIES] == list(STRATEGIES)


class TestRandomWalk:
    def test_it_finds_a_check_then_act(self) -> None:
        # Two sign-ups of four steps violate unless one inserts before the other selects: a walk on a
        # grid with even odds does so in 1 - 2 * (1/2^4 + 4/2^5) = 5/8 of runs.
        low, high = about(5 / 8, 400)
        assert low < found(SIGN_UPS, RandomWalk(1), range(1, 401)) < high

    def test_it_finds_nothing_behind_a_lock(self) -> None:
        assert found(LOCKED, RandomWalk(1), range(1, 201)) == 0

    def test_an_actor_is_drawn_before_a_step(self) -> None:
        # A has one step held and C nine: A goes in half of the draws, each of C's in an eighteenth.
        offered = held("A1", *(f"C1/customer.created/{n}" for n in range(1, 10)))
        walk = RandomWalk(1)
        drawn = Counter(walk.choose(offered)[0] for _ in range(900))
        low, high = about(1 / 2, 900)
        assert low < drawn[0] < high
        low, high = about(1 / 18, 900)
        assert all(low < drawn[index] < high for index in range(1, 10))


def deep(before: int, after: int) -> Toy:
    """Give a bug that needs all of B to run between two steps of A, each at its one moment."""

    def a(shared: Shared) -> Iterator[Move]:
        for _ in range(before):
            yield Move(label="flight")
            shared["a"] = shared.get("a", 0) + 1
        shared["b then"] = shared.get("b", 0)
        yield Move(label="flight")
        shared["window"] = shared["b then"] == 0 and shared.get("b", 0) == before + after
        for _ in range(after - 1):
            yield Move(label="flight")

    def b(shared: Shared) -> Iterator[Move]:
        for _ in range(before + after):
            yield Move(label="flight")
            shared["b"] = shared.get("b", 0) + 1

    return Toy(actors={"A": (a,), "B": (b,)}, violated=lambda shared: bool(shared.get("window")))


class TestPCT:
    """Its promise: a bug of depth d in n actors and k choices shows in 1 / (n * k^(d-1)) of runs."""

    TOY = deep(6, 6)
    OF_DEPTH_2 = range(2, 4 * 480, 4)

    def test_it_finds_what_needs_a_long_stretch(self) -> None:
        # n = 2, k = 24, d = 2: A must start on top (1/2) and fall before its seventh step (1/24), so
        # 1/48 a run, exactly the promise. Five deviations below that would allow none, so: three.
        # 480 runs have 10 on average, with a deviation of 3.1.
        assert 1 <= found(self.TOY, PCT(1), self.OF_DEPTH_2) <= 25

    def test_the_random_walk_does_not(self) -> None:
        # Six steps of A, then twelve of B, at even odds: 2^-18 a run, 0.2% that 480 runs have one.
        assert found(self.TOY, RandomWalk(1), self.OF_DEPTH_2) == 0

    def test_without_a_change_it_runs_the_actors_one_by_one(self) -> None:
        # Depth 1 has no moment of change; which of the two is on top is even: 2^-29 that it is one only.
        pct = PCT(1)
        orders = Counter(play(SIGN_UPS, pct, run).order for run in range(1, 121, 4))
        assert set(orders) == {"AAAABBBB", "BBBBAAAA"}

    @pytest.mark.parametrize("depth", [1, 2, 3, 4])
    def test_depth_d_switches_d_minus_1_times_before_the_end(self, depth: int) -> None:
        toy = Toy(actors={name: (steps(10),) for name in "ABC"}, violated=bool)
        pct = PCT(1)
        for run in range(depth, 100, 4):
            order = play(toy, pct, run).order
            switches = sum(a != b for a, b in pairwise(order))
            # Each of three actors ends once (two switches); each fall adds two at most: away and back.
            assert 2 <= switches <= 2 + 2 * (depth - 1)

    def test_k_is_the_mean_of_its_earlier_runs(self) -> None:
        # With a guess of 30 for 4 choices, a run of depth 2 falls within the run in 2 of 15; after one
        # run it knows better, and falls within each: at the first, second, third or fourth.
        toy = Toy(actors={"A": (steps(2),), "B": (steps(2),)}, violated=bool)
        pct = PCT(1)
        play(toy, pct, 1)
        for run in range(2, 200, 4):
            pct.begin(run)
            assert set(pct._falls) <= {1, 2, 3, 4}
            play(toy, pct, run)


class TestOverlap:
    def test_it_finds_what_happens_inside_a_statement(self) -> None:
        # Two flights are held at once at the first choice only; they go together in 1/2 of runs.
        low, high = about(1 / 2, 200)
        assert low < found(ONE_STATEMENT, Overlap(1), range(1, 201)) < high

    def test_one_by_one_never_finds_it(self) -> None:
        assert found(ONE_STATEMENT, RandomWalk(1), range(1, 201)) == 0

    def test_it_prefers_pairs_that_conflict_and_rules_none_out(self) -> None:
        # Weights 8 (A with B), 1 and 1: of 1,000 choices 500 are pairs, 400 of them A with B.
        touching = {"A1": frozenset({"profiles"}), "B1": frozenset({"profiles"}), "C1": frozenset({"orders"})}
        offered = tuple(
            Held(name=StepName(strand, "flight"), actor=strand[0], kind="flight", writes=writes)
            for strand, writes in touching.items()
        )
        overlap = Overlap(1)
        drawn = Counter(frozenset(overlap.choose(offered)) for _ in range(1000))
        low, high = about(0.4, 1000)
        assert low < drawn[frozenset({0, 1})] < high
        low, high = about(0.05, 1000)
        assert low < drawn[frozenset({0, 2})] < high
        assert low < drawn[frozenset({1, 2})] < high

    @pytest.mark.parametrize(
        "offered",
        [held("A1", "A2"), held("A1", "B1", kind="effect"), held("A1")],
        ids=["one actor's", "no flights", "one"],
    )
    def test_only_flights_of_different_actors_go_together(self, offered: tuple[Held, ...]) -> None:
        overlap = Overlap(1)
        assert all(len(overlap.choose(offered)) == 1 for _ in range(50))

    @pytest.mark.parametrize(
        ("reads", "writes", "other_reads", "other_writes", "conflict"),
        [
            ("p", "", "p", "", False),
            ("p", "", "", "p", True),
            ("", "p", "p", "", True),
            ("", "p", "", "p", True),
            ("p", "q", "r", "s", False),
        ],
    )
    def test_a_conflict_is_a_write_of_what_the_other_touches(
        self, reads: str, writes: str, other_reads: str, other_writes: str, conflict: bool
    ) -> None:
        one, other = (
            Held(name=StepName("A1", "f"), actor="A", kind="flight", reads=frozenset(r), writes=frozenset(w))
            for r, w in ((reads, writes), (other_reads, other_writes))
        )
        assert one.conflicts(other) is conflict


class TestShares:
    """How a budget is split among strategies."""

    strategies = st.lists(st.sampled_from(STRATEGIES), min_size=1, unique=True)

    @given(st.integers(0, 500), strategies)
    def test_they_sum_up_to_the_budget(self, schedules: int, strategies: list[str]) -> None:
        split = shares(schedules, strategies)
        assert list(split) == strategies
        assert sum(split.values()) == schedules
        assert min(split.values()) >= 0

    @given(st.integers(0, 500), strategies)
    def test_serial_has_one_run_unless_it_is_alone(self, schedules: int, strategies: list[str]) -> None:
        if "serial" in strategies and len(strategies) > 1:
            assert shares(schedules, strategies)["serial"] == min(1, schedules)

    @given(st.integers(0, 500), strategies)
    def test_each_has_a_run_before_any_has_two(self, schedules: int, strategies: list[str]) -> None:
        split = shares(schedules, strategies)
        if schedules >= len(strategies):
            assert min(split.values()) >= 1
        else:
            assert max(split.values()) <= 1

    @given(st.integers(0, 500), strategies)
    def test_the_others_have_equal_parts(self, schedules: int, strategies: list[str]) -> None:
        others = [name for name in strategies if name not in ("serial", "random-walk")]
        split = shares(schedules, strategies)
        if "random-walk" in strategies and others and schedules >= len(strategies):
            assert len({split[name] for name in others}) == 1
            rest = schedules - ("serial" in strategies)
            assert split["random-walk"] >= min(rest / 2, rest - len(others))

    @pytest.mark.parametrize(
        ("schedules", "first"),
        [
            (0, []),
            (1, ["serial"]),
            (2, ["serial", "random-walk"]),
            (3, ["serial", "random-walk", "barrage"]),
            (4, ["serial", "random-walk", "pct", "barrage"]),
            (5, ["serial", "random-walk", "pct", "yield", "barrage"]),
        ],
    )
    def test_few_runs_go_where_most_is_found(self, schedules: int, first: list[str]) -> None:
        split = shares(schedules, STRATEGIES)
        assert [name for name in STRATEGIES if split[name]] == first

    def test_the_portfolio_is_what_a_large_budget_gets(self) -> None:
        split = shares(80_001, STRATEGIES)
        assert split == {"serial": 1} | {name: 80_000 * part for name, part in PORTFOLIO[1:]}
