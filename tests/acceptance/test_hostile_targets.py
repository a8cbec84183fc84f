"""Targets that behave badly, and a database that goes away: inconclusive, with the reason and the last
steps, in bounded time, and nothing that is left of them.

``deadheat`` runs as it is but for its patience: what it waits for 30 seconds is waited for two.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import environment

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.slow

HERE = Path(__file__).with_name("hostile")
SECONDS_MAX = 150.0  # four runs, two of them with a second or two for each of their answers
IMPATIENT = """
import deadheat.engine.caller as caller
caller.ANSWER_SECONDS_MAX = 2.0
from deadheat.__main__ import start
start()
"""
# mode -> what the reason says
INCONCLUSIVE: Mapping[str, str] = {
    "hangs": r"sign-up of actor [AB] got no answer at all: none within 2 s",
    "drips": r"sign-up of actor [AB] got no answer at all: none within 2 s",
    "endless": r"sign-up of actor [AB] got no answer at all: its body is longer than 16 MB",
    "no-http": r"sign-up of actor [AB] got no answer at all: illegal status line",
    "huge-headers": r"sign-up of actor [AB] got no answer at all: .+",
    "half-of-json": r"captures customer from \$\.customer, and the answer 200 to POST /sign-up holds nothing",
    "resets": r"sign-up of actor [AB] got no answer at all: .+",
    "crashes": r"the target is gone; the last line of its log: it cannot go on like this",
}


def hostile(
    mode: str, *arguments: str, folder: Path, patient: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run ``deadheat run`` on a target that is hostile in one way."""
    program = ("-m", "deadheat") if patient else ("-c", IMPATIENT)
    return subprocess.run(
        [sys.executable, *program, "run", *arguments],
        cwd=folder,
        env=environment(HOSTILE=mode, DEADHEAT_TARGET=str(HERE), DEADHEAT_STRIPE_MOCK="off"),
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )


@pytest.mark.parametrize("mode", INCONCLUSIVE)
def test_it_is_inconclusive_with_the_reason_and_the_last_steps(mode: str, a_dsn: str, tmp_path: Path) -> None:
    ended = hostile(mode, "--schedules", "2", "--workers", "1", "--postgres", a_dsn, folder=tmp_path)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 3, said
    assert "INCONCLUSIVE: hostile.twice: " in said
    assert re.search(INCONCLUSIVE[mode], said), said
    assert re.search(r"its last steps \(run \d+\):\n +\d+(-\d+)? +[AB] +", said), said
    assert "POST /sign-up" in said.partition("its last steps")[2]
    assert "Traceback" not in said
    assert "\x1b" not in said, "what the target sent moves nothing on a terminal"


def test_who_is_only_slow_is_judged(a_dsn: str, tmp_path: Path) -> None:
    ended = hostile("slow", "--schedules", "2", "--workers", "1", "--postgres", a_dsn, folder=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_transaction_that_is_left_open_spoils_one_run_and_not_the_next(a_dsn: str, tmp_path: Path) -> None:
    """The first run of the race leaves a row locked for ever; the one behind it is not judged.

    That one is made to see whether the first is the same twice: it counts all the same.
    """
    options = ("--strategy", "random-walk", "--schedules", "4", "--workers", "1", "--postgres", a_dsn)
    ended = hostile("leaks", *options, folder=tmp_path, patient=True)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 3, said
    assert re.search(r"\d of \d runs could not be judged", said), said  # on a loaded machine more than one


def test_children_in_sessions_of_their_own_do_not_outlive_it(a_dsn: str, tmp_path: Path) -> None:
    ended = hostile("forks", "--schedules", "1", "--workers", "1", "--postgres", a_dsn, folder=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    begun = [int(pid) for pid in re.findall(r"child (\d+)", _log(tmp_path))]
    assert begun
    assert [pid for pid in begun if _runs(pid)] == []


def test_a_database_that_is_stopped_in_mid_run(tmp_path: Path) -> None:
    """The server is stopped as an administrator would, at once: the target sees its sessions end."""
    process = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, "run", "--schedules", "200", "--workers", "1", "--keep", "all"],
        cwd=tmp_path,
        env=environment(HOSTILE="well", DEADHEAT_TARGET=str(HERE), DEADHEAT_STRIPE_MOCK="off"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until = time.monotonic() + 60
        while time.monotonic() < until and not _has_run(tmp_path):
            time.sleep(0.02)
        os.kill(_postmaster_below(process.pid), signal.SIGINT)  # a fast shutdown
        said, _ = process.communicate(timeout=SECONDS_MAX)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert process.returncode == 3, said
    assert "INCONCLUSIVE: hostile.twice: " in said
    assert "database" in said.partition("INCONCLUSIVE: ")[2]
    assert "its last steps (run " in said
    assert "Traceback" not in said


def _log(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob(".deadheat/runs/*/target-*.log"))


def _has_run(folder: Path) -> bool:
    return any(path.stat().st_size > 20_000 for path in folder.glob(".deadheat/runs/*/history.ndjson"))


def _postmaster_below(pid: int) -> int:
    listed = subprocess.run(["ps", "-wweo", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    family = {pid}
    for _ in rows:
        family |= {int(row[0]) for row in rows if int(row[1]) in family}
    return next(int(row[0]) for row in rows if int(row[0]) in family and "postgres -D" in row[-1])


def _runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(shown.stdout.strip()) and not shown.stdout.strip().startswith("Z")
