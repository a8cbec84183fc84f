"""Delay-bounded: whose turn it is, what a delay does, and how likely a run finds what needs one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toy_world import SIGN_UPS, Toy, about, found, held, play, steps

from deadheat.schedule import DelayBounded
from deadheat.schedule.delay_bounded import DELAYS_MAX

if TYPE_CHECKING:
    import pytest

ROUND = Toy(actors={"A": (steps(2),), "B": (steps(2),), "C": (steps(2),)}, violated=bool)


def delayed(monkeypatch: pytest.MonkeyPatch, *moments: int) -> DelayBounded:
    """Give the strategy with these delays, whatever it would draw."""
    strategy = DelayBounded(1)
    begin = strategy.begin

    def begin_delayed(run: int) -> None:
        begin(run)
        strategy._delays.clear()
        strategy._delays.update(moments)

    monkeypatch.setattr(strategy, "begin", begin_delayed)
    return strategy


def test_without_delays_it_is_serial(monkeypatch: pytest.MonkeyPatch) -> None:
    assert play(ROUND, delayed(monkeypatch)).order == "AABBCC"


def test_a_delay_passes_over_whose_turn_it_is_and_comes_round_to_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert play(ROUND, delayed(monkeypatch, 2)).order == "ABBCCA"
    assert play(ROUND, delayed(monkeypatch, 2, 2)).order == "ACCABB"
    assert play(ROUND, delayed(monkeypatch, 1, 2)).order == "BCCAAB"


def test_when_nobody_after_it_is_held_it_begins_with_the_first() -> None:
    strategy = DelayBounded(1)
    strategy.begin(1)
    strategy._delays.clear()
    rounds = (("C1",), ("A1", "B1"), ("B1", "C1"))
    assert [strategy.choose(held(*which)) for which in rounds] == [(0,), (0,), (0,)]


def test_it_finds_a_race_of_one_preemption_about_as_often_as_there_are_moments_for_it() -> None:
    """Each run of one delay hits one of SIGN_UPS' 8 choices; A's second to third of 4 steps are the window.

    One delay: 2 of 8. Two and three delays hit it more seldom by the first, or undo it: at least 1 in 8.
    """
    runs = 100 * DELAYS_MAX
    low, _ = about(1 / 8, runs)
    assert found(SIGN_UPS, DelayBounded(3), range(runs)) >= low


def test_no_run_has_the_delays_of_another() -> None:
    """SIGN_UPS has few moments, and soon none for one delay that was not drawn: then there are more."""
    strategy = DelayBounded(1)
    drawn = set()
    for run in range(200):
        play(SIGN_UPS, strategy, run)
        drawn.add(tuple(sorted(strategy._delays.elements())))
    assert len(drawn) == 200
    assert max(map(len, drawn)) > DELAYS_MAX


def test_where_one_alone_can_go_no_delay_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = delayed(monkeypatch, 1)
    strategy.begin(1)
    assert [strategy.choose(held(*which)) for which in (("A1",), ("A2", "B1"))] == [(0,), (1,)]
