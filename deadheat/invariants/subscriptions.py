"""Invariants of subscriptions: one live, each known, none twice, and all as Stripe has them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from deadheat.invariants.case import at_step, called, customer_of, listed, row_of
from deadheat.invariants.invariant import Invariant
from deadheat.invariants.settled import Evidence
from deadheat.invariants.stripe_json import LIVE, prices_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadheat.invariants.case import Case, Row
    from deadheat.invariants.settled import Json, Person, SubscriptionRow


def one_live(case: Case) -> Iterator[Evidence]:
    """Judge one-live-subscription, in Stripe and in the database, per user or per price."""
    per_price = case.policy("one-live-subscription", "per-user") == "per-price"
    held: dict[Person | None, list[Json]] = defaultdict(list)
    for subscription in case.settled.stripe.subscriptions:
        if subscription.get("status") in LIVE:
            held[case.holder(subscription)].append(subscription)
    for person in case.settled.people:
        mine = held.get(person, [])
        for price, group in _grouped({str(s["id"]): s for s in mine}, per_price).items():
            steps = case.made_in(*group)
            yield Evidence(
                says=f"{called(person)} has {len(group)} live subscriptions at Stripe{_to(price)}: "
                f"{listed(group)}{at_step(steps)}.",
                user_id=person.ids[-1],
                objects=tuple(group),
                steps=steps,
            )
        yield from _live_rows(case, person, per_price)


def _live_rows(case: Case, person: Person, per_price: bool) -> Iterator[Evidence]:
    """Judge the database's half. Rows of one Stripe subscription count once, here."""
    rows: dict[str, SubscriptionRow] = {}
    for n, row in enumerate(case.subscription_rows_of(person)):
        if case.is_live_row(row):
            rows.setdefault(row.stripe_subscription_id or f"row {n + 1}, which names none", row)
    known = {name: case.subscription(name) for name in rows}
    for price, group in _grouped(known, per_price).items():
        yield Evidence(
            says=f"The database holds {len(group)} live subscriptions of {called(person)}{_to(price)}: "
            f"{listed(group)}.",
            user_id=person.ids[-1],
            rows=tuple(row_of(rows[name]) for name in group),
            objects=tuple(x for name in group if (x := rows[name].stripe_subscription_id)),
        )


def _grouped(subscriptions: dict[str, Json | None], per_price: bool) -> dict[str | None, list[str]]:
    """Give the groups of more than one: all together, or by price (one of unknown price has none)."""
    groups: dict[str | None, list[str]] = defaultdict(list)
    for name, subscription in subscriptions.items():
        prices = sorted(prices_of(subscription)) if subscription is not None else []
        for price in prices if per_price else [None]:
            groups[price].append(name)
    return {price: group for price, group in groups.items() if len(group) > 1}


def _to(price: str | None) -> str:
    return f" to price {price}" if price else ""


def paid_is_known(case: Case) -> Iterator[Evidence]:
    """Judge paid-is-known: live subscriptions, and those whose money was taken and kept."""
    rows = {row.stripe_subscription_id: row for row in case.subscription_rows}
    for subscription in case.settled.stripe.subscriptions:
        live = subscription.get("status") in LIVE
        if not live and (not case.is_paid(subscription) or superseded(case, subscription)):
            continue
        name, customer = str(subscription["id"]), customer_of(subscription)
        if customer in case.settled.stripe.strangers:
            continue  # nobody of the target's: it owes no row
        person = case.holder(subscription)
        if person and not live and case.has_left(person):
            continue
        profiles = case.profiles_of(person) if person else ()
        missing = [] if name in rows else ["no subscription row names it"]
        if person and customer not in {row.stripe_customer_id for row in profiles}:
            named = [row.stripe_customer_id or "none" for row in profiles]
            missing.append(
                f"the profile names {listed(named)}, not {customer}" if named else "there is no profile row"
            )
        if missing:
            steps = case.made_in(name)
            whose = called(person) if person else f"customer {customer}, owner unknown,"
            shown: list[Row] = [*profiles, *([rows[name]] if name in rows else [])]
            yield Evidence(
                says=f"At Stripe {whose} {'has' if live else 'paid for'} subscription {name} "
                f"({subscription.get('status')}){at_step(steps)}; {listed(missing)}.",
                user_id=person.ids[-1] if person else None,
                rows=tuple(row_of(row) for row in shown),
                objects=tuple(x for x in (name, customer) if x),
                steps=steps,
            )


