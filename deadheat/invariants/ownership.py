"""Whose customer is it? One rule for every invariant, a ladder whose strongest rung decides.

1. the actor whose step created it;
2. the user whose profile row names it, else whose subscription row does;
3. a metadata value or a ``client_reference_id`` equal to the user's id, on the customer, its
   checkout sessions or its subscriptions;
4. its e-mail, case-folded;
5. otherwise the owner is unknown, which ``no-orphan-customer`` judges.

A rung that points at two people decides nothing, and the next is asked. People are matched by any
of their ids: the target may have known one person by several.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from deadheat.invariants.stripe_json import id_of

if TYPE_CHECKING:
    from deadheat.invariants.settled import Json, Person, Settled


class Rung(StrEnum):
    """How an owner was found; the value completes "… is theirs by"."""

    ACTOR = "the actor whose step created it"
    PROFILE = "the profile row that names it"
    SUBSCRIPTION = "the subscription row that names it"
    REFERENCE = "the user id in its metadata or client_reference_id"
    EMAIL = "its e-mail"


@dataclass(frozen=True, slots=True)
class Owner:
    """A person, and the rung that says so."""

    person: Person
    rung: Rung


def person_of(user_id: object, people: Iterable[Person]) -> Person | None:
    """Give the person whom the target knew by that id, current or not; None for nobody's."""
    wanted = str(user_id).casefold()
    known = (p for p in people if any(one.casefold() == wanted for one in p.ids))
    return next(known, None) if user_id is not None else None


def owner_of(customer_id: str, settled: Settled) -> Owner | None:
    """Give the owner of a customer, or None when nothing says whose it is, or it is a stranger's."""
    if customer_id in settled.stripe.strangers:
        return None
    for rung, said in _rungs(customer_id, settled):
        people = _distinct(said)
        if len(people) == 1:
            return Owner(people[0], rung)
    return None


def owner_of_subscription(subscription: Json, settled: Settled) -> Owner | None:
    """Give the owner of a subscription: its customer's, else its maker, else whom its metadata names."""
    customer = id_of(subscription.get("customer"))
    owner = owner_of(customer, settled) if customer is not None else None
    if owner is not None:
        return owner
    maker = person_of(settled.stripe.owner.get(str(subscription.get("id"))), settled.people)
    if maker is not None:
        return Owner(maker, Rung.ACTOR)
    named = _distinct(person_of(value, settled.people) for value in _references(subscription))
    return Owner(named[0], Rung.REFERENCE) if len(named) == 1 else None


def _rungs(customer_id: str, settled: Settled) -> Iterator[tuple[Rung, Iterator[Person | None]]]:
    people, tables, stripe = settled.people, settled.before_again, settled.stripe
    yield Rung.ACTOR, iter([person_of(stripe.owner.get(customer_id), people)])
    for rung, rows in ((Rung.PROFILE, tables.customers), (Rung.SUBSCRIPTION, tables.subscriptions)):
        named = [row for row in rows or () if row.stripe_customer_id == customer_id]
        yield rung, (person_of(row.user_id, people) for row in named)
    own = [c for c in stripe.customers if c.get("id") == customer_id]
    about = [t for t in (*stripe.sessions, *stripe.subscriptions) if id_of(t.get("customer")) == customer_id]
    yield Rung.REFERENCE, (person_of(v, people) for thing in (*own, *about) for v in _references(thing))
    yield Rung.EMAIL, (p for c in own for p in people if _folded(c.get("email")) == _folded(p.email) != "")


def _references(thing: Json) -> Iterator[str]:
    metadata = thing.get("metadata")
    if isinstance(metadata, Mapping):
        yield from (str(value) for value in metadata.values())
    reference = thing.get("client_reference_id")
    if reference is not None:
        yield str(reference)


def _folded(email: object) -> str:
    return email.strip().casefold() if isinstance(email, str) else ""


def _distinct(said: Iterable[Person | None]) -> list[Person]:
    people: list[Person] = []
    for person in said:
        if person is not None and person not in people:
            people.append(person)
    return people
