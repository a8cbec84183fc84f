"""Two targets compared: which schedules go from one to the other, and what is said of each invariant."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from deadheat import Program, Scenario, World
from deadheat.engine.compare import BY_NO_SCHEDULE, Before, Came, Comparison, Replayed, compare, compared
from deadheat.engine.events import Exploration, Finding, RunFinished, Verdict
from deadheat.history import History
from deadheat.invariants.settled import Evidence, Judgement, Violation
from deadheat.report.compared import comparison_json, comparison_lines
from deadheat.schedule import Schedule
from deadheat.settings import OperationSettings, Request, Settings, TargetSettings

if TYPE_CHECKING:
    from pathlib import Path

    from deadheat.engine.events import Event

NAME, ONE, TWO = "checkout.two-tabs", "one-customer-per-user", "answers-agree"


def schedule(n: int) -> Schedule:
    return Schedule(scenario=NAME, source="1a2b3c4d", steps=(f"A1s{n}", "B1s1"))


def violation(invariant: str = ONE) -> Violation:
    return Violation(invariant=invariant, evidence=(Evidence(says="so it is"),))


def run(made: Schedule | None, *invariants: str) -> RunFinished:
    verdict = Verdict.VIOLATED if invariants else Verdict.CLEAN
    violations = tuple(map(violation, invariants))
    return RunFinished(
        scenario=NAME, strategy="x", run=1, verdict=verdict, elapsed_s=0, violations=violations, schedule=made
    )


def explored(*violated: str, **changes: object) -> Exploration:
    findings = [
        Finding(
            scenario=NAME, invariant=invariant, violation=violation(invariant), strategy="x", run=1,
            history=History(), runs_until_found=1, shown_in=1, runs=9, schedule=schedule(99),
        )
        for invariant in violated
    ]  # fmt: skip
    values: dict[str, object] = {
        "scenario": NAME,
        "verdict": Verdict.VIOLATED if violated else Verdict.CLEAN,
        "findings": tuple(findings),
        "invariants": {name: (9, 3 if name in violated else 0) for name in (ONE, TWO)},
    }
    return Exploration(**{**values, **changes})  # type: ignore[arg-type]


def test_every_schedule_that_violated_something_is_kept_once() -> None:
    before = Before()
    for event in (
        run(schedule(1), ONE), run(schedule(1), TWO), run(schedule(2)), run(None, ONE), explored(ONE)
    ):  # fmt: skip
        before.take(event)
    kept = {made.steps[0]: violated for made, violated in before.schedules[NAME].values()}
    assert kept == {"A1s1": {ONE, TWO}, "A1s99": {ONE}}  # 99 is the finding's minimal one
    assert before.explored[NAME].findings


@dataclass
class Mended:
    """Explores a target in which some schedules still violate something, and some cannot be judged."""

    still: dict[str, str] = field(default_factory=dict)
    unjudged: frozenset[str] = frozenset()
    result: Exploration = field(default_factory=explored)
    followed: list[str] = field(default_factory=list)

    async def follow(self, scenario: Scenario, made: Schedule) -> list[tuple[object, Judgement | None]]:
        first = made.steps[0]
        self.followed.append(first)
        ran = SimpleNamespace(diverged=f"{first} never came", reason="the target is gone")
        if first in self.unjudged:
            return [(ran, None)]
        violations = (violation(self.still[first]),) if first in self.still else ()
        strict = (ran, Judgement(checked=(ONE, TWO)))
        return [
            strict,
            (SimpleNamespace(diverged=None), Judgement(violations=violations, checked=(ONE, TWO))),
        ]

    async def explore(self, scenario: Scenario, budget: object) -> Exploration:
        return self.result


def build(world: World) -> Program:
    ada = world.user()
    return Program(race=[[ada.do("sign-up")], [ada.do("sign-up")]])


def gone_through(explorer: Mended, tmp_path: Path, *, offers: bool = True) -> tuple[Comparison, list[Event]]:
    before, events = Before(), list[object]()
    for n in (1, 2):
        before.take(run(schedule(n), ONE))
    before.take(explored(ONE))
    call = Request(method="POST", path="/sign-up")
    operations = {"sign-up": OperationSettings(name="sign-up", calls=(call,))} if offers else {}
    settings = Settings(target=TargetSettings(folder=tmp_path, start="x", operations=operations))
    made = Scenario(name=NAME, needs=("sign-up",), build=build, about="")
    return asyncio.run(compare(before, explorer, [made], settings, events.append)), events  # type: ignore[arg-type,return-value]


def test_what_no_schedule_shows_any_more_holds_now(tmp_path: Path) -> None:
    explorer = Mended()
    comparison, events = gone_through(explorer, tmp_path)
    (row,) = comparison.rows
    assert explorer.followed == ["A1s1", "A1s2", "A1s99"]
    assert (row.came, row.before, row.replayed, row.after) == (Came.HOLDS, (3, 9), (0, 3), (0, 9))
    assert comparison.verdict is Verdict.CLEAN
    assert f"{NAME}: 3 schedules replayed, 3 diverged" in str(events)
    text = "\n".join(comparison_lines(comparison, "old", "new"))
    assert text.startswith("CLEAN: old, then new; holds now: 1\n")
    assert "diverged: 3 of them; new does not take the same steps." in text
    assert "The first: A1s1 never came" in text


def test_one_schedule_that_shows_it_is_enough(tmp_path: Path) -> None:
    comparison, _ = gone_through(Mended(still={"A1s2": ONE}), tmp_path)
    (row,) = comparison.rows
    assert (row.came, row.replayed, row.after) == (Came.STILL, (1, 3), (0, 9))
    assert comparison.verdict is Verdict.VIOLATED


def test_what_breaks_anew_is_new_by_replay_or_exploration(tmp_path: Path) -> None:
    for explorer in (Mended(still={"A1s2": TWO}), Mended(result=explored(TWO))):
        comparison, _ = gone_through(explorer, tmp_path)
        assert {row.invariant: row.came for row in comparison.rows} == {TWO: Came.NEW, ONE: Came.HOLDS}
        assert comparison.verdict is Verdict.VIOLATED


def test_what_cannot_be_judged_is_not_said_to_hold(tmp_path: Path) -> None:
    comparison, _ = gone_through(Mended(unjudged=frozenset({"A1s1", "A1s2", "A1s99"})), tmp_path)
    (row,) = comparison.rows
    assert (row.came, row.why) == (Came.UNKNOWN, "the target is gone")
    assert comparison.verdict is Verdict.INCONCLUSIVE
    said = "\n".join(comparison_lines(comparison, "old", "new"))
    assert f"not compared: {NAME}, {ONE}: the target is gone" in said


def test_a_target_that_does_not_offer_it_is_not_asked(tmp_path: Path) -> None:
    explorer = Mended()
    comparison, _ = gone_through(explorer, tmp_path, offers=False)
    (row,) = comparison.rows
    assert (row.came, row.why) == (Came.UNKNOWN, "the target does not offer sign-up")
    assert explorer.followed == []


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (explored(), BY_NO_SCHEDULE),
        (explored(verdict=Verdict.INCONCLUSIVE, reason="the race never happened"), BY_NO_SCHEDULE),
    ],
)
def test_without_a_schedule_nothing_is_compared(second: Exploration, why: str) -> None:
    rows = list(compared(explored(ONE), Replayed(), second))
    assert (rows[0].came, rows[0].why) == (Came.UNKNOWN, why)


def test_a_scenario_without_a_verdict_leaves_the_comparison_inconclusive() -> None:
    unknown = explored(verdict=Verdict.INCONCLUSIVE, reason="the race never happened")
    for first, second in ((unknown, explored()), (explored(), unknown)):
        (row,) = compared(first, Replayed(), second)
        assert (row.invariant, row.came, row.why) == (None, Came.UNKNOWN, "the race never happened")


def test_the_json_is_whole(tmp_path: Path) -> None:
    comparison, _ = gone_through(Mended(still={"A1s2": ONE}), tmp_path)
    told = comparison_json(comparison, "old", "new", 7)
    assert told == {
        "v": 1,
        "verdict": "violated",
        "before": "old",
        "after": "new",
        "seed": 7,
        "rows": [
            {
                "scenario": NAME, "invariant": ONE, "came": "still violated", "why": None,
                "before": [3, 9], "replayed": [1, 3], "after": [0, 9],
            }
        ],
        "replayed": {NAME: {"schedules": 3, "diverged": 3, "first_divergence": "A1s1 never came"}},
    }  # fmt: skip
