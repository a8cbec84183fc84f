"""Which two were in the air at once: by the names of the operations that a scenario races."""

from __future__ import annotations

from typing import Any

import pytest

from deadheat.engine.overlap import overlapped
from deadheat.history import History, Plane, Recorder, StepKind

Happened = tuple[Plane, StepKind, str]


def asks(operation: str) -> Happened:
    return (Plane.HTTP, StepKind.REQUEST, operation)


def answered(operation: str) -> Happened:
    return (Plane.HTTP, StepKind.ANSWER, operation)


def act(name: str) -> Happened:
    return (Plane.STRIPE, StepKind.EFFECT, name)


SENT = (Plane.WEBHOOK, StepKind.DELIVERY, "invoice.paid evt_1")
TAKEN = (Plane.WEBHOOK, StepKind.ANSWER, "invoice.paid evt_1")


def history(*steps: Happened) -> History:
    recorder = Recorder(1)
    for plane, kind, label in steps:
        data: dict[str, Any] = {"operation": label} if plane is Plane.HTTP else {}
        recorder.record(actor="A", plane=plane, kind=kind, label=label, data=data)
    return recorder.history()


RACES = [
    (("confirm", "check-out"), [asks("confirm"), asks("check-out")], True),
    (("check-out", "confirm"), [asks("confirm"), asks("check-out")], True),
    (("confirm", "confirm"), [asks("confirm"), asks("check-out")], False),
    (("confirm", "confirm"), [asks("confirm"), asks("confirm")], True),
    (("confirm", "confirm"), [asks("confirm"), answered("confirm"), asks("confirm")], False),
    (("return", "deliveries"), [SENT, asks("return")], True),
    (("return", "deliveries"), [SENT, TAKEN, asks("return")], False),
    (("deliveries", "deliveries"), [SENT, SENT], True),
    (("deliveries", "deliveries"), [SENT, TAKEN, SENT, TAKEN], False),
    (("pay", "check-out"), [asks("check-out"), act("pay")], True),
    (("pay", "check-out"), [asks("check-out"), answered("check-out"), act("pay")], False),
    (("pay", "check-out"), [act("pay"), asks("check-out")], False),
    (("pay", "check-out"), [asks("check-out"), act("cancel")], False),
]


@pytest.mark.parametrize(("races", "steps", "met"), RACES)
def test_the_two_that_a_scenario_names(races: tuple[str, str], steps: list[Happened], met: bool) -> None:
    assert overlapped(history(*steps), races) is met


def test_without_names_an_act_at_stripe_meets_nobody() -> None:
    assert not overlapped(history(asks("check-out"), act("pay"), answered("check-out"), act("cancel")))


def test_calls_to_stripe_are_not_operations() -> None:
    call = (Plane.STRIPE, StepKind.EFFECT, "POST /v1/customers")
    assert not overlapped(history(call, call, asks("confirm"), call, answered("confirm")))


def test_what_was_not_done_was_not_in_the_air() -> None:
    not_done = (Plane.HTTP, StepKind.RESULT, "return")
    assert not overlapped(history(not_done, asks("return")), ("return", "return"))
