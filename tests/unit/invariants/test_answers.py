"""Answers: what they promise, whether they agree, and whether the target broke down."""

from __future__ import annotations

import pytest
from billing_world import BillingWorld

from deadheat.history import Plane, StepKind


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


def test_a_success_that_named_no_customer(world: BillingWorld) -> None:
    ada = world.person()
    world.profile(ada, world.customer(ada))
    answer = world.answer(ada, customer=None, status=303)
    (proof,) = world.evidence("setup-complete")
    assert proof.steps == (answer.seq,)
    assert "answered sign-up of Person 1 (user user-1) with 303" in proof.says
    assert "named none" in proof.says


@pytest.mark.parametrize("state", ["does not exist", "is deleted"])
def test_a_success_that_named_a_customer_that_is_not_there(world: BillingWorld, state: str) -> None:
    ada = world.person()
    world.profile(ada, world.customer(ada))
    named = "cus_nowhere"
    if state == "is deleted":
        world.delete(named := world.customer(ada))
    world.answer(ada, customer=named)
    assert f"{named}, which {state} at Stripe" in world.evidence("setup-complete")[0].says


@pytest.mark.parametrize("operation", ["sign-up", "create-customer", "check-out"])
@pytest.mark.parametrize("left", ["no profile row", "names no customer", "which Stripe does not hold"])
def test_a_success_that_left_no_profile_with_a_live_customer(
    world: BillingWorld, operation: str, left: str
) -> None:
    ada = world.person()
    if left != "no profile row":
        world.profile(ada, None if left == "names no customer" else "cus_nowhere")
    world.answer(ada, operation, promises_customer=False)
    assert left in world.evidence("setup-complete")[0].says


def test_any_operation_configured_to_name_a_customer_promises_a_profile(world: BillingWorld) -> None:
    ada = world.person()
    world.answer(ada, "upgrade", customer=world.customer(ada))
    assert world.evidence("setup-complete")


def test_an_operation_that_promises_nothing_owes_nothing(world: BillingWorld) -> None:
    world.answer(world.person(), "read-prices", promises_customer=False)
    assert world.tripped() == set()


def test_a_sign_up_that_failed_owes_nothing(world: BillingWorld) -> None:
    world.answer(world.person(), success=False, status=503)
    world.made_to_fail = True
    assert world.tripped() == set()


def test_a_refusal_owes_nothing(world: BillingWorld) -> None:
    ada = world.person()
    world.subscribe(ada, world.sign_up(ada))
    world.answer(ada, "check-out", success=False, status=409)
    assert world.tripped() == set()


def test_a_sign_up_that_failed_and_gave_a_session(world: BillingWorld) -> None:
    world.answer(world.person(), success=False, status=503, session=True)
    world.made_to_fail = True
    (proof,) = world.evidence("setup-complete")
    assert "gave a session" in proof.says


def test_a_session_that_a_success_had_given_before_may_be_renewed(world: BillingWorld) -> None:
    ada = world.person("old", "new")
    world.sign_up(ada)
    world.answer(ada, success=False, status=409, session=True, user_id="old")
    assert world.tripped() == set()


def test_a_success_that_comes_later_does_not_excuse_an_early_session(world: BillingWorld) -> None:
    ada = world.person()
    world.answer(ada, success=False, status=409, session=True)
    world.sign_up(ada)
    assert world.tripped() == {"setup-complete"}


def test_somebody_elses_session_excuses_nothing(world: BillingWorld) -> None:
    world.sign_up(world.person())
    world.answer(world.person(), success=False, status=409, session=True)
    assert world.tripped() == {"setup-complete"}


def test_answers_that_named_different_customers(world: BillingWorld) -> None:
    ada = world.person()
    first = world.sign_up(ada)
    second = world.customer(ada)
    world.answer(ada, "check-out", customer=second)
    (proof,) = world.evidence("answers-agree")
    assert proof.objects == (first, second)
    assert proof.steps == (2, 4)
    assert f"{first} (sign-up, step 2) and {second} (check-out, step 4)" in proof.says


def test_an_answer_that_the_settled_profile_contradicts(world: BillingWorld) -> None:
    ada = world.person()
    told = world.customer(ada)
    world.answer(ada, customer=told)
    world.profile(ada, world.customer(ada))
    assert "the settled profile names" in world.evidence("answers-agree")[0].says


def test_answers_without_a_customer_and_answers_to_others_disagree_with_nobody(world: BillingWorld) -> None:
    ada, bob = world.person(), world.person()
    world.sign_up(ada)
    world.sign_up(bob)
    world.answer(ada, "check-out", success=False, status=409)
    assert world.tripped() == set()


def test_answers_agree_is_judged_without_any_table(world: BillingWorld) -> None:
    ada = world.person()
    world.profiles = world.rows = world.effects = None
    world.answer(ada, customer=world.customer(ada))
    world.answer(ada, customer=world.customer(ada))
    assert world.tripped() == {"answers-agree"}


def test_a_server_error_with_the_sqlstate_that_caused_it(world: BillingWorld) -> None:
    ada = world.person()
    caught = world.step(Plane.SQL, StepKind.RESULT, actor="B", sqlstate="40001")
    cause = world.step(Plane.SQL, StepKind.RESULT, actor="A", sqlstate="23505")
    answer = world.answer(ada, success=False, status=500)
    (proof,) = world.evidence("no-server-error")
    assert proof.steps == (cause, answer.seq)
    assert caught not in proof.steps
    assert "23505" in proof.says


def test_a_sqlstate_of_an_earlier_operation_is_no_cause(world: BillingWorld) -> None:
    ada = world.person()
    world.step(Plane.SQL, StepKind.RESULT, sqlstate="23505")
    world.sign_up(ada)
    answer = world.answer(ada, success=False, status=502)
    assert world.evidence("no-server-error")[0].steps == (answer.seq,)


@pytest.mark.parametrize("status", [400, 403, 409, 429, 499])
def test_a_refusal_is_no_server_error(world: BillingWorld, status: int) -> None:
    world.step(Plane.SQL, StepKind.RESULT, sqlstate="23505")
    world.answer(world.person(), success=False, status=status)
    assert world.evidence("no-server-error") == ()


def test_a_server_error_is_not_judged_where_something_was_made_to_fail(world: BillingWorld) -> None:
    world.answer(world.person(), success=False, status=500)
    world.made_to_fail = True
    judgement = world.judged()
    assert "no-server-error" not in judgement.checked
    assert judgement.not_checked["no-server-error"] == "something was made to fail"


def test_a_server_error_of_the_second_try_is_judged_and_says_that_nothing_fails_any_more(
    world: BillingWorld,
) -> None:
    world.answer(world.person(), success=False, status=500, retried=True)
    world.made_to_fail = True
    (proof,) = world.evidence("no-server-error")
    assert proof.says.endswith("Nothing was made to fail any more.")


def test_a_webhook_may_answer_5xx_until_it_succeeds(world: BillingWorld) -> None:
    ada = world.person()
    world.subscribe(ada, world.sign_up(ada), attempts=(503, 500, 200))
    assert world.tripped() == set()
