"""What a target sent is shown, and cannot act."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_suite import HOSTILE

from deadheat.report.plain import plain


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(), max_size=60))
def test_nothing_is_left_that_controls_hides_or_reorders(text: str) -> None:
    shown = plain(text)
    assert not [c for c in shown if unicodedata.category(c)[0] == "C" or c in "\u2028\u2029"]
    shown.encode()  # no lone surrogate either


def test_text_that_is_harmless_stays() -> None:
    assert plain("Müller & Söhne <a@b.c> [x] 東京 … 🚲") == "Müller & Söhne <a@b.c> [x] 東京 … 🚲"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\u202ex", "\\u202ex"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("key sk_live_51AbCdEfGhIj", "key sk_live_***"),
    ],
)
def test_what_would_act_is_seen_instead(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_what_goes_on_and_on_is_cut_and_says_so() -> None:
    assert plain("x" * 5000, 10) == "xxxxxxxxxx… (5000 characters)"
    assert plain("x" * 10, 10) == "x" * 10


def test_a_secret_is_masked_before_it_is_cut() -> None:
    assert "sk_live_51" not in plain("x" * 8 + " sk_live_51AbCdEfGhIj", 19)


def test_the_hostile_text_of_these_tests_is_hostile() -> None:
    assert plain(HOSTILE) != HOSTILE
    assert "\n" not in plain(HOSTILE)
