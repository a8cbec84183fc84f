"""The modes of the odd target, a Postgres server for them all, and what becomes of a mode.

A mode is explored in this process, twice at one target that is up: one operation after the other, and
as a random walk. A ``deadheat run`` of each would take longer to start than it runs.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ground_truth import stalled_runs

from deadheat.engine.discover import discover
from deadheat.engine.events import Verdict
from deadheat.engine.explore import Budget
from deadheat.engine.memory import NoMemory
from deadheat.engine.postgres import open_postgres
from deadheat.engine.suite import new_run_id, open_explorer
from deadheat.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from deadheat.engine.events import Exploration, Finding
    from deadheat.history import Step

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
SEED = 1


@dataclass(slots=True)
class Histories:
    """A sink that keeps every step of every run."""

    steps: list[Step] = field(default_factory=list)

    def begin(self, run: int, scenario: str, strategy: str) -> Callable[[Step], None]:
        return self.steps.append

    def end(self, run: int, verdict: Verdict, reason: str | None) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Explored:
    """What became of a mode's scenarios, with the truth in its statements; the first is the mode's own."""

    serially: tuple[Exploration, ...]
    walked: tuple[Exploration, ...]
    steps: tuple[Step, ...]

    def findings(self) -> Mapping[str, Finding]:
        """Give what the walk of the first scenario found; each of its runs came to something."""
        first = self.walked[0]
        assert first.verdict is Verdict.VIOLATED, first.reason
        assert first.inconclusive <= 1, first.reason  # a loaded machine may lose an answer
        return {finding.invariant: finding for finding in first.findings}

    def calm(self) -> list[Step]:
        """Give the steps of runs in which the target did not stall."""
        stalled = stalled_runs(self.steps)
        return [step for step in self.steps if step.run not in stalled]

    def waits(self) -> list[Step]:
        """Give what came back to those who had waited for somebody."""
        return [step for step in self.steps if "waited_for" in step.data]


async def explore(mode: str, *, schedules: int, dsn: str, folder: Path) -> Explored:
    """Explore the scenarios of a mode, serially and as a random walk of so many schedules."""
    settings = load_settings(
        options={
            "target": str(HERE), "postgres": dsn, "stripe-mock": "off", "workers": 1, "seed": SEED,
        },
        environ={"ODD": mode, "TRUTH": "1"},
        cwd=folder,
    )  # fmt: skip
    scenarios = [discover(settings.scenarios)[name] for name in MODES[mode]]
    histories = Histories()
    async with open_explorer(
        settings, run_id=new_run_id(), folder=folder, sink=histories, emit=lambda event: None
    ) as explorer:
        explorer.memory = NoMemory()
        once, walk = (
            Budget(strategies=(name,), schedules=n) for name, n in (("serial", 1), ("random-walk", schedules))
        )
        serially = [await explorer.explore(made, once) for made in scenarios]
        walked = [await explorer.explore(made, walk) for made in scenarios]
    return Explored(serially=tuple(serially), walked=tuple(walked), steps=tuple(histories.steps))


@contextmanager
def a_server() -> Iterator[str]:
    """Run a Postgres server; gives its DSN. Each invocation makes databases of its own on it."""
    with asyncio.Runner() as runner:
        opened = open_postgres("embedded")
        server = runner.run(opened.__aenter__())
        yield server.dsn_for("postgres")
        runner.run(opened.__aexit__(None, None, None))


async def started(mode: str, *arguments: str, folder: Path) -> Any:
    """Start ``deadheat run`` on a mode in a folder; gives the process."""
    ours = ("DEADHEAT_STRIPE_MOCK", "DEADHEAT_PG_USER")
    environ = {k: v for k, v in os.environ.items() if k in ours or not k.startswith(("DEADHEAT_", "PYTEST_"))}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deadheat", "run", *MODES[mode], "--target", str(HERE), *arguments),
        cwd=folder,
        env={**environ, "ODD": mode},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
