"""Subscriptions and money: one live, each known, as Stripe has them, and paid for once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from billing_world import PRICE, BillingWorld, sub_row

if TYPE_CHECKING:
    from deadheat.invariants.settled import Person


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


@pytest.fixture
def ada(world: BillingWorld) -> Person:
    return world.person()


@pytest.fixture
def customer(world: BillingWorld, ada: Person) -> str:
    return world.sign_up(ada)


@pytest.mark.parametrize("status", ["active", "trialing", "past_due", "unpaid", "paused"])
def test_two_live_subscriptions_at_stripe(
    world: BillingWorld, ada: Person, customer: str, status: str
) -> None:
    first = world.subscribe(ada, customer)
    second = world.subscribe(ada, customer)
    world.set_status(second, status)
    at_stripe, in_database = world.evidence("one-live-subscription")
    assert at_stripe.objects == in_database.objects == (first, second)
    assert "at Stripe" in at_stripe.says
    assert "database holds 2" in in_database.says


@pytest.mark.parametrize("status", ["canceled", "incomplete", "incomplete_expired"])
def test_one_that_is_not_live_beside_a_live_one(
    world: BillingWorld, ada: Person, customer: str, status: str
) -> None:
    world.set_status(world.subscribe(ada, customer), status)
    world.subscribe(ada, customer)
    assert world.evidence("one-live-subscription") == ()


def test_two_live_ones_of_one_person_under_two_customers(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    world.subscribe(ada, customer)
    world.subscribe(ada, world.customer(ada))
    assert world.evidence("one-live-subscription")


def test_two_live_in_the_database_where_stripe_has_one(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    gone = world.subscribe(ada, customer)
    world.subscribe(ada, customer)
    world.subscriptions[gone]["status"] = "canceled"
    (proof,) = world.evidence("one-live-subscription")
    assert len(proof.rows) == 2


def test_live_rows_without_an_id_count_one_each(world: BillingWorld, ada: Person) -> None:
    assert world.rows is not None
    world.rows += [sub_row(ada, None, None), sub_row(ada, None, None)]
    assert world.evidence("one-live-subscription")


def test_two_rows_of_one_subscription_are_one_live_subscription(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    name = world.subscribe(ada, customer)
    assert world.rows is not None
    world.rows.append(sub_row(ada, name, customer))
    assert world.tripped() == {"one-row-per-subscription"}


def test_the_policy_per_price_allows_another_price_and_no_second_of_the_same(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    world.subscribe(ada, customer, price="price_a")
    world.subscribe(ada, customer, price="price_b")
    assert world.tripped(one_live_subscription="per-user") == {"one-live-subscription"}
    assert world.tripped(one_live_subscription="per-price") == set()
    world.subscribe(ada, customer, price="price_b")
    (at_stripe, _) = world.evidence("one-live-subscription", one_live_subscription="per-price")
    assert "price_b" in at_stripe.says
    assert len(at_stripe.objects) == 2


def test_a_subscription_that_only_a_row_gives_to_somebody_is_theirs(world: BillingWorld, ada: Person) -> None:
    nobodys = world.customer(None)
    mine, theirs = [world.subscribe(ada, nobodys, row=False) for _ in range(2)]
    world.sessions.clear()
    assert world.rows is not None
    world.rows += [sub_row(ada, mine, None), sub_row(ada, theirs, None, "canceled")]
    (proof,) = world.evidence("one-live-subscription")
    assert proof.objects == (mine, theirs)
    world.rows[1] = sub_row(world.person(), theirs, None)
    assert world.evidence("one-live-subscription") == ()


def test_two_people_may_have_one_each(world: BillingWorld, ada: Person, customer: str) -> None:
    bob = world.person()
    world.subscribe(ada, customer)
    world.subscribe(bob, world.sign_up(bob))
    assert world.tripped() == set()


def test_a_live_subscription_without_a_row(world: BillingWorld, ada: Person, customer: str) -> None:
    name = world.subscribe(ada, customer, row=False)
    (proof,) = world.evidence("paid-is-known")
    assert proof.objects == (name, customer)
    assert "no subscription row names it" in proof.says


def test_a_subscription_that_was_paid_and_canceled_and_never_known(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    world.subscriptions[world.subscribe(ada, customer, row=False)]["status"] = "canceled"
    assert "paid for" in world.evidence("paid-is-known")[0].says


def test_one_that_was_canceled_and_given_back_need_not_be_known(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    name = world.subscribe(ada, customer, row=False)
    world.subscriptions[name]["status"] = "canceled"
    world.refund(name)
    assert world.evidence("paid-is-known") == ()


def test_an_incomplete_one_that_nobody_paid_need_not_be_known(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    name = world.subscribe(ada, customer, row=False)
    world.subscriptions[name]["status"] = "incomplete"
    world.invoices[name.replace("sub", "in")]["status"] = "open"
    assert world.tripped() == set()


@pytest.mark.parametrize("profile", ["missing", "names another", "names none"])
def test_a_paying_person_without_a_profile_of_that_customer(world: BillingWorld, profile: str) -> None:
    ada = world.person()
    customer = world.customer(ada)
    if profile != "missing":
        world.profile(ada, world.customer(ada) if profile == "names another" else None)
    world.subscribe(ada, customer)
    (proof,) = world.evidence("paid-is-known")
    assert ("there is no profile row" if profile == "missing" else f"not {customer}") in proof.says


def test_a_live_subscription_of_unknown_owner_must_still_have_a_row(world: BillingWorld, ada: Person) -> None:
    name = world.subscribe(ada, world.customer(None), row=False)
    world.sessions.clear()
    (proof,) = world.evidence("paid-is-known")
    assert proof.user_id is None
    assert name in proof.objects


def test_a_schema_with_one_row_per_user_loses_nothing_when_a_new_subscription_takes_the_row(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    first = world.subscribe(ada, customer)
    world.set_status(first, "canceled")
    world.subscribe(ada, customer)
    assert world.rows is not None
    world.rows[:] = [row for row in world.rows if row.stripe_subscription_id != first]
    world.asked_for = {ada.ids[-1]: 2}
    assert world.tripped() == set()


def test_the_row_of_an_earlier_subscription_excuses_no_later_one(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    world.set_status(world.subscribe(ada, customer), "canceled")
    later = world.subscribe(ada, customer, row=False)
    world.subscriptions[later]["status"] = "canceled"
    world.asked_for = {ada.ids[-1]: 2}
    assert world.tripped() == {"paid-is-known", "no-lost-event"}


def test_a_status_that_is_not_stripes(world: BillingWorld, ada: Person, customer: str) -> None:
    name = world.subscribe(ada, customer)
    world.subscriptions[name]["status"] = "past_due"
    (proof,) = world.evidence("subscription-matches-stripe")
    assert "as active; at Stripe it is past_due" in proof.says
    assert proof.steps


@pytest.mark.parametrize("local", [None, "", "whatever"])
def test_no_status_or_a_strange_one_is_not_stripes(
    world: BillingWorld, ada: Person, customer: str, local: str | None
) -> None:
    name = world.subscribe(ada, customer, row=False)
    assert world.rows is not None
    world.rows.append(sub_row(ada, name, customer, local))
    assert world.evidence("subscription-matches-stripe")


def test_a_row_of_a_subscription_that_stripe_never_made(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    assert world.rows is not None
    world.rows.append(sub_row(ada, "sub_forged", customer))
    assert "there is no such subscription" in world.evidence("subscription-matches-stripe")[0].says


@pytest.mark.parametrize(
    ("local", "stripe", "names"),
    [
        ("Canceled", "canceled", {}),
        ("cancelled", "canceled", {}),
        ("paid", "trialing", {"paid": frozenset({"active", "trialing"})}),
        ("ENDED", "canceled", {"paid": frozenset({"active"}), "ended": frozenset({"canceled"})}),
    ],
)
def test_names_of_a_status_may_differ(
    world: BillingWorld, local: str, stripe: str, names: dict[str, frozenset[str]]
) -> None:
    world.statuses = names
    ada = world.person()
    customer = world.sign_up(ada)
    name = world.subscribe(ada, customer, row=False)
    world.subscriptions[name]["status"] = stripe
    assert world.rows is not None
    world.rows.append(sub_row(ada, name, customer, local))
    assert world.evidence("subscription-matches-stripe") == ()


def test_a_mapped_name_means_only_what_it_is_mapped_to(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    world.subscribe(ada, customer)
    world.statuses = {"active": frozenset({"trialing"})}
    assert world.evidence("subscription-matches-stripe")


def test_a_mapped_name_counts_as_live(world: BillingWorld, ada: Person) -> None:
    assert world.rows is not None
    world.rows += [sub_row(ada, None, None, "paid"), sub_row(ada, None, None, "paid")]
    assert world.evidence("one-live-subscription") == ()
    world.statuses = {"paid": frozenset({"active"})}
    assert world.evidence("one-live-subscription")


def test_two_rows_of_one_subscription(world: BillingWorld, ada: Person, customer: str) -> None:
    bob = world.person()
    name = world.subscribe(ada, customer)
    assert world.rows is not None
    world.rows.append(sub_row(bob, name, customer))
    (proof,) = world.evidence("one-row-per-subscription")
    assert {row["user_id"] for row in proof.rows} == {ada.ids[-1], bob.ids[-1]}


def test_rows_without_an_id_are_rows_of_no_subscription(world: BillingWorld, ada: Person) -> None:
    assert world.rows is not None
    world.rows += [sub_row(ada, None, None, None), sub_row(ada, None, None, None)]
    assert world.evidence("one-row-per-subscription") == ()


@pytest.mark.parametrize("basil", [True, False])
def test_two_paid_first_invoices_for_one_price(
    world: BillingWorld, ada: Person, customer: str, basil: bool
) -> None:
    first = world.subscribe(ada, customer, basil=basil)
    second = world.subscribe(ada, customer, basil=basil)
    (proof,) = world.evidence("charged-once")
    assert set(proof.objects) >= {first, second}
    assert f"2 first invoices for price {PRICE}" in proof.says
    assert len(proof.steps) == 2


@pytest.mark.parametrize("basil", [True, False])
def test_one_that_was_refunded_is_no_second_charge(
    world: BillingWorld, ada: Person, customer: str, basil: bool
) -> None:
    world.subscribe(ada, customer)
    second = world.subscribe(ada, customer, basil=basil)
    world.set_status(second, "canceled")
    world.refund(second)
    assert world.tripped() == set()


@pytest.mark.parametrize("refund", [{"amount": 1199}, {"status": "failed"}, {"payment_intent": "pi_other"}])
def test_a_refund_of_less_or_of_something_else_gives_nothing_back(
    world: BillingWorld, ada: Person, customer: str, refund: dict[str, object]
) -> None:
    world.subscribe(ada, customer)
    second = world.subscribe(ada, customer)
    world.refund(second, **refund)  # type: ignore[arg-type]
    assert world.evidence("charged-once")


def test_two_partial_refunds_add_up(world: BillingWorld, ada: Person, customer: str) -> None:
    world.subscribe(ada, customer)
    second = world.subscribe(ada, customer)
    world.refund(second, 1000)
    assert world.evidence("charged-once")
    world.refund(second, 200)
    assert world.evidence("charged-once") == ()


def test_cancelling_the_second_gives_no_money_back(world: BillingWorld, ada: Person, customer: str) -> None:
    world.subscribe(ada, customer)
    world.set_status(world.subscribe(ada, customer), "canceled")
    world.asked_for = {ada.ids[-1]: 2}
    assert world.evidence("charged-once")


def test_to_cancel_and_subscribe_anew_is_to_ask_twice(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    world.set_status(world.subscribe(ada, customer), "canceled")
    world.subscribe(ada, customer)
    world.asked_for = {ada.ids[-1]: 2}
    assert world.tripped() == set()


def test_a_target_that_cancels_what_it_then_sells_again_charged_twice(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    world.set_status(world.subscribe(ada, customer), "canceled")
    world.subscribe(ada, customer)
    assert world.evidence("charged-once")


def test_a_double_charge_stays_one_when_all_ended_and_a_third_purchase_followed(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    both = [world.subscribe(ada, customer), world.subscribe(ada, customer)]
    for name in both:
        world.set_status(name, "canceled")
    world.subscribe(ada, customer)
    world.asked_for = {ada.ids[-1]: 3}
    (proof,) = world.evidence("charged-once")
    assert set(both) < set(proof.objects)


def test_a_second_event_of_one_payment_makes_it_no_later(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    first, second = world.subscribe(ada, customer), world.subscribe(ada, customer)
    world.set_status(first, "canceled")
    world.event("invoice.payment_succeeded", world.invoices[second.replace("sub", "in")])
    world.asked_for = {ada.ids[-1]: 2}
    assert world.evidence("charged-once")


def test_a_payer_whom_only_the_subscription_names(world: BillingWorld, ada: Person) -> None:
    for _ in range(2):
        name = world.subscribe(ada, world.customer(None), row=False)
        world.subscriptions[name]["metadata"] = {"user_id": ada.ids[-1]}
    for session in world.sessions:
        session.update(customer=None, client_reference_id=None)
    world.rows = world.profiles = None
    for subscription in world.subscriptions.values():
        subscription["customer"] = None
    assert world.evidence("charged-once")


def test_charges_that_no_event_tells_of_count_as_held_at_once(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    world.set_status(world.subscribe(ada, customer), "canceled")
    world.subscribe(ada, customer)
    world.asked_for = {ada.ids[-1]: 2}
    world.events.clear()
    assert world.evidence("charged-once")


@pytest.mark.parametrize(
    "second",
    [
        {"billing_reason": "subscription_cycle"},
        {"status": "open"},
        {"status": "void"},
        {"amount_paid": 0},
        {"lines": {"data": [{"price": {"id": "price_other"}}]}},
    ],
)
def test_what_is_no_second_charge(
    world: BillingWorld, ada: Person, customer: str, second: dict[str, object]
) -> None:
    world.subscribe(ada, customer)
    name = world.subscribe(ada, customer)
    world.invoices[name.replace("sub", "in")].update(second)
    assert world.evidence("charged-once") == ()


def test_two_people_pay_for_themselves(world: BillingWorld, ada: Person, customer: str) -> None:
    bob = world.person()
    world.subscribe(ada, customer)
    world.subscribe(bob, world.sign_up(bob))
    assert world.evidence("charged-once") == ()


def test_one_person_who_pays_under_two_customers_pays_twice(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    world.subscribe(ada, customer)
    world.subscribe(ada, world.customer(None, email=ada.email.upper()))
    assert world.evidence("charged-once")
