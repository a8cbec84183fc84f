"""Discounts: coupons that were redeemed for a customer, a subscription, a session or an invoice.

A subscription's own discounts go before its customer's. Each in turn takes off what is left of the
lines that it is for; what it takes is shared out among them to the cent. One that is for once goes with
the first invoice that it takes something from, one that repeats with the first period that begins
after its end. Discounts of a single item are not modelled.

Source: Stripe API reference, "The Discount object", "Delete a subscription discount"; Stripe docs, "Coupons
and promotion codes" (durations, several discounts); stripe-go issue 944 (one for once is used by the
first invoice, and the subscription has none any more).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim import coupons
from deadheat.stripe_sim.api_error import invalid, no_such, unknown_parameter
from deadheat.stripe_sim.api_version import since_basil

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call


def asked(args: Json, version: str) -> list[Json] | None:
    """Give what a call says of discounts: ``discounts``, or ``coupon`` and ``promotion_code`` before basil.

    None if it says nothing; an empty list if there are to be none.
    """
    old = {name: args[name] for name in ("coupon", "promotion_code") if name in args}
    if old and since_basil(version):
        raise unknown_parameter(next(iter(old)))
    if "discounts" in args:
        return args["discounts"] or []
    if not old:
        return None
    return [{name: value} for name, value in old.items() if value is not None]


def claimed(
    ledger: Ledger, wanted: Iterable[Json], at: str, kept: Sequence[Json] = (), **known: Any
) -> list[Json]:
    """Give the discounts that a call wants: new ones, not yet written, and by id those ``kept`` so far."""
    had = {discount["id"]: discount for discount in kept}
    found = []
    for n, one in enumerate(wanted):
        if "discount" not in one:
            found.append(coupons.claimed(ledger, one, f"{at}[{n}]", **known))
        elif one["discount"] in had:
            found.append(had[one["discount"]])
        else:
            raise no_such("discount", one["discount"], param=f"{at}[{n}][discount]")
    if len({discount["source"]["coupon"] for discount in found}) < len(found):
        raise invalid("A coupon may be named only once.", param=at)
    return found


def redeemed(ledger: Ledger, found: Iterable[Json], kept: Sequence[Json] = ()) -> None:
    """Write and count those that are new; emits customer.discount.created for each."""
    for discount in found:
        if discount not in kept:
            coupons.redeemed(ledger, discount)


def held(found: Sequence[Json]) -> Json:
    """Give the fields in which an object has its discounts: their ids and, for ourselves, what they are."""
    return {"discounts": [discount["id"] for discount in found], "_discounts": list(found)}


def of(subscription: Json | None, customer: Json, at: int) -> list[Json]:
    """Give the discounts that an invoice for a period from ``at`` on takes off."""
    own = subscription["_discounts"] if subscription else []
    for_all = customer.get("_discount")
    return _lasting(own, at) or _lasting([for_all] if for_all else [], at)


def _lasting(found: Iterable[Json], at: int) -> list[Json]:
    return [discount for discount in found if discount["end"] is None or at < discount["end"]]


def taken(found: Sequence[Json], parts: Sequence[tuple[int, str | None]]) -> list[list[int]]:
    """Give what each discount takes from each part, an amount with its product.

    Amounts below zero are left alone, and so are products that a coupon is not for.

    >>> half = {"_coupon": {"_applies_to": None, "percent_off": 50.0, "amount_off": None}}
    >>> taken([half, half], [(301, None), (100, None)])
    [[150, 51], [75, 25]]
    """
    left = [amount for amount, _ in parts]
    shares = []
    for discount in found:
        coupon = discount["_coupon"]
        only = coupon["_applies_to"]
        open_to = [
            max(rest, 0) if only is None or product in only else 0
            for rest, (_, product) in zip(left, parts, strict=True)
        ]
        share = _shared(_off(coupon, sum(open_to)), open_to)
        left = [rest - off for rest, off in zip(left, share, strict=True)]
        shares.append(share)
    return shares


def spent(subscription: Json, invoice: Json, at: int) -> list[Json]:
    """Give the discounts that a subscription keeps after an invoice for a period from ``at`` on."""
    return [d for d in subscription["_discounts"] if not _over(d, invoice, at)]


def dropped(ledger: Ledger, before: Iterable[Json], after: Sequence[Json]) -> None:
    """Emit customer.discount.deleted for those that are no more."""
    for discount in before:
        if all(discount["id"] != kept["id"] for kept in after):
            ledger.emit("customer.discount.deleted", ledger.put(discount))


def used(ledger: Ledger, customer_id: str, invoice: Json, at: int) -> None:
    """Take a customer's discount away once an invoice has used it up, or its time is over."""
    customer = ledger.need("customer", customer_id)
    had = customer.get("_discount")
    if had is not None and _over(had, invoice, at):
        hang(ledger, customer, None)


def hang(ledger: Ledger, customer: Json, discount: Json | None) -> Json:
    """Give a customer a claimed discount, or none; emits customer.discount.created, .updated or .deleted."""
    had = customer.get("_discount")
    if discount is not None:
        event = "customer.discount.created" if had is None else "customer.discount.updated"
        discount = coupons.redeemed(ledger, discount, event=event)
    shown = None if discount is None else {n: v for n, v in discount.items() if n != "_coupon"}
    now = ledger.put({**customer, "discount": shown, "_discount": discount})
    if discount is None and had is not None:
        ledger.emit("customer.discount.deleted", ledger.put(had))
    return now


def delete_of_customer(ledger: Ledger, call: Call) -> Json:
    """DELETE /v1/customers/:id/discount; emits customer.discount.deleted."""
    customer = ledger.need("customer", call.path_id)
    had = customer.get("_discount")
    if had is None:
        raise no_such("discount", call.path_id)
    hang(ledger, customer, None)
    return {**had, "deleted": True}


def delete_of_subscription(ledger: Ledger, call: Call) -> Json:
    """DELETE /v1/subscriptions/:id/discount: the last one. customer.discount.deleted, and .updated of it."""
    old = ledger.need("subscription", call.path_id)
    if not old["_discounts"]:
        raise no_such("discount", call.path_id)
    *rest, last = old["_discounts"]
    ledger.change(old, "customer.subscription.updated", **held(rest))
    dropped(ledger, [last], [])
    return {**last, "deleted": True}


def _over(discount: Json, invoice: Json, at: int) -> bool:
    if discount["_coupon"]["duration"] == "once":
        return any(
            part["amount"] and part["discount"] == discount["id"]
            for part in invoice["total_discount_amounts"]
        )
    return discount["end"] is not None and discount["end"] <= at


def _off(coupon: Json, total: int) -> int:
    if coupon["amount_off"] is not None:
        return min(int(coupon["amount_off"]), total)
    return int(total * Fraction(str(coupon["percent_off"])) / 100 + Fraction(1, 2))


def _shared(total: int, weights: Sequence[int]) -> list[int]:
    """Share a total out in proportion: whole cents, none below zero, together the total."""
    whole = sum(weights)
    if not whole:
        return [0] * len(weights)
    shares, so_far, given = [], 0, 0
    for weight in weights:
        so_far += weight
        until = total * so_far // whole
        shares.append(until - given)
        given = until
    return shares
