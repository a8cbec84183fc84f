"""Shares: how a budget of runs is split among strategies, to the last run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deadheat.schedule import BY_NAME, PORTFOLIO, STRATEGIES, shares

WEIGHTS = dict(PORTFOLIO)
# Who has what does not divide, and stands in for who is not among the strategies.
REMAINDER = ("random-walk", "barrage", "pct", "yield", "overlap")


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
    def test_they_are_in_proportion_to_the_weights(self, schedules: int, strategies: list[str]) -> None:
        split = shares(schedules, strategies)
        drawn = [name for name in REMAINDER if name in strategies]
        if drawn and schedules >= len(strategies):
            rest, total = sum(split[name] for name in drawn), sum(WEIGHTS[name] for name in drawn)
            parts = {name: rest * WEIGHTS[name] / total for name in drawn}
            takes_the_remainder, *others = drawn
            assert all(abs(split[name] - parts[name]) < 1 for name in others)
            assert abs(split[takes_the_remainder] - parts[takes_the_remainder]) < len(drawn)

    @given(st.integers(0, 5000))
    def test_the_random_walk_has_half_of_what_is_drawn(self, schedules: int) -> None:
        split = shares(schedules, STRATEGIES)
        if schedules > 2 * len(STRATEGIES):
            assert split["random-walk"] >= (schedules - 1) / 2
            assert split["pct"] >= split["yield"] >= split["overlap"] == split["barrage"]

    def test_without_the_walk_the_first_of_the_others_has_the_remainder(self) -> None:
        assert shares(12, ["pct", "yield", "overlap", "barrage"]) == {
            "pct": 6, "yield": 3, "overlap": 1, "barrage": 2,
        }  # fmt: skip
        assert shares(12, ["overlap", "yield"]) == {"overlap": 4, "yield": 8}
        assert shares(12, ["serial", "overlap"]) == {"serial": 1, "overlap": 11}

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


@pytest.mark.parametrize("name", BY_NAME)
def test_one_that_is_asked_for_by_name_has_all(name: str) -> None:
    assert [shares(runs, [name]) for runs in (1, 7)] == [{name: 1}, {name: 7}]
