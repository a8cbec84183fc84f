"""`explore --strategy exhaustive`: all schedules within the bound, in one go or in several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import deadheat

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

SEARCH = ("explore", "signup.two-at-once", "--strategy", "exhaustive", "--stripe-mock", "off")


def test_the_reference_is_clean_in_all_schedules_without_a_preemption(tmp_path: Path) -> None:
    """Cut after two runs, the search is taken up by the same command, and ends having run them all."""
    cut = deadheat(*SEARCH, "--preemptions", "0", "--schedules", "2", folder=tmp_path)
    assert cut.code == 0, cut.out
    searched = cut.scenario("signup.two-at-once")["coverage"]["exhausted"]
    assert (searched["done"], searched["lost"]) == (2, 0)
    assert searched["waiting"] > 0
    assert "the same command goes on with them" in cut.out
    rest = deadheat(*SEARCH, "--preemptions", "0", folder=tmp_path)
    assert rest.code == 0, rest.out
    whole = rest.scenario("signup.two-at-once")["coverage"]["exhausted"]
    assert (whole["waiting"], whole["lost"]) == (0, 0)
    assert whole["done"] == 2 + rest.summary["runs"] > 2 + searched["waiting"] - 1
    assert f"all {whole['done']} schedules of at most 0 preemptions were run" in rest.out
    assert not list((tmp_path / ".deadheat" / "searches").glob("*"))


def test_on_the_code_as_it_was_one_preemption_is_enough(tmp_path: Path) -> None:
    found = deadheat(*SEARCH, "--preemptions", "1", "--target", "before", folder=tmp_path)
    assert found.code == 1, found.out
    said = found.scenario("signup.two-at-once")
    assert "one-customer-per-user" in said["violated"]
    assert said["coverage"]["exhausted"]["waiting"] == 0
    assert "runs of exhaustive" in found.out
