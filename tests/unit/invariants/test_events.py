"""Events: none acknowledged in vain, none refused to the end, each applied once, forgeries refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from billing_world import BillingWorld

from deadheat.invariants import judge
from deadheat.invariants.settled import EffectRow, Person, Tables


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


@pytest.fixture
def ada(world: BillingWorld) -> Person:
    return world.person()


@pytest.fixture
def customer(world: BillingWorld, ada: Person) -> str:
    return world.sign_up(ada)


@pytest.mark.parametrize("basil", [True, False])
def test_an_event_that_was_acknowledged_and_left_no_row(
    world: BillingWorld, ada: Person, customer: str, basil: bool
) -> None:
    name = world.subscribe(ada, customer, row=False, basil=basil)
    (proof,) = world.evidence("no-lost-event")
    assert proof.objects == (name, *(event["id"] for event in world.events))
    assert proof.steps == tuple(d.seq for d in world.deliveries)
    assert f"subscription {name} (active) of Person 1" in proof.says


@pytest.mark.parametrize(
    "event_type", ["customer.subscription.created", "invoice.paid", "checkout.session.completed"]
)
def test_one_acknowledged_event_of_any_kind_is_enough(
    world: BillingWorld, ada: Person, customer: str, event_type: str
) -> None:
    world.subscribe(ada, customer, row=False)
    world.deliveries[:] = [d for d in world.deliveries if d.event_type == event_type]
    assert len(world.evidence("no-lost-event")) == 1


def test_events_that_were_all_refused_were_not_acknowledged_in_vain(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    world.subscribe(ada, customer, row=False, attempts=(500,))
    assert world.evidence("no-lost-event") == ()


def test_an_event_still_refused_after_settling(world: BillingWorld, ada: Person, customer: str) -> None:
    world.subscribe(ada, customer)
    event = world.event("customer.updated", {"id": customer, "object": "customer"}, (500, 503))
    world.deliver(event, None)
    world.refused.append(event)
    (proof,) = world.evidence("no-lost-event")
    assert proof.objects == (event,)
    assert "answered 500, 503 and no answer" in proof.says
    assert len(proof.steps) == 3


def test_a_refused_event_that_was_never_attempted_is_named_all_the_same(world: BillingWorld) -> None:
    event = world.event("invoice.paid", {"id": "in_1", "object": "invoice"}, ())
    world.refused += [event, event]
    (proof,) = world.evidence("no-lost-event")
    assert f"{event} (invoice.paid)" in proof.says
    assert "answered never" in proof.says


def test_an_event_refused_first_and_taken_then(world: BillingWorld, ada: Person, customer: str) -> None:
    world.subscribe(ada, customer, attempts=(503, 200, 200))
    assert world.tripped() == set()


def test_a_forgery_that_was_acknowledged_is_not_an_event_taken(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    world.subscribe(ada, customer, row=False, attempts=())
    world.deliver(world.events[0]["id"], 200, forged="unsigned")
    assert world.evidence("no-lost-event") == ()


def test_events_about_objects_of_unknown_owner_may_be_acknowledged(world: BillingWorld, ada: Person) -> None:
    world.subscribe(ada, world.customer(None), row=False)
    world.sessions.clear()
    assert world.evidence("no-lost-event") == ()


def test_events_of_somebody_whom_the_target_never_met_may_be_kept(world: BillingWorld, ada: Person) -> None:
    world.subscribe(ada, world.customer(ada), row=False)
    world.answer(ada, success=False, status=409)
    assert world.evidence("no-lost-event") == ()
    assert world.evidence("paid-is-known")


@pytest.mark.parametrize("met", ["profile", "answer"])
def test_once_the_target_has_met_them_the_row_is_owed(world: BillingWorld, ada: Person, met: str) -> None:
    customer = world.customer(ada)
    world.subscribe(ada, customer, row=False)
    if met == "profile":
        world.profile(ada, customer)
    else:
        world.answer(ada, "check-out", customer=customer)
    assert world.evidence("no-lost-event")


@pytest.mark.parametrize("status", ["incomplete", "incomplete_expired"])
def test_a_payment_never_made_is_owed_no_row(
    world: BillingWorld, ada: Person, customer: str, status: str
) -> None:
    world.subscriptions[world.subscribe(ada, customer, row=False)]["status"] = status
    assert world.evidence("no-lost-event") == ()


def test_an_event_without_a_subscription_owes_no_row(world: BillingWorld, ada: Person, customer: str) -> None:
    world.event("customer.created", {"id": customer, "object": "customer"})
    world.event("ping", {})
    assert world.tripped() == set()


def test_a_relation_that_changed_when_every_event_came_again(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    world.subscribe(ada, customer)
    again = world.deliver(world.events[0]["id"], 200, phase="again")
    assert world.rows is not None
    world.after_rows = [*world.rows, world.rows[0]]
    (proof,) = world.evidence("applied-once")
    assert "subscriptions changed: 0 rows went and 1 came" in proof.says
    assert proof.rows[0]["change"] == "come"
    assert proof.steps == (again.seq,)


@pytest.mark.parametrize("relation", ["profiles", "effects"])
def test_a_row_that_went_is_a_change_too(
    world: BillingWorld, ada: Person, customer: str, relation: str
) -> None:
    world.subscribe(ada, customer)
    setattr(world, f"after_{relation}", [])
    assert "1 rows went" in world.evidence("applied-once")[0].says


def test_the_same_rows_in_another_order_are_no_change(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    bob = world.person()
    world.subscribe(ada, customer)
    world.subscribe(bob, world.sign_up(bob))
    assert world.profiles is not None
    assert world.rows is not None
    world.after_profiles, world.after_rows = world.profiles[::-1], world.rows[::-1]
    assert world.tripped() == set()


def test_an_effect_that_stands_twice(world: BillingWorld, ada: Person, customer: str) -> None:
    world.subscribe(ada, customer)
    assert world.effects is not None
    world.effects.append(world.effects[0])
    (proof,) = world.evidence("applied-once")
    assert "credit was done 2 times" in proof.says


def test_an_effect_that_stood_twice_before_trips_though_it_was_not_read_again(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    world.subscribe(ada, customer)
    assert world.effects is not None
    world.effects.append(world.effects[0])
    settled = world.settled()
    settled = replace(settled, after_again=replace(settled.after_again, effects=None))
    assert [v.invariant for v in judge(settled, {}).violations] == ["applied-once"]


def test_tables_that_were_not_read_again_show_nothing(world: BillingWorld) -> None:
    judgement = judge(replace(world.settled(), after_again=Tables()), {})
    assert "not read again" in judgement.not_checked["applied-once"]


def test_one_source_may_have_effects_of_two_kinds(world: BillingWorld, ada: Person, customer: str) -> None:
    world.subscribe(ada, customer)
    assert world.effects is not None
    world.effects.append(EffectRow(source_id=world.effects[0].source_id, kind="mail"))
    assert world.tripped() == set()


def test_applied_once_needs_any_relation_and_no_particular_one(
    world: BillingWorld, ada: Person, customer: str
) -> None:
    world.subscribe(ada, customer)
    world.rows = world.effects = None
    assert "applied-once" in world.judged().checked
    world.profiles = None
    assert "none of customers" in world.judged().not_checked["applied-once"]


@pytest.mark.parametrize("forged", ["unsigned", "badly-signed", "stale"])
def test_a_forgery_that_was_acknowledged(world: BillingWorld, forged: str) -> None:
    delivered = world.deliver("evt_1", 204, forged=forged)
    (proof,) = world.evidence("bad-webhook-refused")
    assert proof.steps == (delivered.seq,)
    assert f"A delivery ({forged}) of evt_1" in proof.says
    assert "was answered 204" in proof.says


def test_a_forgery_that_was_refused_and_changed_the_tables(world: BillingWorld) -> None:
    delivered = world.deliver("evt_1", 400, forged="stale")
    world.forged_changed.append(delivered.seq)
    assert "changed the tables" in world.evidence("bad-webhook-refused")[0].says


def test_a_change_by_a_forgery_that_no_delivery_tells_of_still_trips(world: BillingWorld) -> None:
    world.forged_changed.append(9)
    assert world.evidence("bad-webhook-refused")[0].steps == (9,)


@pytest.mark.parametrize("status", [400, 401, 500, 303, None])
def test_a_forgery_that_was_refused(world: BillingWorld, status: int | None) -> None:
    world.deliver("evt_1", status, forged="unsigned")
    world.deliver("evt_1", 200)
    assert world.evidence("bad-webhook-refused") == ()


def test_nothing_forged_shows_nothing_of_forgeries(world: BillingWorld, ada: Person, customer: str) -> None:
    world.subscribe(ada, customer)
    assert world.judged().not_checked["bad-webhook-refused"] == "no forged webhook was delivered"
