"""A replay in words: each step, each switch of the schedule, and what differs from the record."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sample_suite import HOSTILE, violation

from deadheat.engine.conduct.strands import Hold, Strand, Variant
from deadheat.engine.events import Verdict
from deadheat.engine.run import Ran
from deadheat.history import History, Plane, Step, StepKind
from deadheat.invariants.settled import Judgement
from deadheat.report.replayed import Followed, Replays, replay_lines, step_line, times_lines
from deadheat.schedule import Schedule, StepName, Switch

if TYPE_CHECKING:
    from collections.abc import Callable

HISTORY = Path(".deadheat/runs/1/history.ndjson")


def step(plane: Plane, kind: StepKind, label: str, **data: Any) -> Step:
    return Step(run=1, seq=7, t_us=1, actor="A", plane=plane, kind=kind, label=label, conn=1, data=data)


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (
            step(Plane.HTTP, StepKind.REQUEST, "POST /checkout", operation="check-out"),
            "    7 A       http     POST /checkout (check-out)",
        ),
        (
            step(Plane.SQL, StepKind.FLIGHT, "select profiles", sql=["select *\n  from profiles"]),
            "    7 A       sql      select profiles: select * from profiles",
        ),
        (
            step(Plane.SQL, StepKind.RESULT, "insert profiles", tags=["INSERT 0 1"], waited_for=["B1"]),
            "    7 A       sql      insert profiles -> INSERT 0 1 (waited for B1)",
        ),
        (
            step(Plane.SQL, StepKind.RESULT, "select profiles", tags=["SELECT 0"], rows=0),
            "    7 A       sql      select profiles -> 0 rows",
        ),
        (
            step(Plane.STRIPE, StepKind.RESPONSE, "POST /v1/customers", status=200),
            "    7 A       stripe   POST /v1/customers <- 200",
        ),
        (
            step(Plane.WEBHOOK, StepKind.ANSWER, "customer.created evt_1", status=200),
            "    7 A       webhook  => 200 customer.created",
        ),
    ],
)
def test_a_step_is_a_line(made: Step, line: str) -> None:
    assert step_line(made) == line


def test_a_hostile_step_is_one_line() -> None:
    line = step_line(step(Plane.SQL, StepKind.FLIGHT, HOSTILE, sql=[HOSTILE]))
    assert "\x1b" not in line
    assert "\n" not in line
    assert "sk_live_51" not in line


class Sink:
    """A sink that notes what it is told."""

    def __init__(self) -> None:
        self.noted: list[object] = []

    def begin(self, run: int, scenario: str, strategy: str) -> Callable[[Step], None]:
        self.noted.append((run, scenario, strategy))
        return self.noted.append

    def end(self, run: int, verdict: Verdict, reason: str | None) -> None:
        self.noted.append((run, verdict, reason))


def strand(name: str) -> Strand:
    return Strand(name, name.rstrip("0123456789"), (), "sign-up")


def hold(of: Strand, label: str, kind: str = "flight") -> Hold:
    return Hold(of, StepName(of.name, label), kind, lambda: None, 1)


def test_each_step_goes_into_the_history_and_is_told() -> None:
    sink, told = Sink(), list[str]()
    followed = Followed(sink, Schedule(scenario="s", source="0" * 8), told.append)
    one = step(Plane.HTTP, StepKind.REQUEST, "POST /", operation="x")
    followed.begin(1, "s", "replay")(one)
    followed.end(1, Verdict.CLEAN, None)
    assert sink.noted == [(1, "s", "replay"), one, (1, Verdict.CLEAN, None)]
    assert told == [step_line(one)]


def test_a_choice_that_leaves_the_default_is_told_where_it_does() -> None:
    a, b = strand("A1"), strand("B1")
    at, to = hold(a, "select profiles"), hold(b, "request POST /")
    schedule = Schedule(scenario="s", source="0" * 8, switches=(Switch(at.name.key, (to.name.key,)),))
    told: list[str] = []
    followed = Followed(Sink(), schedule, told.append)
    a.held.append(at)
    followed.released(hold(a, "insert users"))
    assert told == []
    followed.released(to)
    assert told == ["      * B1 goes, not A1"]
    a.held.remove(at)
    followed.released(to)  # A has nothing to go on with: that B goes is the default
    assert len(told) == 1


@pytest.mark.parametrize("fault", [None, "kill"])
def test_a_fault_is_told_by_its_own_step_alone_and_never_as_one_that_goes_before_itself(
    fault: str | None,
) -> None:
    a = strand("A1")
    at = hold(a, "select profiles")
    to = hold(a, "insert users")
    to.variant = Variant(fault, lambda: None) if fault else None
    schedule = Schedule(scenario="s", source="0" * 8, switches=(Switch(at.name.key, (to.name.key,)),))
    told: list[str] = []
    a.held.append(at)
    Followed(Sink(), schedule, told.append).released(to)
    assert told == ([] if fault else ["      * another step of A1 goes"])


def test_two_that_go_together_and_parked_writes_are_told() -> None:
    a, b = hold(strand("A1"), "insert users"), hold(strand("B1"), "insert users")
    switches = (Switch(a.name.key, (a.name.key, b.name.key)),)
    told: list[str] = []
    followed = Followed(Sink(), Schedule(scenario="s", source="0" * 8, switches=switches), told.append)
    followed.released(a)
    followed.released(b)
    followed.released(hold(strand("C1"), "park insert jobs", "park"))
    assert told == [
        "      * A1 and B1 go together",
        "      C       sql      insert jobs: its write goes on",
    ]


def replays(recorded: tuple[str, ...] = ()) -> Replays:
    return Replays(token="dh1-x", scenario="signup.two", recorded=recorded, history=HISTORY)


def ran(**changes: Any) -> Ran:
    return Ran(**{"history": History(()), "elapsed_s": 0.1, **changes})


def judged(*invariants: str) -> Judgement:
    return Judgement(
        violations=tuple(violation(invariant) for invariant in invariants), checked=(), not_checked={}
    )


def test_a_replay_that_shows_it_again() -> None:
    made = replays(("one-customer-per-user", "charged-once"))
    made.add(ran(), judged("one-customer-per-user", "mine"), Verdict.VIOLATED)
    assert list(replay_lines(made))[1:] == [
        "signup.two: one-customer-per-user is violated",
        "  one-customer-per-user holds when Stripe holds at most one live customer for each user, and the "
        "database points at it.",
        "    Ada (user u1) has two.",
        "signup.two: mine is violated",
        "  mine:",
        "    Ada (user u1) has two.",
        "",
        "VIOLATED: signup.two: one-customer-per-user, mine",
        "  recorded as violated, and not now: charged-once",
        "  violated now, and not recorded: mine",
        f"  history: {HISTORY}",
    ]


def test_a_clean_replay_that_diverged_says_that_it_was_another_run() -> None:
    made = replays()
    made.add(ran(diverged="step 3 never came"), judged(), Verdict.CLEAN)
    assert list(replay_lines(made))[1:] == [
        "CLEAN: signup.two in this one order; nothing is said of any other",
        "  diverged, so this was another run than the one recorded: step 3 never came",
        f"  history: {HISTORY}",
    ]


def test_what_cannot_be_judged_is_inconclusive() -> None:
    made = replays()
    made.add(ran(reason="the target is gone"), None, Verdict.INCONCLUSIVE)
    assert "INCONCLUSIVE: signup.two: the target is gone" in list(replay_lines(made))


def test_many_replays_are_counted_and_the_worst_verdict_wins() -> None:
    made = replays()
    made.add(ran(), judged("mine"), Verdict.VIOLATED)
    made.add(ran(diverged="step 3 never came"), judged(), Verdict.CLEAN)
    made.add(ran(reason="no answer"), None, Verdict.INCONCLUSIVE)
    assert list(times_lines(made)) == [
        "VIOLATED: signup.two: violated 1/3",
        "  mine: 1/3",
        "  could not be judged: 1/3, first because no answer",
        "  diverged: 1/3, first: step 3 never came",
        f"  history: {HISTORY}",
    ]
    told = made.to_json()
    assert (told["verdict"], told["violated"], told["diverged"], told["inconclusive"]) == (
        "violated",
        1,
        1,
        1,
    )
    assert told["first_divergence"] == "step 3 never came"
