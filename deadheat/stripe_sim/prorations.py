"""Prorations: what a change of items in the middle of a period gives back and costs, to the second.

The time that is left of the period is credited at the old price and charged at the new one, each as an
invoice item that waits for the next invoice, is billed at once, or is not made: ``proration_behavior``.
Discounts are taken off beforehand, as they are now; a proration is not discounted again. A price with another
interval begins a new period at once; a trial that begins in the middle of a period gives back what is left of
it. What is credited is what the old price costs now, as in billing mode classic, and not what was paid for
it, as in flexible: they differ where a discount has ended in between.

Source: Stripe docs, "Prorations", "Changing the Subscription Billing Cycle" (a trial in the middle of a
period) and "Flexible billing mode"; Stripe API reference, "Update a subscription"
(``proration_behavior``, ``proration_date``).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from deadheat.stripe_sim import discounts, invoice_items, items
from deadheat.stripe_sim.api_error import invalid
from deadheat.stripe_sim.params import one_of, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json

ASKED = {
    "proration_behavior": one_of("always_invoice", "create_prorations", "none"),
    "proration_date": timestamp,
}
_UNMODELLED = ("error_if_incomplete", "pending_if_incomplete")
_BILLED = ("active", "past_due", "unpaid")
"""Statuses in which a period has been billed that can be given back."""


def check(ledger: Ledger, subscription: Json, args: Json) -> None:
    """Refuse a time outside of the period, and what is not modelled of a change that is billed at once."""
    moment(ledger, subscription, args)
    behavior = args.get("payment_behavior")
    if args.get("proration_behavior") == "always_invoice" and behavior in _UNMODELLED:
        raise invalid(
            f"Deadheat does not model `payment_behavior={behavior}` of a change that is invoiced at once.",
            param="payment_behavior",
        )


def moment(ledger: Ledger, subscription: Json, args: Json) -> int:
    """Give from when on a change counts: now or ``proration_date``, within the period that was billed.

    A period that somebody renewed ahead of the run's clock is all left.
    """
    start = min(int(item["current_period_start"]) for item in subscription["items"]["data"])
    until = items.period_end(subscription)
    named = args.get("proration_date")
    if named is not None and not start <= named <= until:
        raise invalid(
            "Cannot specify a `proration_date` outside of the current period.", param="proration_date"
        )
    return int(min(max(ledger.now if named is None else named, start), until))


def begins_anew(subscription: Json, after: Sequence[Json]) -> bool:
    """Say whether the items of a billed subscription get prices of another interval."""
    before = {items.interval(item["price"]) for item in subscription["items"]["data"]}
    return subscription["status"] in _BILLED and any(
        items.interval(item["price"]) not in before for item in after
    )


def of(ledger: Ledger, subscription: Json, after: Sequence[Json], customer: Json, at: int) -> list[Json]:
    """Give the prorations of other items from ``at`` on, as the arguments of `invoice_items.make`."""
    if subscription["status"] not in _BILLED:
        return []
    before = subscription["items"]["data"]
    anew = begins_anew(subscription, after)
    found = discounts.of(subscription, customer, at)
    old, new = _worths(before, found), _worths(after, found)
    kept = {item["id"]: item for item in after}
    had = {item["id"]: item for item in before}
    began = min(item["current_period_start"] for item in before)  # one that is added joins the others
    made = [
        _proration(ledger, subscription, item, old[item["id"]], at, began, credit=True)
        for item in before
        if _terms(item) != _terms(kept.get(item["id"]))
    ]
    if not anew:
        made += [
            _proration(ledger, subscription, item, new[item["id"]], at, began, credit=False)
            for item in after
            if _terms(item) != _terms(had.get(item["id"]))
        ]
    return made


def written(ledger: Ledger, customer_id: str, found: Sequence[Json]) -> None:
    """Make the invoice items of prorations; emits invoiceitem.created for each."""
    for one in found:
        invoice_items.make(ledger, customer_id, **one)


def _proration(
    ledger: Ledger, subscription: Json, item: Json, worth: int, at: int, start: int, *, credit: bool
) -> Json:
    """Give the part from ``at`` on of what an item is worth from ``start`` on; a ``credit`` is below 0."""
    end = item["current_period_end"]
    amount = int(Fraction(worth * (end - at), end - start) + Fraction(1, 2)) if end > start else 0
    amount = -amount if credit else amount
    price, quantity = item["price"], item["quantity"]
    product = (ledger.find("product", price["product"]) or {}).get("name", price["product"])
    return {
        "amount": amount,
        "currency": price["currency"],
        "price": price,
        "quantity": quantity,
        "subscription": subscription["id"],
        "description": f"{'Unused' if credit else 'Remaining'} time on {quantity} × {product}",
        "discountable": False,
        "period": {"end": end, "start": at},
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": f"{amount / quantity:.12g}" if quantity else "0",
        },
        "proration": True,
        "_credited": _credited(ledger, subscription, item) if credit else None,
        "_subscription_item": item["id"],
    }


def _credited(ledger: Ledger, subscription: Json, item: Json) -> Json | None:
    """Give the line that a credit is for, where the latest invoice has it."""
    invoice = ledger.find("invoice", subscription["latest_invoice"] or "")
    lines = [] if invoice is None else list(_lines_for(invoice, item["id"]))
    return {"invoice": subscription["latest_invoice"], "invoice_line_items": lines} if lines else None


def _lines_for(invoice: Json, item_id: str) -> Iterator[str]:
    for line in invoice["lines"]["data"]:
        details = line["parent"]["subscription_item_details"]
        if details is not None and details["subscription_item"] == item_id and line["amount"] > 0:
            yield line["id"]


def _worths(data: Sequence[Json], found: Sequence[Json]) -> dict[str, int]:
    """Give what each item costs in a whole period, discounts taken off."""
    parts = [(items.amount([item]), item["price"]["product"]) for item in data]
    off = [sum(shares) for shares in zip(*discounts.taken(found, parts), strict=True)] or [0] * len(parts)
    return {item["id"]: parts[n][0] - off[n] for n, item in enumerate(data)}


def _terms(item: Json | None) -> tuple[str, int] | None:
    return None if item is None else (item["price"]["id"], item["quantity"])
