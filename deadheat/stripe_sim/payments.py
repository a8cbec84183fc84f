"""Payments and refunds: payment intents, the charges that are tried for them, and money given back.

An intent may be charged several times, and succeeds once; where a card asks for its customer nothing is
charged before they have authenticated. Refunds of one charge never add up to more than the charge. Invoices
that were finalized before `INTENTS_SINCE` are paid by charges alone.

Source: Stripe API reference, "PaymentIntents", "Charges", "Refunds", "Invoice Payments"
(``payment.payment_intent``, ``payment.charge``); Stripe docs, "How PaymentIntents and SetupIntents work".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim import authentication, cards
from deadheat.stripe_sim.api_error import ApiError, Problem, invalid
from deadheat.stripe_sim.cards import Decline
from deadheat.stripe_sim.lists import list_of
from deadheat.stripe_sim.params import accepted, integer, listing, merged, metadata, one_of, only, text
from deadheat.stripe_sim.present import present

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deadheat.stripe_sim.authentication import Presence
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
CAPTURE = only("automatic", "automatic_async")
"""Which ``capture_method`` is modelled: the money is taken with the payment, not held."""
LIST_REFUNDS = listing(charge=text(unset=False), payment_intent=text(unset=False))
LIST_CHARGES = listing(customer=text(unset=False), payment_intent=text(unset=False))
LIST_PAYMENT_INTENTS = listing(customer=text(unset=False))
RETRIEVE_PAYMENT_INTENT = accepted("client_secret")
INTENTS_SINCE = 1_552_608_000
"""From when on an invoice that is finalized has a payment intent: 15 March 2019, in seconds since 1970."""


_NOTHING_OF_BOTH: Json = dict.fromkeys(
    (
        *("application", "application_fee_amount", "on_behalf_of", "review", "shipping"),
        *("statement_descriptor", "statement_descriptor_suffix", "transfer_data", "transfer_group"),
    )
)
_NOTHING_OF_INTENT: Json = {
    **_NOTHING_OF_BOTH,
    "amount_capturable": 0,
    "amount_details": {"tip": {}},
    "payment_method_configuration_details": None,
    "payment_method_options": {},
    "processing": None,
    "source": None,
}
_NOTHING_OF_CHARGE: Json = {
    **_NOTHING_OF_BOTH,
    "application_fee": None,
    "calculated_statement_descriptor": None,
    "failure_balance_transaction": None,
    "fraud_details": {},
    "receipt_number": None,
    "source_transfer": None,
}
"""What every payment intent and charge shows of what is not modelled."""


def intend(
    ledger: Ledger,
    *,
    amount: int,
    currency: str,
    customer: str | None,
    invoice: str | None = None,
    said: Mapping[str, Any] | None = None,
) -> Json:
    """Make a payment intent that waits for a payment method; emits payment_intent.created.

    ``said`` is its ``description``, ``metadata``, ``receipt_email``, ``setup_future_usage`` and
    ``automatic_payment_methods``; each charge for it copies the first three as they are then.
    """
    made = ledger.new("payment_intent")
    said = said or {}
    made.update(
        **_NOTHING_OF_INTENT,
        amount=amount,
        amount_received=0,
        automatic_payment_methods=said.get("automatic_payment_methods"),
        canceled_at=None,
        cancellation_reason=None,
        capture_method="automatic",
        client_secret=f"{made['id']}_secret_{ledger.ids.letters(25)}",
        confirmation_method="automatic",
        currency=currency,
        customer=customer,
        description=said.get("description"),
        last_payment_error=None,
        latest_charge=None,
        metadata=merged({}, said.get("metadata", {})),
        next_action=None,
        payment_method=None,
        payment_method_types=["card"],
        receipt_email=said.get("receipt_email"),
        setup_future_usage="off_session" if invoice else said.get("setup_future_usage"),
        status="requires_payment_method",
        _invoice=invoice,
    )
    ledger.put(made)
    ledger.emit("payment_intent.created", made)
    return made


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of an attempt to have an invoice paid: a charge, or none where the customer is asked."""

    charge: Json | None

    @property
    def paid(self) -> bool:
        """Say whether the money was taken."""
        return self.charge is not None and bool(self.charge["paid"])


