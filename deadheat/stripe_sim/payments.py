"""Payments and refunds: the payment intent and the charge of something paid, and money given back.

Refunds of one charge never add up to more than the charge. Source: Stripe API reference,
"PaymentIntents", "Charges", "Refunds".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.stripe_sim.api_error import invalid, missing
from deadheat.stripe_sim.lists import list_of
from deadheat.stripe_sim.params import accepted, integer, listing, merged, metadata, one_of, text

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

REFUND = {
    "amount": integer(1),
    "charge": text(unset=False),
    "metadata": metadata,
    "payment_intent": text(unset=False),
    "reason": one_of("duplicate", "fraudulent", "requested_by_customer"),
    **accepted("instructions_email", "refund_application_fee", "reverse_transfer"),
}
LIST_REFUNDS = listing(charge=text(unset=False), payment_intent=text(unset=False))
LIST_CHARGES = listing(customer=text(unset=False), payment_intent=text(unset=False))
LIST_PAYMENT_INTENTS = listing(customer=text(unset=False))


def paid(ledger: Ledger, *, amount: int, currency: str, customer: Json | None, invoice: str | None) -> Json:
    """Take a payment that succeeds; emits charge.succeeded and payment_intent.succeeded."""
    payer = customer["id"] if customer else None
    method = ledger.ids.new("payment_method")
    intent = ledger.new("payment_intent")
    charge = ledger.new(
        "charge",
        amount=amount,
        amount_captured=amount,
        amount_refunded=0,
        balance_transaction=None,
        billing_details={"address": None, "email": None, "name": None, "phone": None, "tax_id": None},
        captured=True,
        currency=currency,
        customer=payer,
        description=None,
        disputed=False,
        failure_code=None,
        failure_message=None,
        metadata={},
        outcome={"network_status": "approved_by_network", "risk_level": "normal", "type": "authorized"},
        paid=True,
        payment_intent=intent["id"],
        payment_method=method,
        receipt_email=None,
        refunded=False,
        status="succeeded",
        _invoice=invoice,
    )
    intent.update(
        amount=amount,
        amount_received=amount,
        canceled_at=None,
        cancellation_reason=None,
        capture_method="automatic",
        client_secret=f"{intent['id']}_secret_{ledger.ids.letters(25)}",
        confirmation_method="automatic",
        currency=currency,
        customer=payer,
        description=None,
        last_payment_error=None,
        latest_charge=charge["id"],
        metadata={},
        next_action=None,
        payment_method=method,
        payment_method_types=["card"],
        receipt_email=None,
        setup_future_usage="off_session" if invoice else None,
        status="succeeded",
        _invoice=invoice,
    )
    ledger.put(intent)
    ledger.put(charge)
    ledger.emit("charge.succeeded", charge)
    ledger.emit("payment_intent.succeeded", intent)
    return intent


def refund(ledger: Ledger, charge: Json, args: Json) -> Json:
    """Give back ``amount`` or all that is left; emits refund.created and charge.refunded."""
    left = charge["amount"] - charge["amount_refunded"]
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise invalid(message, code="charge_already_refunded")
    amount = args.get("amount", left)
    if amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
        raise invalid(message, param="amount")
    made = ledger.new(
        "refund",
        amount=amount,
        balance_transaction=None,
        charge=charge["id"],
        currency=charge["currency"],
        destination_details={"card": {"type": "refund"}, "type": "card"},
        metadata=merged({}, args.get("metadata", {})),
        payment_intent=charge["payment_intent"],
        reason=args.get("reason"),
        receipt_number=None,
        source_transfer_reversal=None,
        status="succeeded",
        transfer_reversal=None,
    )
    ledger.put(made)
    ledger.emit("refund.created", made)
    refunded = charge["amount_refunded"] + amount
    ledger.change(charge, "charge.refunded", amount_refunded=refunded, refunded=refunded == charge["amount"])
    return made


def create_refund(ledger: Ledger, call: Call) -> Json:
    """POST /v1/refunds, of a charge or of a payment intent."""
    args = call.args
    if "charge" in args:
        charge = ledger.need("charge", args["charge"], param="charge")
    elif "payment_intent" in args:
        intent = ledger.need("payment_intent", args["payment_intent"], param="payment_intent")
        charge = ledger.need("charge", intent["latest_charge"], param="payment_intent")
    else:
        raise missing("charge")
    return refund(ledger, charge, args)


def charge_of(ledger: Ledger, invoice: Json) -> Json | None:
    """Give the charge that paid an invoice; None if nothing had to be paid."""
    return ledger.find("charge", invoice["_charge"]) if invoice["_charge"] else None


def retrieve_refund(ledger: Ledger, call: Call) -> Json:
    """GET /v1/refunds/:id."""
    return ledger.need("refund", call.path_id)


def list_refunds(ledger: Ledger, call: Call) -> Json:
    """GET /v1/refunds, by charge or payment intent."""
    return list_of(ledger, call, "refund", ("charge", "payment_intent"))


def retrieve_charge(ledger: Ledger, call: Call) -> Json:
    """GET /v1/charges/:id."""
    return ledger.need("charge", call.path_id)


def list_charges(ledger: Ledger, call: Call) -> Json:
    """GET /v1/charges, by customer or payment intent."""
    return list_of(ledger, call, "charge", ("customer", "payment_intent"))


def retrieve_payment_intent(ledger: Ledger, call: Call) -> Json:
    """GET /v1/payment_intents/:id."""
    return ledger.need("payment_intent", call.path_id)


def list_payment_intents(ledger: Ledger, call: Call) -> Json:
    """GET /v1/payment_intents, by customer."""
    return list_of(ledger, call, "payment_intent", ("customer",))
