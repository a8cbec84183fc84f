"""Operations that end, or consist, in what somebody does at Stripe."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from engine_stage import SIGN_UP, Stage

from deadheat import Program, World, scenario
from deadheat.engine.discover import lacking
from deadheat.engine.levels import Reach
from deadheat.history import Plane, StepKind
from deadheat.program import Cancel
from deadheat.settings import OperationSettings, Request

if TYPE_CHECKING:
    from deadheat.engine.run import Ran


def played(operation: OperationSettings, strategy: str, controlled: bool) -> Ran:
    """Sign up, then do this operation."""
    stage = Stage(controlled=controlled)
    operations = {"sign-up": SIGN_UP, operation.name: operation}
    stage.settings = replace(
        stage.settings, target=replace(stage.settings.target, operations=operations)
    )  # fmt: skip
    ada = World("aa").user()
    program = Program(before=[ada.do("sign-up")], race=[[ada.do(operation.name)]])
    ran = asyncio.run(stage.play(program, strategy))
    assert ran.settled is not None, ran.reason
    return ran


def acts(ran: Ran) -> list[tuple[str, str]]:
    found = [step for step in ran.history.of(Plane.STRIPE, StepKind.EFFECT) if "notes" in step.data]
    return [(step.actor, step.label) for step in found]


WAYS = [("serial", False), ("barrage", False), ("random-walk", True)]


@pytest.mark.parametrize(("strategy", "controlled"), WAYS)
def test_one_that_is_nothing_else_asks_the_target_nothing(strategy: str, controlled: bool) -> None:
    ran = played(OperationSettings(name="end", calls=(), at_stripe=Cancel), strategy, controlled)
    assert acts(ran) == [("A", "cancel")]
    assert ran.settled is not None
    assert [answer.operation for answer in ran.settled.answers] == ["sign-up"]
    assert set(ran.settled.asked_for.values()) == {2}, "who cancels may subscribe once more"


@pytest.mark.parametrize(("strategy", "controlled"), WAYS)
def test_the_act_comes_after_the_calls(strategy: str, controlled: bool) -> None:
    ran = played(replace(SIGN_UP, name="leave", at_stripe=Cancel), strategy, controlled)
    steps = [step for step in ran.history if step.actor == "A"]
    assert [step.kind for step in steps if step.plane is Plane.HTTP] == [StepKind.REQUEST, StepKind.ANSWER]
    assert acts(ran) == [("A", "cancel")]
    (act,) = (step for step in steps if "notes" in step.data)
    assert act.seq > max(step.seq for step in steps if step.plane is Plane.HTTP)


def test_the_act_is_not_done_where_the_target_refused() -> None:
    call = replace(SIGN_UP.calls[0], success=(201,))
    ran = played(replace(SIGN_UP, name="leave", calls=(call,), at_stripe=Cancel), "serial", False)
    assert acts(ran) == []


def test_where_stripe_is_not_ours_it_is_lacking() -> None:
    end = OperationSettings(name="end", calls=(), at_stripe=Cancel)

    def build(world: World) -> Program:
        return Program(race=[[world.user().do("end")]])

    ending = scenario(needs=("end",))(build)
    target = replace(Stage().settings.target, operations={"end": end})
    assert lacking(ending, target) == ()
    assert lacking(ending, target, Reach(stripe=False, statements=False)) == ("end (at level 1)",)


@pytest.mark.parametrize(
    ("check_out", "lack"),
    [
        ({"user": "{user.id}"}, ("check-out before sign-up",)),  # an id that was never given
        ({"user": "{user.id}", "email": "{user.email}"}, ()),
        ({"email": "{user.email}"}, ()),
        ({"email": "{user.email}", "token": "{token}"}, ("check-out before sign-up",)),
    ],
)
def test_what_somebody_new_cannot_do_is_skipped_by_name(check_out: dict[str, str], lack: tuple[str]) -> None:
    gives = Request(method="POST", path="/", capture={"user.id": "$.id", "token": "$.token"})
    operations = {
        "sign-up": OperationSettings(name="sign-up", calls=(gives,)),
        "check-out": OperationSettings(
            name="check-out", calls=(Request(method="POST", path="/", json=check_out),)
        ),
    }
    target = replace(Stage().settings.target, operations=operations)

    @scenario(needs=("check-out",))
    def new(world: World) -> Program:
        ada, bob = world.user(), world.user()
        return Program(before=[bob.do("sign-up")], race=[[ada.do("check-out")]])

    @scenario(needs=("check-out",))
    def known(world: World) -> Program:
        ada = world.user()
        return Program(race=[[ada.do("check-out")], [ada.do("sign-up")]])

    assert lacking(new, target) == lack
    assert lacking(known, target) == ()
