"""One run from beginning to end, on a stage without sockets."""

from __future__ import annotations

import asyncio
import itertools

import httpx
import pytest
from engine_stage import Stage

from deadheat import Program, World
from deadheat.engine import quiet
from deadheat.errors import TargetLost
from deadheat.history import Plane, StepKind


@pytest.fixture(autouse=True)
def _at_rest_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "QUIET_MS", 1)
    monkeypatch.setattr(quiet, "POLL_MS", 1)


def two_people() -> Program:
    world = World("aa")
    ada, bob = world.user(), world.user()
    return Program(race=[[ada.do("sign-up"), ada.do("sign-up")], [bob.do("sign-up")]])


def test_serial_lets_each_operation_end_before_the_next_begins() -> None:
    stage = Stage()
    ran = asyncio.run(stage.play(two_people(), "serial"))
    assert [line.split(" ")[0] for line in stage.seen] == ["begin", "end"] * 3
    assert stage.seen[0].endswith(stage.seen[2].split(" ")[1])  # the first actor ends before the second
    assert not ran.raced()


def test_barrage_lets_actors_overlap() -> None:
    stage = Stage()
    ran = asyncio.run(stage.play(two_people(), "barrage"))
    assert [line.split(" ")[0] for line in stage.seen[:2]] == ["begin", "begin"]
    assert ran.raced()


def test_what_a_run_leaves_is_all_there() -> None:
    program = two_people()
    ran = asyncio.run(Stage().play(program, "barrage"))
    assert ran.reason is None
    settled = ran.settled
    assert settled is not None
    assert [answer.status for answer in settled.answers] == [200] * 3
    assert all(answer.customer and answer.session for answer in settled.answers)
    assert len(settled.stripe.customers) == 3
    owners = {customer["id"]: settled.stripe.owner[customer["id"]] for customer in settled.stripe.customers}
    assert sorted(owners.values()) == sorted([program.users()[0].id] * 2 + [program.users()[1].id])
    assert {answer.customer for answer in settled.answers} == set(owners)
    assert settled.refused == ()
    assert not settled.made_to_fail


def test_a_later_run_sees_nothing_of_an_earlier_one() -> None:
    async def twice() -> tuple[int, int]:
        stage = Stage()
        first = await stage.play(two_people())
        second = await stage.play(two_people(), number=2)
        assert (first.run, second.run) == (1, 2)
        assert first.settled is not None
        assert second.settled is not None
        return len(first.settled.stripe.customers), len(second.settled.stripe.customers)

    assert asyncio.run(twice()) == (3, 3)


def test_events_of_a_race_are_brought_while_settling_and_once_more() -> None:
    stage = Stage()
    ran = asyncio.run(stage.play(two_people()))
    assert ran.settled is not None
    emitted = [event["id"] for event in ran.settled.stripe.events]
    assert len(emitted) == 3
    assert stage.received == emitted * 2
    assert [delivered.phase for delivered in ran.settled.deliveries] == ["settling"] * 3 + ["again"] * 3


def test_what_stays_refused_is_told_after_five_rounds_at_most() -> None:
    answers = itertools.cycle([500, 503])
    stage = Stage(hooks=lambda event_id: next(answers))
    ada = World("aa").user()
    ran = asyncio.run(stage.play(Program(race=[[ada.do("sign-up")]])))
    assert ran.settled is not None
    (event,) = ran.settled.stripe.events
    assert ran.settled.refused == (event["id"],)
    phases = [d.phase for d in ran.settled.deliveries]
    assert phases[: phases.index("again")] == ["settling"] * 5


def test_settling_stops_when_a_round_changes_no_answer() -> None:
    stage = Stage(hooks=lambda event_id: 500)
    ada = World("aa").user()
    ran = asyncio.run(stage.play(Program(race=[[ada.do("sign-up")]])))
    assert ran.settled is not None
    before_again = [d.phase for d in ran.settled.deliveries]
    assert before_again[: before_again.index("again")] == ["settling", "settling"]


def test_a_refused_event_comes_again_until_it_is_taken() -> None:
    answers = iter([500, 200, 200])
    stage = Stage(hooks=lambda event_id: next(answers))
    ada = World("aa").user()
    ran = asyncio.run(stage.play(Program(race=[[ada.do("sign-up")]])))
    assert ran.settled is not None
    assert [d.status for d in ran.settled.deliveries] == [500, 200, 200]
    assert ran.settled.refused == ()


