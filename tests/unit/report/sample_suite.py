"""Suites that are over, as events, and texts that a hostile target might send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.engine.events import (
    Coverage,
    Event,
    Exploration,
    Finding,
    Notice,
    RunFinished,
    ScenarioStarted,
    SettingUp,
    SuiteFinished,
    SuiteStarted,
    Verdict,
)
from deadheat.history import History, Plane, Step, StepKind
from deadheat.invariants.settled import Evidence, Violation
from deadheat.schedule import Schedule, Switch

if TYPE_CHECKING:
    from collections.abc import Sequence

HOSTILE = (
    "cus_\x1b[2J\x1b[31m[bold red]x[/] \x00\x07\r\nCLEAN: 1 scenario\t\u202egnp.exe\u200b\ud800 "
    "<![CDATA[ ]]> &amp; <failure/> \"' sk_live_51AbCdEfGhIj \x9b \ufffe :smile: whsec_51AbCdEfGhIj"
)


def violation(
    invariant: str = "one-customer-per-user", says: str = "Ada (user u1) has two.", times: int = 1
) -> Violation:
    evidence = Evidence(says=says, user_id="u1", rows=({"user_id": "u1"},), objects=("cus_1",), steps=(3, 7))
    return Violation(invariant=invariant, evidence=(evidence,) * times)


def finding(scenario: str = "signup.two-at-once", **changes: object) -> Finding:
    made = violation(**{k: changes.pop(k) for k in ("invariant", "says", "times") if k in changes})  # type: ignore[arg-type]
    steps = [
        step(12, actor="A", status=200),
        step(12, 2, actor="B", status=303),
        step(12, 3, actor="stripe", plane=Plane.WEBHOOK, status=200, phase="settling"),
        step(12, 4, actor="?", plane=Plane.SQL),
    ]
    values: dict[str, object] = {
        "scenario": scenario,
        "invariant": made.invariant,
        "violation": made,
        "strategy": "barrage",
        "run": 12,
        "history": History(tuple(steps)),
        "runs_until_found": 3,
        "shown_in": 7,
        "runs": 24,
    }
    return Finding(**{**values, **changes})  # type: ignore[arg-type]


SCHEDULE = Schedule(scenario="signup.two-at-once", source="0a1b2c3d", switches=(Switch("A1s1", ("B1s1",)),))
TOKEN = "dh1-signup.two-at-once_0a1b2c3d_pA1s1-B1s1_kabc"
COVERAGE = Coverage(
    schedules=20,
    choices=410,
    attributed=800,
    unattributed=4,
    disagreed=8,
    late=2,
    unordered=3,
    silent_s=3.24,
    silences=14,
    diverged=1,
    repeated=10,
    conflicting=12,
    in_both_orders=9,
    differing=("step 7 was to be A1s1, which never came; held: nothing",),
)


def proved(invariant: str = "one-customer-per-user", **changes: object) -> Finding:
    """Give a finding that was made minimal and replayed."""
    values: dict[str, object] = {
        "invariant": invariant,
        "strategy": "random-walk",
        "schedule": SCHEDULE,
        "token": TOKEN,
        "replays": (20, 20),
        "actors": 2,
        "switches": 1,
        "choices_before": 38,
        "choices_after": 31,
        "removed": {"operations": 1, "deliveries": 3, "switches": 4, "duplicates": 0},
    }
    return finding(**{**values, **changes})  # type: ignore[arg-type]


def controlled(verdict: Verdict = Verdict.CLEAN, *findings: Finding) -> Exploration:
    """Give an exploration under control, with what it covered."""
    return Exploration(
        scenario="signup.two-at-once",
        verdict=verdict,
        strategies={"replay": 2, "serial": 1, "random-walk": 20, "yield": 4},
        runs=27,
        elapsed_s=5.0,
        findings=findings,
        coverage=COVERAGE,
    )


def step(run: int = 1, seq: int = 1, actor: str = "A", plane: Plane = Plane.HTTP, **data: object) -> Step:
    return Step(
        run=run, seq=seq, t_us=seq, actor=actor, plane=plane, kind=StepKind.ANSWER, label="GET /", data=data
    )


def clean(scenario: str = "checkout.two-tabs", runs: int = 25) -> Exploration:
    return Exploration(
        scenario=scenario,
        verdict=Verdict.CLEAN,
        strategies={"serial": 1, "barrage": runs - 1},
        runs=runs,
        elapsed_s=5.0,
        invariants={"one-customer-per-user": (runs, 0), "bad-webhook-refused": (0, 0)},
    )


def violated(scenario: str = "signup.two-at-once", **changes: object) -> Exploration:
    return Exploration(
        scenario=scenario,
        verdict=Verdict.VIOLATED,
        strategies={"serial": 1, "barrage": 24},
        runs=25,
        elapsed_s=4.0,
        findings=(
            finding(scenario, **changes),
            finding(scenario, invariant="answers-agree", says="Ada (user u1) was told of cus_1 and cus_2."),
        ),
        invariants={"one-customer-per-user": (25, 7), "answers-agree": (25, 7)},
    )


def inconclusive(scenario: str = "webhook.forged", reason: str | None = "the target is gone") -> Exploration:
    return Exploration(
        scenario=scenario,
        verdict=Verdict.INCONCLUSIVE,
        strategies={"serial": 1, "barrage": 5},
        runs=6,
        inconclusive=5,
        elapsed_s=2.0,
        reason=reason,
    )


def skipped(scenario: str = "seed.new-signup", lacks: str = "sign-up") -> Exploration:
    return Exploration(scenario=scenario, verdict=Verdict.CLEAN, skipped=(lacks,))


def started(
    explorations: Sequence[Exploration], stripe_mock: str = "v0.197.0", **changes: object
) -> SuiteStarted:
    values: dict[str, object] = {
        "run_id": "20260102-030405-abcd",
        "target": "reference",
        "postgres": "18.4 embedded",
        "stripe_mock": stripe_mock,
        "seed": 7,
        "scenarios": tuple(exploration.scenario for exploration in explorations),
        "planned": 25 * len(explorations),
    }
    return SuiteStarted(**{**values, **changes})  # type: ignore[arg-type]


def finished(explorations: Sequence[Exploration], **changes: object) -> SuiteFinished:
    ran = [exploration for exploration in explorations if not exploration.skipped]
    invariants: dict[str, tuple[int, int]] = {}
    for exploration in ran:
        for name, (runs, bad) in exploration.invariants.items():
            so_far = invariants.get(name, (0, 0))
            invariants[name] = (so_far[0] + runs, so_far[1] + bad)
    values: dict[str, object] = {
        "verdict": max((exploration.verdict for exploration in ran), default=Verdict.INCONCLUSIVE),
        "scenarios": tuple(explorations),
        "runs": sum(exploration.runs for exploration in ran),
        "elapsed_s": 12.5,
        "invariants": invariants,
        "not_checked": {
            "charged-once": "switched off in [invariants]",
            "one-customer-per-user": "customers is not mapped in [target.tables]",
        },
    }
    return SuiteFinished(**{**values, **changes})  # type: ignore[arg-type]


def stream(explorations: Sequence[Exploration], **changes: object) -> list[Event]:
    """Give the events of a whole suite."""
    events: list[Event] = [SettingUp(what="Postgres"), started(explorations), Notice(text="one thing")]
    number = 0
    for exploration in explorations:
        if exploration.skipped:
            events.append(exploration)
            continue
        events.append(
            ScenarioStarted(scenario=exploration.scenario, strategies=("serial", "barrage"), planned=25)
        )
        for n in range(exploration.runs):
            number += 1
            events.append(
                RunFinished(
                    scenario=exploration.scenario,
                    strategy="barrage",
                    run=number,
                    verdict=exploration.verdict if n else Verdict.CLEAN,
                    elapsed_s=0.1,
                    violations=tuple(found.violation for found in exploration.findings) if n else (),
                )
            )
        events.append(exploration)
    return [*events, finished(explorations, **changes)]
