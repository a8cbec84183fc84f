"""Invoices that an application makes: drafts of what is pending, finalized, sent, or deleted again.

A draft with ``auto_advance`` is finalized an hour later by the run's clock, and charged or sent as its
``collection_method`` says; without it nothing happens by itself. One that is sent waits for its customer, who
pays by its page. Whether the items of a deleted draft wait again Stripe does not tell; here they do.

Source: Stripe API reference, "Create an invoice", "Delete a draft invoice", "Send an invoice for manual
payment"; Stripe docs, "How invoicing works", "Automatically advance invoices".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.stripe_sim import cards, collection, coupons, currencies, discounts, invoice_lines, invoices
from deadheat.stripe_sim.api_error import invalid, missing
from deadheat.stripe_sim.clock import DAY, HOUR
from deadheat.stripe_sim.params import (
    accepted,
    boolean,
    currency,
    integer,
    merged,
    metadata,
    one_of,
    text,
    timestamp,
    unmodelled,
)

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

CREATE = {
    "auto_advance": boolean,
    "collection_method": one_of("charge_automatically", "send_invoice"),
    "currency": currency,
    "customer": text(unset=False),
    "days_until_due": integer(0),
    "default_payment_method": text(unset=False),
    "description": text(longest=1500),
    "discounts": coupons.DISCOUNTS,
    "due_date": timestamp,
    "metadata": metadata,
    "pending_invoice_items_behavior": one_of("exclude", "include"),
    "subscription": text(unset=False),
    **accepted("account_tax_ids", "automatic_tax", "custom_fields", "default_tax_rates", "effective_at"),
    **accepted("footer", "issuer", "number", "payment_settings", "rendering", "shipping_details"),
    **accepted("statement_descriptor"),
    **unmodelled("application_fee_amount", "from_invoice", "on_behalf_of", "shipping_cost", "transfer_data"),
}
_ASKS_SINCE = "2022-08-01"
"""The version since which an invoice takes in nothing and does nothing unless it is told to."""


def create(ledger: Ledger, call: Call) -> Json:
    """POST /v1/invoices: a draft; emits invoice.created.

    Before 2022-08-01 ``auto_advance`` and ``pending_invoice_items_behavior: include`` are the defaults.
    """
    args = call.args
    customer = ledger.need("customer", args["customer"], param="customer")
    subscription = None
    if "subscription" in args:
        subscription = ledger.need("subscription", args["subscription"], param="subscription")
        if subscription["customer"] != customer["id"]:
            raise invalid("The subscription is another customer's.", param="subscription")
    before = call.api_version[:10] < _ASKS_SINCE
    money = args.get("currency") or (subscription or {}).get("currency")
    money = money or min(currencies.of(ledger, customer), default="usd")
    made = invoices.blank(ledger, customer, currency=money, reason="manual", subscription=subscription)
    included = args.get("pending_invoice_items_behavior", "include" if before else "exclude") == "include"
    waiting = []
    if included or subscription is not None:
        waiting = _pending(ledger, customer["id"], money, made["_subscription"], alone=not before)
    found = _discounts(ledger, call, made, customer, sum(item["amount"] for item in waiting))
    lines = [invoice_lines.of_pending(ledger, made["id"], item) for item in waiting]
    made.update(
        **invoice_lines.summed(made["id"], lines, found, customer["balance"]),
        auto_advance=args.get("auto_advance", before),
        default_payment_method=_card(ledger, args, customer),
        description=args.get("description"),
        metadata=merged({}, args.get("metadata", {})),
        **_due(ledger, args),
    )
    if "discounts" in args:
        discounts.redeemed(ledger, found)
    drafted = invoices.drafted(ledger, made)
    if made["auto_advance"]:
        ledger.remind(ledger.now + HOUR, "invoice", made["id"])
    return drafted


def delete(ledger: Ledger, call: Call) -> Json:
    """DELETE /v1/invoices/:id, of a draft that is no subscription's; emits invoice.deleted."""
    old = ledger.need("invoice", call.path_id)
    if old["status"] != "draft" or old["billing_reason"] != "manual":
        raise invalid("You can only delete draft invoices that are not created by a subscription.")
    for line in old["lines"]["data"]:
        item_id = invoice_lines.item_of(line)
        if item_id is not None:
            ledger.change(ledger.need("invoiceitem", item_id), None, invoice=None)
    gone = ledger.put({"id": old["id"], "object": "invoice", "deleted": True})
    ledger.emit("invoice.deleted", old)
    return gone


