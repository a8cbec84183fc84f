"""What a person cannot do because no answer gave them what it takes: noted, unless nobody ever gives it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from engine_stage import SIGN_UP, Stage

from deadheat import Program, World
from deadheat.engine import quiet
from deadheat.history import Plane, StepKind
from deadheat.settings import Request

if TYPE_CHECKING:
    from deadheat.engine.run import Ran


@pytest.fixture(autouse=True)
def _at_rest_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "QUIET_MS", 1)
    monkeypatch.setattr(quiet, "POLL_MS", 1)


def play(*operations: str, answers_with: str) -> Ran:
    """Play one actor against a target whose sign-up gives a code, if its answer has that field."""
    stage = Stage()
    target = stage.settings.target
    (call,) = SIGN_UP.calls
    signing = replace(SIGN_UP, calls=(replace(call, capture={"code": f"$.{answers_with}"}),))
    body = {"email": "{user.email}", "code": "{code}"}
    coming = replace(SIGN_UP, name="return", calls=(Request(method="POST", path="/sign-up", json=body),))
    offered = {"sign-up": signing, "return": coming}
    stage.settings = replace(stage.settings, target=replace(target, operations=offered))
    ada = World("aa").user()
    program = Program(race=[[ada.do(operation) for operation in operations]])
    return asyncio.run(stage.play(program))


def not_done(ran: Ran) -> list[str]:
    return [s.label for s in ran.history.of(Plane.HTTP, StepKind.RESULT)]


def test_with_what_an_answer_gave_it_is_done() -> None:
    ran = play("sign-up", "return", answers_with="customer")
    assert ran.settled is not None
    assert [a.operation for a in ran.settled.answers] == ["sign-up", "return"]
    assert not_done(ran) == []


def test_without_it_is_noted_and_the_run_goes_on() -> None:
    ran = play("return", "sign-up", "return", answers_with="customer")
    assert ran.settled is not None, ran.reason
    assert [a.operation for a in ran.settled.answers] == ["sign-up", "return"]
    assert not_done(ran) == ["return"]


def test_an_answer_of_success_that_lacks_what_is_captured_is_named() -> None:
    ran = play("sign-up", answers_with="nothing")
    assert ran.settled is None
    assert ran.reason is not None
    assert "captures code from $.nothing, and the answer 200 to POST /sign-up holds nothing" in ran.reason


def test_a_program_in_which_nothing_gives_it_is_wrong() -> None:
    ran = play("return", answers_with="customer")
    assert ran.settled is None
    assert ran.reason is not None
    assert "nothing has given {code} a value" in ran.reason
