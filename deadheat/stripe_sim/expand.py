"""Expansion: ids replaced by their objects where a call asks for it with ``expand[]``.

The table says which fields lead where, so that a path is judged before anything is executed, and
the same table is walked to fill it. Source: Stripe API reference, "Expanding responses".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim import invoice_payments, invoices, sessions
from deadheat.stripe_sim.api_error import invalid
from deadheat.stripe_sim.api_version import since_basil
from deadheat.stripe_sim.present import listed, present

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json

DEPTH_MAX = 4
_LENT = ("applies_to", "confirmation_secret")

# type -> field -> the type it leads to. A type that is no kind of the ledger is a part of an object.
_LEADS: dict[str, dict[str, str]] = {
    "customer": {
        "default_source": "unmodelled",
        "discount": "discount",
        "invoice_settings": "invoice_settings",
        "sources": "unmodelled",
        "subscriptions": "list of subscription",
        "tax": "unmodelled",
        "tax_ids": "unmodelled",
        "test_clock": "unmodelled",
    },
    "invoice_settings": {"default_payment_method": "payment_method"},
    "checkout.session": {
        "customer": "customer",
        "discounts": "session_discount",
        "invoice": "invoice",
        "line_items": "list of item",
        "payment_intent": "payment_intent",
        "payment_link": "unmodelled",
        "setup_intent": "setup_intent",
        "subscription": "subscription",
        "total_details": "total_details",
    },
    "total_details": {"breakdown": "unmodelled"},
    "item": {"price": "price", "discounts": "unmodelled", "taxes": "unmodelled"},
    "subscription": {
        "customer": "customer",
        "default_payment_method": "payment_method",
        "default_source": "unmodelled",
        "discount": "discount",
        "discounts": "discount",
        "items": "list of subscription_item",
        "latest_invoice": "invoice",
        "pending_setup_intent": "setup_intent",
        "plan": "plan",
        "schedule": "unmodelled",
        "test_clock": "unmodelled",
    },
    "subscription_item": {"price": "price", "plan": "plan"},
    "plan": {"product": "product"},
    "price": {"product": "product", "tiers": "unmodelled", "currency_options": "unmodelled"},
    "product": {"default_price": "price", "tax_code": "unmodelled"},
    "invoice": {
        "charge": "charge",
        "confirmation_secret": "confirmation_secret",
        "customer": "customer",
        "default_payment_method": "payment_method",
        "discount": "discount",
        "discounts": "discount",
        "lines": "list of line_item",
        "total_discount_amounts": "discount_amount",
        "parent": "invoice_parent",
        "payment_intent": "payment_intent",
        "payments": "list of invoice_payment",
        "subscription": "subscription",
    },
    "invoiceitem": {"customer": "customer", "invoice": "invoice", "subscription": "subscription"},
    "invoice_parent": {"subscription_details": "invoice_parent_details"},
    "invoice_parent_details": {"subscription": "subscription"},
    "invoice_payment": {"payment": "invoice_payment_payment", "invoice": "invoice"},
    "invoice_payment_payment": {"payment_intent": "payment_intent", "charge": "charge"},
    "line_item": {"discount_amounts": "discount_amount", "discounts": "discount", "price": "price"},
    "discount": {
        "coupon": "coupon",
        "customer": "customer",
        "promotion_code": "promotion_code",
        "source": "discount_source",
    },
    "discount_amount": {"discount": "discount"},
    "discount_source": {"coupon": "coupon"},
    "coupon": {"applies_to": "applies_to"},
    "promotion_code": {"coupon": "coupon", "customer": "customer", "promotion": "promotion"},
    "promotion": {"coupon": "coupon"},
    "session_discount": {"coupon": "coupon", "promotion_code": "promotion_code"},
    "payment_intent": {
        "customer": "customer",
        "invoice": "invoice",
        "latest_charge": "charge",
        "payment_method": "payment_method",
    },
    "payment_method": {"customer": "customer"},
    "setup_intent": {
        "customer": "customer",
        "latest_attempt": "unmodelled",
        "mandate": "unmodelled",
        "payment_method": "payment_method",
    },
    "credit_note": {
        "customer": "customer",
        "customer_balance_transaction": "customer_balance_transaction",
        "invoice": "invoice",
    },
    "customer_balance_transaction": {"customer": "customer", "invoice": "invoice"},
    "billing_portal.session": {"configuration": "billing_portal.configuration"},
    "charge": {
        "balance_transaction": "unmodelled",
        "customer": "customer",
        "invoice": "invoice",
        "payment_intent": "payment_intent",
        "refunds": "list of refund",
    },
    "refund": {
        "balance_transaction": "unmodelled",
        "charge": "charge",
        "payment_intent": "payment_intent",
    },
}


def check(paths: Sequence[str], gives: str) -> None:
    """Refuse paths that lead nowhere from a result of type ``gives``, or too deep: ``data`` is a level."""
    for path in paths:
        steps = path.split(".")
        if len(steps) > DEPTH_MAX:
            raise invalid(
                f"You cannot expand more than {DEPTH_MAX} levels of a property. Property: {path}",
                param="expand",
                code="property_expansion_max_depth",
            )
        here = gives
        for step in steps:
            there = _lead(here, step)
            if there is None:
                raise invalid(f"This property cannot be expanded ({path}).", param="expand")
            if there == "unmodelled":
                break
            here = there


def expand(ledger: Ledger, shown: Json, gives: str, paths: Sequence[str], version: str) -> Json:
    """Give ``shown`` with what the paths name filled in; nothing that is shared is changed."""
    for path in paths:
        shown = _fill(ledger, shown, gives, path.split("."), version)
    return shown


def _lead(here: str, step: str) -> str | None:
    if here.startswith("list of "):
        return here.removeprefix("list of ") if step == "data" else None
    return _LEADS.get(here, {}).get(step)


def _fill(ledger: Ledger, shown: Json, kind: str, steps: list[str], version: str) -> Json:
    step, rest = steps[0], steps[1:]
    there = _lead(kind, step)
    if there is None or there == "unmodelled":
        return shown
    value = shown.get(step)
    if value is None and (there.startswith("list of ") or there in _LENT):
        value = _lent(ledger, shown, kind, step, version)
    elif isinstance(value, str):
        value = _object(ledger, there, value, version)
    elif isinstance(value, list) and there in ledger.shelves:
        value = [_object(ledger, there, v, version) if isinstance(v, str) else v for v in value]
    if rest and isinstance(value, list):
        value = [_fill(ledger, part, there, rest, version) for part in value]
    elif rest and isinstance(value, dict):
        value = _fill(ledger, value, there, rest, version)
    return shown if value is None else {**shown, step: value}


def _object(ledger: Ledger, kind: str, named: str, version: str) -> Any:
    found = ledger.find(kind, named) if kind in ledger.shelves else None
    return named if found is None else present(found, version)


def _lent(ledger: Ledger, shown: Json, kind: str, step: str, version: str) -> Any:
    """Give what an object shows only when it is expanded."""
    kept = ledger.find(kind, shown["id"])
    if kept is None or kept.get("deleted"):
        return None
    if (kind, step) == ("checkout.session", "line_items"):
        return sessions.line_items_of(kept, {})
    if (kind, step) == ("coupon", "applies_to"):
        only = kept["_applies_to"]
        return None if only is None else {"products": only}
    if (kind, step) == ("invoice", "payments"):
        return invoice_payments.shown_in(kept) if since_basil(version) else None
    if (kind, step) == ("invoice", "confirmation_secret"):
        return invoices.secret_of(ledger, kept) if since_basil(version) else None
    if (kind, step) == ("customer", "subscriptions"):
        live = [s for s in ledger.of("subscription", customer=kept["id"]) if s["status"] != "canceled"]
        data = [present(s, version) for s in reversed(live)]
        return listed(data, f"/v1/customers/{kept['id']}/subscriptions")
    if (kind, step) == ("charge", "refunds"):
        refunds = [present(r, version) for r in reversed(ledger.of("refund", charge=kept["id"]))]
        return listed(refunds, f"/v1/charges/{kept['id']}/refunds")
    return None
