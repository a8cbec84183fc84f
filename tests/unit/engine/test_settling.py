"""What follows a race: faults are over, every event comes once more, and what was there is compared."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from engine_stage import Stage

from deadheat import Program, World
from deadheat.engine import quiet
from deadheat.history import Plane
from deadheat.invariants import judge
from deadheat.invariants.settled import CustomerRow, Settled, Tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from deadheat.engine.run import Ran


@pytest.fixture(autouse=True)
def _at_rest_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "QUIET_MS", 1)
    monkeypatch.setattr(quiet, "POLL_MS", 1)


@dataclass
class Inbox:
    """A database with a row for each delivery; where it ``deduplicates``, for each event."""

    stage: Stage
    deduplicates: bool
    asked: list[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)

    async def busy(self) -> int:
        return 0

    async def offenders(self, user_ids: Sequence[str]) -> dict[str, tuple[dict[str, object], ...]]:
        return {"seen": ({"people": len(user_ids), "deliveries": len(self.stage.received)},)}

    async def read(self, user_ids: Sequence[str], source_ids: Sequence[str]) -> Tables:
        self.asked.append((tuple(user_ids), tuple(source_ids)))
        came = self.stage.received
        rows = sorted(set(came)) if self.deduplicates else came
        return Tables(customers=tuple(CustomerRow(user_id=e, stripe_customer_id=None) for e in rows))


def settled(ran: Ran) -> Settled:
    assert ran.reason is None
    assert ran.settled is not None
    return ran.settled


def two_events(*, deduplicates: bool) -> tuple[Settled, Inbox, Program]:
    stage = Stage()
    stage.database = inbox = Inbox(stage, deduplicates)
    world = World("aa")
    program = Program(race=[[world.user().do("sign-up")], [world.user().do("sign-up")]])
    return settled(asyncio.run(stage.play(program))), inbox, program


def violated(run: Settled) -> set[str]:
    return {violation.invariant for violation in judge(run, {}).violations}


def test_rows_that_change_when_everything_comes_again_are_told_apart() -> None:
    run, _, _ = two_events(deduplicates=False)
    assert run.before_again.customers is not None
    assert run.after_again.customers is not None
    assert (len(run.before_again.customers), len(run.after_again.customers)) == (2, 4)
    assert "applied-once" in violated(run)


def test_rows_that_stay_when_everything_comes_again_are_the_same() -> None:
    run, inbox, _ = two_events(deduplicates=True)
    assert len(inbox.asked) == 2
    assert len(inbox.stage.received) == 4
    assert run.before_again == run.after_again
    assert "applied-once" not in violated(run)


def test_the_tables_are_read_for_the_people_and_the_events_of_the_run() -> None:
    run, inbox, program = two_events(deduplicates=True)
    for user_ids, source_ids in inbox.asked:
        assert user_ids == tuple(user.id for user in program.users())
        assert {event["id"] for event in run.stripe.events} <= set(source_ids)


def test_a_fault_with_times_left_does_not_strike_what_is_tried_again() -> None:
    world = World("aa")
    ada = world.user()
    faults = [world.stripe_fails(ada, "POST /v1/customers", times=2)]
    stage = Stage(turned_away_once=True)
    ran = asyncio.run(stage.play(Program(race=[[ada.do("sign-up")]], faults=faults)))
    assert [(answer.status, answer.retried) for answer in settled(ran).answers] == [(503, False), (200, True)]
    assert len(ran.history.of(Plane.FAULT)) == 1


class Fulfilling(Stage):
    """A target that makes a customer more when the first event comes to it."""

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/hook" and not self.received:
            await self._create(json.loads(request.content)["data"]["object"]["email"])
        return await super()._answer(request)


def test_a_fault_with_times_left_does_not_strike_while_settling() -> None:
    world = World("aa")
    ada, bob = world.user(), world.user()
    program = Program(
        before=[ada.do("sign-up")],
        race=[[bob.do("sign-up")]],
        faults=[world.stripe_fails(ada, "POST /v1/customers")],
    )
    ran = asyncio.run(Fulfilling().play(program))
    owners = [settled(ran).stripe.owner[customer["id"]] for customer in settled(ran).stripe.customers]
    assert owners == [ada.id, bob.id, ada.id]
    assert ran.history.of(Plane.FAULT) == ()


def test_each_cancellation_lets_its_user_ask_for_one_subscription_more() -> None:
    world = World("aa")
    ada, bob, cleo = world.user(), world.user(), world.user()
    program = Program(
        before=[ada.do("sign-up"), cleo.cancel()],
        race=[[bob.do("sign-up"), ada.cancel()], [cleo.cancel()]],
    )
    assert settled(asyncio.run(Stage().play(program))).asked_for == {ada.id: 2, bob.id: 1, cleo.id: 3}


def test_a_teams_own_queries_are_asked_once_everything_has_settled_and_before_it_comes_again() -> None:
    stage = Stage()
    stage.database = Inbox(stage, deduplicates=True)
    ada = World("aa").user()
    made = settled(asyncio.run(stage.play(Program(race=[[ada.do("sign-up")]]))))
    assert made.offenders == {"seen": ({"people": 1, "deliveries": 1},)}
    assert len(stage.received) == 2


@dataclass
class Owing(Inbox):
    """A database in which the target is at work for some looks more, and has its rows only then."""

    owes: int = 3

    async def busy(self) -> int:
        self.owes -= 1
        return max(self.owes, 0)

    async def read(self, user_ids: Sequence[str], source_ids: Sequence[str]) -> Tables:
        self.asked.append((f"owes {max(self.owes, 0)}", ()))
        return await super().read(user_ids, source_ids)


@pytest.mark.parametrize("works_on", [True, False])
def test_who_works_on_after_an_answer_is_waited_for_before_the_tables_are_read(works_on: bool) -> None:
    stage = Stage(controlled=True)
    stage.database = database = Owing(stage, deduplicates=True)
    stage.sequels.works_on = works_on
    ada = World("aa").user()
    ran = asyncio.run(stage.play(Program(race=[[ada.do("sign-up")]]), "random-walk"))
    assert ran.settled is not None, ran.reason
    assert database.asked[0][0] == ("owes 0" if works_on else "owes 3")
