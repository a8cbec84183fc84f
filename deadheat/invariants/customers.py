"""Invariants of customers and profiles: one each per person, none without a home, all agreeing."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from deadheat.invariants.case import at_step, called, listed, row_of
from deadheat.invariants.invariant import Invariant
from deadheat.invariants.settled import Evidence
from deadheat.invariants.stripe_json import is_live_customer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadheat.invariants.case import Case, Row
    from deadheat.invariants.settled import CustomerRow, Person


def one_customer(case: Case) -> Iterator[Evidence]:
    """Judge one-customer-per-user: both halves, Stripe's and the database's."""
    held: dict[Person, list[str]] = defaultdict(list)
    for customer in case.live_customers():
        if (owner := case.owner(customer)) is not None:
            held[owner.person].append(customer)
    for person in case.settled.people:
        mine = held.get(person, [])
        rows = case.profiles_of(person)
        if len(mine) > 1:
            yield _several(case, person, mine, rows)
        elif rows and (mine or any(row.stripe_customer_id for row in rows)):
            yield from _astray(case, person, mine, rows)


def _several(case: Case, person: Person, mine: list[str], rows: tuple[CustomerRow, ...]) -> Evidence:
    steps = case.made_in(*mine)
    named = [row.stripe_customer_id or "none" for row in rows]
    pointed = f"the profile names {listed(named)}" if named else "there is no profile row"
    how = sorted({owner.rung.value for c in mine if (owner := case.owner(c)) is not None})
    return Evidence(
        says=f"Stripe holds {len(mine)} live customers for {called(person)}: {listed(mine)}{at_step(steps)}, "
        f"theirs by {listed(how)}; {pointed}. A person has one at most.",
        user_id=person.ids[-1],
        rows=tuple(row_of(row) for row in rows),
        objects=tuple(mine),
        steps=steps,
    )


def _astray(case: Case, person: Person, mine: list[str], rows: tuple[CustomerRow, ...]) -> Iterator[Evidence]:
    """Give the rows of a person with at most one live customer that point anywhere else."""
    for row in rows:
        named = row.stripe_customer_id
        if named in mine:
            continue
        if named is None:
            if len(rows) > 1 and any(other.stripe_customer_id in mine for other in rows):
                continue  # the other row points at it; that there are two is one-profile-per-user's
            fault = "names no customer"
        else:
            fault = f"names {named}, {_what_is(case, named, person)}"
        held = f"Stripe holds {mine[0]} for them" if mine else "Stripe holds no live customer for them"
        steps = case.made_in(*mine)
        yield Evidence(
            says=f"The profile of {called(person)} {fault}, while {held}{at_step(steps)}.",
            user_id=row.user_id,
            rows=(row_of(row),),
            objects=tuple(x for x in (named, *mine) if x),
            steps=steps,
        )


def _what_is(case: Case, customer_id: str, person: Person) -> str:
    customer = case.customer(customer_id)
    if customer is None:
        return "which does not exist at Stripe"
    if not is_live_customer(customer):
        return "which is deleted"
    owner = case.owner(customer_id)
    if owner is None or owner.person == person:
        return "which nothing says is theirs"
    return f"which is {called(owner.person)}'s by {owner.rung.value}"


def one_profile(case: Case) -> Iterator[Evidence]:
    """Judge one-profile-per-user."""
    for person in case.settled.people:
        rows = case.profiles_of(person)
        if len(rows) > 1:
            named = [row.stripe_customer_id or "no customer" for row in rows]
            yield Evidence(
                says=f"{called(person)} has {len(rows)} profile rows, naming {listed(named)}. "
                "Whichever is read next, the others are passed over.",
                user_id=person.ids[-1],
                rows=tuple(row_of(row) for row in rows),
            )


def no_orphan(case: Case) -> Iterator[Evidence]:
    """Judge no-orphan-customer: a live customer is named by a profile or a subscription row."""
    by_profile = {row.stripe_customer_id for row in case.profiles}
    known = by_profile | {row.stripe_customer_id for row in case.subscription_rows}
    for customer in case.live_customers():
        if customer in known or customer in case.settled.stripe.strangers:
            continue
        owner = case.owner(customer)
        whose = f"of {called(owner.person)} by {owner.rung.value}" if owner else "owner unknown"
        steps = case.made_in(customer)
        yield Evidence(
            says=f"Stripe holds customer {customer}{at_step(steps)}, {whose}; no row names it. "
            "Whatever it is charged, the database will not know.",
            user_id=owner.person.ids[-1] if owner else None,
            objects=(customer,),
            steps=steps,
        )


def ids_agree(case: Case) -> Iterator[Evidence]:
    """Judge customer-ids-agree: as ``IS DISTINCT FROM`` would, for a person who has a profile.

    A subscription row that names no customer (written before payment) contradicts nobody; a profile
    that names none contradicts a subscription row that does.
    """
    for person in case.settled.people:
        profiles = case.profiles_of(person)
        rows = [row for row in case.subscription_rows_of(person) if row.stripe_customer_id]
        by_profile = sorted({row.stripe_customer_id for row in profiles if row.stripe_customer_id})
        by_subscription = sorted({row.stripe_customer_id for row in rows if row.stripe_customer_id})
        if not profiles or len({*by_profile, *by_subscription}) <= (1 if by_profile else 0):
            continue
        shown: list[Row] = [*profiles, *rows]
        yield Evidence(
            says=f"The rows of {called(person)} name different customers: the profile names "
            f"{listed(by_profile) or 'none'}, the subscriptions name {listed(by_subscription) or 'none'}.",
            user_id=person.ids[-1],
            rows=tuple(row_of(row) for row in shown),
            objects=tuple(dict.fromkeys((*by_profile, *by_subscription))),
        )


INVARIANTS = (
    Invariant(
        id="one-customer-per-user",
        holds_when="Stripe holds at most one live customer for each user, and the database points at it",
        check=one_customer,
        needs=("customers", "stripe"),
    ),
    Invariant(
        id="one-profile-per-user",
        holds_when="no user has two profile rows",
        check=one_profile,
        needs=("customers",),
    ),
    Invariant(
        id="no-orphan-customer",
        holds_when="every Stripe customer made in the run is known to the database once settled",
        check=no_orphan,
        needs=("customers", "stripe"),
    ),
    Invariant(
        id="customer-ids-agree",
        holds_when="profiles and subscriptions name the same customer",
        check=ids_agree,
        needs=("customers", "subscriptions"),
    ),
)
