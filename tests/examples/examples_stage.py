"""What both examples need: their packages, and ``deadheat`` on them in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
INSTALL_SECONDS_MAX = 300
RACE_SECONDS_MAX = 900


@dataclass(frozen=True, slots=True)
class Raced:
    """A ``deadheat run`` that is over."""

    code: int
    said: str
    summary: Mapping[str, Any]

    def findings(self, scenario: str) -> dict[str, Mapping[str, Any]]:
        """Give a scenario's findings by invariant."""
        (found,) = (one for one in self.summary["scenarios"] if one["name"] == scenario)
        return {invariant: finding for finding in found["findings"] for invariant in finding["invariants"]}


def installed(example: str) -> Path:
    """Install what an example needs; skips the test, and says why, where that cannot be."""
    folder = HERE / example
    try:
        done = subprocess.run(
            ["sh", "install"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"what {example} needs was not installed within {INSTALL_SECONDS_MAX} s")
    if done.returncode != 0:
        pytest.skip(f"what {example} needs cannot be installed: {done.stderr.strip()[-300:]}")
    return folder


def raced(example: Path, *arguments: str, folder: Path, **env: str) -> Raced:
    """Run ``deadheat run`` on an example, in a folder; what it said is printed too."""
    code, said = deadheat("run", *arguments, "--target", str(example), folder=folder, **env)
    summary = folder / ".deadheat" / "summary.json"
    return Raced(code, said, json.loads(summary.read_text()) if summary.exists() else {})


def deadheat(*arguments: str, folder: Path, **env: str) -> tuple[int, str]:
    """Run ``deadheat``; gives its exit code and what it said, which is printed too."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DEADHEAT_", "PYTEST_"))}
    ours = {k: v for k, v in os.environ.items() if k in ("DEADHEAT_STRIPE_MOCK", "DEADHEAT_PG_USER")}
    done = subprocess.run(
        [sys.executable, "-m", "deadheat", *arguments],
        cwd=folder,
        env={**kept, **ours, **env},
        capture_output=True,
        text=True,
        timeout=RACE_SECONDS_MAX,
        check=False,
    )
    said = done.stdout + done.stderr
    print(f"$ {' '.join(f'{k}={v}' for k, v in env.items())} deadheat {' '.join(arguments)}\n{said}")
    return done.returncode, said
