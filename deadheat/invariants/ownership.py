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

from deadheat.invariants.index import Index
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


def owner_of(customer_id: str, settled: Settled, index: Index | None = None) -> Owner | None:
    """Give the owner of a customer, or None when nothing says whose it is, or it is a stranger's."""
    if customer_id in settled.stripe.strangers:
        return None
    for rung, said in _rungs(customer_id, settled, index or Index(settled)):
        people = _distinct(said)
        if len(people) == 1:
            return Owner(people[0], rung)
    return None


def owner_of_subscription(subscription: Json, settled: Settled, index: Index | None = None) -> Owner | None:
    """Give the owner of a subscription: its customer's, else its maker, else whom its metadata names."""
    index = index or Index(settled)
    customer = id_of(subscription.get("customer"))
    owner = owner_of(customer, settled, index) if customer is not None else None
    if owner is not None:
        return owner
    maker = index.person(settled.stripe.owner.get(str(subscription.get("id"))))
    if maker is not None:
        return Owner(maker, Rung.ACTOR)
    named = _distinct(index.person(value) for value in _references(subscription))
    return Owner(named[0], Rung.REFERENCE) if len(named) == 1 else None


def _rungs(
    customer_id: str, settled: Settled, index: Index
) -> Iterator[tuple[Rung, Iterator[Person | None]]]:
    yield Rung.ACTOR, iter([index.person(settled.stripe.owner.get(customer_id))])
    profiles = index.profiles_naming.get(customer_id, ())
    yield Rung.PROFILE, (index.person(row.user_id) for row in profiles)
    rows = index.subscription_rows_naming.get(customer_id, ())
    yield Rung.SUBSCRIPTION, (index.person(row.user_id) for row in rows)
    own = index.customers.get(customer_id)
    about = [*([own] if own else []), *index.about_customer.get(customer_id, ())]
    yield Rung.REFERENCE, (index.person(value) for thing in about for value in _references(thing))
    email = _folded(own.get("email")) if own else ""
    yield Rung.EMAIL, iter(index.people_by_email.get(email, ()))


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
