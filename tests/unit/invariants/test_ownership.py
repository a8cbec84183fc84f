"""Whose customer: each rung decides when no stronger one does, and doubt falls through to the next."""

from __future__ import annotations

import pytest
from billing_world import BillingWorld, sub_row

from deadheat.invariants.ownership import Owner, Rung, owner_of, owner_of_subscription, person_of


@pytest.fixture
def world() -> BillingWorld:
    made = BillingWorld()
    made.person("ada-old", "ada", email="Ada@Example.test")
    made.person("bob")
    return made


def test_the_actor_whose_step_created_it_comes_first(world: BillingWorld) -> None:
    ada, bob = world.people
    customer = world.customer(ada, email=bob.email, metadata={"user_id": "bob"})
    world.profile(bob, customer)
    assert owner_of(customer, world.settled()) == Owner(ada, Rung.ACTOR)


def test_an_actor_under_an_older_id_is_still_the_person(world: BillingWorld) -> None:
    customer = world.customer(None)
    world.owner[customer] = "ada-old"
    assert owner_of(customer, world.settled()) == Owner(world.people[0], Rung.ACTOR)


def test_then_the_profile_row_that_names_it(world: BillingWorld) -> None:
    ada, bob = world.people
    customer = world.customer(None, email=bob.email, metadata={"user_id": "bob"})
    world.profile(ada, customer, user_id="ada-old")
    assert world.rows is not None
    world.rows.append(sub_row(bob, "sub_x", customer))
    assert owner_of(customer, world.settled()) == Owner(ada, Rung.PROFILE)


def test_then_the_subscription_row_that_names_it(world: BillingWorld) -> None:
    ada, bob = world.people
    customer = world.customer(None, email=bob.email)
    assert world.rows is not None
    world.rows.append(sub_row(ada, "sub_x", customer))
    assert owner_of(customer, world.settled()) == Owner(ada, Rung.SUBSCRIPTION)


@pytest.mark.parametrize(
    "where", ["metadata", "client_reference_id", "session metadata", "subscription metadata"]
)
def test_then_a_reference_to_the_user(world: BillingWorld, where: str) -> None:
    ada, bob = world.people
    metadata = {"supabase_id": "ADA"} if where == "metadata" else {}
    customer = world.customer(None, email=bob.email, metadata=metadata)
    about = {"id": "x", "customer": customer}
    if where == "client_reference_id":
        world.sessions.append({**about, "client_reference_id": "ada-old"})
    elif where == "session metadata":
        world.sessions.append({**about, "metadata": {"u": "ada"}})
    elif where == "subscription metadata":
        world.subscriptions["x"] = {**about, "metadata": {"u": "ada"}}
    assert owner_of(customer, world.settled()) == Owner(ada, Rung.REFERENCE)


def test_then_the_email_in_any_case(world: BillingWorld) -> None:
    customer = world.customer(None, email=" aDA@example.TEST")
    assert owner_of(customer, world.settled()) == Owner(world.people[0], Rung.EMAIL)


def test_else_nobody(world: BillingWorld) -> None:
    world.people.append(type(world.people[0])(ids=("c",), email="", name="No mail"))
    customer = world.customer(None, email="", metadata={"user_id": "None", "plan": "pro"})
    assert owner_of(customer, world.settled()) is None
    assert owner_of("cus_nowhere", world.settled()) is None


def test_a_maker_who_is_nobody_of_the_run_decides_nothing(world: BillingWorld) -> None:
    customer = world.customer(None, email="ada@example.test")
    world.owner[customer] = "somebody-else"
    assert owner_of(customer, world.settled()) == Owner(world.people[0], Rung.EMAIL)


def test_a_rung_that_points_at_two_decides_nothing(world: BillingWorld) -> None:
    ada, bob = world.people
    customer = world.customer(None, metadata={"user_id": "bob"})
    world.profile(ada, customer)
    world.profile(bob, customer)
    assert owner_of(customer, world.settled()) == Owner(bob, Rung.REFERENCE)


def test_a_subscription_is_its_customers_owner_s_else_its_makers_else_whom_it_names(
    world: BillingWorld,
) -> None:
    ada, bob = world.people
    known, unknown = world.customer(ada), world.customer(None)
    subscription = {"id": "sub_1", "customer": known, "metadata": {"user_id": "bob"}}
    assert owner_of_subscription(subscription, world.settled()) == Owner(ada, Rung.ACTOR)
    stray = {**subscription, "customer": unknown}
    assert owner_of_subscription(stray, world.settled()) == Owner(bob, Rung.REFERENCE)
    assert owner_of_subscription({**stray, "metadata": {}}, world.settled()) is None
    world.owner["sub_1"] = "ada"
    assert owner_of_subscription(stray, world.settled()) == Owner(ada, Rung.ACTOR)


def test_a_person_is_known_by_any_id_and_none_is_nobodys(world: BillingWorld) -> None:
    assert person_of("ADA-old", world.people) == world.people[0]
    assert person_of(None, world.people) is None
    assert person_of("", world.people) is None
