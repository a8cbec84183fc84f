"""What must hold of all money of an account at any time: each cent is in one place."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim.invoice_lines import item_of

if TYPE_CHECKING:
    from deadheat.stripe_sim import Account

TAKEN = ("applied_to_invoice", "unapplied_from_invoice")


def money_adds_up(account: Account) -> None:
    """Assert it of every charge, intent, invoice and balance."""
    charges, refunds = account.ledger.of("charge"), account.ledger.of("refund")
    for charge in charges:
        back = sum(refund["amount"] for refund in refunds if refund["charge"] == charge["id"])
        assert back == charge["amount_refunded"] <= charge["amount_captured"]
    captured: dict[str, list[int]] = defaultdict(list)
    for charge in charges:
        if charge["paid"]:
            captured[charge["payment_intent"]].append(charge["amount_captured"])
    for intent in account.ledger.of("payment_intent"):
        paid = captured[intent["id"]]
        assert len(paid) <= 1
        assert sum(paid) == intent["amount_received"]
        assert bool(paid) == (intent["status"] == "succeeded")
    billed: dict[str, str] = {}
    for invoice in _kept(account, "invoice"):
        _invoice(account, invoice)
        for line in invoice["lines"]["data"]:
            item_id = item_of(line)
            if item_id is not None:
                assert billed.setdefault(item_id, invoice["id"]) == invoice["id"]
    for item in _kept(account, "invoiceitem"):
        assert billed.get(item["id"]) == item["invoice"]
    discounts = [discount["source"]["coupon"] for discount in account.ledger.of("discount")]
    for coupon in _kept(account, "coupon"):
        assert coupon["times_redeemed"] == discounts.count(coupon["id"])
        assert coupon["times_redeemed"] <= (coupon["max_redemptions"] or coupon["times_redeemed"])
    for customer in _kept(account, "customer"):
        changes = account.ledger.of("customer_balance_transaction", customer=customer["id"])
        assert sum(change["amount"] for change in changes) == customer["balance"]


def _kept(account: Account, kind: str) -> list[dict[str, Any]]:
    return [one for one in account.ledger.of(kind) if not one.get("deleted")]


def _invoice(account: Account, invoice: dict[str, Any]) -> None:
    assert invoice["amount_due"] == invoice["amount_paid"] + invoice["amount_remaining"]
    lines = invoice["lines"]["data"]
    assert sum(line["amount"] for line in lines) == invoice["subtotal"]
    taken = [part["amount"] for part in invoice["total_discount_amounts"]]
    assert sum(part["amount"] for line in lines for part in line["discount_amounts"]) == sum(taken)
    assert invoice["subtotal"] - sum(taken) == invoice["total"]
    assert all(amount >= 0 for amount in taken)
    intent = invoice["_payment_intent"]
    charges = [c for c in account.ledger.of("charge") if c["paid"] and c["_invoice"] == invoice["id"]]
    assert all(charge["payment_intent"] == intent for charge in charges)
    assert sum(charge["amount_captured"] for charge in charges) == invoice["amount_paid"]
    assert (invoice["amount_remaining"] == 0) >= (invoice["status"] == "paid")
    notes = account.ledger.of("credit_note", invoice=invoice["id"])
    pre = invoice["pre_payment_credit_notes_amount"]
    assert sum(note["amount"] for note in notes) <= max(invoice["total"], 0)
    assert sum(note["pre_payment_amount"] for note in notes) == pre
    if invoice["status"] == "draft":
        return
    taken = sum(
        change["amount"]
        for change in account.ledger.of("customer_balance_transaction", customer=invoice["customer"])
        if change["invoice"] == invoice["id"] and change["type"] in TAKEN
    )
    customer = account.object("customer", invoice["customer"])
    if invoice["status"] != "void":
        assert invoice["total"] - taken == invoice["amount_due"] + pre
    elif customer is not None and not customer.get("deleted"):
        assert taken == 0
