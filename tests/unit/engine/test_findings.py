"""Of all runs that violate an invariant, the one with the smallest history is the finding."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from engine_stage import Stage

from deadheat import Program, Scenario, World
from deadheat.engine import quiet
from deadheat.engine.explore import Budget, Explorer
from deadheat.engine.memory import NoMemory
from deadheat.engine.searches import Searches

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.engine.events import Finding, Verdict
    from deadheat.history import Step


@pytest.fixture(autouse=True)
def _at_rest_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "QUIET_MS", 1)
    monkeypatch.setattr(quiet, "POLL_MS", 1)


class Lines:
    """Counts the steps of each run."""

    def __init__(self) -> None:
        self.steps: dict[int, int] = {}

    def begin(self, run: int, scenario: str, strategy: str) -> Callable[[Step], None]:
        def take(step: Step) -> None:
            self.steps[run] = step.seq

        return take

    def end(self, run: int, verdict: Verdict, reason: str | None) -> None:
        assert reason is None


def findings(extra: list[int]) -> tuple[dict[str, Finding], dict[int, int]]:
    """Give what is found when Ada signs up twice and so many others once: run by run, serially."""
    others = iter([0, 0, *extra])  # the program is built before, to see what it takes and may have

    def build(world: World) -> Program:
        ada = world.user()
        signing_up = [ada, ada, *(world.user() for _ in range(next(others)))]
        return Program(race=[[user.do("sign-up")] for user in signing_up])

    lines = Lines()
    explorer = Explorer(
        deployments=[Stage()],  # type: ignore[list-item]
        sink=lines,
        memory=NoMemory(),
        searches=Searches(Path("nowhere"), "shop", "", "0.1.0"),
        emit=lambda event: None,
        invocation="ab",
        seed=1,
        postgres="none",
        mock=None,
    )
    scenario = Scenario(name="some.one", needs=(), build=build, about="")
    budget = Budget(strategies=("serial",), schedules=len(extra))
    explored = asyncio.run(explorer.explore(scenario, budget))
    return {finding.invariant: finding for finding in explored.findings}, lines.steps


@pytest.mark.parametrize(("extra", "nth"), [([2, 0, 1], 2), ([0, 1, 2], 1), ([2, 1, 0], 3)])
def test_the_smallest_history_is_shown_wherever_it_comes(extra: list[int], nth: int) -> None:
    found, steps = findings(extra)
    smallest = sorted(steps)[nth - 1]
    agree = found["answers-agree"]
    assert agree.run == smallest
    assert len(agree.history) == steps[smallest] == min(steps.values())
    assert {step.run for step in agree.history} == {smallest}
    assert (agree.runs_until_found, agree.shown_in, agree.runs) == (1, 3, 3)
