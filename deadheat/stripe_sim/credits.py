"""The balance of a customer: what is owed to them (below zero) or by them, and how it came about.

Every change of a balance is a customer balance transaction, so that they always add up to it. An
invoice takes from it, or adds it on, when it is finalized; voiding gives back what was taken. An
invoice over nothing leaves it alone.

Source: Stripe docs, "Customer credit balance"; Stripe API reference, "Customer Balance Transaction".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.stripe_sim.api_error import no_such
from deadheat.stripe_sim.lists import list_of
from deadheat.stripe_sim.params import accepted, currency, integer, listing, merged, metadata, text

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

CREATE = {
    "amount": integer(),
    "currency": currency,
    "description": text(longest=350),
    "metadata": metadata,
}
LIST = listing(**accepted("invoice"))


def note(
    ledger: Ledger,
    customer: Json,
    amount: int,
    kind: str,
    *,
    currency: str = "usd",
    invoice: str | None = None,
) -> Json:
    """Write a transaction that has led to the customer's present balance; it has no event."""
    return ledger.put(
        ledger.new(
            "customer_balance_transaction",
            amount=amount,
            checkout_session=None,
            credit_note=None,
            currency=currency,
            customer=customer["id"],
            description=None,
            ending_balance=customer["balance"],
            invoice=invoice,
            metadata={},
            type=kind,
        )
    )


def change(
    ledger: Ledger,
    customer: Json,
    amount: int,
    kind: str,
    *,
    currency: str = "usd",
    invoice: str | None = None,
) -> Json:
    """Add ``amount`` (below zero: in the customer's favour) to a balance; emits customer.updated."""
    changed = ledger.change(customer, "customer.updated", balance=customer["balance"] + amount)
    return note(ledger, changed, amount, kind, currency=currency, invoice=invoice)


def due(total: int, balance: int) -> int:
    """Give what an invoice asks for, given the balance that it meets."""
    return max(0, total + balance) if total else 0


def create(ledger: Ledger, call: Call) -> Json:
    """POST /v1/customers/:id/balance_transactions."""
    args = call.args
    customer = ledger.need("customer", call.path_id)
    made = change(ledger, customer, args["amount"], "adjustment", currency=args["currency"])
    said = {"description": args.get("description"), "metadata": merged({}, args.get("metadata", {}))}
    return ledger.put({**made, **said})


def retrieve(ledger: Ledger, call: Call) -> Json:
    """GET /v1/customers/:id/balance_transactions/:id."""
    found = ledger.need("customer_balance_transaction", call.path_ids[1])
    if found["customer"] != call.path_id:
        raise no_such("customer_balance_transaction", found["id"])
    return found


def listing_of(ledger: Ledger, call: Call) -> Json:
    """GET /v1/customers/:id/balance_transactions, newest first."""
    call.args["customer"] = ledger.need("customer", call.path_id)["id"]
    return list_of(ledger, call, "customer_balance_transaction", ("customer",))
