"""What coupons and promotion codes take off a checkout session: as it is made, and as it is paid.

Source: Stripe API reference, "Checkout Sessions" (``discounts``, ``total_details``); Stripe docs, "Add
discounts", "No-cost orders".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.errors import ActRefused
from deadheat.stripe_sim import coupons, discounts
from deadheat.stripe_sim.api_error import ApiError, invalid

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json


def check(args: Json) -> None:
    """Refuse a session that names more than one discount, or one and takes codes besides."""
    if args.get("discounts") and args.get("allow_promotion_codes"):
        raise invalid("You may only specify one of these parameters: allow_promotion_codes, discounts.")
    if len(args.get("discounts", ())) > 1:
        raise invalid("Checkout Sessions support up to one coupon or promotion code.", param="discounts")


def of(ledger: Ledger, session: Json, customer: Json | None) -> list[Json]:
    """Give what a session takes off: what it or its payer names, else what its customer has anyway."""
    subscribes = session["mode"] == "subscription"
    if not session["_asked"] and subscribes and customer is not None:
        return discounts.of(None, customer, ledger.now)
    return discounts.claimed(
        ledger,
        session["_asked"],
        "discounts",
        customer=customer["id"] if customer else None,
        subtotal=sum(line["amount_subtotal"] for line in session["_lines"]),
        currency=session["currency"],
        checkout_session=None if subscribes else session["id"],
    )


def totals(session: Json, found: list[Json]) -> Json:
    """Give what the discounts of a session make of its lines, its totals and what is to be paid."""
    lines = session["_lines"]
    parts = [
        (0 if session["_trial"] and line["price"]["recurring"] else line["amount_subtotal"], line["price"])
        for line in lines
    ]  # what the first invoice asks for: nothing of a trial
    shares = discounts.taken(found, [(amount, price["product"]) for amount, price in parts])
    off = [sum(each) for each in zip(*shares, strict=True)] or [0] * len(parts)
    subtotal = sum(line["amount_subtotal"] for line in lines)
    total = sum(amount for amount, _ in parts) - sum(off)
    return {
        "amount_subtotal": None if session["mode"] == "setup" else subtotal,
        "amount_total": None if session["mode"] == "setup" else total,
        "discounts": [
            {"coupon": discount["source"]["coupon"], "promotion_code": discount["promotion_code"]}
            for discount in found
        ],
        "payment_status": "unpaid" if total else "no_payment_required",
        "total_details": {"amount_discount": sum(off), "amount_shipping": 0, "amount_tax": 0},
        "_lines": [
            {**line, "amount_discount": taken, "amount_total": line["amount_subtotal"] - taken}
            for line, taken in zip(lines, off, strict=True)
        ],
    }


def as_paid(ledger: Ledger, session: Json, typed: str | None) -> tuple[Json, list[Json]]:
    """Give a session as its payer sees it now, with the code that they typed, and what it takes off."""
    customer = ledger.find("customer", session["customer"]) if session["customer"] else None
    if typed is not None:
        if not session["allow_promotion_codes"]:
            raise ActRefused(f"Checkout session {session['id']} takes no promotion codes.")
        code = coupons.code_named(ledger, typed, session["customer"])
        if code is None:
            raise ActRefused(f"The code {typed} is no active promotion code; {session['id']} is still open.")
        session = {**session, "_asked": [{"promotion_code": code["id"]}]}
    if customer is not None and customer.get("deleted"):
        return session, []
    try:
        found = of(ledger, session, customer)
    except ApiError as error:
        said = error.problem.message
        raise ActRefused(f"Checkout session {session['id']} was not paid and is still open: {said}") from None
    return {**session, **totals(session, found)}, found