@pytest.mark.parametrize("strategy", ["serial", "barrage"])
def test_a_stream_delivers_each_event_and_its_duplicates(strategy: str) -> None:
    stage = Stage()
    world = World("aa")
    program = Program(
        race=[[world.user().do("sign-up")], [world.user().do("sign-up")], [world.deliveries(duplicates=2)]]
    )
    ran = asyncio.run(stage.play(program, strategy))
    assert ran.settled is not None
    in_race = [d.event_id for d in ran.settled.deliveries if d.phase == "race"]
    assert sorted(in_race) == sorted([event["id"] for event in ran.settled.stripe.events] * 3)
    assert not [d for d in ran.settled.deliveries if d.phase == "settling"]


@pytest.mark.parametrize("strategy", ["serial", "barrage"])
def test_reversed_means_the_last_event_first(strategy: str) -> None:
    stage = Stage()
    world = World("aa")
    ada = world.user()
    program = Program(
        before=[ada.do("sign-up"), ada.do("sign-up")], race=[[world.deliveries(order="reversed")]]
    )
    ran = asyncio.run(stage.play(program, strategy))
    assert ran.settled is not None
    emitted = [event["id"] for event in ran.settled.stripe.events]
    assert [d.event_id for d in ran.settled.deliveries if d.phase == "race"] == emitted[::-1]


def test_a_forged_delivery_counts_for_nothing_at_stripe() -> None:
    stage = Stage(hooks=lambda event_id: 200)
    world = World("aa")
    program = Program(before=[world.user().do("sign-up")], race=[[world.deliveries(forged="unsigned")]])
    ran = asyncio.run(stage.play(program))
    assert ran.settled is not None
    forged = [d for d in ran.settled.deliveries if d.forged]
    assert [d.phase for d in forged] == ["race", "again"]
    assert [d.phase for d in ran.settled.deliveries if not d.forged] == ["settling", "again"]


def test_a_fault_strikes_its_user_in_the_race_only_and_as_often_as_it_says() -> None:
    stage = Stage()
    world = World("aa")
    ada, bob = world.user(), world.user()
    program = Program(
        before=[ada.do("sign-up")],
        race=[[bob.do("sign-up"), ada.do("sign-up"), ada.do("sign-up")]],
        faults=[world.stripe_fails(ada, "POST /v1/customers", status=503)],
    )
    ran = asyncio.run(stage.play(program))
    assert ran.settled is not None
    assert [bool(answer.customer) for answer in ran.settled.answers] == [True, True, False, True]
    faults = ran.history.of(Plane.FAULT)
    assert [step.label for step in faults] == ["before 503 POST /v1/customers"]
    assert ran.settled.made_to_fail


def test_no_answer_at_all_is_a_reason_and_no_verdict() -> None:
    ran = asyncio.run(Stage(fails_with=httpx.ReadError("gone")).play(two_people(), "barrage"))
    assert ran.settled is None
    assert ran.reason is not None
    assert "got no answer at all" in ran.reason


def test_a_target_that_is_gone_is_the_reason() -> None:
    stage = Stage(fails_with=httpx.ReadError("gone"), troubled=TargetLost("it fell over"))
    ran = asyncio.run(stage.play(two_people(), "barrage"))
    assert (ran.settled, ran.reason) == (None, "it fell over")


def test_an_error_of_our_own_is_the_reason_and_names_its_place() -> None:
    ran = asyncio.run(Stage(fails_with=ZeroDivisionError("ours")).play(two_people()))
    assert ran.settled is None
    assert ran.reason is not None
    assert ran.reason.startswith("an error of Deadheat's own: ZeroDivisionError: ours")


def test_the_history_has_the_three_crossings_of_a_call_between_request_and_answer() -> None:
    ada = World("aa").user()
    ran = asyncio.run(Stage().play(Program(race=[[ada.do("sign-up")]])))
    kinds = [(step.plane, step.kind) for step in ran.history][:5]
    assert kinds == [
        (Plane.HTTP, StepKind.REQUEST),
        (Plane.STRIPE, StepKind.RECEIVED),
        (Plane.STRIPE, StepKind.EFFECT),
        (Plane.STRIPE, StepKind.RESPONSE),
        (Plane.HTTP, StepKind.ANSWER),
    ]
    assert all(step.actor == "A" for step in list(ran.history)[:5])
