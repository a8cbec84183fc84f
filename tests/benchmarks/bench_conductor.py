"""Controlled runs a second, against the same operations one after another with no control: `make bench`.

Both are whole runs of one deployment, settling included, and take turns in one process. Uncontrolled
means: operation by operation, the target's statements through a proxy whose gate is open, no waiting
between one answer and the next operation. What is printed is runs a second and their ratio in this run.

    python tests/benchmarks/bench_conductor.py [--runs 20] [--strategy random-walk]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from deadheat import World
from deadheat.bundled import bundled
from deadheat.engine.deployment import Grounds, open_deployment
from deadheat.engine.discover import discover
from deadheat.engine.run import Run, run_program, warm_up
from deadheat.history import Recorder
from deadheat.schedule import make_strategy
from deadheat.settings import load_settings

if TYPE_CHECKING:
    from deadheat.engine.deployment import Deployment
    from deadheat.program import Scenario

TARGETS = ("reference", "before")
SCENARIOS = ("signup.two-at-once", "checkout.two-tabs")
COLUMNS = ("target", "scenario", "choices", "controlled runs/s", "uncontrolled runs/s", "ratio")
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
    print(f"\n| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    with tempfile.TemporaryDirectory(prefix="deadheat-bench-") as folder:
        for target in TARGETS:
            asyncio.run(measure(target, options.strategy, options.runs, Path(folder)))


async def measure(target: str, strategy: str, runs: int, folder: Path) -> None:
    options = {"target": target, "stripe_mock": "off", "seed": SEED}
    settings = load_settings(options=options, environ={}, cwd=folder)
    found = discover([bundled("scenarios")])
    opened = Grounds.open(
        settings, run_id="bench", logs=folder, progress=lambda text: None, notice=lambda text: None
    )
    async with opened as grounds, open_deployment(grounds, 0) as deployment:
        for name in SCENARIOS:
            print(f"| {target} | {await compare(found[name], deployment, strategy, runs)} |", flush=True)


async def compare(scenario: Scenario, deployment: Deployment, strategy: str, runs: int) -> str:
    unheld = replace(deployment, proxy=None)
    for n in range(WARM_RUNS):
        await warm_up(scenario(World(f"w{scenario.name[:2]}{n}")), deployment)
    held_s: list[float] = []
    free_s: list[float] = []
    choices: list[int] = []
    for n in range(runs + WARM_RUNS):
        program = scenario(World(f"c{scenario.name[:2]}{n:x}"))
        began = time.perf_counter()
        ran = await run_program(program, deployment, make_strategy(strategy, SEED), number=n)
        controlled_s = time.perf_counter() - began
        if ran.reason is not None:
            sys.exit(f"{scenario.name}: {ran.reason}")
        program = scenario(World(f"u{scenario.name[:2]}{n:x}"))
        began = time.perf_counter()
        await Uncontrolled(program, unheld, make_strategy("serial", SEED), Recorder(n, None)).to_the_end(n)
        uncontrolled_s = time.perf_counter() - began
        if n >= WARM_RUNS:
            held_s.append(controlled_s)
            free_s.append(uncontrolled_s)
            choices.append(len(ran.trace))
    held, free = runs / sum(held_s), runs / sum(free_s)
    cells = (
        scenario.name,
        f"{statistics.mean(choices):.0f}",
        f"{held:.1f}",
        f"{free:.1f}",
        f"{held / free:.2f}",
    )
    return " | ".join(cells)


if __name__ == "__main__":
    main()
