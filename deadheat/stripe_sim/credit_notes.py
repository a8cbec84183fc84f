"""Credit notes: less to pay on an open invoice, or money back for a paid one.

A note first takes from what remains to be paid; the rest must be said to be refunded, credited to
the customer's balance, or given back outside of Stripe. Notes of one invoice never add up to more
than the invoice. Notes by line and voiding are not modelled. Source: Stripe API reference, "Credit
Note"; Stripe docs, "Issue credit notes".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.stripe_sim import collection, credits, invoices, payments
from deadheat.stripe_sim.api_error import invalid, missing
from deadheat.stripe_sim.lists import list_of
from deadheat.stripe_sim.params import accepted, integer, listing, merged, metadata, one_of, text

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

CREATE = {
    "amount": integer(1),
    "credit_amount": integer(0),
    "invoice": text(unset=False),
    "memo": text(),
    "metadata": metadata,
    "out_of_band_amount": integer(0),
    "reason": one_of("duplicate", "fraudulent", "order_change", "product_unsatisfactory"),
    "refund_amount": integer(0),
    **accepted("effective_at", "email_type"),
}
LIST = listing(customer=text(unset=False), invoice=text(unset=False))
_WAYS = ("refund_amount", "credit_amount", "out_of_band_amount")


def create(ledger: Ledger, call: Call) -> Json:
    """POST /v1/credit_notes; emits credit_note.created behind the refund and the credit it makes."""
    args = call.args
    invoice = ledger.need("invoice", args["invoice"], param="invoice")
    if "amount" not in args:
        raise missing("amount")
    customer = ledger.need("customer", invoice["customer"], param="invoice")
    pre = _pre_payment(invoice, args)
    refund = _give_back(ledger, invoice, args)
    credit = _credit(ledger, customer, invoice, args)
    number = len(ledger.of("credit_note", invoice=invoice["id"])) + 1
    amount = args["amount"]
    made = ledger.new("credit_note")
    made.update(
        amount=amount,
        amount_shipping=0,
        currency=invoice["currency"],
        customer=customer["id"],
        customer_balance_transaction=credit["id"] if credit else None,
        discount_amount=0,
        discount_amounts=[],
        effective_at=ledger.now,
        invoice=invoice["id"],
        lines={
            "object": "list",
            "data": [],
            "has_more": False,
            "url": f"/v1/credit_notes/{made['id']}/lines",
        },
        memo=args.get("memo"),
        metadata=merged({}, args.get("metadata", {})),
        number=f"{invoice['number']}-CN-{number:02d}",
        out_of_band_amount=args.get("out_of_band_amount"),
        pdf=f"https://pay.stripe.com/credit_notes/{made['id']}/pdf",
        post_payment_amount=amount - pre,
        pre_payment_amount=pre,
        reason=args.get("reason"),
        refunds=[{"amount_refunded": refund["amount"], "refund": refund["id"]}] if refund else [],
        shipping_cost=None,
        status="issued",
        subtotal=amount,
        total=amount,
        type={0: "post_payment", amount: "pre_payment"}.get(pre, "mixed"),
        voided_at=None,
    )
    ledger.put(made)
    ledger.emit("credit_note.created", made)
    _lower(ledger, ledger.need("invoice", invoice["id"]), pre, amount - pre)
    return made


def retrieve(ledger: Ledger, call: Call) -> Json:
    """GET /v1/credit_notes/:id."""
    return ledger.need("credit_note", call.path_id)


def listing_of(ledger: Ledger, call: Call) -> Json:
    """GET /v1/credit_notes, by customer or invoice."""
    return list_of(ledger, call, "credit_note", ("customer", "invoice"))


def _pre_payment(invoice: Json, args: Json) -> int:
    """Give what a note takes from the amount that remains; ApiError for a note that cannot be."""
    if invoice["status"] not in ("open", "paid"):
        raise invalid("Credit notes are made for open or paid invoices.", param="invoice")
    amount: int = args["amount"]
    left = invoice["total"] - invoices.credited(invoice)
    if amount > left:
        message = f"The sum of credit notes ({amount} more) is larger than the invoice; {left} is left."
        raise invalid(message, param="amount")
    pre = min(amount, int(invoice["amount_remaining"]))
    if sum(args.get(way, 0) for way in _WAYS) != amount - pre:
        raise invalid(
            "The sum of refund_amount, credit_amount and out_of_band_amount must equal the amount that was "
            f"paid already: {amount - pre}."
        )
    return pre


def _give_back(ledger: Ledger, invoice: Json, args: Json) -> Json | None:
    if not args.get("refund_amount"):
        return None
    charge = payments.charge_of(ledger, invoice)
    if charge is None:
        raise invalid("Nothing was charged for this invoice.", param="refund_amount")
    return payments.refund(ledger, charge, {"amount": args["refund_amount"]})


def _credit(ledger: Ledger, customer: Json, invoice: Json, args: Json) -> Json | None:
    if not args.get("credit_amount"):
        return None
    return credits.change(
        ledger,
        customer,
        -args["credit_amount"],
        "credit_note",
        currency=invoice["currency"],
        invoice=invoice["id"],
    )


def _lower(ledger: Ledger, invoice: Json, pre: int, post: int) -> None:
    """Take a note from its invoice, and from its intent; one that asks for nothing more is paid."""
    now = ledger.change(
        invoice,
        "invoice.updated",
        amount_due=invoice["amount_due"] - pre,
        amount_remaining=invoice["amount_remaining"] - pre,
        pre_payment_credit_notes_amount=invoice["pre_payment_credit_notes_amount"] + pre,
        post_payment_credit_notes_amount=invoice["post_payment_credit_notes_amount"] + post,
    )
    if not pre:
        return
    intent = ledger.find("payment_intent", now["_payment_intent"] or "")
    if intent is not None and now["amount_due"]:
        ledger.change(intent, None, amount=now["amount_due"])
    elif intent is not None:
        payments.canceled(ledger, intent, "void_invoice")
    if not now["amount_due"]:
        collection.settled(ledger, now, None)
