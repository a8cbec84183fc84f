"""Whether a race happened is read off the history: two things in the air at once."""

from __future__ import annotations

from deadheat.engine.run import Ran
from deadheat.history import Plane, Recorder, StepKind


def ran(*steps: tuple[str, Plane, StepKind]) -> Ran:
    recorder = Recorder(1)
    for actor, plane, kind in steps:
        recorder.record(actor=actor, plane=plane, kind=kind, label="x")
    return Ran(history=recorder.history(), elapsed_s=0.0)


A_ASKS = ("A", Plane.HTTP, StepKind.REQUEST)
A_ANSWERED = ("A", Plane.HTTP, StepKind.ANSWER)
B_ASKS = ("B", Plane.HTTP, StepKind.REQUEST)
B_ANSWERED = ("B", Plane.HTTP, StepKind.ANSWER)
DELIVERED = ("C", Plane.WEBHOOK, StepKind.DELIVERY)
TAKEN = ("C", Plane.WEBHOOK, StepKind.ANSWER)
EFFECT = ("A", Plane.STRIPE, StepKind.EFFECT)


def test_one_after_the_other_is_no_race() -> None:
    assert not ran(A_ASKS, EFFECT, A_ANSWERED, B_ASKS, B_ANSWERED, DELIVERED, TAKEN).raced()


def test_two_requests_in_the_air_are_a_race() -> None:
    assert ran(A_ASKS, B_ASKS, A_ANSWERED, B_ANSWERED).raced()


def test_a_delivery_during_a_request_is_a_race() -> None:
    assert ran(A_ASKS, DELIVERED, TAKEN, A_ANSWERED).raced()


def test_a_duplicate_in_parallel_is_a_race() -> None:
    assert ran(DELIVERED, DELIVERED, TAKEN, TAKEN).raced()
