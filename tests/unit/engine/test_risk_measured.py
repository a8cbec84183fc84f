"""Risk: what is counted, under which conditions, on a shop that looks before its call and writes after."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from engine_stage import Shop

from deadheat.engine.events import Event, RunFinished, ScenarioStarted, Verdict
from deadheat.engine.explore import Explorer
from deadheat.engine.memory import NoMemory
from deadheat.engine.race import taking_part
from deadheat.engine.risk import Risk, measure, noun_of
from deadheat.engine.searches import Searches
from deadheat.program import Program, Scenario, World
from deadheat.schedule import Schedule, strand_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.history import Step

pytestmark = pytest.mark.slow  # each warms a deployment up

APART = (80.0, 80.0)  # no sign-up of the shop's takes as long
CALL_MS = (1.0, 2.0)


class Nowhere:
    """A sink that counts whose steps it is told of."""

    def __init__(self) -> None:
        self.actors: set[str] = set()

    def begin(self, run: int, scenario: str, strategy: str) -> Callable[[Step], None]:
        del run, scenario, strategy
        return lambda step: self.actors.add(step.actor)

    def end(self, run: int, verdict: Verdict, reason: str | None) -> None:
        del run, verdict, reason


def twice(world: World) -> Program:
    ada = world.user()
    return Program(race=[[ada.do("sign-up")], [ada.do("sign-up")]])


def measured(
    *stages: Shop, runs: int = 3, seconds: float | None = None, **changes: Any
) -> tuple[Risk, list[Event], Nowhere]:
    events: list[Event] = []
    sink = Nowhere()
    for stage in stages:
        stage.settings = replace(stage.settings, stripe_latency_ms=CALL_MS)
    explorer = Explorer(
        deployments=list(stages),  # type: ignore[arg-type]
        sink=sink,
        memory=NoMemory(),
        searches=Searches(Path("nowhere"), "shop", "", "0.1.0"),
        emit=events.append,
        invocation="ab",
        seed=1,
        postgres="none",
        mock=None,
    )
    scenario = Scenario(name="shop.twice", needs=(), build=twice, about="", races=("sign-up", "sign-up"))
    schedule = changes.pop("schedule", Schedule(scenario=scenario.name, source=scenario.source))
    given = {"scenario": scenario, "schedule": schedule, "stripe_ms": CALL_MS, **changes}
    risk = Risk(**given)
    asyncio.run(measure(risk, explorer, runs=runs, seconds=seconds))
    return risk, events, sink


def test_clicks_at_once_go_wrong_every_time_and_under_search_in_some_orders() -> None:
    """A random walk of two sign-ups misses the overlap in about half of its runs: all of 12 once in 4,000."""
    risk, events, _ = measured(Shop(), runs=12, apart_ms=(0.0, 0.0))
    assert (risk.plain.violated, risk.plain.judged, risk.plain.raced) == (12, 12, 12)
    assert risk.search is not None
    assert 0 < risk.search.violated <= risk.search.judged == 12
    assert risk.plain.invariants["answers-agree"] == 12
    assert risk.verdict is Verdict.VIOLATED
    (started,) = [event for event in events if isinstance(event, ScenarioStarted)]
    finished = [event.strategy for event in events if isinstance(event, RunFinished)]
    assert started.planned == len(finished) == 24
    assert finished == ["barrage"] * 12 + ["random-walk"] * 12


def test_clicks_far_apart_never_meet_and_so_it_is_said() -> None:
    risk, _, _ = measured(Shop(), apart_ms=APART)
    assert (risk.plain.violated, risk.plain.judged, risk.plain.raced) == (0, 3, 0)


def test_what_is_not_asked_about_is_counted_apart() -> None:
    risk, _, _ = measured(Shop(), apart_ms=(0.0, 0.0), asked=("charged-once",))
    assert risk.plain.violated == 0
    assert risk.plain.invariants["answers-agree"] == 3
    assert risk.verdict is Verdict.VIOLATED, "the exit code leaves nothing out"


def test_what_the_finding_dropped_stays_dropped() -> None:
    dropped = Schedule(scenario="shop.twice", source="0" * 8, dropped=(strand_key("B1"),))
    risk, _, sink = measured(Shop(), apart_ms=(0.0, 0.0), schedule=dropped)
    assert risk.plain.violated == 0
    assert "B" not in sink.actors
    assert risk.noun == "race"


def test_two_deployments_share_the_runs() -> None:
    risk, _, _ = measured(Shop(), Shop(), runs=5, apart_ms=(0.0, 0.0))
    assert risk.plain.judged == 5


def test_where_nothing_can_be_ordered_there_is_no_search() -> None:
    risk, _, _ = measured(Shop(controlled=False), apart_ms=(0.0, 0.0))
    assert risk.search is None
    assert risk.plain.judged == 3


def test_seconds_instead_of_runs() -> None:
    risk, events, _ = measured(Shop(), runs=1, seconds=1.0, apart_ms=(0.0, 0.0))
    assert risk.plain.judged > 1
    (started,) = [event for event in events if isinstance(event, ScenarioStarted)]
    assert (started.planned, started.seconds) == (None, 1.0)


def test_runs_that_cannot_be_judged_are_no_part_of_the_rate_and_end_it() -> None:
    shop = Shop(controlled=False)
    shop.troubled = RuntimeError("the target is gone")
    risk, _, _ = measured(shop, runs=50)
    assert (risk.plain.judged, risk.plain.inconclusive) == (0, 5)
    assert "the target is gone" in str(risk.plain.reason)
    assert risk.verdict is Verdict.INCONCLUSIVE


ADA, BOB = World("aa").user(), World("bb").user()


@pytest.mark.parametrize(
    ("race", "noun"),
    [
        ([[ADA.do("sign-up")], [ADA.do("sign-up")]], "double click"),
        ([[ADA.do("sign-up")], [ADA.do("sign-up")], [World("aa").deliveries()]], "double click"),
        ([[ADA.do("sign-up")], [BOB.do("sign-up")]], "race"),
        ([[ADA.do("sign-up")], [ADA.do("check-out")]], "race"),
        ([[ADA.do("sign-up")]] * 3, "race"),
        ([[ADA.do("check-out"), ADA.pay()]] * 2, "race"),
        ([[ADA.pay()]] * 2, "race"),
    ],
)
def test_a_double_click_is_one_thing_done_twice_by_one_person(race: Any, noun: str) -> None:
    assert noun_of(taking_part(Program(race=race), ())) == noun
