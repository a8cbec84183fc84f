"""The invariant of money: nobody pays twice for the same thing.

Two first invoices for one price are a double charge when both took money and kept it, and either
the second was paid while the first subscription was still held, or there are more of them than the
program asked for. To cancel and subscribe anew is to ask twice.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deadheat.invariants.case import at_step, called, listed
from deadheat.invariants.invariant import Invariant
from deadheat.invariants.settled import Evidence
from deadheat.invariants.stripe_json import id_of, prices_of, subscription_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadheat.invariants.case import Case
    from deadheat.invariants.settled import Json, Person

PAID = frozenset({"invoice.paid", "invoice.payment_succeeded", "checkout.session.completed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """A first invoice that was paid; ``paid`` and ``ended`` are positions among the run's events."""

    invoice: str
    subscription: str | None
    paid: int | None
    ended: int | None


def charged_once(case: Case) -> Iterator[Evidence]:
    """Judge charged-once, per person and price."""
    bought: dict[tuple[str, str], list[Purchase]] = defaultdict(list)
    people: dict[str, Person] = {}
    for invoice in case.paid_invoices():
        person = _payer(case, invoice)
        if person is None or invoice.get("billing_reason", "subscription_create") != "subscription_create":
            continue
        people[person.ids[-1]] = person
        for price in _prices(case, invoice):
            bought[person.ids[-1], price].append(_purchase(case, invoice))
    for (user_id, price), purchases in bought.items():
        double = _held_at_once(purchases)
        if len(double) < 2 and len(purchases) > _asked_for(case, people[user_id]):
            double = purchases
        if len(double) > 1:
            yield _double(case, people[user_id], price, double)


def _double(case: Case, person: Person, price: str, purchases: list[Purchase]) -> Evidence:
    invoices = [p.invoice for p in purchases]
    subscriptions = list(dict.fromkeys(p.subscription for p in purchases if p.subscription))
    steps = case.made_in(*invoices)
    return Evidence(
        says=f"{called(person)} paid {len(invoices)} first invoices for {price}: {listed(invoices)}"
        f"{at_step(steps)}, of {listed(subscriptions) or 'no subscription'}. None was refunded in full.",
        user_id=person.ids[-1],
        objects=(*invoices, *subscriptions),
        steps=steps,
    )


def _held_at_once(purchases: list[Purchase]) -> list[Purchase]:
    """Give purchases of which the last was paid while the others were held; else at most one.

    A purchase whose payment no event tells of counts as held at the same time as every other.
    """
    held: list[Purchase] = []
    for purchase in sorted(purchases, key=lambda p: -1 if p.paid is None else p.paid):
        paid = purchase.paid
        held = [p for p in held if paid is None or p.ended is None or p.ended > paid]
        held.append(purchase)
        if len(held) > 1:
            return held
    return held


def _asked_for(case: Case, person: Person) -> int:
    return max((case.settled.asked_for[i] for i in person.ids if i in case.settled.asked_for), default=1)


def _payer(case: Case, invoice: Json) -> Person | None:
    customer = id_of(invoice.get("customer"))
    owner = case.owner(customer) if customer is not None else None
    if owner is not None:
        return owner.person
    subscription = case.subscription(subscription_of(invoice) or "")
    return case.holder(subscription) if subscription is not None else None


def _prices(case: Case, invoice: Json) -> list[str]:
    subscription = case.subscription(subscription_of(invoice) or "")
    prices = prices_of(invoice) or (prices_of(subscription) if subscription is not None else frozenset())
    return [f"price {price}" for price in sorted(prices)] or ["a price that Stripe does not name"]


def _purchase(case: Case, invoice: Json) -> Purchase:
    name, subscription = str(invoice["id"]), subscription_of(invoice)
    paid = ended = None
    for position in sorted({*_places(case, name), *_places(case, subscription)}):
        event = case.settled.stripe.events[position]
        thing = event.get("data", {}).get("object", {})
        if (
            paid is None
            and event.get("type") in PAID
            and (thing.get("id") == name or (subscription is not None and _completes(thing, subscription)))
        ):
            paid = position
        if thing.get("id") == subscription is not None and thing.get("status") == "canceled":
            ended = position if ended is None else ended
    return Purchase(invoice=name, subscription=subscription, paid=paid, ended=ended)


def _places(case: Case, name: str | None) -> list[int]:
    return [place for place, _ in case.index.events_about.get(name, ())] if name is not None else []


def _completes(thing: Json, subscription: str) -> bool:
    return thing.get("object") == "checkout.session" and subscription_of(thing) == subscription


INVARIANTS = (
    Invariant(
        id="charged-once",
        holds_when="no user has two paid, unrefunded first invoices for one price in a run that asked for "
        "one",
        check=charged_once,
        needs=("stripe",),
    ),
)
