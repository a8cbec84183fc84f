"""The history file: on disk as it happens, clean runs taken back to a line, the rest kept whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_suite import HOSTILE, step

from deadheat.engine.events import Verdict
from deadheat.errors import SettingsError
from deadheat.history import Step
from deadheat.report.ndjson import HistoryFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Iterator[HistoryFile]:
    made = HistoryFile(tmp_path / "runs" / "1")
    made.start()
    yield made
    made.finish()


def lines(file: HistoryFile) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.path.read_text().splitlines()]


def steps(file: HistoryFile) -> list[tuple[int, int]]:
    return [(line["run"], line["seq"]) for line in lines(file) if "seq" in line]


def test_a_step_is_on_disk_at_once(file: HistoryFile) -> None:
    take = file.begin(1, "s", "serial")
    take(one := step(customer="cus_1"))
    assert Step.parse(file.path.read_text()) == one


def test_a_clean_run_leaves_one_line(file: HistoryFile) -> None:
    take = file.begin(1, "signup.two-at-once", "barrage")
    for seq in (1, 2, 3):
        take(step(seq=seq))
    file.end(1, Verdict.CLEAN, None)
    assert lines(file) == [
        {
            "v": 1,
            "run": 1,
            "scenario": "signup.two-at-once",
            "strategy": "barrage",
            "verdict": "clean",
            "steps": 3,
        }
    ]


@pytest.mark.parametrize("verdict", [Verdict.VIOLATED, Verdict.INCONCLUSIVE])
def test_any_other_run_is_kept_whole(file: HistoryFile, verdict: Verdict) -> None:
    take = file.begin(1, "s", "barrage")
    take(step(seq=1))
    take(step(seq=2))
    file.end(1, verdict, "because of sk_test_51AbCdEf")
    assert steps(file) == [(1, 1), (1, 2)]
    assert lines(file)[-1]["verdict"] == str(verdict)
    assert lines(file)[-1]["reason"] == "because of sk_test_***"


def test_keep_all_keeps_clean_runs_whole(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path, keep_all=True)
    file.start()
    file.begin(1, "s", "serial")(step())
    file.end(1, Verdict.CLEAN, None)
    file.finish()
    assert steps(file) == [(1, 1)]


def test_a_run_that_never_ended_stays(file: HistoryFile) -> None:
    file.begin(1, "s", "serial")(step())
    file.finish()
    file.finish()
    assert steps(file) == [(1, 1)]


def test_hostile_content_is_one_line_and_comes_back_masked(file: HistoryFile) -> None:
    file.begin(1, HOSTILE, "serial")(step(body=HOSTILE))
    file.end(1, Verdict.VIOLATED, HOSTILE)
    (first, last) = lines(file)
    assert first["data"]["body"].startswith("cus_\x1b[2J")
    assert "sk_live_51AbCdEfGhIj" not in file.path.read_text()
    assert last["verdict"] == "violated"


def test_a_step_that_speaks_of_another_run_is_not_taken_for_its(file: HistoryFile) -> None:
    one, two = file.begin(1, "s", "barrage"), file.begin(12, "s", "barrage")
    two(step(run=12, note='{"v":1,"run":1,'))
    one(step(run=1))
    file.end(1, Verdict.CLEAN, None)
    assert steps(file) == [(12, 1)]


ACTS = st.lists(st.tuples(st.sampled_from("bse"), st.integers(1, 4), st.sampled_from(Verdict)), max_size=40)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
def test_runs_that_overlap_take_nothing_from_each_other(
    acts: list[tuple[str, int, Verdict]], tmp_path: Path
) -> None:
    file = HistoryFile(tmp_path)
    file.start()
    open_: dict[int, list[int]] = {}
    kept: dict[int, list[int]] = {}
    number = {n: n for n in range(1, 5)}  # a run's number is used once
    for act, slot, verdict in acts:
        run = number[slot]
        if act == "b" and run not in open_:
            file.begin(run, "s", "barrage")
            open_[run] = []
        elif act == "s" and run in open_:
            open_[run].append(len(open_[run]) + 1)
            file._take(step(run=run, seq=open_[run][-1]))
        elif act == "e" and run in open_:
            file.end(run, verdict, None)
            kept[run] = [] if verdict is Verdict.CLEAN else open_[run]
            del open_[run]
            number[slot] += 4
    file.finish()
    for run, expected in {**kept, **open_}.items():
        assert [seq for r, seq in steps(file) if r == run] == expected
    assert sum("verdict" in line for line in lines(file)) == len(kept)


def test_what_was_written_survives_a_kill(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; sys.path[:0] = [sys.argv[2], sys.argv[3]]\n"
        "from pathlib import Path; from sample_suite import step\n"
        "from deadheat.report.ndjson import HistoryFile\n"
        "file = HistoryFile(Path(sys.argv[1])); file.start(); file.begin(1, 's', 'serial')(step())\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    paths = [str(tmp_path), os.path.dirname(__file__), os.getcwd()]
    killed = subprocess.run([sys.executable, "-c", program, *paths], check=False)
    assert killed.returncode == -9
    assert steps(HistoryFile(tmp_path)) == [(1, 1)]


def test_a_folder_that_cannot_be_made_is_said_before_the_first_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot write"):
        HistoryFile(tmp_path / "file" / "runs").start()
