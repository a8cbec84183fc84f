"""Controlled runs a second, against the same operations one after another with no control: `make bench`.

Both are whole runs of one deployment, settling included, and take turns in one process. Uncontrolled
means: operation by operation, the target's statements through a proxy whose gate is open, no waiting
between one answer and the next operation. What is printed is runs a second and their ratio in this run,
and where the time of either goes (`spent`).

    python tests/benchmarks/bench_conductor.py [--runs 20] [--strategy random-walk]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from spent import WHOSE, Spent

from deadheat import World
from deadheat.bundled import bundled
from deadheat.engine import loop
from deadheat.engine.deployment import Grounds, open_deployment
from deadheat.engine.discover import discover
from deadheat.engine.run import Run, run_program, warm_up
from deadheat.history import Recorder
from deadheat.schedule import make_strategy
from deadheat.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.engine.deployment import Deployment
    from deadheat.program import Scenario

TARGETS = ("reference", "before")
SCENARIOS = ("signup.two-at-once", "checkout.two-tabs")
COLUMNS = ("target", "scenario", "choices", "controlled runs/s", "uncontrolled runs/s", "ratio")
SPENT = ("target", "scenario", "ms a run", "all", *WHOSE, "nothing came")
WARM_RUNS = 3
SEED = 1


class Uncontrolled(Run):
    """A run that waits for nothing but answers."""

    async def rest(self) -> None:
        """Go on at once."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20, help="of each kind")
    parser.add_argument("--strategy", default="random-walk")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores; {options.strategy}; {options.runs} runs of each kind, in turns")
    print(_row(COLUMNS, ruled=True))
    where: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory(prefix="deadheat-bench-") as folder:
        for target in TARGETS:
            where += loop.run(measure(target, options.strategy, options.runs, Path(folder)))
    print(f"\n{_row(SPENT, ruled=True)}", *map(_row, where), sep="\n")


def _row(cells: Sequence[str], *, ruled: bool = False) -> str:
    return f"| {' | '.join(cells)} |" + (f"\n{'|---' * len(cells)}|" if ruled else "")


async def measure(target: str, strategy: str, runs: int, folder: Path) -> list[tuple[str, ...]]:
    """Print the rates of each scenario; gives where the time of its runs went."""
    options = {"target": target, "stripe_mock": "off", "seed": SEED}
    settings = load_settings(options=options, environ={}, cwd=folder)
    found = discover([bundled("scenarios")])
    opened = Grounds.open(
        settings, run_id="bench", logs=folder, progress=lambda text: None, notice=lambda text: None
    )
    where = []
    async with opened as grounds, open_deployment(grounds, 0) as deployment:
        for name in SCENARIOS:
            rates, *spent = await compare(found[name], deployment, strategy, runs)
            print(_row((target, name, *rates)), flush=True)
            kinds = zip(("controlled", "uncontrolled"), spent, strict=True)
            where += [(target, name, kind, *took.row()) for kind, took in kinds]
    return where


async def compare(
    scenario: Scenario, deployment: Deployment, strategy: str, runs: int
) -> tuple[tuple[str, ...], Spent, Spent]:
    """Give the choices of a run, both rates and their ratio, and what either kind of run spent."""
    unheld = replace(deployment, proxy=None)
    for n in range(WARM_RUNS):
        await warm_up(scenario(World(f"w{scenario.name[:2]}{n}")), deployment)
    assert deployment.target.pid is not None  # we started it
    held, free = Spent(deployment.target.pid), Spent(deployment.target.pid)
    choices: list[int] = []
    for n in range(runs + WARM_RUNS):
        if n == WARM_RUNS:
            held, free = Spent(deployment.target.pid), Spent(deployment.target.pid)
        program = scenario(World(f"c{scenario.name[:2]}{n:x}"))
        with held.over():
            ran = await run_program(program, deployment, make_strategy(strategy, SEED), number=n)
        if ran.reason is not None:
            sys.exit(f"{scenario.name}: {ran.reason}")
        program = scenario(World(f"u{scenario.name[:2]}{n:x}"))
        with free.over():
            await Uncontrolled(program, unheld, make_strategy("serial", SEED), Recorder(n, None)).to_the_end(
                n
            )
        choices.append(len(ran.trace))
    rates = held.runs / held.wall, free.runs / free.wall
    cells = (
        f"{statistics.mean(choices):.0f}",
        *(f"{rate:.1f}" for rate in rates),
        f"{rates[0] / rates[1]:.2f}",
    )
    return cells, held, free


if __name__ == "__main__":
    main()
