"""The interval of Clopper and Pearson: values that are known in closed form, and what makes it exact."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deadheat.engine.interval import at_most, clopper_pearson

TRIALS = st.integers(1, 25).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
RATES = st.floats(0.001, 0.999)


@pytest.mark.parametrize("n", [1, 2, 10, 1000, 100_000])
def test_none_and_all_have_limits_in_closed_form(n: int) -> None:
    """With none of n the upper limit is where n misses have a chance of 2.5%; with all of n the mirror."""
    limit = 1 - 0.025 ** (1 / n)
    assert clopper_pearson(0, n) == (0.0, pytest.approx(limit, rel=1e-9))
    assert clopper_pearson(n, n) == (pytest.approx(1 - limit, rel=1e-9), 1.0)


@pytest.mark.parametrize(
    ("k", "n", "confidence", "low", "high"),
    [  # as R's binom.test gives them
        (682, 925, 0.95, 0.7076683, 0.7654066),
        (9, 24, 0.95, 0.1879929, 0.5940636),
        (1, 1497, 0.90, 3.426347e-05, 3.164954e-03),
        (542, 3611, 0.90, 0.1403939, 0.1602214),
    ],
)
def test_known_values(k: int, n: int, confidence: float, low: float, high: float) -> None:
    assert clopper_pearson(k, n, confidence) == pytest.approx((low, high), abs=1e-7)


@given(TRIALS, RATES)
@settings(max_examples=40)
def test_the_distribution_is_the_sum_of_its_terms(trials: tuple[int, int], rate: float) -> None:
    k, n = trials
    terms = (comb(n, i) * rate**i * (1 - rate) ** (n - i) for i in range(k + 1))
    assert at_most(k, n, rate) == pytest.approx(sum(terms), abs=1e-9)


@given(TRIALS)
@settings(max_examples=15)
def test_it_holds_the_rate_and_is_the_mirror_of_that_of_the_misses(trials: tuple[int, int]) -> None:
    k, n = trials
    low, high = clopper_pearson(k, n)
    assert 0.0 <= low <= k / n <= high <= 1.0
    assert (1 - high, 1 - low) == pytest.approx(clopper_pearson(n - k, n), abs=1e-9)
    assert clopper_pearson(k, n, 0.99)[0] <= low
    assert clopper_pearson(k, n, 0.99)[1] >= high


@given(st.integers(1, 12), RATES)
@settings(max_examples=15)
def test_whatever_the_rate_it_is_covered_at_least_as_often_as_is_said(n: int, rate: float) -> None:
    """Added up over all that n trials may give: this is what "exact" means."""
    limits = [clopper_pearson(k, n) for k in range(n + 1)]
    chances = [comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(n + 1)]
    covered = sum(c for c, (low, high) in zip(chances, limits, strict=True) if low <= rate <= high)
    assert covered >= 0.95 - 1e-9


@pytest.mark.parametrize(("k", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_what_is_no_rate_is_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="no rate"):
        clopper_pearson(k, n)
