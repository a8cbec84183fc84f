"""Whole-program runs: ``deadheat`` as a person or CI starts it, in an empty folder."""

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
    from collections.abc import Iterator

CHECKOUT = Path(__file__).parents[2]


ROWS = (
    "signup.stripe-fails-once",
    "signup.confirm-twice",
    "signup.two-at-once",
    "checkout.two-tabs-new-user",
    "webhook.before-profile",
)


@dataclass(frozen=True, slots=True)
class Ended:
    """A ``deadheat`` that has ended."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def summary(self) -> dict[str, Any]:
        """What it wrote to summary.json."""
        loaded: dict[str, Any] = json.loads((self.folder / ".deadheat" / "summary.json").read_text())
        return loaded

    def scenario(self, name: str) -> dict[str, Any]:
        """The part of the summary about one scenario."""
        return next(s for s in self.summary["scenarios"] if s["name"] == name)


def environment(**more: str) -> dict[str, str]:
    """An environment without anything of ours, but with the stripe-mock of this checkout."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DEADHEAT_", "PYTEST_"))}
    mock = os.environ.get("DEADHEAT_STRIPE_MOCK") or str(CHECKOUT / ".tools" / "stripe-mock")
    if Path(mock).exists() or "://" in mock:
        kept["DEADHEAT_STRIPE_MOCK"] = mock
    return {**kept, "COLUMNS": "120", **more}


def deadheat(*arguments: str, folder: Path, timeout: float = 900, **env: str) -> Ended:
    """Run ``deadheat`` to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "deadheat", *arguments],
        cwd=folder,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr, folder)


@pytest.fixture(scope="session")
def on_before(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The scenarios of the table, against the code as it was."""
    return deadheat(
        "run", *ROWS, "--target", "before", "--schedules", "12", "--seed", "1",
        folder=tmp_path_factory.mktemp("before"),
    )  # fmt: skip


@pytest.fixture(scope="session")
def a_dsn() -> Iterator[str]:
    """The DSN of a Postgres that is not Deadheat's to start: it runs in a process of its own."""
    program = (
        "import asyncio\n"
        "from deadheat.engine.postgres import open_postgres\n"
        "async def main():\n"
        "    async with open_postgres('embedded') as server:\n"
        "        print(server.dsn_for('postgres'), flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()
