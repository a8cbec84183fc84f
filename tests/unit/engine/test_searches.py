"""Exhaustive searches on disk: taken up for the same scenario, target and engine, and for nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from deadheat.engine.searches import Searches, written
from deadheat.program import Program, Scenario, World
from deadheat.schedule import Frontier
from deadheat.settings import TargetSettings

if TYPE_CHECKING:
    from pathlib import Path


def nothing(world: World) -> Program:
    del world
    return Program(race=[])


def searched() -> Frontier:
    return Frontier(preemptions=1, done=40)


def test_a_search_that_was_cut_short_is_taken_up_and_one_that_is_over_is_not(tmp_path: Path) -> None:
    target = TargetSettings(folder=tmp_path, start="serve", statuses={"a": frozenset(("active", "trialing"))})
    searches = Searches(tmp_path, "shop", written(target), "0.1.0")
    scenario = Scenario(name="a.b", needs=(), build=nothing, about="")
    searches.end(scenario, searched())
    taken = searches.begin(scenario, 1)
    assert (taken.done, taken.earlier) == (40, 40)
    assert searches.begin(scenario, 2).done == 0
    taken.waiting.clear()
    searches.end(scenario, taken)
    assert searches.begin(scenario, 1).done == 0


@pytest.mark.parametrize("changed", ["scenario", "settings", "statuses", "engine"])
def test_what_has_changed_is_searched_anew(tmp_path: Path, changed: str) -> None:
    target = TargetSettings(folder=tmp_path, start="serve", env={"MODE": "old"})
    scenario = Scenario(name="a.b", needs=(), build=nothing, about="")
    Searches(tmp_path, "shop", written(target), "0.1.0").end(scenario, searched())
    if changed == "scenario":
        scenario = replace(scenario, drawn={})
    elif changed == "settings":
        target = replace(target, env={"MODE": "new"})
    elif changed == "statuses":
        target = replace(target, statuses={"on": frozenset(("active",))})
    version = "0.2.0" if changed == "engine" else "0.1.0"
    assert Searches(tmp_path, "shop", written(target), version).begin(scenario, 1).done == 0
