"""The lines of invoices: what each is for, and what they add up to once discounts are taken off.

Source: Stripe API reference, "Invoice Line Item" (``parent``, ``pricing``, ``discount_amounts``) and "The
Invoice object" (``subtotal``, ``total``, ``total_discount_amounts``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.stripe_sim import credits, discounts
from deadheat.stripe_sim.shelf import Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.stripe_sim.ledger import Ledger

Line = tuple[Json, Json]
"""A line, and what it had in it of its price before 2025-03-31.basil: ``{plan, price}``."""


def of_item(ledger: Ledger, invoice_id: str, subscription: Json, item: Json, *, free: bool) -> Json:
    """Give the line of a subscription's item; its metadata is the subscription's, as Stripe has it."""
    price = item["price"]
    return {
        "id": ledger.ids.new("line_item"),
        "object": "line_item",
        "amount": 0 if free else price["unit_amount"] * item["quantity"],
        "currency": price["currency"],
        "description": f"{item['quantity']} × {price['id']}",
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": invoice_id,
        "livemode": False,
        "metadata": subscription["metadata"],
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": None,
                "proration": False,
                "proration_details": {"credited_items": None},
                "subscription": subscription["id"],
                "subscription_item": item["id"],
            },
            "type": "subscription_item_details",
        },
        "period": {"start": item["current_period_start"], "end": item["current_period_end"]},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": "0" if free else price["unit_amount_decimal"],
        },
        "quantity": item["quantity"],
        "subscription": subscription["id"],
        "taxes": [],
    }


def priced(item: Json) -> Json:
    """Give the price that the line of an item had in it before 2025-03-31.basil, and its plan."""
    return {"plan": item["plan"], "price": item["price"]}


def pending(ledger: Ledger, customer_id: str, currency: str) -> list[Json]:
    """Give the invoice items of a customer that wait for an invoice."""
    return [
        item
        for item in ledger.of("invoiceitem", customer=customer_id)
        if item["invoice"] is None and item["currency"] == currency
    ]


def of_pending(ledger: Ledger, invoice_id: str, item: Json) -> Line:
    """Give the line of an invoice item, and the price in it."""
    details = {
        "invoice_item": item["id"],
        "proration": item["proration"],
        "proration_details": {"credited_items": item["_credited"]},
        "subscription": item["_subscription"],
    }
    kind = "subscription_item_details" if item["_subscription_item"] else "invoice_item_details"
    if item["_subscription_item"]:
        details["subscription_item"] = item["_subscription_item"]
    line = {
        "id": ledger.ids.new("line_item"),
        "object": "line_item",
        "amount": item["amount"],
        "currency": item["currency"],
        "description": item["description"],
        "discount_amounts": [],
        "discountable": item["discountable"],
        "discounts": [],
        "invoice": invoice_id,
        "livemode": False,
        "metadata": item["metadata"],
        "parent": {
            "invoice_item_details": None,
            "subscription_item_details": None,
            kind: details,
            "type": kind,
        },
        "period": item["period"],
        "pretax_credit_amounts": [],
        "pricing": item["pricing"],
        "quantity": item["quantity"],
        "subscription": item["_subscription"],
        "taxes": [],
    }
    return line, item["_priced"]


def item_of(line: Json) -> str | None:
    """Give the id of the invoice item that a line is of."""
    parent = line["parent"]
    details = parent["invoice_item_details"] or parent["subscription_item_details"]
    found: str | None = details["invoice_item"]
    return found


def attach(ledger: Ledger, invoice: Json) -> None:
    """Note in the invoice items of an invoice that they are in it."""
    for line in invoice["lines"]["data"]:
        item_id = item_of(line)
        if item_id is not None:
            ledger.put({**ledger.need("invoiceitem", item_id), "invoice": invoice["id"]})


def lines_of(invoice: Json) -> list[Line]:
    """Give the lines of an invoice with the prices in them."""
    return list(zip(invoice["lines"]["data"], invoice["_priced"], strict=True))


def summed(invoice_id: str, priced: Sequence[Line], found: Sequence[Json], balance: int) -> Json:
    """Give the fields of a draft that follow from its lines, its discounts and its customer's balance."""
    lines = [line for line, _ in priced]
    parts = [(line["amount"] if line["discountable"] else 0, _product(line)) for line in lines]
    taken = discounts.taken(found, parts)
    shown = [
        {
            **line,
            "discount_amounts": [
                {"amount": share[n], "discount": discount["id"]}
                for discount, share in zip(found, taken, strict=True)
                if share[n]
            ],
        }
        for n, line in enumerate(lines)
    ]
    subtotal = sum(line["amount"] for line in lines)
    total = subtotal - sum(map(sum, taken))
    due = credits.due(total, balance)
    return {
        "amount_due": due,
        "amount_remaining": due,
        **discounts.held(found),
        "lines": {
            "object": "list",
            "data": shown,
            "has_more": False,
            "total_count": len(shown),
            "url": f"/v1/invoices/{invoice_id}/lines",
        },
        "subtotal": subtotal,
        "subtotal_excluding_tax": subtotal,
        "total": total,
        "total_discount_amounts": [
            {"amount": sum(share), "discount": discount["id"]}
            for discount, share in zip(found, taken, strict=True)
        ],
        "total_excluding_tax": total,
        "_priced": [prices for _, prices in priced],
    }


def _product(line: Json) -> str | None:
    details = line["pricing"].get("price_details") or {}
    product: str | None = details.get("product")
    return product
