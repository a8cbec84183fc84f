"""The lines of invoices: what each is for, and what they add up to once discounts are taken off.

Source: Stripe API reference, "Invoice Line Item" (``parent``, ``pricing``, ``discount_amounts``) and "The
Invoice object" (``subtotal``, ``total``, ``total_discount_amounts``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.stripe_sim import credits, discounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json


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


def summed(invoice_id: str, lines: Sequence[Json], found: Sequence[Json], balance: int) -> Json:
    """Give the fields of a draft that follow from its lines, its discounts and its customer's balance."""
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
    }


def _product(line: Json) -> str | None:
    details = (line["pricing"] or {}).get("price_details") or {}
    product: str | None = details.get("product")
    return product
