"""``deadheat soak`` as a person or CI starts it: short, with locust and everything else for real.

On `before` a visit that races is wrong in a third of the cases and more, and five seconds are some
fifty visits: that none of these shows has a chance below one in a million.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Ended, deadheat, environment
from test_exit_codes import _descendants, _runs

SHORT = ("soak", "--seconds", "5", "--users", "10")


def load_of(ended: Ended) -> dict[str, Any]:
    """What the soak wrote about its load."""
    (path,) = ended.folder.glob(".deadheat/runs/*/soak.json")
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


@pytest.mark.slow
def test_the_reference_stands_it_and_everything_is_judged(tmp_path: Path) -> None:
    ended = deadheat(*SHORT, folder=tmp_path)
    assert ended.code == 0, ended.out + ended.err
    summary = ended.summary
    assert summary["verdict"] == "clean"
    assert {i for i, of in summary["invariants"].items() if of["checked"]} >= {
        "setup-complete", "answers-agree", "charged-once", "no-lost-event", "applied-once",
        "no-server-error", "bad-webhook-refused",
    }  # fmt: skip
    told = load_of(ended)
    assert told["answers"] >= told["people"] > 10
    assert told["load"]["requests"] >= told["answers"]
    assert 0 < told["load"]["p50_ms"] <= told["load"]["p95_ms"]
    assert told["deliveries"] > 2 * told["events"] > 0, "each event comes at least once, and once more"
    assert f"{told['load']['requests']} requests" in ended.out


@pytest.mark.slow
def test_the_code_as_it_was_is_violated(tmp_path: Path) -> None:
    ended = deadheat(*SHORT, "--target", "before", "--processes", "2", folder=tmp_path)
    assert ended.code == 1, ended.out + ended.err
    (scenario,) = ended.summary["scenarios"]
    assert scenario["name"] == "soak"
    assert set(scenario["violated"]) >= {"one-customer-per-user", "answers-agree"}
    assert "Stripe holds 2 live customers for" in ended.out
    history = next(tmp_path.glob(".deadheat/runs/*/history.ndjson")).read_text()
    assert '"step":"answer"' in history
    assert '"step":"effect"' in history


def test_without_locust_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text('import sys\nsys.modules["locust"] = None\n')
    ended = deadheat(*SHORT, folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert ended.code == 2
    assert 'pip install "deadheat[soak]"' in ended.err
    assert "setting up" not in ended.out


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to look for what is left")
def test_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "deadheat", "soak", "--users", "4", "--processes", "2"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        written = [p for p in tmp_path.glob(".deadheat/runs/*/history.ndjson") if p.stat().st_size > 2_000]
        if written:
            break
        time.sleep(0.05)
    children = _descendants(process.pid)
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out.decode()
    assert b"Traceback" not in out
    assert len(children) > 4, "Postgres, the target and three of locust should have been running"
    assert [pid for pid in children if _runs(pid)] == []


LOCUSTFILE = Path(__file__).parents[2] / "loadtests" / "locustfile.py"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "where is the target? Give its address, as in --host http://127.0.0.1:8000"),
        (["--host", "http://example.com"], "example.com is not this machine"),
        (["--host", "http://127.0.0.1:9", "--target", "nowhere.toml"], "there is no file nowhere.toml"),
    ],
)
def test_locust_alone_says_what_it_needs(arguments: list[str], says: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--run-time", "5s", *arguments],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
