"""Exhaustive: every schedule within the bound, each once; what it counts; a search that is taken up again."""

from __future__ import annotations

import json
from math import comb
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_world import LOCKED, SIGN_UPS, Toy, held, play, steps

from deadheat.errors import TokenError
from deadheat.schedule import Exhaustive, Frontier, context_switches, default_choice
from deadheat.schedule.exhaustive import TRIES_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.schedule import Held

ALL = 10**9  # preemptions: no bound


class Scripted:
    """Makes the choices of a list, then the first of what is held; notes how many were held."""

    name = "scripted"
    controlled = True
    yields = False
    faults = 0

    def __init__(self, script: Sequence[int]) -> None:
        self.script = list(script)
        self.widths: list[int] = []

    def begin(self, run: int) -> None:
        self.widths = []

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        at = len(self.widths)
        self.widths.append(len(held))
        return (self.script[at] if at < len(self.script) else 0,)


def preemptions(trace: Sequence[object]) -> int:
    """Count by hand: choices that leave an actor who could have gone on."""
    count, last = 0, None
    for choice in trace:
        chosen = choice.steps[0].actor  # type: ignore[attr-defined]
        count += last not in (None, chosen) and last in {step.actor for step in choice.held}  # type: ignore[attr-defined]
        last = chosen
    return count


def by_hand(toy: Toy, bound: int) -> set[str]:
    """Give the orders of all schedules within the bound, by trying every choice of every run."""
    orders, scripts = set(), [[]]  # type: ignore[var-annotated]
    while scripts:
        script = scripts.pop()
        tried = Scripted(script)
        played = play(toy, tried)
        if preemptions(played.trace) <= bound:
            orders.add(played.order)
        for at in range(len(script), len(tried.widths)):
            taken = [*script, *[0] * (at - len(script))]
            scripts += [[*taken, other] for other in range(1, tried.widths[at])]
    return orders


def exhaust(toy: Toy, frontier: Frontier, runs: int = ALL) -> tuple[list[str], int]:
    """Run a search; gives the orders of its runs and how many violated the toy's invariant."""
    orders, violated = [], 0
    strategy = Exhaustive(frontier)
    while len(orders) < runs and strategy.take():
        played = play(toy, strategy)
        strategy.ended(judged=True, violated=played.violated)
        orders.append(played.order)
        violated += played.violated
    return orders, violated


@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 3), (4, 4)])
def test_without_a_bound_every_interleaving_is_run_once(a: int, b: int) -> None:
    frontier = Frontier(preemptions=ALL)
    orders, _ = exhaust(Toy(actors={"A": (steps(a),), "B": (steps(b),)}, violated=bool), frontier)
    assert len(orders) == len(set(orders)) == comb(a + b, a) == frontier.done
    assert frontier.is_complete


@settings(deadline=None, max_examples=60)
@given(sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3), bound=st.integers(0, 3))
def test_within_a_bound_it_is_each_schedule_that_trying_everything_finds(
    sizes: list[int], bound: int
) -> None:
    toy = Toy(actors={"ABC"[n]: (steps(size),) for n, size in enumerate(sizes)}, violated=bool)
    orders, _ = exhaust(toy, Frontier(preemptions=bound))
    assert len(orders) == len(set(orders))
    assert set(orders) == by_hand(toy, bound)


def test_locks_are_no_hindrance_and_who_cannot_go_on_is_left_for_nothing() -> None:
    orders, violated = exhaust(LOCKED, Frontier(preemptions=0))
    assert set(orders) == by_hand(LOCKED, 0)
    assert violated == 0
    orders, _ = exhaust(LOCKED, Frontier(preemptions=ALL))
    assert set(orders) == by_hand(LOCKED, ALL)


def test_a_race_needs_a_preemption_and_shows_with_one() -> None:
    assert exhaust(SIGN_UPS, Frontier(preemptions=0))[1] == 0
    frontier = Frontier(preemptions=1)
    orders, violated = exhaust(SIGN_UPS, frontier)
    assert 0 < violated < len(orders)
    assert (frontier.violated, frontier.done) == (violated, len(orders))


def test_the_first_run_is_the_default_one() -> None:
    trace = []
    strategy = Exhaustive(Frontier())
    assert strategy.take()
    last = None
    for choice in play(SIGN_UPS, strategy).trace:
        trace.append(choice.chosen == (default_choice(choice.held, last),))
        last = choice.steps[0].name.strand
    assert all(trace)


@settings(deadline=None, max_examples=40)
@given(cuts=st.lists(st.integers(1, 6), max_size=6))
def test_a_search_that_was_cut_goes_on_where_it_was(cuts: list[int]) -> None:
    whole, violated = exhaust(SIGN_UPS, Frontier())
    frontier, orders, seen = Frontier(), [], 0
    for cut in [*cuts, ALL]:
        more, bad = exhaust(SIGN_UPS, frontier, cut)
        orders += more
        seen += bad
        frontier = Frontier.from_json(json.loads(json.dumps(frontier.to_json())))
    assert (sorted(orders), seen) == (sorted(whole), violated)
    assert (frontier.done, frontier.violated) == (len(whole), violated)
    assert frontier.is_complete


