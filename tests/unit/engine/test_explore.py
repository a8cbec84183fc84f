"""Explorations: budgets, verdicts and findings, over a stage without sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from engine_stage import Stage

from deadheat import Program, Scenario, World
from deadheat.engine import quiet
from deadheat.engine.events import Exploration, RunFinished, Verdict
from deadheat.engine.explore import INCONCLUSIVE_MAX, Budget, Explorer
from deadheat.engine.memory import NoMemory
from deadheat.engine.searches import Searches
from deadheat.engine.suite import finish

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.engine.events import Event
    from deadheat.history import Step


@pytest.fixture(autouse=True)
def _at_rest_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "QUIET_MS", 1)
    monkeypatch.setattr(quiet, "POLL_MS", 1)


class Sink:
    """Remembers which runs began and how they ended."""

    def __init__(self) -> None:
        self.began: dict[int, str] = {}
        self.ended: dict[int, Verdict] = {}

    def begin(self, run: int, scenario: str, strategy: str) -> Callable[[Step], None]:
        self.began[run] = strategy
        return lambda step: None

    def end(self, run: int, verdict: Verdict, reason: str | None) -> None:
        self.ended[run] = verdict


def explore(
    build: Callable[[World], Program], budget: Budget, *stages: Stage
) -> tuple[Exploration, list[Event], Sink]:
    events: list[Event] = []
    sink = Sink()
    explorer = Explorer(
        deployments=list(stages) or [Stage()],  # type: ignore[arg-type]
        sink=sink,
        memory=NoMemory(),
        searches=Searches(Path("nowhere"), "shop", "", "0.1.0"),
        emit=events.append,
        invocation="ab",
        seed=1,
        postgres="none",
        mock=None,
    )
    scenario = Scenario(name="some.one", needs=(), build=build, about="")
    return asyncio.run(explorer.explore(scenario, budget)), events, sink


def twice(world: World) -> Program:
    ada = world.user()
    return Program(race=[[ada.do("sign-up")], [ada.do("sign-up")]])


def once(world: World) -> Program:
    return Program(race=[[world.user().do("sign-up")]])


def test_serial_goes_first_once_and_barrage_takes_the_rest() -> None:
    explored, _, sink = explore(once, Budget(schedules=6))
    assert explored.strategies == {"serial": 1, "barrage": 5}
    assert list(sink.began.values()) == ["serial"] + ["barrage"] * 5
    first, *others = sink.began
    assert others == [first + n for n in range(1, 6)]


def test_one_strategy_takes_the_whole_budget() -> None:
    explored, _, _ = explore(once, Budget(strategies=("serial",), schedules=3))
    assert explored.strategies == {"serial": 3}


def test_runs_are_shared_out_among_deployments() -> None:
    stages = Stage(), Stage()
    explored, _, _ = explore(once, Budget(strategies=("barrage",), schedules=8), *stages)
    assert explored.runs == 8
    assert all(stage.seen for stage in stages)


def test_every_run_has_people_of_its_own() -> None:
    stage = Stage()
    explore(once, Budget(schedules=4), stage)
    assert len({line for line in stage.seen if line.startswith("begin")}) == 4


def test_a_violation_is_one_finding_with_how_often_it_showed() -> None:
    explored, _, sink = explore(twice, Budget(schedules=5))
    assert explored.verdict is Verdict.VIOLATED
    found = {finding.invariant: finding for finding in explored.findings}
    agree = found["answers-agree"]
    assert agree.runs_until_found == 1
    assert agree.shown_in == agree.runs == {"serial": 1, "barrage": 4}[agree.strategy]
    assert explored.invariants["answers-agree"] == (5, 5)
    assert len(agree.history) > 0
    assert set(sink.ended.values()) == {Verdict.VIOLATED}


def test_what_is_not_mapped_is_not_checked() -> None:
    explored, _, _ = explore(once, Budget(schedules=2))
    assert explored.verdict is Verdict.CLEAN
    assert "customers is not mapped" in explored.not_checked["one-customer-per-user"]
    assert "one-customer-per-user" not in explored.invariants


def test_inconclusive_runs_are_counted_and_end_it_after_some() -> None:
    explored, events, _ = explore(once, Budget(schedules=50), Stage(fails_with=ZeroDivisionError("x")))
    assert explored.verdict is Verdict.INCONCLUSIVE
    assert explored.runs == explored.inconclusive == INCONCLUSIVE_MAX
    assert explored.reason is not None
    assert "ZeroDivisionError" in explored.reason
    assert all(e.verdict is Verdict.INCONCLUSIVE for e in events if isinstance(e, RunFinished))


def test_a_race_that_never_happened_is_inconclusive() -> None:
    def nothing(world: World) -> Program:
        return Program(race=[[world.deliveries()], [world.deliveries()]])

    explored, _, _ = explore(nothing, Budget(schedules=3))
    assert explored.verdict is Verdict.INCONCLUSIVE
    assert explored.reason is not None
    assert "never happened" in explored.reason


def test_seconds_bound_an_exploration() -> None:
    explored, _, _ = explore(once, Budget(seconds=0.3))
    assert explored.runs >= 2
    assert explored.elapsed_s < 5


def test_the_worst_verdict_wins_and_nothing_at_all_is_no_verdict() -> None:
    clean = Exploration(scenario="a", verdict=Verdict.CLEAN, runs=1)
    lost = Exploration(scenario="b", verdict=Verdict.INCONCLUSIVE)
    bad = Exploration(scenario="c", verdict=Verdict.VIOLATED, runs=2)
    skipped = Exploration(scenario="d", verdict=Verdict.CLEAN, skipped=("x",))
    assert finish([clean, lost], 1).verdict is Verdict.INCONCLUSIVE
    assert finish([lost, bad, clean], 1).verdict is Verdict.VIOLATED
    assert finish([clean, skipped], 1).verdict is Verdict.CLEAN
    assert finish([skipped], 1).verdict is Verdict.INCONCLUSIVE
    assert finish([], 1).verdict is Verdict.INCONCLUSIVE
    assert finish([clean, bad], 1).runs == 3


def test_checked_in_one_scenario_is_checked() -> None:
    one = Exploration(scenario="a", verdict=Verdict.CLEAN, invariants={"x": (3, 1)}, not_checked={"y": "off"})
    two = Exploration(
        scenario="b", verdict=Verdict.CLEAN, invariants={"x": (2, 0)}, not_checked={"x": "moot"}
    )
    finished = finish([one, two], 1)
    assert finished.invariants == {"x": (5, 1)}
    assert finished.not_checked == {"y": "off"}


def test_a_deployment_that_is_lost_is_left_to_itself_and_the_others_go_on() -> None:
    lost = Stage(fails_with=ZeroDivisionError("x"), unfit_for="the target is gone")
    explored, _, _ = explore(once, Budget(strategies=("barrage",), schedules=8), lost, Stage())
    assert (explored.runs, explored.inconclusive) == (8, 1)


def test_with_every_deployment_lost_nothing_more_is_run() -> None:
    lost = Stage(fails_with=ZeroDivisionError("x"), unfit_for="the target is gone")
    explored, _, _ = explore(once, Budget(schedules=8), lost)
    assert (explored.runs, explored.verdict) == (1, Verdict.INCONCLUSIVE)


def test_a_fault_that_never_strikes_leaves_nothing_proven() -> None:
    def build(world: World) -> Program:
        ada = world.user()
        return Program(race=[[ada.do("sign-up")]], faults=[world.stripe_fails(ada, "POST /v1/custmers")])

    explored, _, _ = explore(build, Budget(schedules=3))
    assert explored.verdict is Verdict.INCONCLUSIVE
    assert explored.reason == "the fault on POST /v1/custmers never struck: nobody made such a call"


def test_who_was_turned_away_while_stripe_failed_must_get_in_afterwards() -> None:
    def build(world: World) -> Program:
        ada = world.user()
        return Program(race=[[ada.do("sign-up")]], faults=[world.stripe_fails(ada, "POST /v1/customers")])

    healed, _, _ = explore(build, Budget(schedules=2), Stage(turned_away_once=True))
    assert healed.verdict is Verdict.CLEAN
    locked_out, _, _ = explore(build, Budget(schedules=2), Stage(turned_away_for_ever=True))
    assert locked_out.verdict is Verdict.VIOLATED
    assert "no-server-error" in {finding.invariant for finding in locked_out.findings}
