"""Customers: create, retrieve, update, delete, list by e-mail.

There is no uniqueness: the same e-mail twice makes two customers, as at Stripe. Deleting one cancels
its subscriptions at once and leaves ``{id, object, deleted}``. Source: Stripe API reference,
"Customers".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim import cards, collection, coupons, credits, discounts
from deadheat.stripe_sim.lists import list_of
from deadheat.stripe_sim.params import (
    accepted,
    email,
    integer,
    listed,
    listing,
    merged,
    metadata,
    one_of,
    record,
    text,
    unsettable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

_ADDRESS_PARTS = ("city", "country", "line1", "line2", "postal_code", "state")
_ADDRESS = record(dict.fromkeys(_ADDRESS_PARTS, text()))
_SHIPPING = record({"address": _ADDRESS, "name": text(), "phone": text()})

_FIELDS = {
    "address": unsettable(_ADDRESS),
    "balance": integer(),
    "coupon": text(),
    "description": text(),
    "email": email,
    "invoice_prefix": text(),
    "invoice_settings": record(
        {"default_payment_method": text(), **accepted("custom_fields", "footer", "rendering_options")}
    ),
    "metadata": metadata,
    "name": text(longest=256),
    "next_invoice_sequence": integer(1),
    "phone": text(longest=64),
    "preferred_locales": listed(text()),
    "promotion_code": text(),
    "shipping": unsettable(_SHIPPING),
    "tax_exempt": unsettable(one_of("none", "exempt", "reverse")),
    **accepted("business_name", "cash_balance", "individual_name", "source", "tax", "validate"),
}
CREATE = {**_FIELDS, "payment_method": text(unset=False), **accepted("tax_id_data", "test_clock")}
UPDATE = {**_FIELDS, **accepted("default_source")}
LIST = listing(email=text(unset=False), **accepted("test_clock"))


def create(ledger: Ledger, call: Call) -> Json:
    """POST /v1/customers; ``payment_method`` is attached, and may be named as the default at once."""
    args = call.args
    named = args.get("payment_method")
    default = args.get("invoice_settings", {}).get("default_payment_method")
    if default is not None and default != named:
        cards.usable(ledger, default, param="invoice_settings[default_payment_method]", customer="")
    method = cards.usable(ledger, named, param="payment_method") if named is not None else None
    if method is not None:
        cards.check_attachable(method)
    wanted = discounts.asked(args, call.api_version) or ()
    discount = _claimed(ledger, wanted, None)
    made = make(ledger, args)
    if discount is not None:
        made = discounts.hang(ledger, made, {**discount, "customer": made["id"]})
    if method is not None:
        method = cards.attached(ledger, method, made)
        if default is not None:
            settings = {**made["invoice_settings"], "default_payment_method": method["id"]}
            made = ledger.put({**made, "invoice_settings": settings})
    return made


def make(ledger: Ledger, args: Json) -> Json:
    """Make a customer and emit customer.created."""
    made = ledger.new(
        "customer",
        address=_address(args.get("address")),
        balance=args.get("balance", 0),
        currency=None,
        default_source=None,
        delinquent=False,
        description=args.get("description"),
        discount=None,
        email=args.get("email"),
        invoice_prefix=args.get("invoice_prefix") or ledger.ids.letters(8),
        invoice_settings={
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        metadata=merged({}, args.get("metadata", {})),
        name=args.get("name"),
        next_invoice_sequence=args.get("next_invoice_sequence", 1),
        phone=args.get("phone"),
        preferred_locales=args.get("preferred_locales", []),
        shipping=args.get("shipping"),
        tax_exempt=args.get("tax_exempt") or "none",
        test_clock=None,
    )
    ledger.put(made)
    ledger.emit("customer.created", made)
    if made["balance"]:
        credits.note(ledger, made, made["balance"], "initial")
    return made


def retrieve(ledger: Ledger, call: Call) -> Json:
    """GET /v1/customers/:id; a deleted one answers ``{id, object, deleted: true}``."""
    found = ledger.find("customer", call.path_id)
    return found if found is not None else ledger.need("customer", call.path_id)


def update(ledger: Ledger, call: Call) -> Json:
    """POST /v1/customers/:id; emits customer.updated if anything changed."""
    old = ledger.need("customer", call.path_id)
    changes: dict[str, Any] = {name: value for name, value in call.args.items() if name in old}
    if "metadata" in changes:
        changes["metadata"] = merged(old["metadata"], changes["metadata"])
    if "address" in changes:
        changes["address"] = _address(changes["address"])
    if "tax_exempt" in changes:
        changes["tax_exempt"] = changes["tax_exempt"] or "none"
    default = changes.get("invoice_settings", {}).get("default_payment_method")
    if default is not None:
        cards.usable(ledger, default, param="invoice_settings[default_payment_method]", customer=old["id"])
    if "invoice_settings" in changes:
        given = changes["invoice_settings"]
        kept = {name: given[name] for name in ("default_payment_method",) if name in given}
        changes["invoice_settings"] = {**old["invoice_settings"], **kept}
    changes.pop("default_source", None)  # accepted, not modelled
    wanted = discounts.asked(call.args, call.api_version)
    if wanted is not None:
        old = discounts.hang(ledger, old, _claimed(ledger, wanted, old["id"]))
    now = ledger.change(old, "customer.updated", **changes)
    if now["balance"] != old["balance"]:
        credits.note(ledger, now, now["balance"] - old["balance"], "adjustment")
    return now


def delete(ledger: Ledger, call: Call) -> Json:
    """DELETE /v1/customers/:id: cancels what is subscribed, then the customer is gone."""
    old = ledger.need("customer", call.path_id)
    for subscription in ledger.of("subscription", customer=old["id"]):
        if subscription["status"] not in collection.ENDED:
            collection.end(ledger, subscription)
    gone = ledger.put({"id": old["id"], "object": "customer", "deleted": True})
    ledger.emit("customer.deleted", old)
    return gone


def listing_of(ledger: Ledger, call: Call) -> Json:
    """GET /v1/customers, newest first; ``email`` matches exactly, deleted ones are left out."""
    return list_of(ledger, call, "customer", ("email",))


def _claimed(ledger: Ledger, wanted: Iterable[Json], customer: str | None) -> Json | None:
    """Give the discount that a call wants for a customer; one has no currency yet to refuse it by."""
    for one in wanted:
        name = next(iter(one))
        return coupons.claimed(ledger, one, name, customer=customer, subtotal=0, currency=None)
    return None


def _address(given: Json | None) -> Json | None:
    return None if given is None else {part: given.get(part) for part in _ADDRESS_PARTS}