def attempt(
    ledger: Ledger,
    intent: Json,
    method: Json,
    decline: Decline | None = None,
    *,
    customer: Presence,
    return_url: str | None = None,
) -> Json:
    """Charge a card for an intent; ``decline`` makes the bank refuse, whatever the card.

    Gives the intent, ``succeeded``, back at ``requires_payment_method``, or at ``requires_action`` where the
    bank asks for the customer: who is absent is asked only for an invoice, where Billing does so, and other
    payments are declined as `cards.AUTHENTICATION_REQUIRED`. Emits charge.succeeded and
    payment_intent.succeeded, or charge.failed and payment_intent.payment_failed, or
    payment_intent.requires_action.
    """
    asks = _asks(method, decline, customer)
    if asks and (customer != "absent" or intent["_invoice"] is not None):
        intent = _challenged(ledger, intent, method, return_url)
        if customer != "authenticates":
            return intent
        asks = None
    decline = decline or asks or cards.decline_of(method)
    charge = _charged(ledger, intent, method, decline)
    if decline is None:
        _keep(ledger, intent, method, customer)
        changes = {
            "amount_received": intent["amount"],
            "last_payment_error": None,
            "payment_method": method["id"],
            "status": "succeeded",
        }
        name = "payment_intent.succeeded"
    else:
        error = {"charge": charge["id"], **decline.noted(method)}
        changes = {"last_payment_error": error, "payment_method": None, "status": "requires_payment_method"}
        name = "payment_intent.payment_failed"
    now = ledger.put({**intent, **changes, "latest_charge": charge["id"], "next_action": None})
    ledger.emit(name, now)
    return now


def unauthenticated(ledger: Ledger, intent: Json) -> Json:
    """Note that the customer has not passed the challenge; emits payment_intent.payment_failed."""
    method = ledger.need("payment_method", intent["payment_method"])
    now = ledger.put(
        {
            **intent,
            "last_payment_error": authentication.failure(intent, method),
            "next_action": None,
            "payment_method": None,
            "status": "requires_payment_method",
        }
    )
    ledger.emit("payment_intent.payment_failed", now)
    return now


def charge_invoice(
    ledger: Ledger,
    invoice: Json,
    method: Json,
    decline: Decline | None = None,
    *,
    customer: Presence,
    return_url: str | None = None,
) -> Attempt:
    """Try to charge a card for an invoice, by its payment intent if it has one."""
    if invoice["_payment_intent"] is not None:
        intent = ledger.need("payment_intent", invoice["_payment_intent"])
        intent = attempt(ledger, intent, method, decline, customer=customer, return_url=return_url)
        waits = intent["status"] == authentication.WAITS
        return Attempt(None if waits else ledger.need("charge", intent["latest_charge"]))
    owed = {
        "id": None,
        "amount": invoice["amount_due"],
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "description": None,
        "metadata": {},
        "_invoice": invoice["id"],
    }
    decline = decline or _asks(method, None, customer) or cards.decline_of(method)
    return Attempt(_charged(ledger, owed, method, decline))


def refused(ledger: Ledger, charge_id: str, version: str) -> ApiError:
    """Give the 402 of a call whose charge was declined."""
    charge = ledger.need("charge", charge_id)
    decline = Decline(
        code=charge["failure_code"],
        decline_code=charge["outcome"]["reason"],
        message=charge["failure_message"],
    )
    if charge["payment_intent"] is None:
        return decline.error(charge=charge_id)
    intent = ledger.need("payment_intent", charge["payment_intent"])
    return decline.error(charge=charge_id, payment_intent=present(intent, version))


def waiting(ledger: Ledger, intent_id: str, version: str, *, kind: str) -> ApiError:
    """Give the 402 of a call about a ``kind`` (invoice, subscription) whose payment asks for the customer."""
    intent = ledger.need("payment_intent", intent_id)
    return ApiError(
        Problem(
            status=402,
            type="card_error",
            code=f"{kind}_payment_intent_requires_action",
            message="This payment requires additional user action before it can be completed successfully. "
            f"Payment can be completed using the PaymentIntent associated with the {kind}.",
            extra={"payment_intent": present(intent, version)},
        )
    )


def unexpected(intent: Json, message: str, version: str) -> ApiError:
    """Give the 400 of a call that an intent of this status does not take; the intent comes with it."""
    return ApiError(
        Problem(
            status=400,
            message=message,
            code="payment_intent_unexpected_state",
            extra={"payment_intent": present(intent, version)},
        )
    )


def canceled(ledger: Ledger, intent: Json, reason: str | None) -> Json:
    """Cancel an intent that was not paid; emits payment_intent.canceled."""
    now = ledger.put(
        {
            **intent,
            "canceled_at": ledger.now,
            "cancellation_reason": reason,
            "next_action": None,
            "status": "canceled",
        }
    )
    ledger.emit("payment_intent.canceled", now)
    return now


def _asks(method: Json, decline: Decline | None, customer: Presence) -> Decline | None:
    """Give the bank's word that it wants the customer, if it does: by the card, or by ``decline``."""
    if decline is None and cards.asks(method, off_session=customer == "absent"):
        return cards.declined_as(cards.AUTHENTICATION_REQUIRED)
    asked = decline is not None and decline.decline_code == cards.AUTHENTICATION_REQUIRED
    return decline if asked else None


