"""Customers and profiles: what trips each invariant, and what looks like it and must not."""

from __future__ import annotations

import pytest
from billing_world import BillingWorld, sub_row

from deadheat.invariants.settled import CustomerRow


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


def test_two_live_customers_for_one_person(world: BillingWorld) -> None:
    ada = world.person()
    first = world.sign_up(ada)
    second = world.customer(ada)
    (proof,) = world.evidence("one-customer-per-user")
    assert proof.objects == (first, second)
    assert proof.steps == (1, 3)
    assert f"2 live customers for Person 1 (user user-1): {first} and {second} (steps 1 and 3)" in proof.says
    assert f"the profile names {first}" in proof.says


def test_two_customers_under_two_ids_and_two_cases_of_one_email(world: BillingWorld) -> None:
    ada = world.person("old", "new", email="ada@example.test")
    world.profile(ada, world.customer(None, metadata={"user_id": "old"}))
    world.customer(None, email="ADA@example.test")
    assert world.evidence("one-customer-per-user")


def test_the_loser_of_a_race_that_was_deleted_is_no_second_customer(world: BillingWorld) -> None:
    ada = world.person()
    world.sign_up(ada)
    world.delete(world.customer(ada))
    assert world.tripped() == set()


@pytest.mark.parametrize("named", ["nowhere", "deleted", "somebody else's", "none"])
def test_a_profile_that_points_astray(world: BillingWorld, named: str) -> None:
    ada, bob = world.person(), world.person()
    mine, other = world.customer(ada), world.sign_up(bob)
    gone = world.customer(ada)
    world.delete(gone)
    pointed = {"nowhere": "cus_nowhere", "deleted": gone, "somebody else's": other, "none": None}[named]
    world.profile(ada, pointed)
    (proof,) = world.evidence("one-customer-per-user")
    assert proof.user_id == ada.ids[-1]
    assert mine in proof.says
    assert {
        "nowhere": "which does not exist at Stripe",
        "deleted": "which is deleted",
        "somebody else's": f"which is Person 2 (user {bob.ids[-1]})'s",
        "none": "names no customer",
    }[named] in proof.says


def test_a_second_profile_that_names_none_beside_one_that_points_right(world: BillingWorld) -> None:
    ada = world.person()
    world.sign_up(ada)
    world.profile(ada, None)
    assert world.tripped() == {"one-profile-per-user"}


def test_two_profiles_that_both_name_none_do_not_point_at_the_customer(world: BillingWorld) -> None:
    ada = world.person()
    world.customer(ada)
    world.profile(ada, None)
    world.profile(ada, None)
    assert len(world.evidence("one-customer-per-user")) == 2


def test_a_profile_that_points_at_a_deleted_customer_trips_when_none_is_left(world: BillingWorld) -> None:
    ada = world.person()
    world.delete(world.sign_up(ada))
    assert "which is deleted" in world.evidence("one-customer-per-user")[0].says


def test_a_placeholder_without_customer_is_fine_when_stripe_has_none_either(world: BillingWorld) -> None:
    ada = world.person()
    world.profile(ada, None)
    world.answer(ada, success=False, status=503)
    world.made_to_fail = True
    assert world.tripped() == set()


def test_a_customer_of_nobody_is_an_orphan_and_no_ones_second(world: BillingWorld) -> None:
    world.sign_up(world.person())
    world.customer(None)
    assert world.tripped() == {"no-orphan-customer"}


def test_two_profiles_trip_also_under_two_ids_of_one_person(world: BillingWorld) -> None:
    ada = world.person("old", "new")
    customer = world.sign_up(ada)
    world.profile(ada, customer, user_id="old")
    (proof,) = world.evidence("one-profile-per-user")
    assert [row["user_id"] for row in proof.rows] == ["new", "old"]


def test_profiles_of_two_people_are_two(world: BillingWorld) -> None:
    world.sign_up(world.person())
    world.sign_up(world.person())
    assert world.evidence("one-profile-per-user") == ()


def test_one_profile_under_an_older_id_is_the_persons(world: BillingWorld) -> None:
    ada = world.person("old", "new")
    customer = world.customer(ada)
    world.profile(ada, customer, user_id="old")
    world.answer(ada, customer=customer)
    assert world.tripped() == set()


def test_an_orphan_names_its_step_and_its_owner(world: BillingWorld) -> None:
    ada = world.person()
    orphan = world.customer(ada)
    (proof,) = world.evidence("no-orphan-customer")
    assert proof.objects == (orphan,)
    assert proof.steps == (1,)
    assert proof.user_id == ada.ids[-1]
    assert "the actor whose step created it" in proof.says


def test_an_orphan_whose_owner_is_unknown_says_so(world: BillingWorld) -> None:
    world.customer(None)
    (proof,) = world.evidence("no-orphan-customer")
    assert proof.user_id is None
    assert "owner unknown" in proof.says


def test_a_customer_that_only_a_subscription_row_names_is_no_orphan(world: BillingWorld) -> None:
    ada = world.person()
    customer = world.customer(ada)
    assert world.rows is not None
    world.rows.append(sub_row(ada, None, customer, None))
    assert world.evidence("no-orphan-customer") == ()


def test_a_deleted_customer_is_no_orphan(world: BillingWorld) -> None:
    world.delete(world.customer(world.person()))
    assert world.evidence("no-orphan-customer") == ()


def test_a_profile_and_a_subscription_that_name_different_customers(world: BillingWorld) -> None:
    ada = world.person()
    first, second = world.sign_up(ada), world.customer(ada)
    world.subscribe(ada, second)
    (proof,) = world.evidence("customer-ids-agree")
    assert proof.objects == (first, second)
    assert len(proof.rows) == 2


def test_null_in_the_profile_is_distinct_from_a_customer(world: BillingWorld) -> None:
    ada = world.person()
    world.profile(ada, None)
    world.subscribe(ada, world.customer(ada))
    assert "the profile names none" in world.evidence("customer-ids-agree")[0].says


def test_two_profiles_that_name_different_customers_disagree(world: BillingWorld) -> None:
    ada = world.person()
    world.sign_up(ada)
    world.profile(ada, world.customer(ada))
    assert world.evidence("customer-ids-agree")


def test_a_subscription_row_written_before_payment_disagrees_with_nobody(world: BillingWorld) -> None:
    ada = world.person()
    world.sign_up(ada)
    assert world.rows is not None
    world.rows.append(sub_row(ada, None, None, None))
    assert world.tripped() == set()


def test_customers_of_two_people_need_not_agree(world: BillingWorld) -> None:
    for person in (world.person(), world.person()):
        world.subscribe(person, world.sign_up(person))
    assert world.tripped() == set()


def test_a_row_of_nobody_in_the_run_judges_nobody(world: BillingWorld) -> None:
    world.sign_up(world.person())
    assert world.profiles is not None
    world.profiles.append(CustomerRow(user_id="foreign", stripe_customer_id="cus_foreign"))
    assert world.tripped() == set()
