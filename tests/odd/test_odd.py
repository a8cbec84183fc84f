"""Each mode of the odd target starts, and is right when things happen one after the other.

In 12 barrage runs each, the naive modes were violated in 11 or 12, ``deadlock`` in 4; ``row-lock``,
``listens``, ``deadlock-retries`` and three people at a pool of one were clean.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deadheat.engine.postgres import open_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.slow

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


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    """One server for all modes; each makes databases of its own on it."""
    with asyncio.Runner() as runner:
        opened = open_postgres("embedded")
        server = runner.run(opened.__aenter__())
        yield server.dsn_for("postgres")
        runner.run(opened.__aexit__(None, None, None))


@pytest.mark.parametrize("mode", MODES)
def test_one_after_the_other_it_is_clean(mode: str, dsn: str, tmp_path: Path) -> None:
    code, summary, said = raced(
        mode, "--strategy", "serial", "--schedules", "1", "--workers", "1", "--postgres", dsn, folder=tmp_path
    )
    assert code == 0, said
    assert [scenario["name"] for scenario in summary["scenarios"]] == MODES[mode]
    assert summary["runs"] == len(MODES[mode])


def raced(mode: str, *arguments: str, folder: Path) -> tuple[int, Mapping[str, Any], str]:
    """Run ``deadheat run`` on a mode in a folder; give its exit code, its summary and what it said."""
    ours = ("DEADHEAT_STRIPE_MOCK", "DEADHEAT_PG_USER")
    environ = {k: v for k, v in os.environ.items() if k in ours or not k.startswith(("DEADHEAT_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "deadheat", "run", *MODES[mode], "--target", str(HERE), *arguments],
        cwd=folder,
        env={**environ, "ODD": mode},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    summary = folder / ".deadheat" / "summary.json"
    return (
        done.returncode,
        json.loads(summary.read_text()) if summary.exists() else {},
        done.stdout + done.stderr,
    )