def _challenged(ledger: Ledger, intent: Json, method: Json, return_url: str | None) -> Json:
    """Ask the customer, unless they are being asked for this card; emits payment_intent.requires_action."""
    if intent["status"] == authentication.WAITS and intent["payment_method"] == method["id"]:
        return intent
    if ledger.find("payment_method", method["id"]) is None:
        ledger.put(method)
    now = ledger.put(
        {**intent, **authentication.asked(intent, method, return_url), "last_payment_error": None}
    )
    ledger.emit("payment_intent.requires_action", now)
    return now


def _keep(ledger: Ledger, intent: Json, method: Json, customer: Presence) -> None:
    """Keep a card for later if the intent says so, attached to the customer that the intent names.

    Cards that pay invoices are attached by who pays them.
    """
    usage = intent["setup_future_usage"]
    if usage is None:
        return
    if usage == "off_session" and customer != "absent":
        method = cards.set_up(ledger, method)
    owner = ledger.find("customer", intent["customer"] or "")
    if owner is None or owner.get("deleted") or intent["_invoice"] is not None:
        return
    if method["customer"] is None and not method["_detached"]:
        cards.attached(ledger, method, owner)


def _charged(ledger: Ledger, owed: Json, method: Json, decline: Decline | None) -> Json:
    """Write a charge for what is owed: an intent, or what stands for none; emits how it went."""
    if ledger.find("payment_method", method["id"]) is None:
        ledger.put(method)
    charge = ledger.put(_charge(ledger, owed, method, decline))
    ledger.emit("charge.failed" if decline else "charge.succeeded", charge)
    return charge


def _charge(ledger: Ledger, owed: Json, method: Json, decline: Decline | None) -> Json:
    paid = decline is None
    made = ledger.new("charge")
    made.update(
        **_NOTHING_OF_CHARGE,
        amount=owed["amount"],
        amount_captured=owed["amount"] if paid else 0,
        amount_refunded=0,
        balance_transaction=None,
        billing_details=method["billing_details"],
        captured=paid,
        currency=owed["currency"],
        customer=owed["customer"],
        description=owed["description"],
        disputed=False,
        failure_code=decline.code if decline else None,
        failure_message=decline.message if decline else None,
        metadata=owed["metadata"],
        outcome={
            "network_status": "approved_by_network" if paid else "declined_by_network",
            "reason": decline.decline_code if decline else None,
            "risk_level": "normal",
            "type": "authorized" if paid else "issuer_declined",
        },
        paid=paid,
        payment_intent=owed["id"],
        payment_method=method["id"],
        payment_method_details={
            "card": {**method["card"], "network": method["card"]["brand"]},
            "type": "card",
        },
        receipt_email=owed.get("receipt_email"),
        receipt_url=f"https://pay.stripe.com/receipts/{made['id']}" if paid else None,
        refunded=False,
        status="succeeded" if paid else "failed",
        _invoice=owed["_invoice"],
    )
    return made


def refund(ledger: Ledger, charge: Json, args: Json) -> Json:
    """Give back ``amount`` or all that is left; emits refund.created and charge.refunded."""
    if not charge["paid"]:
        raise _nothing_paid(charge["payment_intent"] or charge["id"])
    left = charge["amount"] - charge["amount_refunded"]
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise invalid(message, code="charge_already_refunded")
    amount = args.get("amount", left)
    if amount > left:
        asked, rest = (_money(cents, charge["currency"]) for cents in (amount, left))
        message = f"Refund amount ({asked}) is greater than unrefunded amount on charge ({rest})"
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
    del made["livemode"]  # one of the few kinds without it
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
        if intent["latest_charge"] is None:
            raise _nothing_paid(intent["id"])
        charge = ledger.need("charge", intent["latest_charge"], param="payment_intent")
    else:
        raise invalid(
            "One of the following params should be provided for this request: payment_intent or charge.",
            code="parameter_missing",
        )
    return refund(ledger, charge, args)


def _nothing_paid(payment: str) -> ApiError:
    return invalid(f"This PaymentIntent ({payment}) does not have a successful charge to refund.")


def _money(cents: int, currency: str) -> str:
    return f"${cents / 100:.2f}" if currency == "usd" else f"{cents / 100:.2f} {currency}"


def charge_of(ledger: Ledger, invoice: Json) -> Json | None:
    """Give the charge that paid an invoice; None if nothing had to be paid."""
    charge = ledger.find("charge", invoice["_charge"]) if invoice["_charge"] else None
    return charge if charge is not None and charge["paid"] else None


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
