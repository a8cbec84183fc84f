"""`deadheat risk`: how often a finding happens where nothing orders it, beside its rate under search."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from conftest import Ended, deadheat, environment

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

SCENARIO = "signup.two-at-once"
BEFORE = ("--target", "before")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A run of the code as it was that finds something; its findings are asked about."""
    return deadheat(
        "run", SCENARIO, *BEFORE, "--strategy", "random-walk", "--schedules", "10", "--seed", "1",
        folder=tmp_path_factory.mktemp("found"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def finding(found: Ended) -> dict[str, Any]:
    findings = found.scenario(SCENARIO)["findings"]
    return next(one for one in findings if "one-customer-per-user" in one["invariants"])


def test_two_tabs_at_once_go_wrong_and_it_is_said_how_often(found: Ended, finding: dict[str, Any]) -> None:
    """At once, with Stripe calls of 20 to 50 ms, both look before either has written: nearly always.

    A random walk shows it in about half of its runs: in none of 20 once in a million times.
    """
    asked = deadheat(
        "risk", finding["token"], *BEFORE, "--runs", "20", "--apart-ms", "0-5", "--stripe-ms", "20-50",
        "--json", "risk.json", folder=found.folder,
    )  # fmt: skip
    assert asked.code == 1, asked.out + asked.err
    told = json.loads((found.folder / "risk.json").read_text())
    assert told["token"] == finding["token"]
    assert set(told["asked"]) == set(finding["invariants"])
    assert (told["apart_ms"], told["stripe_ms"]) == ([0.0, 5.0], [20.0, 50.0])
    plain, search = told["plain"], told["search"]
    assert plain["judged"] == search["judged"] == 20
    assert plain["violated"] > 0
    assert search["violated"] > 0
    assert plain["between"][0] < plain["rate"] <= plain["between"][1]
    assert "double clicks (95%" in asked.out
    assert f"under search: {search['violated']} of 20 runs of random-walk" in asked.out
    assert "Stripe calls of 20 to 50 ms" in asked.out


def test_clicks_that_never_meet_are_fewer_than_one_in_so_many(tmp_path: Path) -> None:
    """A second apart nothing of the first sign-up is left: the search alone shows the fault."""
    asked = deadheat("risk", SCENARIO, *BEFORE, "--runs", "9", "--apart-ms", "1000", folder=tmp_path)
    assert "plain concurrency: fewer than 1 in 3.0 double clicks (95%, none in 9)" in asked.out, asked.err
    assert "two in the air at once in 0" in asked.out
    assert asked.code == (0 if "under search: 0 of" in asked.out else 1)


def test_the_reference_is_clean_either_way(tmp_path: Path) -> None:
    asked = deadheat("risk", SCENARIO, "--seconds", "4", "--apart-ms", "0", folder=tmp_path)
    assert asked.code == 0, asked.out + asked.err
    assert "fewer than 1 in" in asked.out
    assert "under search: 0 of" in asked.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("risk", "signup.two-at-onec"),
        ("risk", "signup.*"),
        ("risk", "dh1-nonsense"),
        ("risk", "dh1-@0000000000"),
        ("risk", "nothing.json"),
        ("risk", SCENARIO, "--apart-ms", "300-50"),
        ("risk", SCENARIO, "--stripe-ms", "soon"),
        ("risk", SCENARIO, "--json", "."),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(arguments: tuple[str, ...], tmp_path: Path) -> None:
    asked = deadheat(*arguments, folder=tmp_path)
    assert asked.code == 2, asked.out + asked.err
    assert "setting up" not in asked.out
    assert "Traceback" not in asked.err


def test_an_interrupt_tells_the_figures_so_far(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "deadheat", "risk", SCENARIO, *BEFORE, "--runs", "100000"],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        until = time.monotonic() + 120
        while not _runs(tmp_path) and time.monotonic() < until and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "plain concurrency: " in out
    assert "interrupted" in err


def _runs(folder: Path) -> int:
    """Count the runs whose history is over: clean or not, each leaves a line."""
    return sum(path.read_text().count('"verdict"') for path in folder.glob(".deadheat/runs/*/history.ndjson"))
