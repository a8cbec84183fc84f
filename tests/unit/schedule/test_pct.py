"""PCT: how likely a run finds a bug of its depth, where its moments of change fall, who has a priority."""

from __future__ import annotations

import itertools
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from toy_world import SIGN_UPS, Move, Shared, Toy, about, found, play, steps, two_customers

from deadheat.schedule import PCT, RandomWalk
from deadheat.schedule.pct import DEPTH_MAX, PLAN

if TYPE_CHECKING:
    from collections.abc import Iterator


def runs(pct: PCT, count: int, *, depth: int, at_writes: bool = False) -> Iterator[int]:
    """Give runs of one depth, to be played as they come; what is between is begun, and not played."""
    for begun in itertools.count():
        if PLAN[begun % len(PLAN)] == (depth, at_writes):
            yield begun
            count -= 1
            if not count:
                return
        else:
            pct.begin(begun)


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


def reads_then_inserts(shared: Shared) -> Iterator[Move]:
    """Look at much, then for a customer, and make one if there is none."""
    for _ in range(20):
        yield Move(label="flight select", reads=frozenset({"plans"}))
    yield Move(label="flight select profiles", reads=frozenset({"profiles"}))
    missing = not shared.get("customers")
    yield Move(label="flight insert profiles", writes=frozenset({"profiles"}))
    if missing:
        shared["customers"] = shared.get("customers", 0) + 1


WORDY = Toy(actors={"A": (reads_then_inserts,), "B": (reads_then_inserts,)}, violated=two_customers)


class TestDepths:
    """Its promise: a bug of depth d in n actors and k choices shows in 1 / (n * k^(d-1)) of runs."""

    TOY = deep(6, 6)

    def test_it_finds_what_needs_a_long_stretch(self) -> None:
        # n = 2, k = 24, d = 2: A must start on top (1/2) and fall before its seventh step (1/24), so
        # 1/48 a run, exactly the promise. Five deviations below that would allow none, so: three.
        # 480 runs have 10 on average, with a deviation of 3.1.
        pct = PCT(1)
        assert 1 <= found(self.TOY, pct, runs(pct, 480, depth=2)) <= 25

    def test_the_random_walk_does_so_less_often(self) -> None:
        # Six steps of A, then twelve of B: t (1-t)^16 / 2 at odds t to turn. Even odds never come to it
        # (2^-18); with inertia t is 1/4, 1/8, 1/20 or 1/40: 0.7%, in half of the runs. 2,000 have 7 on
        # average, with a deviation of 2.6; three deviations are allowed.
        assert 1 <= found(self.TOY, RandomWalk(1), range(2000)) <= 14

    def test_without_a_change_it_runs_the_actors_one_by_one(self) -> None:
        # Depth 1 has no moment of change; which of the two is on top is even: 2^-29 that it is one only.
        pct = PCT(1)
        orders = {play(SIGN_UPS, pct, run).order for run in runs(pct, 30, depth=1)}
        assert orders == {"AAAABBBB", "BBBBAAAA"}

    @pytest.mark.parametrize("depth", [1, 2, 3, 4])
    def test_depth_d_switches_d_minus_1_times_before_the_end(self, depth: int) -> None:
        toy = Toy(actors={name: (steps(10),) for name in "ABC"}, violated=bool)
        pct = PCT(1)
        most = 0
        for run in runs(pct, 25, depth=depth):
            switches = turns(play(toy, pct, run).order)
            # Each of three actors ends once (two switches); each fall adds two at most: away and back.
            assert 2 <= switches <= 2 + 2 * (depth - 1)
            most = max(most, switches)
        assert most > 2 or depth == 1

    def test_the_depths_take_turns_however_its_runs_are_numbered(self) -> None:
        # A portfolio numbers the runs of all its strategies in a row, and of all deployments.
        pct = PCT(1)
        depths = []
        for run in (7, 11, 15, 19, 23, 27, 31, 35):
            pct.begin(run)
            depths.append(1 + len(pct._falls))
        assert depths == [1, 2, 3, 4, 1, 2, 3, 4]

    def test_k_is_the_mean_of_its_earlier_runs(self) -> None:
        # With a guess of 30 for 4 choices, a run of depth 2 falls within the run in 2 of 15; after one
        # run it knows better, and falls within each: at the first, second, third or fourth.
        toy = Toy(actors={"A": (steps(2),), "B": (steps(2),)}, violated=bool)
        pct = PCT(1)
        play(toy, pct, 1)
        moments: set[int] = set()
        for run in range(2, 100):  # those that chose nothing teach nothing
            pct.begin(run)
            moments |= set(pct._falls)
        assert moments == {1, 2, 3, 4}


