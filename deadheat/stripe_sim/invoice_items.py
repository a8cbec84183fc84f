"""Invoice items: what a customer owes besides a subscription's prices, and waits for an invoice.

One that names no invoice is pending: the next invoice of its subscription, or where it names none of any
subscription of its customer, draws it in; so does one that an application makes of what is pending. As
long as its invoice is a draft it may be changed and taken out again.
Discounts of a single item are not modelled.

Source: Stripe API reference, "Invoice Items"; Stripe docs, "Manage invoice items"; API changelog
2025-03-31.basil (``parent``, ``pricing``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim import catalog, invoice_lines
from deadheat.stripe_sim.api_error import invalid, missing
from deadheat.stripe_sim.lists import in_time, list_of
from deadheat.stripe_sim.params import (
    accepted,
    boolean,
    currency,
    integer,
    listed,
    listing,
    merged,
    metadata,
    record,
    text,
    timestamp,
    unmodelled,
)

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

_SAID = {
    "amount": integer(),
    "description": text(longest=500),
    "discountable": boolean,
    "metadata": metadata,
    "period": record({"end": timestamp, "start": timestamp}, required=("end", "start")),
    "price": text(unset=False),
    "price_data": catalog.PRICE_DATA,
    "pricing": record({"price": text(unset=False)}),
    "quantity": integer(0),
    **unmodelled("discounts"),
    **accepted("tax_behavior", "tax_code", "tax_rates"),
}
CREATE = {
    **_SAID,
    "currency": currency,
    "customer": text(unset=False),
    "invoice": text(unset=False),
    "subscription": text(unset=False),
    **unmodelled("unit_amount_decimal"),
}
UPDATE = {**_SAID, **unmodelled("unit_amount_decimal")}
LIST = listing(customer=text(unset=False), invoice=text(unset=False), pending=boolean)
ADD_LINES = {
    "invoice_metadata": metadata,
    "lines": listed(
        record({**_SAID, "invoice_item": text(unset=False), **accepted("tax_amounts")}),
    ),
}


def new(
    ledger: Ledger,
    customer_id: str,
    *,
    amount: int,
    currency: str,
    price: Json | None = None,
    quantity: int = 1,
    subscription: str | None = None,
    **fields: Any,
) -> Json:
    """Give a new item that is not written yet.

    ``fields`` are those of the object that differ from the usual ones; ``amount`` is of the whole quantity.
    """
    unit = price["unit_amount_decimal"] if price else str(amount)
    return {
        "id": ledger.ids.new("invoiceitem"),
        "object": "invoiceitem",
        "amount": amount,
        "currency": currency,
        "customer": customer_id,
        "date": ledger.now,
        "description": None,
        "discountable": amount >= 0,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "net_amount": amount,
        "parent": subscription
        and {"subscription_details": {"subscription": subscription}, "type": "subscription_details"},
        "period": {"end": ledger.now, "start": ledger.now},
        "pricing": _pricing(price, unit),
        "proration": False,
        "quantity": quantity,
        "tax_rates": [],
        "test_clock": None,
        "_credited": None,
        "_priced": {"plan": catalog.plan_of(price) if price and price["recurring"] else None, "price": price},
        "_subscription": subscription,
        "_subscription_item": None,
        **fields,
    }


def make(ledger: Ledger, customer_id: str, **said: Any) -> Json:
    """Write an item of what `new` is told; emits invoiceitem.created."""
    made = ledger.put(new(ledger, customer_id, **said))
    ledger.emit("invoiceitem.created", made)
    return made


def create(ledger: Ledger, call: Call) -> Json:
    """POST /v1/invoiceitems; emits invoiceitem.created, and invoice.updated of the draft that it names."""
    args = call.args
    customer = ledger.need("customer", args["customer"], param="customer")
    invoice = None
    if "invoice" in args:
        invoice = _draft(ledger, ledger.need("invoice", args["invoice"], param="invoice"), "invoice")
        if invoice["customer"] != customer["id"]:
            raise invalid("The invoice is another customer's.", param="invoice")
    if "subscription" in args:
        found = ledger.need("subscription", args["subscription"], param="subscription")
        if found["customer"] != customer["id"]:
            raise invalid("The subscription is another customer's.", param="subscription")
    made = _made(ledger, customer["id"], args, "", invoice)
    if invoice is not None:
        draw(ledger, invoice, [made])
    return ledger.need("invoiceitem", made["id"])


def retrieve(ledger: Ledger, call: Call) -> Json:
    """GET /v1/invoiceitems/:id."""
    return ledger.need("invoiceitem", call.path_id)


def update(ledger: Ledger, call: Call) -> Json:
    """POST /v1/invoiceitems/:id, as long as its invoice is a draft; Stripe has no event for it."""
    old = ledger.need("invoiceitem", call.path_id)
    invoice = _draft_of(ledger, old)
    args = call.args
    changes: Json = {n: args[n] for n in ("description", "discountable", "period") if n in args}
    if "metadata" in args:
        changes["metadata"] = merged(old["metadata"], args["metadata"])
    if any(name in args for name in ("amount", "price", "price_data", "pricing", "quantity")):
        changes.update(_worth(ledger, old, args))
    now = ledger.change(old, None, **changes)
    if invoice is not None:
        recount(
            ledger,
            invoice,
            [
                invoice_lines.of_pending(ledger, invoice["id"], now)
                if invoice_lines.item_of(line) == old["id"]
                else (line, priced)
                for line, priced in invoice_lines.lines_of(invoice)
            ],
        )
    return now


def delete(ledger: Ledger, call: Call) -> Json:
    """DELETE /v1/invoiceitems/:id; its draft loses the line. Emits invoiceitem.deleted."""
    old = ledger.need("invoiceitem", call.path_id)
    invoice = _draft_of(ledger, old)
    gone = ledger.put({"id": old["id"], "object": "invoiceitem", "deleted": True})
    ledger.emit("invoiceitem.deleted", old)
    if invoice is not None:
        kept = [p for p in invoice_lines.lines_of(invoice) if invoice_lines.item_of(p[0]) != old["id"]]
        recount(ledger, invoice, kept)
    return gone


def listing_of(ledger: Ledger, call: Call) -> Json:
    """GET /v1/invoiceitems, by customer, invoice, or whether they are pending."""
    created, waits = call.args.pop("created", None), call.args.get("pending")

    def keep(kept: Json) -> bool:
        right = waits is None or (kept["invoice"] is None) == waits
        return right and in_time({"created": kept["date"]}, created)

    return list_of(ledger, call, "invoiceitem", ("customer", "invoice"), keep)


def add_lines(ledger: Ledger, call: Call) -> Json:
    """POST /v1/invoices/:id/add_lines: pending items by their id, and new ones. Emits invoice.updated."""
    invoice = _draft(ledger, ledger.need("invoice", call.path_id), "invoice")
    found = []
    for n, said in enumerate(call.args["lines"]):
        at = f"lines[{n}]"
        if "invoice_item" in said:
            item = ledger.need("invoiceitem", said["invoice_item"], param=f"{at}[invoice_item]")
            if item["invoice"] is not None or item["customer"] != invoice["customer"]:
                raise invalid("The invoice item does not wait for this invoice.", param=f"{at}[invoice_item]")
            found.append(item)
        else:
            _check(ledger, said, at, invoice["currency"])
    made = [
        _made(ledger, invoice["customer"], {**said, "currency": invoice["currency"]}, f"lines[{n}]", invoice)
        for n, said in enumerate(call.args["lines"])
        if "invoice_item" not in said
    ]
    if "invoice_metadata" in call.args:
        invoice = {**invoice, "metadata": merged(invoice["metadata"], call.args["invoice_metadata"])}
    return draw(ledger, invoice, found + made)


def draw(ledger: Ledger, invoice: Json, items: list[Json]) -> Json:
    """Put items into a draft; emits invoice.updated."""
    new = [invoice_lines.of_pending(ledger, invoice["id"], item) for item in items]
    now = recount(ledger, invoice, invoice_lines.lines_of(invoice) + new)
    invoice_lines.attach(ledger, now)
    return now


def recount(ledger: Ledger, invoice: Json, lines: list[invoice_lines.Line]) -> Json:
    """Give a draft other lines; emits invoice.updated."""
    customer = ledger.need("customer", invoice["customer"])
    old = ledger.need("invoice", invoice["id"])
    counted = invoice_lines.summed(invoice["id"], lines, invoice["_discounts"], customer["balance"])
    return ledger.change(old, "invoice.updated", **{**invoice, **counted})


def _made(ledger: Ledger, customer_id: str, args: Json, at: str, invoice: Json | None) -> Json:
    price, amount, quantity, money = _cost(ledger, args, at)
    if invoice is not None and invoice["currency"] != money:
        raise invalid(f"The invoice is in {invoice['currency']}.", param="currency")
    said: Json = {n: args[n] for n in ("description", "discountable", "period") if n in args}
    return make(
        ledger,
        customer_id,
        amount=amount,
        currency=money,
        price=price,
        quantity=quantity,
        subscription=args.get("subscription"),
        **{**said, "metadata": merged({}, args.get("metadata", {}))},
    )


def _check(ledger: Ledger, args: Json, at: str, money: str) -> None:
    """Refuse what makes no item, before anything is written."""
    where = f"{at}[amount]" if at else "amount"
    named = args.get("price") or args.get("pricing", {}).get("price")
    if named is not None:
        price = ledger.need("price", named, param=f"{at}[price]" if at else "price")
        if price["recurring"] is not None:
            raise invalid(
                "The price specified is set to `type=recurring` but this field only accepts prices with "
                "`type=one_time`.",
                param=f"{at}[price]" if at else "price",
            )
        if price["currency"] != money:
            raise invalid(f"The price specified is in {price['currency']}, not in {money}.", param=where)
    elif "price_data" in args:
        catalog.check_item(ledger, args, at)
    elif "amount" not in args:
        raise missing(where)


def _cost(ledger: Ledger, args: Json, at: str) -> tuple[Json | None, int, int, str]:
    """Give the price of what is asked for, its amount and quantity, and its currency."""
    quantity = int(args.get("quantity", 1))
    named = args.get("price") or args.get("pricing", {}).get("price")
    price = ledger.need("price", named, param=f"{at}[price]" if at else "price") if named else None
    money = args.get("currency") or (price or args.get("price_data", {})).get("currency")
    if money is None:
        raise missing("currency")
    _check(ledger, args, at, money)
    if price is None and "price_data" in args:
        price = catalog.price_from(ledger, args["price_data"])
    amount: int = price["unit_amount"] * quantity if price is not None else args["amount"]
    return price, amount, quantity, money


def _worth(ledger: Ledger, old: Json, args: Json) -> Json:
    """Give the changes of an item that is to cost something else."""
    quantity = int(args["quantity"] if "quantity" in args else old["quantity"])
    if not any(name in args for name in ("amount", "price", "price_data", "pricing")):
        if old["_priced"]["price"] is None:
            raise invalid("Only the quantity of an item with a price can be changed.", param="quantity")
        price = old["_priced"]["price"]
        amount = int(price["unit_amount"]) * quantity
    else:
        price, amount, quantity, _ = _cost(ledger, {**args, "currency": old["currency"]}, "")
    unit = price["unit_amount_decimal"] if price else str(amount)
    return {
        "amount": amount,
        "net_amount": amount,
        "pricing": _pricing(price, unit),
        "quantity": quantity,
        "_priced": {"plan": None, "price": price},
    }


def _pricing(price: Json | None, unit: str) -> Json:
    details = None if price is None else {"price": price["id"], "product": price["product"]}
    return {"price_details": details, "type": "price_details", "unit_amount_decimal": unit}


def _draft(ledger: Ledger, invoice: Json, param: str) -> Json:
    """Refuse an invoice whose lines do not change any more, or whose customer is gone."""
    if invoice["status"] != "draft":
        raise invalid(f"The invoice {invoice['id']} is no draft any more.", param=param)
    ledger.need("customer", invoice["customer"], param="customer")
    return invoice


def _draft_of(ledger: Ledger, item: Json) -> Json | None:
    """Give the draft that an item is in; ApiError where it is in an invoice that is final."""
    if item["invoice"] is None:
        return None
    return _draft(ledger, ledger.need("invoice", item["invoice"]), "id")