def send(ledger: Ledger, call: Call) -> Json:
    """POST /v1/invoices/:id/send: finalized if it is a draft; emits invoice.sent."""
    invoice = ledger.need("invoice", call.path_id)
    if invoice["status"] not in ("draft", "open"):
        raise invalid(f"You can only send draft or open invoices; this one is `{invoice['status']}`.")
    return _sent(ledger, invoice)


def advance(ledger: Ledger, invoice: Json) -> None:
    """Do what an hour brings to an invoice that advances by itself: finalized, then charged or sent."""
    if not invoice["auto_advance"] or invoice["status"] not in ("draft", "open"):
        return
    customer = ledger.find("customer", invoice["customer"])
    if customer is None or customer.get("deleted"):
        return
    if invoice["collection_method"] == "send_invoice":
        _sent(ledger, invoice)
        return
    if invoice["status"] == "draft":
        invoice = invoices.finalized(ledger, invoice)
    if not invoice["attempted"]:
        collection.collect(ledger, invoice, cards.default_of(ledger, invoice, customer))


def _sent(ledger: Ledger, invoice: Json) -> Json:
    if invoice["status"] == "draft":
        invoice = invoices.finalized(ledger, invoice)
    ledger.emit("invoice.sent", invoice)
    return invoice if invoice["amount_due"] else collection.settled(ledger, invoice, None)


def _pending(
    ledger: Ledger, customer_id: str, currency: str, subscription_id: str | None, *, alone: bool
) -> list[Json]:
    """Give the items that an invoice draws in: all that wait, or those of the subscription that it names.

    Not ``alone``, those of no subscription go with it, as before 2022-08-01.
    """
    waiting = invoice_lines.pending(ledger, customer_id, currency)
    if subscription_id is None:
        return waiting
    right = (subscription_id,) if alone else (subscription_id, None)
    return [item for item in waiting if item["_subscription"] in right]


def _discounts(ledger: Ledger, call: Call, made: Json, customer: Json, subtotal: int) -> list[Json]:
    """Give what an invoice takes off: what the call says, else what its customer has."""
    wanted = discounts.asked(call.args, call.api_version)
    if wanted is None:
        found = discounts.of(None, customer, ledger.now)
        return [d for d in found if d["_coupon"]["currency"] in (None, made["currency"])]
    return discounts.claimed(
        ledger,
        wanted,
        "discounts",
        customer=customer["id"],
        subtotal=subtotal,
        currency=made["currency"],
        invoice=made["id"],
    )


def _card(ledger: Ledger, args: Json, customer: Json) -> str | None:
    named: str | None = args.get("default_payment_method")
    if named is not None:
        cards.usable(ledger, named, param="default_payment_method", customer=customer["id"])
    return named


def _due(ledger: Ledger, args: Json) -> Json:
    """Give how an invoice is collected, and by when it is to be paid if it is sent."""
    method = args.get("collection_method", "charge_automatically")
    named = next((name for name in ("days_until_due", "due_date") if name in args), None)
    if method == "charge_automatically":
        if named is not None:
            raise invalid(
                "You can only set a due date if `collection_method` is `send_invoice`.", param=named
            )
        return {"collection_method": method, "due_date": None}
    if named is None:
        raise missing("days_until_due")
    due = args["due_date"] if named == "due_date" else ledger.now + args["days_until_due"] * DAY
    return {"collection_method": method, "due_date": due}
