"""``deadheat compare``: the code as it was and the reference, and the other way round."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from conftest import deadheat

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

SCENARIO = "signup.two-at-once"


def test_what_the_code_as_it_was_violated_holds_on_the_reference(tmp_path: Path) -> None:
    ended = deadheat(
        "compare", "before", "reference", SCENARIO, "--seed", "1", "--strategy", "random-walk",
        "--schedules", "10", "--json", "out/compared.json", folder=tmp_path,
    )  # fmt: skip
    assert ended.code == 0, ended.out + ended.err
    told = json.loads((tmp_path / "out" / "compared.json").read_text())
    assert (told["verdict"], told["before"], told["after"], told["seed"]) == (
        "clean", "before", "reference", 1
    )  # fmt: skip
    rows = {row["invariant"]: row for row in told["rows"]}
    assert {"one-customer-per-user", "one-profile-per-user"} <= set(rows)
    for row in rows.values():
        assert row["came"] == "holds now"
        assert row["before"][0] > 0
        assert row["replayed"][0] == 0 < row["replayed"][1]
        assert row["after"] == [0, 10]
    assert told["replayed"][SCENARIO]["schedules"] >= 2
    assert "CLEAN: before, then reference; holds now: " in ended.out
    assert "seed 1; " in ended.out.partition("reference on ")[2]  # both by the same seed


def test_the_same_code_still_violates_it(tmp_path: Path) -> None:
    ended = deadheat(
        "compare", "before", "before", SCENARIO, "--seed", "1", "--strategy", "random-walk",
        "--schedules", "6", "--json", "compared.json", folder=tmp_path,
    )  # fmt: skip
    assert ended.code == 1, ended.out + ended.err
    told = json.loads((tmp_path / "compared.json").read_text())
    assert {row["came"] for row in told["rows"]} == {"still violated"}
    replayed = told["replayed"][SCENARIO]
    assert replayed["diverged"] == 0 < replayed["schedules"]  # the same code takes the same steps
    assert "still violated" in ended.out


def test_a_target_that_is_not_there_ends_it_before_anything_starts(tmp_path: Path) -> None:
    ended = deadheat("compare", "reference", "nowhere.toml", folder=tmp_path)
    assert ended.code == 2, ended.out
    assert "nowhere.toml" in ended.err
    assert "setting up" not in ended.out
