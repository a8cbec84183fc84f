"""The currency of a customer: the one that their subscriptions, and what waits for those, have in common.

Invoices of an application's own, and what is put into them, may be in any other.

Source: Stripe docs, "Multi-currency customers"; Stripe support, "Customer default currency", "Updating
Subscription currency" (what is to be removed before).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.stripe_sim.api_error import invalid
from deadheat.stripe_sim.collection import ENDED

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json


def of(ledger: Ledger, customer: Json) -> set[str]:
    """Give the currencies of a customer's subscriptions that go on, and of what is to come with them.

    That is an open session for one, an invoice item that waits, and a discount of a fixed amount.
    """
    name = customer["id"]
    going_on = [s for s in ledger.of("subscription", customer=name) if s["status"] not in ENDED]
    sessions = ledger.of("checkout.session", customer=name)
    open_ = [s for s in sessions if (s["mode"], s["status"]) == ("subscription", "open")]
    waiting = [item for item in ledger.of("invoiceitem", customer=name) if item["invoice"] is None]
    known = {found["currency"] for found in (*going_on, *open_, *waiting)}
    discount = customer.get("_discount")
    if discount is not None and discount["_coupon"]["currency"] is not None:
        known.add(discount["_coupon"]["currency"])
    return known


def check(ledger: Ledger, customer: Json, currency: str) -> None:
    """Refuse to subscribe a customer in a second currency."""
    others = of(ledger, customer) - {currency}
    if others:
        raise invalid(
            "You cannot combine currencies on a single customer. This customer has an active subscription, "
            "subscription schedule, discount, quote, invoice item or active subscription mode checkout "
            f"session with currency {min(others)}."
        )
