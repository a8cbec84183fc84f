"""The case: which step showed an object first, and how things are named in a sentence."""

from __future__ import annotations

import doctest

import pytest
from billing_world import BillingWorld

from deadheat import history
from deadheat.history import Plane, StepKind
from deadheat.invariants import case
from deadheat.invariants.case import Case
from deadheat.report import plain, prose


def made_in(world: BillingWorld, *names: str) -> tuple[int, ...]:
    return Case(world.settled()).made_in(*names)


def test_the_effect_that_made_an_object_comes_before_whatever_else_shows_it() -> None:
    world = BillingWorld()
    world.step(Plane.HTTP, StepKind.ANSWER, customer="cus_1")
    world.step(Plane.STRIPE, StepKind.RESPONSE, id="cus_1")
    effect = world.step(Plane.STRIPE, StepKind.EFFECT, made=[{"id": "cus_1"}])
    world.step(Plane.STRIPE, StepKind.EFFECT, made=[{"id": "cus_1"}])
    assert made_in(world, "cus_1") == (effect,)


def test_an_object_that_only_an_answer_of_stripe_shows_is_found_there() -> None:
    world = BillingWorld()
    world.step(Plane.STRIPE, StepKind.EFFECT, made=["cus_2", {"id": ["cus_3"]}])
    response = world.step(Plane.STRIPE, StepKind.RESPONSE, id="cus_1")
    assert made_in(world, "cus_1") == (response,)


def test_an_object_that_no_step_shows_has_no_step() -> None:
    world = BillingWorld()
    world.step(Plane.STRIPE, StepKind.EFFECT, note="cus_11", other=["cus"], n=1)
    assert made_in(world, "cus_1", "cus_11") == (1,)


@pytest.mark.parametrize("module", [case, history, plain, prose], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_are_true(module: object) -> None:
    from deadheat.invariants.settled import Person

    failed, tried = doctest.testmod(module, extraglobs={"Person": Person})  # type: ignore[arg-type]
    assert tried > 0
    assert failed == 0


@pytest.mark.parametrize(
    ("seqs", "clause"),
    [((), ""), ((3,), " (step 3)"), ((3, 7), " (steps 3 and 7)"), ((1, 2, 3), " (steps 1, 2 and 3)")],
)
def test_steps_are_named_in_a_clause(seqs: tuple[int, ...], clause: str) -> None:
    assert case.at_step(seqs) == clause
