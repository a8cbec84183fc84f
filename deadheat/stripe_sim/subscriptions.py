"""Subscriptions: started by a paid checkout, retrieved, listed, updated, renewed, canceled.

From 2025-03-31.basil on a subscription appears when it is paid; before, it appears ``incomplete``
and becomes ``active`` with the payment. Failed payments and creation through the API are not
modelled. Source: Stripe API reference, "Subscriptions"; Stripe docs, "How subscriptions work".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim import catalog, invoices, payments
from deadheat.stripe_sim.api_error import invalid, missing, no_such
from deadheat.stripe_sim.api_version import since_basil, since_clover
from deadheat.stripe_sim.clock import DAY, later
from deadheat.stripe_sim.lists import list_of
from deadheat.stripe_sim.params import (
    accepted,
    boolean,
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
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

ENDED = ("canceled", "incomplete_expired")
STATUSES = (
    "active",
    "past_due",
    "unpaid",
    "canceled",
    "incomplete",
    "incomplete_expired",
    "trialing",
    "paused",
)

_FEEDBACK = (
    "customer_service",
    "low_quality",
    "missing_features",
    "other",
    "switched_service",
    "too_complex",
    "too_expensive",
    "unused",
)
_DETAILS = record({"comment": text(), "feedback": unsettable(one_of(*_FEEDBACK))})
_ITEM = record(
    {
        "id": text(unset=False),
        "price": text(unset=False),
        "quantity": integer(0),
        "deleted": boolean,
        "metadata": metadata,
        **accepted("billing_thresholds", "clear_usage", "discounts", "tax_rates"),
    }
)
UPDATE = {
    "cancel_at_period_end": boolean,
    "cancellation_details": _DETAILS,
    "default_payment_method": text(),
    "description": text(longest=500),
    "items": listed(_ITEM),
    "metadata": metadata,
    **accepted("automatic_tax", "off_session", "payment_behavior", "payment_settings", "proration_behavior"),
    **accepted("proration_date", "default_tax_rates", "invoice_settings", "days_until_due", "discounts"),
}
CANCEL = {"cancellation_details": _DETAILS, **accepted("invoice_now", "prorate")}
LIST = listing(
    customer=text(unset=False),
    price=text(unset=False),
    status=one_of(*STATUSES, "all", "ended"),
    **accepted("automatic_tax", "collection_method", "current_period_end", "current_period_start"),
    **accepted("test_clock"),
)


def start(
    ledger: Ledger,
    *,
    customer: Json,
    lines: list[Json],
    data: Json,
    api_version: str,
) -> tuple[Json, Json]:
    """Start a paid subscription and its first invoice; returns both as they are afterwards.

    ``lines`` are {price, quantity}, ``data`` is the session's ``subscription_data``.
    """
    made = _new(ledger, customer, lines, data, api_version)
    trial = made["status"] == "trialing"
    invoice = invoices.draft(ledger, made, customer)
    made["latest_invoice"] = invoice["id"]
    in_two_steps = not since_basil(api_version) and not trial
    if in_two_steps:
        made["status"] = "incomplete"
    else:
        intent = _pay(ledger, invoice, customer)
    ledger.put(made)
    ledger.emit("customer.subscription.created", made)
    opened = invoices.finalized(ledger, invoice)
    if in_two_steps:
        intent = _pay(ledger, invoice, customer)
        made = ledger.change(made, "customer.subscription.updated", status="active")
    return made, invoices.paid(ledger, opened, intent)


def end(ledger: Ledger, old: Json, details: Json | None = None) -> Json:
    """Cancel at once; emits customer.subscription.deleted."""
    ended = ledger.put(
        {
            **old,
            "status": "canceled",
            "canceled_at": ledger.now,
            "ended_at": ledger.now,
            "cancellation_details": {
                **old["cancellation_details"],
                "reason": "cancellation_requested",
                **(details or {}),
            },
        }
    )
    ledger.emit("customer.subscription.deleted", ended)
    return ended


def renew(ledger: Ledger, old: Json) -> Json:
    """Begin the next period and pay for it; returns the subscription as it is afterwards.

    Emits customer.subscription.updated, whose ``previous_attributes`` hold the period that is over,
    then the life of an invoice with ``billing_reason: subscription_cycle``. One that is to be
    canceled at the period's end is canceled. A trial that is over makes an active subscription.
    Source: Stripe docs, "How subscriptions work", "Subscription lifecycle"; the run's clock stays.
    """
    if old["cancel_at_period_end"]:
        return end(ledger, old)
    customer = ledger.need("customer", old["customer"])
    items = {**old["items"], "data": [_next_period(item) for item in old["items"]["data"]]}
    invoice = invoices.draft(
        ledger, {**old, "items": items, "status": "active"}, customer, reason="subscription_cycle"
    )
    changed = ledger.change(
        old, "customer.subscription.updated", items=items, latest_invoice=invoice["id"], status="active"
    )
    opened = invoices.finalized(ledger, invoice)
    invoices.paid(ledger, opened, _pay(ledger, invoice, customer))
    return changed


def retrieve(ledger: Ledger, call: Call) -> Json:
    """GET /v1/subscriptions/:id; canceled ones too."""
    return ledger.need("subscription", call.path_id)


def cancel(ledger: Ledger, call: Call) -> Json:
    """DELETE /v1/subscriptions/:id; one that has ended is not found any more."""
    old = ledger.need("subscription", call.path_id)
    if old["status"] in ENDED:
        raise no_such("subscription", call.path_id)
    return end(ledger, old, call.args.get("cancellation_details"))


def update(ledger: Ledger, call: Call) -> Json:
    """POST /v1/subscriptions/:id; emits customer.subscription.updated if anything changed."""
    old = ledger.need("subscription", call.path_id)
    args = call.args
    if old["status"] in ENDED and set(args) - {"metadata", "cancellation_details"}:
        raise invalid("A canceled subscription can only update its cancellation_details and metadata.")
    changes: dict[str, Any] = {
        name: args[name] for name in ("description", "default_payment_method") if name in args
    }
    if "metadata" in args:
        changes["metadata"] = merged(old["metadata"], args["metadata"])
    if "cancellation_details" in args:
        changes["cancellation_details"] = {**old["cancellation_details"], **args["cancellation_details"]}
    if "items" in args:
        changes["items"] = _changed_items(ledger, old, args["items"])
    if "cancel_at_period_end" in args:
        changes.update(_at_period_end(ledger, old, args["cancel_at_period_end"]))
    return ledger.change(old, "customer.subscription.updated", **changes)


def listing_of(ledger: Ledger, call: Call) -> Json:
    """GET /v1/subscriptions; without ``status`` all that have not been canceled."""
    status, price = call.args.get("status"), call.args.get("price")

    def keep(kept: Json) -> bool:
        right_price = price is None or any(i["price"]["id"] == price for i in kept["items"]["data"])
        if status is None:
            return right_price and kept["status"] != "canceled"
        right_status = status == "all" or kept["status"] == status
        return right_price and (right_status or (status == "ended" and kept["status"] in ENDED))

    return list_of(ledger, call, "subscription", ("customer",), keep)


def _pay(ledger: Ledger, invoice: Json, customer: Json) -> Json | None:
    """Pay what an invoice asks for; None if it asks for nothing."""
    if invoice["total"] == 0:
        return None
    return payments.paid(
        ledger,
        amount=invoice["total"],
        currency=invoice["currency"],
        customer=customer,
        invoice=invoice["id"],
    )


def _new(ledger: Ledger, customer: Json, lines: list[Json], data: Json, api_version: str) -> Json:
    made = ledger.new("subscription")
    trial_end = _trial_end(ledger, data)
    prices = [ledger.need("price", line["price"]) for line in lines]
    items = [
        _item(ledger, made["id"], price, line["quantity"], trial_end)
        for price, line in zip(prices, lines, strict=True)
    ]
    made.update(
        application=None,
        application_fee_percent=None,
        automatic_tax={"disabled_reason": None, "enabled": False, "liability": None},
        billing_cycle_anchor=trial_end or ledger.now,
        billing_cycle_anchor_config=None,
        billing_mode={"flexible": None, "type": "flexible" if since_clover(api_version) else "classic"},
        billing_thresholds=None,
        cancel_at=None,
        cancel_at_period_end=False,
        canceled_at=None,
        cancellation_details={"comment": None, "feedback": None, "reason": None},
        collection_method="charge_automatically",
        currency=prices[0]["currency"],
        customer=customer["id"],
        days_until_due=None,
        default_payment_method=None,
        default_source=None,
        default_tax_rates=[],
        description=data.get("description"),
        discounts=[],
        ended_at=None,
        invoice_settings={"account_tax_ids": None, "issuer": {"type": "self"}},
        items={
            "object": "list",
            "data": items,
            "has_more": False,
            "total_count": len(items),
            "url": f"/v1/subscription_items?subscription={made['id']}",
        },
        latest_invoice=None,
        metadata=merged({}, data.get("metadata", {})),
        next_pending_invoice_item_invoice=None,
        on_behalf_of=None,
        pause_collection=None,
        payment_settings={
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        pending_invoice_item_interval=None,
        pending_setup_intent=None,
        pending_update=None,
        schedule=None,
        start_date=ledger.now,
        status="trialing" if trial_end else "active",
        test_clock=None,
        transfer_data=None,
        trial_end=trial_end,
        trial_settings={"end_behavior": {"missing_payment_method": "create_invoice"}},
        trial_start=ledger.now if trial_end else None,
    )
    return made


def _trial_end(ledger: Ledger, data: Json) -> int | None:
    if "trial_end" in data:
        return int(data["trial_end"])
    days = data.get("trial_period_days")
    return ledger.now + days * DAY if days else None


def _item(ledger: Ledger, subscription_id: str, price: Json, quantity: int, trial_end: int | None) -> Json:
    recurring = price["recurring"]
    return {
        "id": ledger.ids.new("subscription_item"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": ledger.now,
        "current_period_end": trial_end
        or later(ledger.now, recurring["interval"], recurring["interval_count"]),
        "current_period_start": ledger.now,
        "discounts": [],
        "metadata": {},
        "plan": catalog.plan_of(price),
        "price": price,
        "quantity": quantity,
        "subscription": subscription_id,
        "tax_rates": [],
    }


def _next_period(item: Json) -> Json:
    recurring, begin = item["price"]["recurring"], item["current_period_end"]
    until = later(begin, recurring["interval"], recurring["interval_count"])
    return {**item, "current_period_start": begin, "current_period_end": until}


def _changed_items(ledger: Ledger, old: Json, asked: list[Json]) -> Json:
    """Give the items after an update: by id changed or removed, without id added."""
    items = {item["id"]: item for item in old["items"]["data"]}
    for n, change in enumerate(asked):
        at = f"items[{n}]"
        price = catalog.check_item(ledger, change, at) if "price" in change else None
        if "id" not in change:
            if price is None:
                raise missing(f"{at}[price]")
            added = _item(ledger, old["id"], price, change.get("quantity", 1), None)
            items[added["id"]] = added
            continue
        item = items.get(change["id"])
        if item is None:
            raise no_such("subscription_item", change["id"], param=f"{at}[id]")
        if change.get("deleted"):
            del items[item["id"]]
            continue
        changed = {**item, "quantity": change.get("quantity", item["quantity"])}
        if price is not None:
            changed.update(price=price, plan=catalog.plan_of(price))
        if "metadata" in change:
            changed["metadata"] = merged(item["metadata"], change["metadata"])
        items[item["id"]] = changed
    if not items:
        raise invalid("A subscription must have at least one active item.", param="items")
    return {**old["items"], "data": list(items.values()), "total_count": len(items)}


def _at_period_end(ledger: Ledger, old: Json, wanted: bool) -> Json:
    if wanted == old["cancel_at_period_end"]:
        return {}
    period_end = max(item["current_period_end"] for item in old["items"]["data"])
    reason = "cancellation_requested" if wanted else None
    return {
        "cancel_at_period_end": wanted,
        "cancel_at": period_end if wanted else None,
        "canceled_at": ledger.now if wanted else None,
        "cancellation_details": {**old["cancellation_details"], "reason": reason},
    }
