"""Whether a race happened, read off the history: two things in the air at the same moment.

An operation is in the air from a request to its answer, a delivery from when it is sent until it
is answered. What somebody does at Stripe (pays, cancels) is done in an instant: it met whatever was
in the air at that instant.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from deadheat.history import Plane, StepKind
from deadheat.program import ACTS, DELIVERIES

if TYPE_CHECKING:
    from deadheat.history import History, Step


def overlapped(history: History, races: tuple[str, ...] = ()) -> bool:
    """Say whether the two operations that ``races`` names were in the air at once; empty: any two."""
    in_air: Counter[str] = Counter()
    for step in history:
        name = _name(step)
        if name is None:
            continue
        if step.kind is StepKind.ANSWER:
            in_air[name] -= 1
            continue
        if _met(name, in_air, races):
            return True
        if name not in ACTS:
            in_air[name] += 1
    return False


def _met(name: str, in_air: Counter[str], races: tuple[str, ...]) -> bool:
    """Say whether what begins now meets what is in the air."""
    if not races:
        return name not in ACTS and in_air.total() > 0
    one, other = races
    return (name == one and in_air[other] > 0) or (name == other and in_air[one] > 0)


def _name(step: Step) -> str | None:
    """Give the name of what a step begins or ends; None for any other step."""
    if step.plane is Plane.HTTP and step.kind in (StepKind.REQUEST, StepKind.ANSWER):
        return str(step.data.get("operation"))
    if step.plane is Plane.WEBHOOK and step.kind in (StepKind.DELIVERY, StepKind.ANSWER):
        return DELIVERIES
    if step.plane is Plane.STRIPE and step.kind is StepKind.EFFECT and step.label in ACTS:
        return step.label
    return None
