"""Strategies: the same choices for the same seed, and how likely each finds what there is to find.

Each detection test states the probability of one run, from which its bounds follow: five standard
deviations around the mean. The seeds are fixed, so a test that passes once passes always.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from toy_world import (
    LOCKED,
    ONE_STATEMENT,
    SIGN_UPS,
    Move,
    Shared,
    Toy,
    about,
    found,
    held,
    play,
    steps,
    two_customers,
)

from deadheat.schedule import (
    STRATEGIES,
    Barrage,
    Held,
    Overlap,
    RandomWalk,
    Serial,
    StepName,
    Strategy,
    Yield,
    default_choice,
    make_strategy,
)
from deadheat.schedule.random_walk import INERTIAS
from deadheat.schedule.yield_points import STAYS

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTROLLED = [*(name for name in STRATEGIES if name != "barrage"), "delay-bounded"]


def controlled(name: str, seed: int) -> Strategy:
    strategy = make_strategy(name, seed)
    assert not isinstance(strategy, Barrage)
    return strategy


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
        # But for the very first of a walk, which has no inertia.
        after_others, after_one = controlled(name, 7), controlled(name, 7)
        found(SIGN_UPS, after_others, range(1, 5))
        after_one.begin(1)
        assert play(SIGN_UPS, after_others, 5) == play(SIGN_UPS, after_one, 5)

    @pytest.mark.parametrize("name", ["random-walk", "overlap", "yield", "pct"])
    def test_runs_and_seeds_differ(self, name: str) -> None:
        orders = [
            [play(SIGN_UPS, made, run).order for run in range(1, 5)]
            for made in [controlled(name, seed) for seed in range(30)]
        ]
        made = controlled(name, 7)
        assert len({play(SIGN_UPS, made, run).order for run in range(1, 30)}) >= 5
        assert len({order for *_, order in orders}) >= 5

    def test_what_each_says_of_itself(self) -> None:
        said = {
            name: (made.controlled, made.yields) for name in STRATEGIES for made in [make_strategy(name, 0)]
        }
        assert said.pop("barrage") == (False, False)
        assert said.pop("yield") == (True, True)
        assert set(said.values()) == {(True, False)}
        assert [make_strategy(name, 0).name for name in STRATEGIES] == list(STRATEGIES)


# How likely a run of the random walk turns to the other of two actors at a choice: even odds in every
# second run or so, elsewhere what its inertia leaves of them.
TURNS = ((1 / 2, 1 / 2), *((1 / 2 / len(INERTIAS), (1 - inertia) / 2) for inertia in INERTIAS))


class TestRandomWalk:
    def test_it_finds_a_check_then_act(self) -> None:
        # Two sign-ups of four steps violate unless one inserts before the other selects. At odds t to
        # turn, one does four steps first in (1-t)^3 / 2, or with one of the other's before that in
        # t (1-t)^3 / 2 + 3 t^2 (1-t)^2 / 2; so it violates in 1 - (1-t)^2 (1 + 2 t^2): 5/8 of the runs
        # without inertia, 0.37, 0.21, 0.09 and 0.05 of those with it, and 0.40 of all.
        probability = sum(part * (1 - (1 - turn) ** 2 * (1 + 2 * turn**2)) for part, turn in TURNS)
        assert round(probability, 2) == 0.40
        low, high = about(probability, 400)
        assert low < found(SIGN_UPS, RandomWalk(1), range(1, 401)) < high

    def test_half_of_its_runs_turn_at_every_choice_and_half_go_on(self) -> None:
        # Of 300 choices about 150 turn without inertia, and 75 or fewer with it: five deviations apart.
        # An eighth of the runs has the least inertia; 38 to 8 turns are those of the others.
        walk, offered = RandomWalk(1), held("A1", "B1")
        turned: Counter[str] = Counter()
        for run in range(1, 257):
            walk.begin(run)
            chosen = [walk.choose(offered) for _ in range(300)]
            turns = sum(one != other for one, other in pairwise(chosen))
            turned["even" if turns > 112 else "least" if turns > 56 else "more"] += 1
        for kind, part in (("even", 1 / 2), ("least", 1 / 8), ("more", 3 / 8)):
            low, high = about(part, 256)
            assert low < turned[kind] < high

    def test_whoever_moved_last_goes_on_only_where_it_can(self) -> None:
        # The last one is a strand: A2 is no more than anybody else to who has moved A1.
        walk = RandomWalk(1)
        turned = Counter(self._after_a1(walk, run) for run in range(1, 401))
        low, high = about(1 / 2, 400)
        assert low < turned["A2"] < high
        assert turned["A2"] + turned["B1"] == 400

    def _after_a1(self, walk: RandomWalk, run: int) -> str:
        walk.begin(run)
        walk.choose(held("A1"))
        offered = held("A2", "B1")
        return offered[walk.choose(offered)[0]].name.strand

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


def parked(shared: Shared) -> Iterator[Move]:
    """Check and insert within a single flight that parks before the insert."""
    yield Move(label="flight select claim()")
    missing = not shared.get("customers")
    yield Move(label="park select claim()", kind="park")
    if missing:
        shared["customers"] = shared.get("customers", 0) + 1


class TestYield:
    PARKED = Toy(actors={"A": (parked,), "B": (parked,)}, violated=two_customers)

    def test_two_have_looked_before_one_of_them_writes(self) -> None:
        # One stands before its insert, the other before its look: the look is next in 4/5 of runs, and
        # in half of the others.
        low, high = about(9 / 10, 200)
        assert low < found(self.PARKED, Yield(1), range(1, 201)) < high

    def test_who_stands_before_a_write_stays_mostly(self) -> None:
        # All actors are drawn from in 1/5 of choices, and A and B then have a third of them each.
        offered = (*held("A1", "B1", kind="park"), *held("C1", "C2"))
        drawing = Yield(1)
        drawn = Counter(drawing.choose(offered)[0] for _ in range(900))
        for index, probability in ((0, 1 / 15), (1, 1 / 15), (2, 13 / 30), (3, 13 / 30)):
            low, high = about(probability, 900)
            assert low < drawn[index] < high

    def test_where_all_stand_there_the_last_that_came_goes_first_mostly(self) -> None:
        # In (0.8 + 0.97 + 1) / 3 of choices, and in a third of the others. Default order is no order
        # of arrival.
        drawing, went = Yield(1), Counter[tuple[int, ...]]()
        for run in range(400):
            drawing.begin(run)
            for came in (("C1",), ("A1", "C1"), ("A1", "B1", "C1")):
                choice = drawing.choose(held(*came, kind="park"))
            went[choice] += 1
        other = (1 - sum(STAYS) / 3) / 3
        for index, probability in ((0, other), (1, 1 - 2 * other), (2, other)):
            low, high = about(probability, 400)
            assert low < went[index,] < high


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
