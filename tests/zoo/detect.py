"""How soon each mutant is found under control: ``python -m zoo.detect [MUTANT …]`` from ``tests``.

For each mutant and each strategy, with 20 seeds (5 for a single strategy): how many schedules until
its invariant is violated, up to 100. "portfolio" goes through the strategies as
``deadheat run --schedules 100`` does. What was found first is replayed 20 times. Twins are run under
the portfolio and must stay clean. The table goes into ``detected.json``; ``--twins N`` and
``--seeds N`` say how much. The mutant that only faults show is measured by its name, with them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deadheat.engine.discover import discover
from deadheat.engine.seen import Seen
from deadheat.engine.suite import open_explorer
from deadheat.schedule import Barrage, Replay, Schedule, make_strategy, shares, with_faults
from deadheat.schedule.portfolio import STRATEGIES
from deadheat.settings import load_settings

from .zoo import FRAIL, HERE, TYPES, ZOO, Mutant, settings_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deadheat.engine.explore import Explorer
    from deadheat.program import Scenario
    from deadheat.schedule import Strategy

DETECTED = HERE / "detected.json"
DETECTED_WITH_FAULTS = HERE / "detected_with_faults.json"  # of the one mutant that has them
SCHEDULES = 100
REPLAYS = 20
SAMPLERS = ("random-walk", "pct", "portfolio")


class Nowhere:
    """A sink for histories that nobody reads."""

    def begin(self, run: int, scenario: str, strategy: str) -> Any:
        return lambda step: None

    def end(self, run: int, verdict: Any, reason: str | None) -> None:
        pass


def strategies(sampler: str, seed: int, schedules: int, faults: int = 0) -> Iterator[Strategy | Barrage]:
    """Give the strategy of each run, in order; those of a schedule may have so many faults."""
    parts = shares(schedules, STRATEGIES) if sampler == "portfolio" else {sampler: schedules}
    for name, runs in parts.items():
        strategy = make_strategy(name, seed)
        if not isinstance(strategy, Barrage):
            strategy = with_faults(strategy, seed, faults)
        yield from (strategy for _ in range(runs))


class Lab:
    """One target that is up, and its scenario."""

    def __init__(self, explorer: Explorer, scenario: Scenario, mutant: Mutant) -> None:
        self.explorer = explorer
        self.scenario = scenario
        self.invariant = mutant.invariant
        self.faults = mutant.faults
        self.inconclusive = 0

    async def violated(self, strategy: Strategy | Barrage, schedule: Schedule) -> tuple[bool, Any]:
        """Run once; says whether the invariant was violated."""
        seen = Seen(self.scenario)
        deployment = self.explorer.deployments[0]
        ran, judgement = await self.explorer.run_once(deployment, seen, strategy, schedule)
        self.inconclusive += judgement is None
        return bool(judgement) and any(v.invariant == self.invariant for v in judgement.violations), ran

    def schedule(self, strategy: Strategy | Barrage) -> Schedule:
        return Schedule(
            scenario=self.scenario.name,
            source=self.scenario.source,
            yields=not isinstance(strategy, Barrage) and strategy.yields,
        )

    async def runs_to_first(self, sampler: str, seed: int) -> tuple[int | None, Schedule | None]:
        """Count the runs until the invariant is violated; None when it never was."""
        for n, strategy in enumerate(strategies(sampler, seed, SCHEDULES, self.faults), 1):
            schedule = self.schedule(strategy)
            found, ran = await self.violated(strategy, schedule)
            if found:
                return n, schedule.recorded(ran.trace) if ran.trace else None
        return None, None

    async def replays(self, schedule: Schedule, times: int = REPLAYS) -> int:
        """Count how many of so many replays violate the invariant again."""
        return sum([(await self.violated(Replay(schedule), schedule))[0] for _ in range(times)])


async def with_lab(
    mutant: Mutant, folder: Path, *, mended: bool, work: Any, types: Sequence[str] = TYPES
) -> Any:
    """Have ``work`` done with a lab of the mutant, or of its twin, which is sent events of these types."""
    file = settings_file(mutant, folder, mended=mended, types=types)
    settings = load_settings(options={"target": str(file), "workers": 1}, environ=os.environ, cwd=folder)
    scenario = discover(settings.scenarios)[mutant.scenario]
    settings = replace(settings, state_folder=folder / ".deadheat")
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    async with open_explorer(
        settings, run_id="zoo-1", folder=logs, sink=Nowhere(), emit=lambda event: None
    ) as explorer:
        await explorer.make_warm(explorer.deployments[0], scenario)
        return await work(Lab(explorer, scenario, mutant))


async def detect(lab: Lab, seeds: int, samplers: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for sampler in samplers:
        firsts: list[int | None] = []
        schedule = None
        for seed in range(1, (seeds if sampler == "portfolio" else -(-seeds // 4)) + 1):
            first, found = await lab.runs_to_first(sampler, seed)
            firsts.append(first)
            schedule = schedule or found
        hits = [n for n in firsts if n is not None]
        row[sampler] = {
            "found": len(hits),
            "seeds": len(firsts),
            "median": statistics.median(hits) if hits else None,
            "max": max(hits) if hits else None,
            "replays": await lab.replays(schedule) if schedule else None,
            "exact": schedule is None or not (schedule.yields or any("+" in s for s in schedule.steps)),
        }
    row["inconclusive"] = lab.inconclusive
    return row


async def clean(lab: Lab, schedules: int) -> dict[str, int]:
    violated = 0
    for strategy in strategies("portfolio", 1, schedules, lab.faults):
        violated += (await lab.violated(strategy, lab.schedule(strategy)))[0]
    return {"runs": schedules, "violated": violated, "inconclusive": lab.inconclusive}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mutants", nargs="*")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=SAMPLERS)
    parser.add_argument("--twins", type=int, default=0)
    parser.add_argument("--into", type=Path, default=DETECTED)
    given = parser.parse_args()
    table = json.loads(given.into.read_text()) if given.into.exists() else {}
    for mutant in (*ZOO, FRAIL):
        if mutant.name not in (given.mutants or [one.name for one in ZOO]):
            continue
        with tempfile.TemporaryDirectory() as name:
            row = table.setdefault(mutant.name, {"hard": mutant.hard})
            if given.seeds:
                work = with_lab(
                    mutant,
                    Path(name),
                    mended=False,
                    work=lambda lab: detect(lab, given.seeds, given.samplers),
                )
                row.update(asyncio.run(work))
            if given.twins:
                work = with_lab(mutant, Path(name), mended=True, work=lambda lab: clean(lab, given.twins))
                row["mended"] = asyncio.run(work)
        sys.stdout.write(f"{mutant.name}: {json.dumps(row)}\n")
        sys.stdout.flush()
        given.into.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
