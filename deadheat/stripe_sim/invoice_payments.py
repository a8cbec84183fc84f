"""Invoice payments: which payment intent (or charge) an invoice is paid by, as objects of their own.

An invoice that asks for money has one from when it is finalized, or none; it follows its invoice, so it is
read off it and not kept. Attaching further payments to an invoice is not modelled.

Source: Stripe API reference, "Invoice Payments"; Stripe docs, "API changelog", 2025-03-31.basil ("multiple
(partial) payments on invoices") and 2025-05-28.basil ("partial payments on invoices").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.stripe_sim.api_error import no_such
from deadheat.stripe_sim.lists import in_time, part_of
from deadheat.stripe_sim.params import TIMES, integer, one_of, record, text
from deadheat.stripe_sim.present import listed
from deadheat.stripe_sim.shelf import page

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

TOLD_SINCE = 1_748_390_400
"""From when on invoice_payment.paid is emitted: 28 May 2025, in seconds since 1970."""
KIND = "invoice_payment"
LIST = {
    "created": TIMES,
    "limit": integer(1, 100),
    "starting_after": text(unset=False),
    "ending_before": text(unset=False),
    "invoice": text(unset=False),
    "payment": record(
        {
            "charge": text(unset=False),
            "payment_intent": text(unset=False),
            "type": one_of("charge", "payment_intent"),
        },
        required=("type",),
    ),
    "status": one_of("canceled", "open", "paid"),
}


def of(invoice: Json) -> Json | None:
    """Give the payment of an invoice; None for one that is a draft, deleted or not, or asked for nothing."""
    if invoice.get("deleted"):
        return None
    paid = invoice["status"] == "paid"
    if invoice["_payment"] is None or (paid and not invoice["amount_paid"]):
        return None
    way = "charge" if invoice["_payment_intent"] is None else "payment_intent"
    return {
        "id": invoice["_payment"],
        "object": KIND,
        "amount_paid": invoice["amount_paid"] if paid else None,
        "amount_requested": invoice["amount_due"],
        "created": invoice["created"],
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": True,
        "livemode": False,
        "payment": {way: invoice[f"_{way}"], "type": way},
        "status": {"paid": "paid", "void": "canceled"}.get(invoice["status"], "open"),
        "status_transitions": {
            "canceled_at": invoice["status_transitions"]["voided_at"],
            "paid_at": invoice["status_transitions"]["paid_at"],
        },
    }


def shown_in(invoice: Json) -> Json:
    """Give the list ``payments``, which an invoice shows when it is expanded."""
    made = of(invoice)
    return listed([] if made is None else [made], "/v1/invoice_payments")


def tell_paid(ledger: Ledger, invoice: Json) -> None:
    """Emit invoice_payment.paid, if the invoice was paid by a payment and Stripe had the event by then."""
    made = of(invoice)
    if made is not None and ledger.now >= TOLD_SINCE:
        ledger.emit("invoice_payment.paid", made)


def retrieve(ledger: Ledger, call: Call) -> Json:
    """GET /v1/invoice_payments/:id."""
    made = of(_invoice_of(ledger, call.path_id, "id"))
    if made is None:
        raise no_such(KIND, call.path_id)
    return made


def listing_of(ledger: Ledger, call: Call) -> Json:
    """GET /v1/invoice_payments, newest first: all, or those of an invoice, a payment intent or a charge."""
    args = call.args
    if "payment" in args or "invoice" in args:
        found, has_more = part_of(_named(ledger, args), args)
        return listed(found, call.request.path, has_more=has_more)

    def keep(invoice: Json) -> bool:
        made = of(invoice)
        return made is not None and _is_asked_for(made, args)

    cursors = {
        name: _invoice_of(ledger, args[name], name)["id"]
        for name in ("starting_after", "ending_before")
        if name in args
    }
    invoices, has_more = page(
        ledger.shelves["invoice"], {}, keep=keep, limit=args.get("limit", 10), **cursors
    )
    made = [payment for invoice in invoices if (payment := of(invoice)) is not None]
    return listed(made, call.request.path, has_more=has_more)


def _named(ledger: Ledger, args: Json) -> list[Json]:
    """Give the payment of the invoice that is named, or that a payment intent or charge was for."""
    name = args.get("invoice")
    if "payment" in args:
        kind = args["payment"]["type"]
        param = f"payment[{kind}]"
        name = ledger.need(kind, args["payment"].get(kind, ""), param=param)["_invoice"]
    made = None if name is None else of(ledger.need("invoice", name, param="invoice"))
    wanted = made is not None and made["invoice"] == args.get("invoice", name) and _is_asked_for(made, args)
    return [made] if made is not None and wanted else []


def _is_asked_for(made: Json, args: Json) -> bool:
    return args.get("status", made["status"]) == made["status"] and in_time(made, args.get("created"))


def _invoice_of(ledger: Ledger, payment_id: str, param: str) -> Json:
    found = next(ledger.shelves["invoice"].newest_first({"_payment": payment_id}), None)
    if found is None:
        raise no_such(KIND, payment_id, param=param)
    return found