class TestWrites:
    """Every second round of depths: moments among the choices in which the one on top is to write."""

    def test_they_find_a_check_then_act_among_many_reads(self) -> None:
        # The one on top must fall before its insert. Among all choices that is one of 44. Among writes
        # it is the first of k, and a run has two of them, or three where somebody fell: 1/3 to 1/2.
        pct = PCT(1)
        low, high = about(1 / 3, 100)[0], about(1 / 2, 100)[1]
        assert low < found(WORDY, pct, runs(pct, 100, depth=2, at_writes=True)) < high
        plain = PCT(1)
        assert found(WORDY, plain, runs(plain, 100, depth=2)) < about(1 / 44, 100)[1] < low

    @pytest.mark.parametrize("depth", [1, 2, 3, 4])
    def test_whoever_could_go_on_falls_before_a_write_only(self, depth: int) -> None:
        pct, fell = PCT(1), 0
        for run in runs(pct, 25, depth=depth, at_writes=True):
            for before, choice in pairwise(play(WORDY, pct, run).trace):
                (was,), (now,) = before.steps, choice.steps
                left = [step for step in choice.held if step.actor == was.actor != now.actor]
                assert all(step.writes for step in left)
                fell += len(left)
        assert bool(fell) == (depth > 1)

    def test_where_nothing_writes_nobody_falls(self) -> None:
        toy = Toy(actors={name: (steps(10),) for name in "ABC"}, violated=bool)
        pct = PCT(1)
        assert {turns(play(toy, pct, run).order) for run in runs(pct, 25, depth=4, at_writes=True)} == {2}


class TestUnits:
    """What has a priority: an actor, and each delivery by itself."""

    def test_deliveries_of_one_actor_go_in_any_order(self) -> None:
        # Three units, six orders of them, none interleaved at depth 1: 6 * (5/6)^60 that one is missing.
        names = ["A1", "C1/invoice.paid/1", "C1/invoice.paid/2"]
        toy = Toy(actors={"A": (steps(2),)}, deliveries=dict.fromkeys(names[1:], steps(2)), violated=bool)
        pct = PCT(1)
        orders = Counter(
            tuple(step.name.strand for choice in play(toy, pct, run).trace for step in choice.steps)
            for run in runs(pct, 60, depth=1)
        )
        assert {order[::2] for order in orders} == set(itertools.permutations(names))
        assert all(order[::2] == order[1::2] for order in orders)

    def test_operations_of_one_actor_share_one(self) -> None:
        toy = Toy(actors={"A": (steps(2), steps(2)), "B": (steps(4),)}, violated=bool)
        pct = PCT(1)
        assert {play(toy, pct, run).order for run in runs(pct, 40, depth=1)} == {"AAAABBBB", "BBBBAAAA"}


def turns(order: str) -> int:
    """Count how often another actor went on."""
    return sum(one != other for one, other in pairwise(order))


def test_every_depth_comes_both_ways_and_whole_actors_seldom() -> None:
    kinds = [(depth, at_writes) for depth in range(1, DEPTH_MAX + 1) for at_writes in (False, True)]
    assert sorted(PLAN[: len(kinds)]) == sorted(set(PLAN)) == kinds
    assert sum(depth == 1 for depth, _ in PLAN) * 10 == len(PLAN)
