"""What must be found is found under control: three mutants live, and all of them as measured.

``detected.json`` is written by ``python -m zoo.detect`` (how to: its docstring). Live, the chance to
miss a mutant is that of its rate a run to the power of the runs: two-profiles 0.2 by a random walk in 60
runs (1 in 600,000), upsert-by-function 0.7 by yield in 20 (less than 1 in a million), one-second-guard
0.25 by PCT in 60 (1 in 30 million).
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from deadheat.schedule import Barrage, make_strategy

from .detect import DETECTED, Lab, with_lab
from .zoo import ZOO

if TYPE_CHECKING:
    from pathlib import Path

MUTANTS = {mutant.name: mutant for mutant in ZOO}
TABLE = json.loads(DETECTED.read_text())
# Those of which the table has no portfolio were not measured with twenty seeds; docs/zoo.md says which.
DETECTABLE = [mutant for mutant in ZOO if "portfolio" in TABLE[mutant.name]]


@pytest.mark.parametrize("mutant", DETECTABLE, ids=lambda mutant: mutant.name)
def test_each_is_found_within_100_schedules_by_the_portfolio(mutant: Any) -> None:
    row = TABLE[mutant.name]
    assert row["portfolio"]["seeds"] == 20
    assert row["portfolio"]["found"] >= 19
    assert row["portfolio"]["max"] <= 100


@pytest.mark.parametrize("mutant", ZOO, ids=lambda mutant: mutant.name)
def test_each_repaired_twin_was_clean(mutant: Any) -> None:
    mended = TABLE[mutant.name]["mended"]
    assert mended["runs"] >= 100
    assert mended["violated"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sampler", "runs"),
    [
        ("two-profiles", "random-walk", 60),
        ("upsert-by-function", "yield", 20),
        ("one-second-guard", "pct", 60),
    ],
)
def test_it_is_found_and_its_replay_shows_it_again(
    name: str, sampler: str, runs: int, tmp_path: Path
) -> None:
    async def find(lab: Lab) -> int | None:
        strategy = make_strategy(sampler, 1)
        assert not isinstance(strategy, Barrage)
        for _ in range(runs):
            schedule = lab.schedule(strategy)
            found, ran = await lab.violated(strategy, schedule)
            if found:
                return await lab.replays(schedule.recorded(ran.trace), times=5)
        return None

    again = asyncio.run(with_lab(MUTANTS[name], tmp_path, mended=False, work=find))
    assert again is not None, f"{name} was not found in {runs} schedules"
    assert again >= 4  # on a loaded machine one may go astray
