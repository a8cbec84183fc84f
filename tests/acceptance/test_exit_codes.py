"""Everything wrong before the first run is exit code 2 and one clear message."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import deadheat, environment

REFERENCE = Path(__file__).parents[2] / "reference_impl" / "deadheat.toml"

WRONG = [
    (
        ["run", "signup.two-at-onse"],
        'there is no scenario called signup.two-at-onse. Did you mean "signup.two',
    ),
    (["run", "--postgres", "postgresql://nobody@127.0.0.1:1/none"], "127.0.0.1:1"),
    (["run", "--postgres", "mysql://x"], "mysql"),
    (["run", "--postgres", "postgresql://db.example.com/x"], "db.example.com"),
    (["run", "--strategy", "luck"], "'luck' is not one of"),
    (["run", "--schedules", "0"], "--schedules"),
    (["run", "--stripe-mock", "/nowhere/stripe-mock"], "/nowhere/stripe-mock"),
    (["run", "--target", "nowhere.toml"], "nowhere.toml"),
    (["soak", "--target", "http://127.0.0.1:9"], "only a URL"),
    (["run", "--target", "http://app.example"], "app.example is not this machine"),
    (["run", "--target", "http://127.0.0.1:9", "--stripe-port", "9"], "stripe-key"),
    (["run", "--target", "http://127.0.0.1:9", "--postgres-port", "9"], "--postgres DSN"),
    (["run", "--stripe-port", "9"], "Deadheat starts this target"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_said(arguments: list[str], message: str, tmp_path: Path) -> None:
    ended = deadheat(*arguments, folder=tmp_path)
    assert ended.code == 2, ended.out + ended.err
    assert message in ended.err
    assert "Traceback" not in ended.err + ended.out


def changed(tmp_path: Path, old: str, new: str, base_url: str | None = None) -> Path:
    """The reference's file with one thing changed, beside the reference it describes."""
    text = REFERENCE.read_text()
    assert old in text
    if base_url is not None:
        text = text.replace("[target]", f'[target]\nbase-url = "{base_url}"', 1)
    target = tmp_path / "deadheat.toml"
    parent = str(REFERENCE.parent)
    text = text.replace(old, new).replace("--app-dir ..", f"--app-dir {REFERENCE.parents[1]}")
    target.write_text(text.replace("{python} migrate.py", f"{{python}} {parent}/migrate.py"))
    return target


def test_an_unknown_key_names_the_closest(tmp_path: Path) -> None:
    changed(tmp_path, "ready =", "raedy =")
    ended = deadheat("run", folder=tmp_path)
    assert ended.code == 2
    assert 'Did you mean "ready"?' in ended.err


@pytest.mark.parametrize("where", ["environment", "file"])
def test_a_live_key_is_refused(where: str, tmp_path: Path) -> None:
    live = "sk_" + "live_" + "1234567890abcdef"
    env = {}
    if where == "environment":
        env["STRIPE_SECRET_KEY"] = live
    else:
        changed(tmp_path, '"{stripe.key}"', f'"{live}"')
    ended = deadheat("run", folder=tmp_path, **env)
    assert ended.code == 2, ended.out + ended.err
    assert "live" in ended.err
    assert live not in ended.err + ended.out


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        changed(tmp_path, "--port {port}", f"--port {port}", base_url=f"http://127.0.0.1:{port}")
        ended = deadheat("run", "seed.new-signup", "--schedules", "1", folder=tmp_path)
    assert ended.code == 2, ended.out + ended.err
    assert str(port) in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.slow
def test_a_target_with_a_port_of_its_own_is_raced(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    changed(tmp_path, "--port {port}", f"--port {port}", base_url=f"http://127.0.0.1:{port}")
    ended = deadheat("run", "seed.new-signup", "--schedules", "2", "--workers", "2", folder=tmp_path)
    assert ended.code == 0, ended.out + ended.err


@pytest.mark.slow
def test_a_target_that_dies_is_told_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "deadheat.toml").write_text(
        '[target]\nstart = "{python} -c \'raise SystemExit(7)\' {port}"\nready = "/"\n'
        '[target.operations.sign-up]\nrequest = "POST /sign-up"\n'
    )
    ended = deadheat("run", folder=tmp_path)
    assert ended.code == 2, ended.out + ended.err
    assert "7" in ended.err


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to look for what is left")
def test_ctrl_c_leaves_nothing_running_and_the_history_on_disk(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "deadheat", "run", "--keep", "all", "--schedules", "500"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    history: list[Path] = []
    while time.monotonic() < deadline:
        history = [p for p in tmp_path.glob(".deadheat/runs/*/history.ndjson") if p.stat().st_size > 10_000]
        if history:
            break
        time.sleep(0.05)
    assert history, "no history was written"
    children = _descendants(process.pid)
    assert children, "the target and Postgres should be running"
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out.decode()
    assert b"Traceback" not in out
    assert [pid for pid in children if _runs(pid)] == []
    assert history[0].stat().st_size > 10_000


def _descendants(pid: int) -> list[int]:
    """Every process below ``pid``, by parentage."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            after_name = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            parents[int(entry.name)] = int(after_name[1])
        except (OSError, IndexError):
            continue
    found, frontier = [], [pid]
    while frontier:
        frontier = [child for child, parent in parents.items() if parent in frontier]
        found += frontier
    return found


def _runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return (Path(f"/proc/{pid}") / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
