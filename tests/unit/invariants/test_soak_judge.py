"""A soak has thousands of people: judging takes work in proportion, never its square.

Work is counted in instructions of Python, which is the same on every machine and at every load.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from billing_world import BillingWorld

from deadheat.invariants import judge

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from deadheat.invariants.settled import Judgement, Settled


def clean(people: int) -> Settled:
    """Everybody has signed up, was answered twice, paid, and one in two cancelled."""
    world = BillingWorld()
    for n in range(people):
        person = world.person()
        customer = world.sign_up(person)
        world.answer(person, customer=customer)
        subscription = world.subscribe(person, customer)
        if n % 2:
            world.set_status(subscription, "canceled")
    return world.settled()


def wrong(people: int) -> Settled:
    """Everybody has two customers, two rows, two payments, a 500, and an event refused to the end."""
    world = BillingWorld()
    for _ in range(people):
        person = world.person()
        first, second = world.sign_up(person), world.sign_up(person)
        world.subscribe(person, first)
        lost = world.subscribe(person, second, row=False)
        world.set_status(lost, "canceled")
        world.answer(person, success=False, status=500)
        world.refused.append(world.event("invoice.paid", {"id": "in_x", "object": "invoice"}, (500,)))
    return world.settled()


def work(settled: Settled) -> tuple[int, Judgement]:
    """Count the instructions that judging takes."""
    instructions = 0

    def count(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
        nonlocal instructions
        frame.f_trace_opcodes = True
        instructions += event == "opcode"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        judgement = judge(settled, {})
    finally:
        sys.settrace(before)
    return instructions, judgement


@pytest.mark.slow
@pytest.mark.parametrize(("build", "violated"), [(clean, 0), (wrong, 8)], ids=["clean", "wrong"])
def test_work_grows_in_proportion(build: Callable[[int], Settled], violated: int) -> None:
    few, judgement = work(build(15))
    many, _ = work(build(120))
    assert len(judgement.violations) >= violated
    assert violated or not judgement.violations
    assert many < 10 * few, f"eight times the people took {many / few:.0f} times the work"
