"""Collecting what invoices ask for, and what that does to their subscriptions.

An attempt charges a card. If it is paid, a subscription that waited for it (incomplete, past_due,
unpaid, paused) becomes active; if not, an active one becomes past_due, and after as many attempts as
the account's `Dunning` allows canceled or unpaid, or it stays as it is. Only a subscription's latest
invoice moves it. A card that asks for its customer leaves the invoice unpaid until they have authenticated.

Source: Stripe docs, "How subscriptions work" and "Automate payment retries"; Stripe API reference,
"Pay an invoice", "Void an invoice".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim import cards, invoices, payments
from deadheat.stripe_sim.api_error import invalid
from deadheat.stripe_sim.authentication import WAITS
from deadheat.stripe_sim.clock import DAY, HOUR
from deadheat.stripe_sim.params import (
    accepted,
    boolean,
    currency,
    email,
    integer,
    metadata,
    one_of,
    record,
    text,
    unmodelled,
)

if TYPE_CHECKING:
    from deadheat.stripe_sim.authentication import Presence
    from deadheat.stripe_sim.cards import Decline
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

ENDED = ("canceled", "incomplete_expired")
RETRY_AFTER = 3 * DAY
TOLD_BEFORE = 3 * DAY
"""How long before a trial ends it is told of."""

PAY = {
    "off_session": boolean,
    "paid_out_of_band": boolean,
    "payment_method": text(unset=False),
    **accepted("forgive", "mandate", "source"),
}
FINALIZE = {"auto_advance": boolean}
_AUTOMATIC = record({"allow_redirects": one_of("always", "never"), "enabled": boolean}, required=("enabled",))


def _automatic(value: Any, name: str) -> Any:
    """Accept how payment methods are chosen; with redirects, unless it says otherwise."""
    return {"allow_redirects": "always", **_AUTOMATIC(value, name)}


_SAID = {
    "receipt_email": email,
    **accepted("mandate_data", "payment_method_options", "radar_options", "shipping", "use_stripe_sdk"),
    **unmodelled("confirmation_token", "error_on_requires_action", "mandate", "payment_method_data"),
}
"""What may be said when a payment is made as well as when it is confirmed."""
CREATE_INTENT = {
    "amount": integer(1),
    "capture_method": payments.CAPTURE,
    "confirm": boolean,
    "currency": currency,
    "customer": text(unset=False),
    "description": text(),
    "metadata": metadata,
    "off_session": boolean,
    "payment_method": text(unset=False),
    "return_url": text(unset=False),
    "setup_future_usage": one_of("off_session", "on_session"),
    **_SAID,
    "automatic_payment_methods": _automatic,
    **accepted("confirmation_method", "excluded_payment_method_types"),
    **accepted("payment_method_configuration", "payment_method_types", "statement_descriptor"),
    **accepted("statement_descriptor_suffix"),
    **unmodelled("application_fee_amount", "on_behalf_of", "transfer_data", "transfer_group"),
}
CONFIRM = {
    "off_session": boolean,
    "payment_method": text(unset=False),
    "return_url": text(unset=False),
    "setup_future_usage": one_of("off_session", "on_session"),
    **_SAID,
    **accepted("capture_method", "payment_method_types"),
}
CANCEL_INTENT = {
    "cancellation_reason": one_of("abandoned", "duplicate", "fraudulent", "requested_by_customer"),
}


def collect(
    ledger: Ledger,
    invoice: Json,
    method: Json | None,
    *,
    decline: Decline | None = None,
    retry: bool = True,
    customer: Presence = "absent",
    return_url: str | None = None,
) -> Json:
    """Try once to have an open invoice paid; gives it paid or still open.

    Without a ``method`` there is nothing to charge, and the attempt fails. ``retry`` says that the
    attempt is one of Stripe's own: they alone count once there was a first one.
    """
    if invoice["amount_due"] == 0:
        return settled(ledger, invoice, None)
    charge, asks = None, False
    if method is not None:
        tried = payments.charge_invoice(
            ledger, invoice, method, decline, customer=customer, return_url=return_url
        )
        charge, asks = tried.charge, tried.charge is None
        if tried.paid:
            return settled(ledger, invoice, charge)
    counts = retry or invoice["attempt_count"] == 0
    return _unpaid(ledger, invoice, charge, counts=counts, asks=asks)


def pay_with(
    ledger: Ledger, invoice: Json, method: Json, *, customer: Presence, return_url: str | None = None
) -> Json:
    """Let a customer pay an open invoice with a card of theirs; gives it, still open if it was declined.

    A card that pays is attached; the subscription keeps it as its default if its
    ``payment_settings.save_default_payment_method`` says so.
    """
    payer = ledger.need("customer", invoice["customer"], param="customer")
    waits = customer == "present" and cards.asks(method, off_session=False)
    if cards.decline_of(method) is None and not waits:
        method = cards.attached(ledger, method, payer)
    after = collect(ledger, invoice, method, retry=False, customer=customer, return_url=return_url)
    subscription = _moved_by(ledger, after)
    if (
        after["status"] == "paid"
        and subscription is not None
        and subscription["payment_settings"]["save_default_payment_method"] == "on_subscription"
    ):
        ledger.change(subscription, "customer.subscription.updated", default_payment_method=method["id"])
    return after


def answered(ledger: Ledger, intent: Json, *, passes: bool) -> Json:
    """Go on with a payment whose customer was asked: charge the card, or note that they did not pass."""
    method = ledger.need("payment_method", intent["payment_method"])
    invoice = ledger.find("invoice", intent["_invoice"] or "")
    if not passes:
        failed = payments.unauthenticated(ledger, intent)
        if invoice is not None:
            next_attempt = invoice["next_payment_attempt"]
            invoices.failed(ledger, invoice, None, counts=False, next_attempt=next_attempt)
        return failed
    if invoice is None:
        return payments.attempt(ledger, intent, method, customer="authenticates")
    pay_with(ledger, invoice, method, customer="authenticates")
    return ledger.need("payment_intent", intent["id"])


def settled(ledger: Ledger, invoice: Json, charge: Json | None) -> Json:
    """Mark an invoice paid; the subscription that waited for it becomes active first."""
    subscription = _moved_by(ledger, invoice)
    if subscription is not None and subscription["status"] not in (*ENDED, "active", "trialing"):
        _activate(ledger, subscription)
    return invoices.paid(ledger, invoice, charge)


def expire(ledger: Ledger, subscription: Json, **fields: Any) -> Json:
    """End one whose first invoice was never paid: incomplete_expired, the invoice void.

    Emits invoice.voided, then customer.subscription.updated.
    """
    invoice = ledger.need("invoice", subscription["latest_invoice"])
    if invoice["status"] == "open":
        invoices.closed(ledger, invoice, "void")
    return ledger.change(
        subscription,
        "customer.subscription.updated",
        canceled_at=ledger.now,
        ended_at=ledger.now,
        status="incomplete_expired",
        **fields,
    )


def end(
    ledger: Ledger, old: Json, details: Json | None = None, *, reason: str = "cancellation_requested"
) -> Json:
    """Cancel at once; emits customer.subscription.deleted. An incomplete one is expired instead."""
    cancellation = {**old["cancellation_details"], "reason": reason, **(details or {})}
    if old["status"] == "incomplete":
        return expire(ledger, old, cancellation_details=cancellation)
    ended = ledger.put(
        {
            **old,
            "status": "canceled",
            "canceled_at": ledger.now,
            "ended_at": ledger.now,
            "cancellation_details": cancellation,
        }
    )
    ledger.emit("customer.subscription.deleted", ended)
    return ended


def pay(ledger: Ledger, call: Call) -> Json:
    """POST /v1/invoices/:id/pay: 402 if the card is declined, with the events of the attempt."""
    invoice = ledger.need("invoice", call.path_id)
    if call.args.get("paid_out_of_band"):
        raise invalid("Deadheat does not model payment out of band.", param="paid_out_of_band")
    if invoice["status"] == "paid":
        raise invalid("Invoice is already paid")
    if invoice["status"] == "void":
        raise invalid("You can only pay invoices that are draft, open or uncollectible.")
    method = _named_or_default(ledger, invoice, call.args.get("payment_method"))
    if invoice["status"] == "draft":
        invoice = invoices.finalized(ledger, invoice)
    after = collect(ledger, invoice, method, retry=False, customer=_presence(call))
    if after["status"] != "paid":
        intent = ledger.find("payment_intent", after["_payment_intent"] or "")
        if intent is not None and intent["status"] == WAITS:
            raise payments.waiting(ledger, intent["id"], call.api_version, kind="invoice")
        raise payments.refused(ledger, after["_charge"], call.api_version)
    return after


def finalize(ledger: Ledger, call: Call) -> Json:
    """POST /v1/invoices/:id/finalize; one that asks for nothing is paid by it."""
    invoice = ledger.need("invoice", call.path_id)
    if invoice["status"] != "draft":
        raise invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    advances = call.args.get("auto_advance", invoice["auto_advance"])
    opened = invoices.finalized(ledger, {**invoice, "auto_advance": advances})
    if not opened["amount_due"]:
        return settled(ledger, opened, None)
    if advances and opened["billing_reason"] == "manual":
        ledger.remind(ledger.now + HOUR, "invoice", opened["id"])
    return opened


def void(ledger: Ledger, call: Call) -> Json:
    """POST /v1/invoices/:id/void; a subscription that waits for its first payment expires."""
    invoice = ledger.need("invoice", call.path_id)
    if invoice["status"] not in ("open", "uncollectible"):
        raise invalid("You can only void an open or uncollectible invoice.")
    now = invoices.closed(ledger, invoice, "void")
    subscription = _moved_by(ledger, now)
    if subscription is not None and subscription["status"] == "incomplete":
        expire(ledger, subscription)
    return now


def mark_uncollectible(ledger: Ledger, call: Call) -> Json:
    """POST /v1/invoices/:id/mark_uncollectible; what was to be resumed by it is resumed."""
    invoice = ledger.need("invoice", call.path_id)
    if invoice["status"] != "open":
        raise invalid("You can only mark an open invoice as uncollectible.")
    now = invoices.closed(ledger, invoice, "uncollectible")
    subscription = _moved_by(ledger, now)
    if subscription is not None and subscription["status"] == "paused":
        _activate(ledger, subscription)
    return now


def create_intent(ledger: Ledger, call: Call) -> Json:
    """POST /v1/payment_intents, confirmed at once if asked for."""
    args = call.args
    customer = ledger.need("customer", args["customer"], param="customer") if "customer" in args else None
    owner = customer["id"] if customer else None
    method = cards.chargeable(ledger, args["payment_method"], owner) if "payment_method" in args else None
    if args.get("confirm") and method is None:
        raise _no_method()
    intent = payments.intend(
        ledger,
        amount=args["amount"],
        currency=args["currency"],
        customer=owner,
        said=args,
    )
    if method is None:
        return intent
    if args.get("confirm"):
        return _confirmed(ledger, intent, method, call)
    ledger.put(method)
    return ledger.put({**intent, "payment_method": method["id"], "status": "requires_confirmation"})


def confirm(ledger: Ledger, call: Call) -> Json:
    """POST /v1/payment_intents/:id/confirm, as a browser does; pays the invoice that it is for.

    Without ``off_session`` a card that asks for the customer leaves it at ``requires_action``; with it, it
    is declined: a 402 ``authentication_required``.
    """
    intent = ledger.need("payment_intent", call.path_id)
    if intent["status"] not in ("requires_payment_method", "requires_confirmation", WAITS):
        why = {
            "succeeded": "it has already succeeded after being previously confirmed",
            "canceled": "it has a status of canceled. Only a PaymentIntent with one of the following "
            "statuses may be confirmed: requires_confirmation, requires_payment_method, requires_action",
        }[intent["status"]]
        message = f"You cannot confirm this PaymentIntent because {why}."
        raise payments.unexpected(intent, message, call.api_version)
    named = call.args.get("payment_method") or intent["payment_method"]
    if named is None:
        raise _no_method()
    said: Json = {
        name: call.args[name] for name in ("receipt_email", "setup_future_usage") if name in call.args
    }
    intent = {**intent, **said}
    return _confirmed(ledger, intent, cards.chargeable(ledger, named, intent["customer"]), call)


def cancel_intent(ledger: Ledger, call: Call) -> Json:
    """POST /v1/payment_intents/:id/cancel; not of an invoice, which is voided instead."""
    intent = ledger.need("payment_intent", call.path_id)
    if intent["status"] in ("succeeded", "canceled"):
        why = (
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}. Only a "
            "PaymentIntent with one of the following statuses may be canceled: requires_payment_method, "
            "requires_capture, requires_confirmation, requires_action, processing."
        )
        raise payments.unexpected(intent, why, call.api_version)
    if intent["_invoice"] is not None:
        raise payments.unexpected(
            intent,
            "You cannot cancel this PaymentIntent because it pays an invoice: void the invoice instead.",
            call.api_version,
        )
    return payments.canceled(ledger, intent, call.args.get("cancellation_reason"))


def _confirmed(ledger: Ledger, intent: Json, method: Json, call: Call) -> Json:
    customer, return_url = _presence(call), call.args.get("return_url")
    if intent["_invoice"] is None:
        intent = payments.attempt(ledger, intent, method, customer=customer, return_url=return_url)
    else:
        invoice = ledger.need("invoice", intent["_invoice"])
        pay_with(ledger, invoice, method, customer=customer, return_url=return_url)
        intent = ledger.need("payment_intent", intent["id"])
    if intent["status"] not in ("succeeded", WAITS):
        raise payments.refused(ledger, intent["latest_charge"], call.api_version)
    return intent


def _presence(call: Call) -> Presence:
    """Give what a call that confirms says of the customer: that they are not there, or nothing."""
    return "absent" if call.args.get("off_session") else "present"


def _moved_by(ledger: Ledger, invoice: Json) -> Json | None:
    """Give the subscription that an invoice moves: the one whose latest it is."""
    subscription = ledger.find("subscription", invoice["_subscription"])
    moves = subscription is not None and subscription["latest_invoice"] == invoice["id"]
    return subscription if moves else None


def _activate(ledger: Ledger, old: Json) -> Json:
    """Let a subscription go on, in its trial if it has one that goes on.

    Emits customer.subscription.updated, and customer.subscription.resumed for one that was paused.
    """
    tried = old["status"] == "incomplete" and (old["trial_end"] or 0) > ledger.now
    now = ledger.change(old, "customer.subscription.updated", status="trialing" if tried else "active")
    if tried:
        ledger.remind(old["trial_end"] - TOLD_BEFORE, "subscription", old["id"])
    if old["status"] == "paused":
        ledger.emit("customer.subscription.resumed", now)
    return now


def _unpaid(ledger: Ledger, invoice: Json, charge: Json | None, *, counts: bool, asks: bool) -> Json:
    subscription = _moved_by(ledger, invoice)
    rule = ledger.dunning
    attempts = invoice["attempt_count"] + counts
    retries = subscription is not None and subscription["status"] in ("active", "past_due")
    more = retries and attempts < rule.attempts
    next_attempt = ledger.now + RETRY_AFTER if more else None
    now = invoices.failed(ledger, invoice, charge, counts=counts, next_attempt=next_attempt, asks=asks)
    if subscription is None or not retries:
        return now
    if subscription["status"] == "active":
        subscription = ledger.change(subscription, "customer.subscription.updated", status="past_due")
    if not more and rule.then == "canceled":
        end(ledger, subscription, reason="payment_failed")
    elif not more:
        ledger.change(subscription, "customer.subscription.updated", status=rule.then)
    return now


def _named_or_default(ledger: Ledger, invoice: Json, named: str | None) -> Json:
    customer = ledger.need("customer", invoice["customer"], param="customer")
    if named is not None:
        return cards.usable(ledger, named, param="payment_method", customer=customer["id"])
    subscription = ledger.find("subscription", invoice["_subscription"])
    own = invoice if invoice["default_payment_method"] else subscription
    method = cards.default_of(ledger, own, customer)
    if method is None:
        raise no_default()
    return method


def no_default() -> Exception:
    """Refuse to charge a customer who has no card."""
    return invalid(
        "This customer has no attached payment source or default payment method. Please consider adding a "
        "default payment method.",
        code="resource_missing",
    )


def _no_method() -> Exception:
    return invalid(
        "You cannot confirm this PaymentIntent because it's missing a payment method.",
        code="payment_intent_unexpected_state",
    )
