"""What may still be said of an object once it has been made: its metadata and little else.

Payment intents, charges, refunds, invoices and payment methods are moved by what happens to money; the
calls here only write down what an application wants to find again, in the object and in later events.

Source: Stripe API reference, "Update a PaymentIntent", "Update a charge", "Update a refund", "Update an
invoice", "Update a payment method", and the types of events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.stripe_sim import cards, payments
from deadheat.stripe_sim.api_error import invalid
from deadheat.stripe_sim.clock import HOUR
from deadheat.stripe_sim.params import accepted, boolean, email, integer, merged, metadata, record, text

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

CHARGE = {
    "description": text(),
    "metadata": metadata,
    **accepted("customer", "fraud_details", "receipt_email", "shipping", "transfer_group"),
}
INTENT = {
    "amount": integer(1),
    "capture_method": payments.CAPTURE,
    "customer": text(unset=False),
    "description": text(longest=1000),
    "metadata": metadata,
    "payment_method": text(unset=False),
    **accepted("automatic_payment_methods", "currency", "payment_method_options", "payment_method_types"),
    "receipt_email": email,
    **accepted("setup_future_usage", "shipping", "statement_descriptor"),
    **accepted("statement_descriptor_suffix", "transfer_group"),
}
INVOICE = {
    "auto_advance": boolean,
    "description": text(longest=1500),
    "metadata": metadata,
    **accepted("custom_fields", "default_payment_method", "footer", "payment_settings", "rendering"),
    **accepted("statement_descriptor"),
}
PAYMENT_METHOD = {
    "billing_details": cards.BILLING_DETAILS,
    "card": record({"exp_month": integer(1, 12), "exp_year": integer(), **accepted("networks")}),
    "metadata": metadata,
    **accepted("allow_redisplay"),
}
REFUND = {"metadata": metadata}


def charge(ledger: Ledger, call: Call) -> Json:
    """POST /v1/charges/:id; emits charge.updated if anything changed."""
    return _amended(ledger, call, "charge", "charge.updated", "description")


def invoice(ledger: Ledger, call: Call) -> Json:
    """POST /v1/invoices/:id; emits invoice.updated if anything changed."""
    old = ledger.need("invoice", call.path_id)
    now = _amended(ledger, call, "invoice", "invoice.updated", "auto_advance", "description")
    if now["auto_advance"] and not old["auto_advance"] and now["billing_reason"] == "manual":
        ledger.remind(ledger.now + HOUR, "invoice", now["id"])
    return now


def payment_method(ledger: Ledger, call: Call) -> Json:
    """POST /v1/payment_methods/:id, of one that is attached; emits payment_method.updated."""
    old = ledger.need("payment_method", call.path_id)
    if old["customer"] is None:
        raise invalid("You must save this PaymentMethod to a customer before you can update it.")
    changes = _changes(old, call.args, ())
    for part in ("billing_details", "card"):
        given = {name: value for name, value in call.args.get(part, {}).items() if name in old[part]}
        changes[part] = {**old[part], **given}
    return ledger.change(old, "payment_method.updated", **changes)


def refund(ledger: Ledger, call: Call) -> Json:
    """POST /v1/refunds/:id; emits refund.updated if anything changed."""
    return _amended(ledger, call, "refund", "refund.updated")


def intent(ledger: Ledger, call: Call) -> Json:
    """POST /v1/payment_intents/:id; what it asks for, whom and which card only while it is not paid.

    Stripe has no event for it.
    """
    old, args = ledger.need("payment_intent", call.path_id), call.args
    fixed = next((name for name in ("amount", "customer", "payment_method") if name in args), None)
    if fixed and (old["status"] in ("succeeded", "canceled") or old["_invoice"] is not None):
        raise invalid(
            f"This PaymentIntent's {fixed} could not be updated because it has a status of {old['status']} "
            "or pays an invoice.",
            param=fixed,
            code="payment_intent_unexpected_state",
        )
    if "customer" in args:
        ledger.need("customer", args["customer"], param="customer")
    if "payment_method" in args:
        owner = args.get("customer", old["customer"])
        method = ledger.put(cards.chargeable(ledger, args["payment_method"], owner))
        args.update(payment_method=method["id"])
        old = {**old, "next_action": None, "status": "requires_confirmation"}
    changed = _changes(old, args, ("amount", "customer", "description", "payment_method", "receipt_email"))
    return ledger.put({**old, **changed})


def _amended(ledger: Ledger, call: Call, kind: str, event_type: str, *names: str) -> Json:
    old = ledger.need(kind, call.path_id)
    return ledger.change(old, event_type, **_changes(old, call.args, names))


def _changes(old: Json, args: Json, names: tuple[str, ...]) -> Json:
    changes = {name: args[name] for name in names if name in args}
    if "metadata" in args:
        changes["metadata"] = merged(old["metadata"], args["metadata"])
    return changes
