"""A risk in words and as JSON: one in so many, how sure that is, and under which conditions."""

from __future__ import annotations

from collections import Counter

import pytest
from sample_suite import HOSTILE, TOKEN

from deadheat.engine.events import Verdict
from deadheat.engine.risk import Risk, Sample
from deadheat.program import Program, Scenario
from deadheat.report.risk import rate_of, risk_json, risk_lines
from deadheat.schedule import Schedule


def risk(violated: int, judged: int, *, search: Sample | None = None, name: str = "signup.twice") -> Risk:
    scenario = Scenario(name=name, needs=(), build=lambda world: Program(race=[]), about="")
    return Risk(
        scenario=scenario,
        schedule=Schedule(scenario=name, source="0a1b2c3d"),
        asked=("one-customer-per-user",),
        token=TOKEN,
        stripe_ms=(20.0, 50.0),
        noun="double click",
        plain=Sample(
            judged=judged,
            violated=violated,
            raced=12,
            invariants=Counter({"one-customer-per-user": violated, "answers-agree": 1}),
            verdict=Verdict.VIOLATED,
        ),
        search=search,
    )


@pytest.mark.parametrize(
    ("violated", "judged", "said"),
    [
        (3, 1020, "1 in 340 double clicks (95%: 1 in 117 to 1 in 1648, Clopper-Pearson)"),
        (9, 24, "1 in 2.7 double clicks (95%: 1 in 1.68 to 1 in 5.3, Clopper-Pearson)"),
        (144, 150, "1 in 1.04 double clicks (95%: 1 in 1.02 to 1 in 1.09, Clopper-Pearson)"),
        (40, 40, "every one of 40 double clicks (95%: at least 1 in 1.10, Clopper-Pearson)"),
        (0, 600, "fewer than 1 in 200 double clicks (95%, none in 600)"),
        (0, 4, "fewer than 1 in 1.33 double clicks (95%, none in 4)"),
        (0, 3, "none in 3, too few to say anything"),
        (0, 0, "none in 0, too few to say anything"),
    ],
)
def test_a_rate_is_one_in_so_many(violated: int, judged: int, said: str) -> None:
    assert rate_of(violated, judged, "double click") == said


def test_the_conditions_and_the_search_stand_beside_it() -> None:
    searched = Sample(judged=40, violated=18, inconclusive=2, reason="the target is gone")
    assert list(risk_lines(risk(3, 1020, search=searched), "before")) == [
        "signup.twice on before: one-customer-per-user violated",
        "  plain concurrency: 1 in 340 double clicks (95%: 1 in 117 to 1 in 1648, Clopper-Pearson)",
        "    3 of 1020 runs; begun 50 to 300 ms apart, Stripe calls of 20 to 50 ms, deliveries after 0 to "
        "20 ms; two in the air at once in 12",
        "    answers-agree 1, one-customer-per-user 3",
        "  under search: 18 of 40 runs of random-walk, 45%",
        "    not counted, for they could not be judged: 2, first because the target is gone",
    ]


def test_none_of_a_finding_says_that_a_fault_of_its_schedule_was_not_made() -> None:
    said = "    if its schedule has a fault: none is made here, and what needs it does not show"
    assert said in list(risk_lines(risk(0, 20), "before"))
    assert said not in list(risk_lines(risk(1, 20), "before"))
    of_a_scenario = risk(0, 20)
    of_a_scenario.token = None
    assert said not in list(risk_lines(of_a_scenario, "before"))


def test_json_holds_the_counts_and_the_interval() -> None:
    told = risk_json(risk(9, 24, search=Sample(judged=10)), "before")
    assert told["token"] == TOKEN
    assert told["per"] == "double click"
    assert (told["apart_ms"], told["stripe_ms"]) == ([50.0, 300.0], [20.0, 50.0])
    assert told["plain"]["rate"] == 0.375
    assert told["plain"]["between"] == pytest.approx([0.1879929, 0.5940636], abs=1e-6)
    assert told["search"]["between"] == [0.0, 0.3]
    assert risk_json(risk(0, 0), "before")["plain"]["rate"] is None
    assert risk_json(risk(0, 0), "before")["search"] is None


def test_hostile_names_reach_no_terminal() -> None:
    lines = "".join(risk_lines(risk(1, 10, name=HOSTILE), HOSTILE))
    assert "\x1b" not in lines
    assert "not tried" in lines
