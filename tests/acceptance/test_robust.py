"""What goes wrong outside of Deadheat ends in a verdict or a message, never in a wrong exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from conftest import deadheat, environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAD = "from deadheat import Program, World, scenario\n\n\n"

MISTAKES = {
    "raises": ("    raise ValueError('oops')", "cannot be built: ValueError: oops"),
    "none": ("    return None", "returned None, not a Program"),
    "no-actor": ("    return Program(race=[])", "at least one actor"),
    "text": ("    return Program(race=[['sign-up']])", "not an operation: 'sign-up'"),
    "unknown": ("    return Program(race=[[world.user().do('fly')]])", "does fly, which the target does not"),
    "fault": (
        "    ada = world.user()\n"
        "    return Program(race=[[ada.do('sign-up')]], faults=[world.stripe_fails(ada, 'x', status=400)])",
        "Stripe does not fail a call with 400",
    ),
}


def a_suite(folder: Path, body: str) -> None:
    """A project with scenarios of its own, for the reference."""
    (folder / "races").mkdir()
    (folder / "races" / "own.py").write_text(
        f"{HEAD}@scenario()\ndef one(world: World) -> Program:\n{body}\n"
    )
    (folder / "pyproject.toml").write_text('[tool.deadheat]\nscenarios = ["races"]\n')


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_scenario_is_told_before_anything_starts(mistake: str, tmp_path: Path) -> None:
    body, message = MISTAKES[mistake]
    a_suite(tmp_path, body)
    ended = deadheat("run", folder=tmp_path)
    assert ended.code == 2, ended.out + ended.err
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert "setting up" not in ended.out


def test_a_module_that_exits_does_not_end_us_as_clean(tmp_path: Path) -> None:
    a_suite(tmp_path, "    return Program(race=[[world.deliveries()]])")
    (tmp_path / "races" / "exits.py").write_text("import sys\nsys.exit(0)\n")
    ended = deadheat("run", folder=tmp_path)
    assert ended.code == 2
    assert "exits.py" in ended.err


def test_a_fault_that_never_strikes_is_inconclusive(tmp_path: Path) -> None:
    a_suite(
        tmp_path,
        "    ada = world.user()\n"
        "    return Program(\n"
        "        race=[[ada.do('sign-up')], [ada.do('sign-up')]],\n"
        "        faults=[world.stripe_fails(ada, 'POST /v1/custmers')],\n"
        "    )",
    )
    ended = deadheat("run", "--schedules", "3", folder=tmp_path)
    assert ended.code == 3, ended.out + ended.err
    assert "POST /v1/custmers never struck" in ended.out


def test_a_reader_that_leaves_changes_no_verdict(tmp_path: Path) -> None:
    command = f"{sys.executable} -m deadheat run seed.new-signup --schedules 2 | head -1"
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A suite of one deployment that has begun to run."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "deadheat",
            "run",
            "signup.two-at-once",
            "--schedules",
            "60",
            "--workers",
            "1",
            "--keep",
            "all",
        ],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(p.stat().st_size > 20_000 for p in tmp_path.glob(".deadheat/runs/*/history.ndjson")):
            break
        time.sleep(0.05)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


def below(pid: int, name: str) -> list[int]:
    """The processes below ``pid`` whose command line holds ``name``, the eldest first."""
    listed = subprocess.run(["ps", "-wweo", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    family = {pid}
    for _ in rows:
        family |= {int(row[0]) for row in rows if int(row[1]) in family}
    return sorted(int(row[0]) for row in rows if int(row[0]) in family and len(row) > 2 and name in row[2])


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["uvicorn reference_impl", "postgres -D"])
def test_a_target_or_database_that_dies_is_inconclusive(running: subprocess.Popen[str], victim: str) -> None:
    victims = [pid for pid in below(running.pid, victim) if pid != running.pid]
    assert victims
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    out, _ = running.communicate(timeout=150)
    assert running.returncode == 3, out
    assert "Traceback" not in out
    assert "INCONCLUSIVE" in out


@pytest.mark.slow
def test_a_stripe_mock_that_dies_is_told(running: subprocess.Popen[str], stripe_mock: str) -> None:
    victims = below(running.pid, "stripe-mock -http")
    assert victims
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    out, _ = running.communicate(timeout=240)
    assert "stripe-mock does not answer" in out
    assert "(stopped answering)" in out
