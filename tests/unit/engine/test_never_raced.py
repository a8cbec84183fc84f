"""An exploration in which the two that a scenario races never met is inconclusive, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deadheat.engine.events import Verdict
from deadheat.engine.run import Ran
from deadheat.engine.seen import Seen
from deadheat.history import Plane, Recorder, StepKind
from deadheat.invariants.settled import Evidence, Judgement, Violation
from deadheat.program import Program, Scenario

if TYPE_CHECKING:
    from deadheat.engine.events import Exploration

CLEAN = Judgement()
VIOLATED = Judgement(violations=(Violation(invariant="x", evidence=(Evidence(says="it is so"),)),))


def ran(*operations: str) -> Ran:
    """A run in which these were in the air at once."""
    recorder = Recorder(1)
    for operation in operations:
        recorder.record(
            actor="A", plane=Plane.HTTP, kind=StepKind.REQUEST, label="x", data={"operation": operation}
        )
    return Ran(history=recorder.history(), elapsed_s=0.1)


def explored(
    *runs: Ran, races: tuple[str, ...] = (), strategy: str = "barrage", judgement: Judgement = CLEAN
) -> Exploration:
    made = Scenario(name="s", needs=(), build=lambda world: Program(race=[]), about="", races=races)
    seen = Seen(made)
    seen.actors = 2
    for number, one in enumerate(runs):
        seen.note(strategy, number, one, judgement)
    return seen.finish(1.0)


def test_one_run_in_which_they_met_is_enough() -> None:
    over = explored(ran("confirm"), ran("confirm", "check-out"), races=("check-out", "confirm"))
    assert (over.verdict, over.reason) == (Verdict.CLEAN, None)


def test_others_that_met_do_not_count() -> None:
    over = explored(ran("confirm", "confirm"), races=("check-out", "confirm"))
    assert over.verdict is Verdict.INCONCLUSIVE
    assert over.reason == (
        "the race never happened: check-out and confirm were never in the air at the same moment"
    )


def test_without_names_any_two_count() -> None:
    assert explored(ran("confirm", "sign-up")).verdict is Verdict.CLEAN
    over = explored(ran("confirm"))
    assert over.verdict is Verdict.INCONCLUSIVE
    assert over.reason == (
        "the race never happened: no two requests or deliveries were in the air at the same moment"
    )


def test_one_after_the_other_nobody_expects_a_race() -> None:
    assert explored(ran("confirm"), races=("a", "b"), strategy="serial").verdict is Verdict.CLEAN


@pytest.mark.parametrize("races", [(), ("a", "b")])
def test_a_violation_stands_without_the_race(races: tuple[str, ...]) -> None:
    assert explored(ran("confirm"), races=races, judgement=VIOLATED).verdict is Verdict.VIOLATED