def test_several_at_once_share_a_frontier() -> None:
    frontier, orders = Frontier(), []
    pair = [Exhaustive(frontier), Exhaustive(frontier)]
    while any(taken := [strategy.take() for strategy in pair]):
        for strategy, is_taken in zip(pair, taken, strict=True):
            if is_taken:
                assert not frontier.is_complete
                orders.append(play(SIGN_UPS, strategy).order)
                strategy.ended(judged=True)
    assert sorted(orders) == sorted(exhaust(SIGN_UPS, Frontier())[0])


def one_left() -> Frontier:
    """A search with one run done, and one of those that it found."""
    frontier = Frontier()
    exhaust(SIGN_UPS, frontier, 1)
    del frontier.waiting[1:]
    return frontier


def test_what_cannot_be_followed_is_lost_and_never_called_complete() -> None:
    frontier = one_left()
    strategy = Exhaustive(frontier)
    for left in range(TRIES_MAX - 1, -1, -1):
        assert frontier.lost == 0
        assert strategy.take()
        strategy.begin(2)
        assert strategy.choose(held("D1")) == ()
        strategy.give_up()
        assert strategy.choose(held("D1")) == (0,)
        strategy.ended(judged=True)
        assert len(frontier.waiting) == (left > 0)
    assert (frontier.done, frontier.lost) == (1, 1)
    assert not frontier.is_complete


def test_what_could_not_be_followed_is_tried_again_when_all_else_is_done() -> None:
    frontier = Frontier()
    exhaust(SIGN_UPS, frontier, 1)
    strategy = Exhaustive(frontier)
    first = frontier.waiting[-1]
    assert strategy.take()
    strategy.begin(2)
    strategy.ended(judged=True)
    assert [prefix.steps for prefix in frontier.waiting].index(first.steps) == 0


def test_a_run_that_ends_before_its_prefix_does_is_lost() -> None:
    frontier = one_left()
    strategy = Exhaustive(frontier)
    for _ in range(TRIES_MAX):
        assert strategy.take()
        strategy.begin(2)
        strategy.ended(judged=True)
    assert frontier.lost == 1


def test_a_run_with_a_late_step_is_made_again_and_taken_as_it_is_in_the_end() -> None:
    whole, _ = exhaust(SIGN_UPS, Frontier())
    frontier = Frontier()
    strategy = Exhaustive(frontier)
    for _ in range(TRIES_MAX):
        assert (frontier.done, len(frontier.waiting)) == (0, 1), "what it found is not believed"
        assert strategy.take()
        play(SIGN_UPS, strategy)
        strategy.ended(judged=True, late=True)
    rest, _ = exhaust(SIGN_UPS, Frontier.from_json(frontier.to_json()))
    assert len(rest) == len(whole) - 1
    exhaust(SIGN_UPS, frontier)
    assert (frontier.done, frontier.late, frontier.is_complete) == (len(whole), 1, False)


def test_something_else_to_choose_from_at_the_same_choices_is_noticed_and_never_called_complete() -> None:
    """What the run that it branched off had held there is what it must hold."""
    frontier = one_left()
    strategy = Exhaustive(frontier)
    at = len(frontier.waiting[0].steps) - 1
    choice = play(SIGN_UPS, Scripted([])).trace[at]
    others = [*held("D1"), *[s for s in choice.held if s.name.key == frontier.waiting[0].steps[at]]]
    assert at == 0
    for left in range(TRIES_MAX - 1, -1, -1):
        assert frontier.differed == 0
        assert strategy.take()
        strategy.begin(2)
        assert strategy.choose(others) == (1,)
        strategy.ended(judged=True)
        assert len(frontier.waiting) == (left > 0)
    assert (frontier.done, frontier.differed, frontier.lost) == (2, 1, 0)
    assert not frontier.is_complete


def test_a_deterministic_program_never_has_something_else_to_choose_from() -> None:
    frontier = Frontier()
    exhaust(SIGN_UPS, frontier)
    assert (frontier.differed, frontier.is_complete) == (0, True)


def test_a_search_that_is_taken_up_says_how_much_of_it_was_run_earlier() -> None:
    frontier = Frontier()
    exhaust(SIGN_UPS, frontier, 3)
    assert frontier.earlier == 0
    assert Frontier.from_json(frontier.to_json()).earlier == 3


def test_a_run_that_came_to_nothing_is_run_again() -> None:
    frontier = Frontier()
    strategy = Exhaustive(frontier)
    assert strategy.take()
    strategy.begin(1)
    strategy.ended(judged=False)
    assert (frontier.done, len(frontier.waiting), frontier.under_way) == (0, 1, [])
    assert len(exhaust(SIGN_UPS, frontier)[0]) == len(exhaust(SIGN_UPS, Frontier())[0])


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"v": 1},
        {"v": 3, "preemptions": 2, "done": 0, "lost": 0, "waiting": []},
        {
            "v": 3,
            "preemptions": 2,
            "done": 0,
            "violated": 0,
            "late": 0,
            "differed": 0,
            "lost": 0,
            "waiting": [3],
        },
    ],
)
def test_what_is_no_search_is_refused(data: object) -> None:
    with pytest.raises(TokenError):
        Frontier.from_json(data)


def test_context_switches_are_bounded_as_well() -> None:
    """With one preemption and two actors there are at most three switches: out, back, and on at the end."""
    frontier, strategy = Frontier(preemptions=1), None
    strategy = Exhaustive(frontier)
    while strategy.take():
        assert context_switches(play(SIGN_UPS, strategy).trace) <= 3
        strategy.ended(judged=True)
