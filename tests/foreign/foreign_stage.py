"""Three foreign stacks, what they need to run here, and ``deadheat run`` against one of them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
STACKS = ("flask_psycopg", "node_pg", "starlette_sqlalchemy")
NPM_SECONDS_MAX = 120


def settings_of(stack: str) -> Path:
    """Give a stack's deadheat.toml, its packages installed; skips the test, by name, where they cannot be."""
    if stack == "node_pg":
        install_node_packages(HERE / stack)
    return HERE / stack / "deadheat.toml"


def raced(settings: Path, *arguments: str, folder: Path, **env: str) -> tuple[int, Mapping[str, Any], str]:
    """Run ``deadheat run`` in a folder; give its exit code, its summary and what it said."""
    code, said = _deadheat("run", "--target", str(settings), *arguments, folder=folder, env=env)
    summary = folder / ".deadheat" / "summary.json"
    return code, json.loads(summary.read_text()) if summary.exists() else {}, said


def replayed(settings: Path, token: str, *, folder: Path) -> tuple[int, str]:
    """Run ``deadheat replay`` in a folder; give its exit code and what it said."""
    return _deadheat("replay", token, "--target", str(settings), folder=folder, env={})


def _deadheat(*arguments: str, folder: Path, env: Mapping[str, str]) -> tuple[int, str]:
    ours = ("DEADHEAT_STRIPE_MOCK", "DEADHEAT_PG_USER")
    environ = {k: v for k, v in os.environ.items() if k in ours or not k.startswith(("DEADHEAT_", "PYTEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "deadheat", *arguments],
        cwd=folder,
        env={**environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def install_node_packages(folder: Path) -> None:
    """Install what a folder's package.json names; skips the test, by name, where that cannot be."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)} here: {folder.name} needs them")
    with (folder / ".installing").open("w") as lock:  # one test process at a time
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            ["sh", "install"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=NPM_SECONDS_MAX,
            check=False,
        )
    if done.returncode != 0:
        reason = f"npm could not install what {folder.name} needs: {done.stderr.strip()[-300:]}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
