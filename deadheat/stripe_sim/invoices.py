"""Invoices of subscriptions: draft, open, then paid, void or uncollectible; what each one shows.

Here invoices only change; whether they are paid, and what that does to a subscription, is decided by
`collection`. Those that an application makes are `draft_invoices`'. At Stripe a renewal's invoice stays a
draft for an hour; here it is finalized at once.

Source: Stripe API reference, "Invoices"; Stripe docs, "Subscription invoices".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from deadheat.stripe_sim import credits, discounts, invoice_lines, invoice_payments, payments
from deadheat.stripe_sim.lists import list_of, part_of
from deadheat.stripe_sim.params import accepted, integer, listing, one_of, text
from deadheat.stripe_sim.present import listed as list_object
from deadheat.stripe_sim.present import present

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

LIST = listing(
    customer=text(unset=False),
    status=one_of("draft", "open", "paid", "uncollectible", "void"),
    subscription=text(unset=False),
    **accepted("collection_method", "due_date"),
)
LINES = {
    "limit": integer(1, 100),
    "starting_after": text(unset=False),
    "ending_before": text(unset=False),
}
_NOTHING: Json = {
    **dict.fromkeys(("account_tax_ids", "application", "automatically_finalizes_at", "custom_fields")),
    **dict.fromkeys(("customer_shipping", "default_source", "effective_at", "footer", "from_invoice")),
    **dict.fromkeys(("last_finalization_error", "latest_revision", "on_behalf_of", "receipt_number")),
    **dict.fromkeys(("rendering", "shipping_cost", "shipping_details", "statement_descriptor", "test_clock")),
    "amount_overpaid": 0,
    "amount_shipping": 0,
    "customer_tax_ids": [],
    "default_tax_rates": [],
    "issuer": {"type": "self"},
    "payment_settings": dict.fromkeys(
        ("default_mandate", "payment_method_options", "payment_method_types"),
    ),
    "total_pretax_credit_amounts": [],
}
"""What every invoice shows of what is not modelled."""
_TRANSITIONS = ("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")


def draft(
    ledger: Ledger,
    subscription: Json,
    customer: Json,
    *,
    reason: str = "subscription_create",
    billed: bool = True,
    more: Sequence[Json] = (),
) -> Json:
    """Make an invoice of a subscription, not yet written: the caller emits its life.

    ``reason`` is its ``billing_reason``: the first one's, "subscription_cycle" for a renewal, or
    "subscription_update" for what is resumed or changed. It draws in the invoice items that wait for it;
    without ``billed`` it has nothing else. ``more`` are items that are not written, for a preview.
    """
    items = subscription["items"]["data"]
    free = subscription["status"] == "trialing"
    made = blank(
        ledger, customer, currency=subscription["currency"], reason=reason, subscription=subscription
    )
    waiting = [
        item
        for item in invoice_lines.pending(ledger, customer["id"], subscription["currency"])
        if item["_subscription"] in (None, subscription["id"])
    ]
    lines = [
        (invoice_lines.of_item(ledger, made["id"], subscription, item, free=free), invoice_lines.priced(item))
        for item in (items if billed else ())
    ]
    lines += [invoice_lines.of_pending(ledger, made["id"], item) for item in (*waiting, *more)]
    found = discounts.of(subscription, customer, begins(ledger, items))
    return {**made, **invoice_lines.summed(made["id"], lines, found, customer["balance"])}


def blank(
    ledger: Ledger, customer: Json, *, currency: str, reason: str, subscription: Json | None = None
) -> Json:
    """Make a draft without lines, not yet written."""
    made = ledger.new("invoice")
    details = None
    if subscription is not None:
        details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
    made.update(
        **_NOTHING,
        **invoice_lines.summed(made["id"], (), (), customer["balance"]),
        account_country="US",
        account_name="Deadheat",
        amount_paid=0,
        attempt_count=0,
        attempted=False,
        auto_advance=True,
        automatic_tax={"disabled_reason": None, "enabled": False, "liability": None, "status": None},
        billing_reason=reason,
        collection_method="charge_automatically",
        currency=currency,
        **_billed_to(customer),
        default_payment_method=None,
        description=None,
        due_date=None,
        ending_balance=None,
        hosted_invoice_url=None,
        invoice_pdf=None,
        metadata={},
        next_payment_attempt=None,
        post_payment_credit_notes_amount=0,
        pre_payment_credit_notes_amount=0,
        parent=details
        and {"quote_details": None, "subscription_details": details, "type": "subscription_details"},
        period_end=ledger.now,
        period_start=ledger.now,
        starting_balance=customer["balance"],
        status="draft",
        status_transitions=dict.fromkeys(_TRANSITIONS),
        total_taxes=[],
        webhooks_delivered_at=None,
        _subscription=subscription and subscription["id"],
        _payment_intent=None,
        _charge=None,
        _payment=None,
    )
    return made


def begins(ledger: Ledger, items: list[Json]) -> int:
    """Give from when on an invoice of these items bills; a renewal may run ahead of the clock."""
    return max(ledger.now, *(int(item["current_period_start"]) for item in items))


def finalized(ledger: Ledger, invoice: Json) -> Json:
    """Write a draft if it is new, and open it; emits invoice.created, then invoice.finalized.

    The customer's balance is used up here, and a payment intent made for what is left, unless it has one.
    """
    if ledger.find("invoice", invoice["id"]) is None:
        drafted(ledger, invoice)
    customer = ledger.need("customer", invoice["customer"], param="customer")
    balance = customer["balance"]
    amount = credits.due(invoice["total"], balance)
    if amount != invoice["total"]:
        taken = amount - invoice["total"]
        credits.change(
            ledger,
            customer,
            -taken,
            "applied_to_invoice",
            currency=invoice["currency"],
            invoice=invoice["id"],
        )
        customer = ledger.need("customer", customer["id"])
    opened = {
        **intended(ledger, {**invoice, "amount_due": amount}),
        "amount_remaining": amount,
        **_numbered(ledger, invoice, customer),
        "effective_at": ledger.now,
        "ending_balance": customer["balance"],
        "starting_balance": balance,
        "status": "open",
        "status_transitions": {**invoice["status_transitions"], "finalized_at": ledger.now},
        "_payment": ledger.ids.new("invoice_payment") if amount else None,
    }
    ledger.put(opened)
    ledger.emit("invoice.finalized", opened)
    if opened["billing_reason"] == "manual":
        discounts.used(ledger, customer["id"], opened, ledger.now)
    return opened


def intended(ledger: Ledger, invoice: Json) -> Json:
    """Give an invoice with the payment intent that it is to be paid by, made now if it has none.

    There is none for what asks for nothing, nor was there one before `payments.INTENTS_SINCE`.
    """
    if invoice["_payment_intent"] or not invoice["amount_due"] or ledger.now < payments.INTENTS_SINCE:
        return invoice
    intent = payments.intend(
        ledger,
        amount=invoice["amount_due"],
        currency=invoice["currency"],
        customer=invoice["customer"],
        invoice=invoice["id"],
    )
    return {**invoice, "_payment_intent": intent["id"]}


def drafted(ledger: Ledger, invoice: Json) -> Json:
    """Write a new draft; its invoice items wait no more. Emits invoice.created."""
    ledger.put(invoice)
    invoice_lines.attach(ledger, invoice)
    ledger.emit("invoice.created", invoice)
    return invoice


def paid(ledger: Ledger, invoice: Json, charge: Json | None) -> Json:
    """Mark an open invoice paid, by a charge or by nothing.

    Emits invoice.paid and invoice.payment_succeeded, and invoice_payment.paid last if there is a charge.
    """
    settled = {
        **invoice,
        "amount_paid": invoice["amount_due"],
        "amount_remaining": 0,
        "attempt_count": max(invoice["attempt_count"], 1 if charge else 0),
        "attempted": True,
        "auto_advance": False,
        "next_payment_attempt": None,
        "status": "paid",
        "status_transitions": {**invoice["status_transitions"], "paid_at": ledger.now},
        "_charge": charge["id"] if charge else None,
    }
    ledger.put(settled)
    ledger.emit("invoice.paid", settled)
    ledger.emit("invoice.payment_succeeded", settled)
    invoice_payments.tell_paid(ledger, settled)
    return settled


def failed(
    ledger: Ledger,
    invoice: Json,
    charge: Json | None,
    *,
    counts: bool,
    next_attempt: int | None,
    asks: bool = False,
) -> Json:
    """Note an attempt that failed, and when the next one is due; emits invoice.payment_failed.

    There is no ``charge`` where there was no card to charge, or where its bank ``asks`` for the customer
    first, which invoice.payment_action_required says too.
    """
    now = ledger.put(
        {
            **invoice,
            "attempt_count": invoice["attempt_count"] + counts,
            "attempted": True,
            "next_payment_attempt": next_attempt,
            "_charge": charge["id"] if charge else invoice["_charge"],
        }
    )
    ledger.emit("invoice.payment_failed", now)
    if asks:
        ledger.emit("invoice.payment_action_required", now)
    return now


def closed(ledger: Ledger, invoice: Json, status: Literal["uncollectible", "void"]) -> Json:
    """Give up an open invoice; emits invoice.marked_uncollectible or invoice.voided.

    Voiding cancels its payment intent and gives back what it took from the customer's balance.
    """
    event, at = {
        "uncollectible": ("invoice.marked_uncollectible", "marked_uncollectible_at"),
        "void": ("invoice.voided", "voided_at"),
    }[status]
    if status == "void":
        _undo(ledger, invoice)
    now = ledger.put(
        {
            **invoice,
            "auto_advance": False,
            "next_payment_attempt": None,
            "status": status,
            "status_transitions": {**invoice["status_transitions"], at: ledger.now},
        }
    )
    ledger.emit(event, now)
    return now


def _undo(ledger: Ledger, invoice: Json) -> None:
    taken = invoice["amount_due"] + invoice["pre_payment_credit_notes_amount"] - invoice["total"]
    if taken:
        customer = ledger.find("customer", invoice["customer"])
        if customer is not None and not customer.get("deleted"):
            credits.change(
                ledger,
                customer,
                taken,
                "unapplied_from_invoice",
                currency=invoice["currency"],
                invoice=invoice["id"],
            )
    if invoice["_payment_intent"] is not None:
        intent = ledger.need("payment_intent", invoice["_payment_intent"])
        if intent["status"] not in ("succeeded", "canceled"):
            payments.canceled(ledger, intent, "void_invoice")


def credited(invoice: Json) -> int:
    """Give what the credit notes of an invoice add up to."""
    pre, post = (invoice[f"{when}_payment_credit_notes_amount"] for when in ("pre", "post"))
    return int(pre + post)


def lines(ledger: Ledger, call: Call) -> Json:
    """GET /v1/invoices/:id/lines, first to last."""
    invoice = present(ledger.need("invoice", call.path_id), call.api_version)
    found, has_more = part_of(invoice["lines"]["data"], call.args)
    return list_object(found, call.request.path, has_more=has_more)


def secret_of(ledger: Ledger, invoice: Json) -> Json | None:
    """Give ``confirmation_secret``, with which a browser pays an invoice; shown when it is expanded."""
    intent = ledger.find("payment_intent", invoice["_payment_intent"] or "")
    return None if intent is None else {"client_secret": intent["client_secret"], "type": "payment_intent"}


def refund(ledger: Ledger, invoice: Json) -> Json | None:
    """Refund all that is left of what an invoice was paid with; None if nothing was paid."""
    charge = payments.charge_of(ledger, invoice)
    return None if charge is None else payments.refund(ledger, charge, {})


def retrieve(ledger: Ledger, call: Call) -> Json:
    """GET /v1/invoices/:id."""
    return ledger.need("invoice", call.path_id)


def listing_of(ledger: Ledger, call: Call) -> Json:
    """GET /v1/invoices, by customer, subscription or status."""
    fields = {"customer": "customer", "status": "status", "subscription": "_subscription"}
    return list_of(ledger, call, "invoice", fields)


def _billed_to(customer: Json) -> Json:
    """Give what an invoice copies from its customer; the invoice does not follow later changes."""
    return {
        "customer": customer["id"],
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_tax_exempt": customer["tax_exempt"],
        "number": None,
    }


def _numbered(ledger: Ledger, invoice: Json, customer: Json) -> Json:
    """Give what an invoice is known by once it is final: the customer's next number, and its pages."""
    sequence = customer["next_invoice_sequence"]
    ledger.put({**customer, "next_invoice_sequence": sequence + 1})
    page = f"https://invoice.stripe.com/i/{invoice['id']}"
    return {
        "hosted_invoice_url": page,
        "invoice_pdf": f"{page}/pdf",
        "number": f"{customer['invoice_prefix']}-{sequence:04d}",
    }
