"""The modes of the odd target, a Postgres server for them all, and ``deadheat run`` on one mode."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deadheat.engine.postgres import open_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HERE = Path(__file__).parent
# mode -> the scenarios that race it
MODES = {
    "pool-of-one": ["odd.pool-of-one", "odd.pool-of-one-apart"],
    "polls": ["odd.polls"],
    "works-on": ["odd.works-on"],
    "foreign-lock": ["odd.foreign-lock"],
    "slow-statement": ["odd.slow-statement"],
    "deadlock": ["odd.deadlock"],
    "deadlock-retries": ["odd.deadlock"],
    "row-lock": ["odd.row-lock"],
    "listens": ["odd.listens"],
}


@contextmanager
def a_server() -> Iterator[str]:
    """Run a Postgres server; gives its DSN. Each invocation makes databases of its own on it."""
    with asyncio.Runner() as runner:
        opened = open_postgres("embedded")
        server = runner.run(opened.__aenter__())
        yield server.dsn_for("postgres")
        runner.run(opened.__aexit__(None, None, None))


def command(mode: str, *arguments: str) -> list[str]:
    """Give the command that runs a mode's scenarios."""
    return [sys.executable, "-m", "deadheat", "run", *MODES[mode], "--target", str(HERE), *arguments]


def environment(mode: str, **env: str) -> Mapping[str, str]:
    """Give an environment without anything of ours that sets a mode."""
    ours = ("DEADHEAT_STRIPE_MOCK", "DEADHEAT_PG_USER")
    environ = {k: v for k, v in os.environ.items() if k in ours or not k.startswith(("DEADHEAT_", "PYTEST_"))}
    return {**environ, "ODD": mode, **env}


def raced(mode: str, *arguments: str, folder: Path, **env: str) -> tuple[int, Mapping[str, Any], str]:
    """Run ``deadheat run`` on a mode in a folder; give its exit code, its summary and what it said."""
    done = subprocess.run(
        command(mode, *arguments),
        cwd=folder,
        env=environment(mode, **env),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, summary_in(folder), done.stdout + done.stderr


def summary_in(folder: Path) -> Mapping[str, Any]:
    """Give what the last invocation in a folder came to; empty where it came to nothing."""
    summary = folder / ".deadheat" / "summary.json"
    loaded: Mapping[str, Any] = json.loads(summary.read_text()) if summary.exists() else {}
    return loaded


def under_control(schedules: int, dsn: str) -> Sequence[str]:
    """Give the options of a random walk whose histories are all kept."""
    return (
        "--strategy", "random-walk", "--schedules", str(schedules), "--workers", "1", "--keep", "all",
        "--postgres", dsn, "--stripe-mock", "off",
    )  # fmt: skip
