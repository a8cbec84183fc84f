"""A world in which everything went right trips nothing; each way to break it trips what it should.

What went right includes all that looks wrong and is not: losers deleted, sign-ups that failed,
events refused first and taken then, duplicates, refunds, subscriptions cancelled and begun anew,
people with several ids and e-mails in another case.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from billing_world import BillingWorld, sub_row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.invariants.settled import Person

KINDS = (
    "only signed up",
    "live",
    "cancelled",
    "anew",
    "double, refunded",
    "incomplete",
    "never met",
    "refused",
)
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
WAYS_TO_BE_KNOWN = ("actor", "profile", "metadata", "e-mail")
ATTEMPTS = ((200,), (503, 200), (200, 200), (500, 503, 204, 200), (202,))


def play(world: BillingWorld, draw: st.DrawFn, kind: str) -> None:
    """Let one person live through a run in which everything goes right."""
    n = len(world.people)
    several = draw(st.booleans())
    ids = (f"id-{n}-old", f"id-{n}") if several else (f"id-{n}",)
    person = world.person(*ids, email=f"Person{n}@Example.test")
    if kind == "never met":
        return
    if kind == "refused":
        world.profile(person, None)
        world.answer(person, success=False, status=409, customer=None)
        return
    customer = _known(world, draw, person)
    world.profile(person, customer, user_id=draw(st.sampled_from(ids)))
    for _ in range(draw(st.integers(min_value=1, max_value=3))):
        operation = draw(st.sampled_from(("sign-up", "create-customer", "check-out")))
        session = draw(st.booleans())
        world.answer(
            person, operation, customer=customer, session=session, user_id=draw(st.sampled_from(ids))
        )
    if draw(st.booleans()):
        world.delete(world.customer(person))
    if kind != "only signed up":
        _subscribe(world, draw, person, customer, kind)


def _known(world: BillingWorld, draw: st.DrawFn, person: Person) -> str:
    way = draw(st.sampled_from(WAYS_TO_BE_KNOWN))
    metadata = {"user_id": person.ids[0]} if way == "metadata" else {}
    email = person.email.lower() if way == "e-mail" else None
    return world.customer(person if way == "actor" else None, metadata=metadata, email=email)


def _subscribe(world: BillingWorld, draw: st.DrawFn, person: Person, customer: str, kind: str) -> None:
    attempts, basil = draw(st.sampled_from(ATTEMPTS)), draw(st.booleans())
    first = world.subscribe(person, customer, attempts=attempts, basil=basil, row=kind != "incomplete")
    if kind in ("cancelled", "anew"):
        world.set_status(first, "canceled")
    if kind == "anew":
        world.subscribe(person, customer, attempts=attempts, basil=not basil)
        world.asked_for[person.ids[-1]] = 2
        if draw(st.booleans()):  # a schema with one row per user
            assert world.rows is not None
            world.rows[:] = [row for row in world.rows if row.stripe_subscription_id != first]
    elif kind == "double, refunded":
        second = world.subscribe(person, customer, row=draw(st.booleans()))
        world.set_status(second, "canceled")
        world.refund(second)
    elif kind == "incomplete":
        world.subscriptions[first]["status"] = "incomplete"
        world.invoices[first.replace("sub", "in")]["status"] = "open"
        world.answer(person, "check-out", success=False, status=402)


@st.composite
def perfect_worlds(draw: st.DrawFn, *, at_least: tuple[str, ...] = ()) -> BillingWorld:
    world = BillingWorld()
    kinds = [*at_least, *draw(st.lists(st.sampled_from(KINDS), max_size=4))]
    for kind in draw(st.permutations(kinds)):
        play(world, draw, kind)
    if draw(st.booleans()):
        world.made_to_fail = True
        world.answer(world.person(), success=False, status=503)
    if world.events and draw(st.booleans()):
        world.deliver(world.events[0]["id"], 400, forged="stale")
    for event in world.events:
        world.deliver(event["id"], 200, phase="again")
    return world


@pytest.mark.slow
@UNTIMED
@given(perfect_worlds(), st.sampled_from(["per-user", "per-price"]))
def test_nothing_trips_in_a_perfect_world(world: BillingWorld, policy: str) -> None:
    judgement = world.judged(one_live_subscription=policy)
    assert judgement.violations == ()
    assert "charged-once" in judgement.checked


def _customer(world: BillingWorld) -> tuple[Person, str]:
    """Give a person with a live subscription, and their customer."""
    live = next(s for s in world.subscriptions.values() if s["status"] == "active")
    row = next(row for row in world.profiles or () if row.stripe_customer_id == live["customer"])
    person = next(p for p in world.people if row.user_id in p.ids)
    return person, live["customer"]


def _live(world: BillingWorld) -> str:
    _, customer = _customer(world)
    return next(
        n for n, s in world.subscriptions.items() if s["status"] == "active" and s["customer"] == customer
    )


def second_customer(world: BillingWorld) -> None:
    world.customer(_customer(world)[0])


def second_profile(world: BillingWorld) -> None:
    person, customer = _customer(world)
    world.profile(person, customer)


def profile_lost(world: BillingWorld) -> None:
    _, customer = _customer(world)
    assert world.profiles is not None
    world.profiles[:] = [row for row in world.profiles if row.stripe_customer_id != customer]


def profile_emptied(world: BillingWorld) -> None:
    _, customer = _customer(world)
    assert world.profiles is not None
    world.profiles[:] = [
        replace(row, stripe_customer_id=None) if row.stripe_customer_id == customer else row
        for row in world.profiles
    ]


def customer_deleted(world: BillingWorld) -> None:
    world.delete(_customer(world)[1])


def told_of_another(world: BillingWorld) -> None:
    world.answer(_customer(world)[0], "check-out", customer=world.customer(_customer(world)[0]))


def told_of_none(world: BillingWorld) -> None:
    world.answer(_customer(world)[0], "check-out", customer=None)


def session_without_success(world: BillingWorld) -> None:
    world.answer(world.person(), success=False, status=401, session=True)


def subscription_row_lost(world: BillingWorld) -> None:
    name = _live(world)
    assert world.rows is not None
    world.rows[:] = [row for row in world.rows if row.stripe_subscription_id != name]


def subscription_row_twice(world: BillingWorld) -> None:
    person, customer = _customer(world)
    assert world.rows is not None
    world.rows.append(sub_row(person, _live(world), customer))


def subscription_row_of_another_customer(world: BillingWorld) -> None:
    name = _live(world)
    assert world.rows is not None
    world.rows[:] = [
        replace(row, stripe_customer_id="cus_other") if row.stripe_subscription_id == name else row
        for row in world.rows
    ]


def status_not_updated(world: BillingWorld) -> None:
    world.subscriptions[_live(world)]["status"] = "past_due"


def paid_twice(world: BillingWorld) -> None:
    person, customer = _customer(world)
    world.subscribe(person, customer)


def event_refused_to_the_end(world: BillingWorld) -> None:
    world.refused.append(world.events[-1]["id"])


def credited_again(world: BillingWorld) -> None:
    assert world.effects is not None
    world.after_effects = [*world.effects, world.effects[0]]


def row_touched_again(world: BillingWorld) -> None:
    assert world.rows is not None
    world.after_rows = [replace(world.rows[0], status="other"), *world.rows[1:]]


def broke_down(world: BillingWorld) -> None:
    world.made_to_fail = False
    world.answer(world.person(), success=False, status=500)


def forgery_taken(world: BillingWorld) -> None:
    world.deliver(world.events[0]["id"], 200, forged="unsigned")


BREAKS: dict[Callable[[BillingWorld], None], set[str]] = {
    second_customer: {"one-customer-per-user", "no-orphan-customer"},
    second_profile: {"one-profile-per-user"},
    profile_lost: {"setup-complete", "paid-is-known"},
    profile_emptied: {"setup-complete", "one-customer-per-user", "customer-ids-agree", "paid-is-known"},
    customer_deleted: {"setup-complete", "one-customer-per-user"},
    told_of_another: {"answers-agree", "one-customer-per-user", "no-orphan-customer"},
    told_of_none: {"setup-complete"},
    session_without_success: {"setup-complete"},
    subscription_row_lost: {"paid-is-known", "no-lost-event"},
    subscription_row_twice: {"one-row-per-subscription"},
    subscription_row_of_another_customer: {"customer-ids-agree"},
    status_not_updated: {"subscription-matches-stripe"},
    paid_twice: {"charged-once", "one-live-subscription"},
    event_refused_to_the_end: {"no-lost-event"},
    credited_again: {"applied-once"},
    row_touched_again: {"applied-once"},
    broke_down: {"no-server-error"},
    forgery_taken: {"bad-webhook-refused"},
}


@pytest.mark.parametrize(("break_it", "expected"), BREAKS.items(), ids=[b.__name__ for b in BREAKS])
@pytest.mark.slow
@settings(UNTIMED, max_examples=40)
@given(data=st.data())
def test_each_way_to_break_it_trips_what_it_should(
    break_it: Callable[[BillingWorld], None], expected: set[str], data: st.DataObject
) -> None:
    world = data.draw(perfect_worlds(at_least=("live",)))
    break_it(world)
    assert world.tripped() == expected


def test_every_invariant_is_tripped_by_some_break() -> None:
    from deadheat.invariants import BUILT_IN

    assert set().union(*BREAKS.values()) == {invariant.id for invariant in BUILT_IN}
