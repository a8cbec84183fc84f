"""Barrage: what it draws is fixed by its seed and the run's number, and stays within its bounds."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deadheat.schedule.barrage import CALL_MS, DELIVERY_MS, Barrage

MANY = 200


def draws(seed: int, run: int, *, before: int = 0) -> list[float]:
    """Give what one strategy draws in one run, after ``before`` draws in an earlier one."""
    barrage = Barrage(seed)
    for _ in range(before):
        barrage.delay_ms()
    barrage.begin(run)
    drawn = [barrage.delay_ms() for _ in range(5)]
    for _ in range(5):
        latency = barrage.latency()
        drawn += [latency.to_effect_ms, latency.to_response_ms]
    return drawn


def test_the_same_seed_and_run_draw_the_same_whatever_was_drawn_before() -> None:
    assert draws(7, 3) == draws(7, 3, before=11)


def test_two_runs_draw_differently() -> None:
    assert not set(draws(7, 1)) & set(draws(7, 2))


def test_two_seeds_draw_differently() -> None:
    assert not set(draws(7, 1)) & set(draws(8, 1))


def test_a_call_takes_5_to_50_ms_and_its_effect_falls_anywhere_within() -> None:
    barrage = Barrage(1)
    barrage.begin(1)
    calls = [barrage.latency() for _ in range(MANY)]
    totals = [call.to_effect_ms + call.to_response_ms for call in calls]
    shares = [call.to_effect_ms / total for call, total in zip(calls, totals, strict=True)]
    assert CALL_MS == (5.0, 50.0)
    assert min(call.to_effect_ms for call in calls) >= 0
    assert min(call.to_response_ms for call in calls) >= 0
    # That none of 200 uniform draws falls into a given tenth has odds of 7e-10, and the seed is fixed.
    assert 5.0 <= min(totals) < 9.5
    assert 45.5 < max(totals) <= 50.0 + 1e-9
    assert min(shares) < 0.1
    assert max(shares) > 0.9


def test_a_delivery_takes_0_to_20_ms() -> None:
    barrage = Barrage(1)
    barrage.begin(1)
    delays = [barrage.delay_ms() for _ in range(MANY)]
    assert DELIVERY_MS == (0.0, 20.0)
    assert 0.0 <= min(delays) < 2.0
    assert 18.0 < max(delays) <= 20.0


def test_a_call_can_be_asked_to_take_other_times() -> None:
    barrage = Barrage(1)
    barrage.begin(1)
    calls = [barrage.latency((200.0, 300.0)) for _ in range(MANY)]
    assert all(200.0 <= call.to_effect_ms + call.to_response_ms <= 300.0 for call in calls)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_everybody_begins_at_once_where_nothing_else_is_asked_for(count: int) -> None:
    drawn, undrawn = Barrage(1), Barrage(1)
    assert drawn.starts_ms(count) == [0.0] * count
    assert drawn.delay_ms() == undrawn.delay_ms(), "nothing was drawn: seeds mean what they meant"


@given(st.integers(0, 2**32), st.integers(0, 6))
def test_actors_begin_so_far_apart_one_after_the_other(seed: int, count: int) -> None:
    starts = sorted(Barrage(seed, (50.0, 300.0)).starts_ms(count))
    assert len(starts) == count
    assert starts[:1] == [0.0][:count]
    assert all(50.0 <= b - a <= 300.0 + 1e-9 for a, b in itertools.pairwise(starts))


def test_either_actor_may_be_the_first() -> None:
    barrage = Barrage(1, (50.0, 300.0))
    assert {starts.index(0.0) for starts in (barrage.starts_ms(2) for _ in range(50))} == {0, 1}