def superseded(case: Case, subscription: Json) -> bool:
    """Say whether an ended subscription gave its row to another one of the same person.

    A schema with one row per user keeps only the current subscription, and loses nothing by it: the
    row of a later one will do, and for a duplicate whose money was given back that of any other.
    """
    person = case.holder(subscription)
    if subscription.get("status") in LIVE or person is None:
        return False
    places = case.index.subscription_places
    mine, paid = places[subscription.get("id")], case.is_paid(subscription)
    rows = [places.get(row.stripe_subscription_id) for row in case.subscription_rows_of(person)]
    return any(place is not None and (place > mine if paid else place != mine) for place in rows)


def matches_stripe(case: Case) -> Iterator[Evidence]:
    """Judge subscription-matches-stripe, for every row that names a subscription."""
    for row in case.subscription_rows:
        name = row.stripe_subscription_id
        if name is None:
            continue
        subscription = case.subscription(name)
        if subscription is not None and subscription.get("status") in case.means(row.status):
            continue
        at_stripe = f"it is {subscription.get('status')}" if subscription else "there is no such subscription"
        person = case.person(row.user_id)
        yield Evidence(
            says=f"The database has subscription {name} of {called(person) if person else row.user_id} as "
            f"{row.status or 'without status'}; at Stripe {at_stripe}.",
            user_id=row.user_id,
            rows=(row_of(row),),
            objects=(name,),
            steps=_told(case, name)[-3:],
        )


def _told(case: Case, subscription_id: str) -> tuple[int, ...]:
    """Give the steps in which the target was told of a subscription, in order."""
    events = [
        str(event.get("id"))
        for _, event in case.index.events_about.get(subscription_id, ())
        if event.get("data", {}).get("object", {}).get("id") == subscription_id
    ]
    return tuple(sorted(d.seq for event_id in events for d in case.index.deliveries.get(event_id, ())))


def one_row(case: Case) -> Iterator[Evidence]:
    """Judge one-row-per-subscription."""
    rows: dict[str, list[SubscriptionRow]] = defaultdict(list)
    for row in case.subscription_rows:
        if row.stripe_subscription_id:
            rows[row.stripe_subscription_id].append(row)
    for name, group in rows.items():
        if len(group) > 1:
            users = sorted({row.user_id for row in group})
            yield Evidence(
                says=f"Stripe has one subscription {name}; the database has {len(group)} rows of it, "
                f"for user {listed(users)}.",
                user_id=users[0],
                rows=tuple(row_of(row) for row in group),
                objects=(name,),
            )


INVARIANTS = (
    Invariant(
        id="one-live-subscription",
        holds_when="at most one live subscription per user or per price, in Stripe and in the database",
        check=one_live,
        needs=("subscriptions", "stripe"),
        policies=("per-user", "per-price"),
    ),
    Invariant(
        id="paid-is-known",
        holds_when="every live or paid subscription in Stripe has a local row, and its user a profile naming "
        "the same customer",
        check=paid_is_known,
        needs=("customers", "subscriptions", "webhook", "stripe"),
    ),
    Invariant(
        id="subscription-matches-stripe",
        holds_when="after settling each local status is Stripe's",
        check=matches_stripe,
        needs=("subscriptions", "webhook", "stripe"),
    ),
    Invariant(
        id="one-row-per-subscription",
        holds_when="a Stripe subscription has one local row",
        check=one_row,
        needs=("subscriptions",),
    ),
)
