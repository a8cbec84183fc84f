"""The pytest plugin, in a pytest of its own: scenarios are items, ``race`` is a fixture."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from conftest import deadheat, environment
from shopping import check_own, fill_in, opened, own_repository

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

SUITE = """
import pytest
from deadheat import Inconclusive, Program, Violated, World, scenario


@scenario(needs=("sign-up",))
def two_at_once(world: World) -> Program:
    ada = world.user()
    return Program(race=[[ada.do("sign-up")], [ada.do("sign-up")]])


@scenario(needs=("teleport",))
def nobody_can(world: World) -> Program:
    return Program(race=[[world.user().do("teleport")]])


@scenario()
def nothing_happens(world: World) -> Program:
    return Program(race=[[world.deliveries()], [world.deliveries()]])


def test_race_returns_an_exploration(race):
    ada = World("x").user()
    explored = race(Program(race=[[ada.do("sign-up")]]), schedules=3)
    assert explored.runs == 3
    assert explored.verdict.name == "CLEAN"


def test_race_raises(race):
    ada = World("x").user()
    program = Program(race=[[ada.do("sign-up")], [ada.do("sign-up")]])
    with pytest.raises(Violated, match="one-customer-per-user") as violated:
        race(program, schedules=8, strategy="barrage")
    assert isinstance(violated.value, AssertionError)
    assert violated.value.exploration.findings
    with pytest.raises(Inconclusive, match="^INCONCLUSIVE"):
        race(nothing_happens, schedules=3)
"""


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_own.py").write_text(SUITE)
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-rA",
            "--deadheat-schedules",
            "6",
            *arguments,
        ],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_scenarios_are_items(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "-k", "two_at_once or nobody or nothing or returns")
    assert "PASSED test_own.py::two_at_once" in done.stdout, done.stdout + done.stderr
    assert "PASSED test_own.py::test_race_returns_an_exploration" in done.stdout
    assert "SKIPPED" in done.stdout
    assert "the target does not offer teleport" in done.stdout
    assert "FAILED test_own.py::nothing_happens" in done.stdout
    assert "INCONCLUSIVE" in done.stdout
    assert "the race never happened" in done.stdout
    assert done.returncode == 1


def test_a_violation_fails_the_item_with_its_evidence(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "-k", "two_at_once or raises", "--deadheat-target", "before")
    assert "FAILED test_own.py::two_at_once" in done.stdout, done.stdout + done.stderr
    assert "one-customer-per-user" in done.stdout
    assert "live customers for" in done.stdout
    assert "Traceback" not in done.stdout
    assert "PASSED test_own.py::test_race_raises" in done.stdout


def test_the_summary_is_written_once_by_whoever_runs_the_session(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "-k", "two_at_once", "--deadheat-target", "before")
    summary = json.loads((tmp_path / ".deadheat" / "summary.json").read_text())
    assert summary["verdict"] == "violated", done.stdout
    assert [s["name"] for s in summary["scenarios"]] == ["own.two-at-once"]
    assert "one-customer-per-user" in summary["scenarios"][0]["violated"]


def test_a_bad_option_ends_the_session_with_one_message(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "-k", "two_at_once", "--deadheat-target", "nowhere.toml")
    assert "nowhere.toml" in done.stdout
    assert "Traceback" not in done.stdout
    assert done.returncode != 0


CRASHING = """
import os
from deadheat import Program, World, scenario


@scenario(needs=("sign-up",))
def one(world: World) -> Program:
    ada = world.user()
    return Program(race=[[ada.do("sign-up")], [ada.do("sign-up")]])


@scenario(needs=("sign-up",))
def two(world: World) -> Program:
    ada = world.user()
    return Program(race=[[ada.do("sign-up")], [ada.do("sign-up")]])


def test_dies(race):
    os._exit(9)
"""


def test_under_xdist_each_worker_has_its_own_and_the_controller_sums_up(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "-n", "2", "--dist", "each", "-k", "two_at_once")
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / ".deadheat" / "summary.json").read_text())
    assert summary["verdict"] == "clean"
    assert summary["runs"] == 12  # 6 in each worker
    assert len(list((tmp_path / ".deadheat" / "runs").iterdir())) == 2


def test_a_worker_that_crashes_is_inconclusive(tmp_path: Path) -> None:
    (tmp_path / "test_crashing.py").write_text(CRASHING)
    done = run_pytest(tmp_path, "-n", "2", "test_crashing.py")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "INCONCLUSIVE: the xdist worker that ran test_crashing.py::test_dies crashed" in done.stdout
    summary = json.loads((tmp_path / ".deadheat" / "summary.json").read_text())
    assert summary["verdict"] == "inconclusive"
    assert {s["name"]: s["verdict"] for s in summary["scenarios"]} == {
        "crashing.one": "clean",
        "crashing.two": "clean",
        "test_crashing.py::test_dies": "inconclusive",
    }


def test_a_team_adds_its_own_in_its_own_repository(tmp_path: Path) -> None:
    opened(tmp_path)
    deadheat("init", folder=tmp_path)
    fill_in(tmp_path)
    own_repository(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "--deadheat-schedules", "3"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    check_own(done.stdout, tmp_path)
