"""How to read Stripe's JSON where its shape depends on the API version.

Before 2025-03-31.basil an invoice names its subscription and its payment at the top level; since
then under ``parent.subscription_details`` and ``payments``, and a line names its price under
``pricing.price_details``. These readers take either. Source: docs.stripe.com/api/invoices/object,
/subscriptions/object, /refunds/object and the changelog of 2025-03-31.basil.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deadheat.invariants.settled import Json

LIVE = frozenset({"trialing", "active", "past_due", "unpaid", "paused"})
"""Statuses of a subscription that exists and bills, or will bill again."""

OVER = frozenset({"canceled", "incomplete_expired"})
"""Statuses that a subscription never leaves."""

STATUSES = LIVE | OVER | {"incomplete"}


def id_of(value: object) -> str | None:
    """Give the id of a reference, which is an id or, when expanded, the object itself."""
    if isinstance(value, Mapping):
        value = value.get("id")
    return value if isinstance(value, str) else None


def is_live_customer(customer: Json | None) -> bool:
    """Say whether Stripe holds that customer and has not deleted it."""
    return customer is not None and not customer.get("deleted", False)


def subscription_of(thing: Json) -> str | None:
    """Give the subscription that an invoice, a checkout session or a subscription is about."""
    if thing.get("object") == "subscription":
        return id_of(thing)
    return id_of(thing.get("subscription")) or id_of(
        _at(thing, "parent", "subscription_details", "subscription")
    )


def prices_of(thing: Json) -> frozenset[str]:
    """Give the prices on the items of a subscription or the lines of an invoice."""
    found: set[str] = set()
    for line in (*_items(thing.get("items")), *_items(thing.get("lines"))):
        price = id_of(line.get("price")) or id_of(_at(line, "pricing", "price_details", "price"))
        if price is not None:
            found.add(price)
    return frozenset(found)


def charged(invoice: Json) -> int:
    """Give what a paid invoice took, in the currency's smallest unit; 0 when it is not paid."""
    if invoice.get("status") != "paid":
        return 0
    for key in ("amount_paid", "amount_due", "total"):
        amount = invoice.get(key)
        if isinstance(amount, int):
            return amount
    return 1  # paid, by a Stripe that does not say how much


def refunded(invoice: Json, refunds: Iterable[Json]) -> bool:
    """Say whether what a paid invoice took was given back in full.

    Refunds that failed or were canceled gave nothing back.
    """
    payments = frozenset(_payments(invoice))
    back = 0
    for refund in refunds:
        references = {id_of(refund.get(key)) for key in ("charge", "payment_intent", "invoice")} - {None}
        if refund.get("status") not in ("failed", "canceled") and references & payments:
            amount = refund.get("amount")
            back += amount if isinstance(amount, int) else charged(invoice)
    return back > 0 and back >= charged(invoice)


def _payments(invoice: Json) -> Iterator[str]:
    places: list[object] = [invoice, invoice.get("charge"), invoice.get("payment_intent")]
    for payment in _items(invoice.get("payments")):
        places += [_at(payment, "payment", "charge"), _at(payment, "payment", "payment_intent")]
    for place in places:
        found = id_of(place)
        if found is not None:
            yield found


def _items(listing: object) -> tuple[Json, ...]:
    """Give the members of a Stripe list object, or of a bare list."""
    if isinstance(listing, Mapping):
        listing = listing.get("data")
    return tuple(x for x in listing if isinstance(x, Mapping)) if isinstance(listing, list | tuple) else ()


def _at(thing: object, *path: str) -> Any:
    for key in path:
        thing = thing.get(key) if isinstance(thing, Mapping) else None
    return thing
