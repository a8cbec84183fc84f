"""The API of subscriptions: create, retrieve, list, update, resume, cancel.

What a subscription does by itself is `billing`'s; ``collection_method: send_invoice``, schedules
are not modelled. Source: Stripe API reference, "Subscriptions"; Stripe docs,
"How subscriptions work".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim import billing, cards, coupons, currencies, discounts, items, prorations
from deadheat.stripe_sim.api_error import invalid, missing, no_such
from deadheat.stripe_sim.clock import DAY
from deadheat.stripe_sim.collection import ENDED
from deadheat.stripe_sim.lists import list_of, within
from deadheat.stripe_sim.params import (
    TIMES,
    accepted,
    boolean,
    currency,
    either,
    integer,
    listing,
    merged,
    metadata,
    one_of,
    only,
    record,
    text,
    timestamp,
    unmodelled,
    unsettable,
)

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

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
_TRIAL_END = either(one_of("now"), timestamp)
TRIAL_SETTINGS = record(
    {
        "end_behavior": record(
            {"missing_payment_method": one_of("cancel", "create_invoice", "pause")},
            required=("missing_payment_method",),
        )
    },
    required=("end_behavior",),
)
_PAUSE = record(
    {"behavior": one_of("keep_as_draft", "mark_uncollectible", "void"), "resumes_at": timestamp},
    required=("behavior",),
)
_PAYMENT_SETTINGS = record(
    {
        "save_default_payment_method": one_of("off", "on_subscription"),
        **accepted("payment_method_options", "payment_method_types"),
    }
)


_BOTH = {
    "cancel_at": unsettable(timestamp),
    "cancel_at_period_end": boolean,
    "collection_method": one_of("charge_automatically", "send_invoice"),
    "coupon": text(),
    "default_payment_method": text(),
    "description": text(longest=500),
    "discounts": coupons.DISCOUNTS,
    "items": items.ITEMS,
    "metadata": metadata,
    "off_session": boolean,
    "payment_settings": _PAYMENT_SETTINGS,
    "promotion_code": text(),
    "trial_end": _TRIAL_END,
    "trial_settings": TRIAL_SETTINGS,
    **accepted("automatic_tax", "days_until_due", "default_tax_rates", "invoice_settings"),
    "proration_behavior": prorations.ASKED["proration_behavior"],
    **accepted("on_behalf_of"),
    **unmodelled("add_invoice_items", "application_fee_percent", "billing_thresholds", "default_source"),
    **unmodelled("pending_invoice_item_interval", "transfer_data"),
    "trial_from_plan": only("false"),
}
CREATE = {
    **_BOTH,
    "currency": currency,
    "customer": text(unset=False),
    "payment_behavior": one_of("allow_incomplete", "default_incomplete", "error_if_incomplete"),
    "trial_period_days": integer(1, 730),
    **unmodelled("backdate_start_date", "billing_cycle_anchor", "billing_cycle_anchor_config"),
    **accepted("billing_mode"),
}
UPDATE = {
    **_BOTH,
    "billing_cycle_anchor": only("unchanged"),
    "cancellation_details": _DETAILS,
    "pause_collection": unsettable(_PAUSE),
    "payment_behavior": one_of(
        "allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete"
    ),
    "proration_date": prorations.ASKED["proration_date"],
}
RESUME = {
    "billing_cycle_anchor": one_of("now", "unchanged"),
    **accepted("payment_behavior", "proration_behavior", "proration_date"),
}
CANCEL = {"cancellation_details": _DETAILS, "invoice_now": boolean, "prorate": boolean}
_WHILE_INCOMPLETE = frozenset({"default_payment_method", "default_source", "description"})
LIST = listing(
    customer=text(unset=False),
    price=text(unset=False),
    status=one_of(*STATUSES, "all", "ended"),
    collection_method=one_of("charge_automatically", "send_invoice"),
    current_period_end=TIMES,
    current_period_start=TIMES,
    plan=text(unset=False),
    **accepted("automatic_tax", "test_clock"),
)


def create(ledger: Ledger, call: Call) -> Json:
    """POST /v1/subscriptions: active once its first invoice is paid.

    If the card is declined ``payment_behavior`` decides: allow_incomplete (the default) leaves it
    incomplete, error_if_incomplete answers 402 and makes none; default_incomplete does not try to charge
    and leaves the payment to whoever confirms the invoice's payment intent.
    """
    args = call.args
    customer = ledger.need("customer", args["customer"], param="customer")
    _check(ledger, args, customer["id"])
    if not args.get("items"):
        raise missing("items")
    lines: list[Json] = []
    for n, asked in enumerate(args["items"]):
        price = items.price_of(ledger, asked, f"items[{n}]")
        if price is None:
            raise missing(f"items[{n}][price]")
        if lines and price["currency"] != lines[0]["price"]["currency"]:
            raise invalid("All prices of a subscription have one currency.", param=f"items[{n}][price]")
        lines.append({**asked, "price": price})
    items.check_together([line["price"] for line in lines], "items")
    currencies.check(ledger, customer, lines[0]["price"]["currency"])
    first: dict[str, billing.First] = {
        "allow_incomplete": "before",
        "default_incomplete": "later",
        "error_if_incomplete": "required",
    }
    made, _ = billing.start(
        ledger,
        customer=customer,
        lines=lines,
        data=args,
        api_version=call.api_version,
        first=first[args.get("payment_behavior", "allow_incomplete")],
        card=cards.default_of(ledger, args, customer),
        presence="absent" if args.get("off_session") else "present",
    )
    return made


def retrieve(ledger: Ledger, call: Call) -> Json:
    """GET /v1/subscriptions/:id; canceled ones too."""
    return ledger.need("subscription", call.path_id)


def cancel(ledger: Ledger, call: Call) -> Json:
    """DELETE /v1/subscriptions/:id; one that has ended is not found any more.

    ``prorate`` gives back what is left of the period, as an item that waits; ``invoice_now`` bills what
    waits.
    """
    old = ledger.need("subscription", call.path_id)
    if old["status"] in ENDED:
        raise no_such("subscription", call.path_id)
    return billing.cancel(ledger, old, call.args)


def update(ledger: Ledger, call: Call) -> Json:
    """POST /v1/subscriptions/:id; emits customer.subscription.updated if anything changed.

    ``trial_end: now`` ends a trial and bills the first period. Changed items are prorated.
    """
    old = ledger.need("subscription", call.path_id)
    args = call.args
    check_status(old["status"], args)
    _check(ledger, args, old["customer"])
    prorations.check(ledger, old, args)
    plain = ("description", "default_payment_method", "trial_settings")
    changes: dict[str, Any] = {name: args[name] for name in plain if name in args}
    if "pause_collection" in args:
        paused = args["pause_collection"]
        changes["pause_collection"] = paused and {"resumes_at": None, **paused}
    if "metadata" in args:
        changes["metadata"] = merged(old["metadata"], args["metadata"])
    if "payment_settings" in args:
        changes["payment_settings"] = billing.payment_settings(args, old["payment_settings"])
    if "items" in args:
        changes["items"] = items.changed(ledger, old, args["items"])
    changes.update(_ending(ledger, old, args))
    found = _claimed(ledger, old, args, call.api_version)
    if found is not None:
        changes.update(discounts.held(found))
    if args.get("trial_end", "now") != "now":
        changes.update(_trial_until(ledger, {**old, **changes}, args["trial_end"]))
    ends_trial = args.get("trial_end") == "now" and old["status"] == "trialing"
    if ends_trial:
        billing.check_end_of_trial(ledger, {**old, **changes})
    if "cancellation_details" in args:
        details: Json = changes.get("cancellation_details") or old["cancellation_details"]
        changes["cancellation_details"] = {**details, **args["cancellation_details"]}
    discounts.redeemed(ledger, found or (), old["_discounts"])
    now = billing.changed(ledger, old, changes, args)
    billing.remember(ledger, now, changes)
    if ends_trial:
        return billing.end_trial(ledger, now)
    return billing.tell_of_end(ledger, now) if "trial_end" in changes else now


def resume(ledger: Ledger, call: Call) -> Json:
    """POST /v1/subscriptions/:id/resume, of one that is paused; its next period begins now."""
    old = ledger.need("subscription", call.path_id)
    if old["status"] != "paused":
        raise invalid("You can only resume a subscription if it is `paused`.")
    if call.args.get("billing_cycle_anchor") == "unchanged":
        raise invalid("Deadheat resumes subscriptions with a new period only.", param="billing_cycle_anchor")
    return billing.resume(ledger, old)


def listing_of(ledger: Ledger, call: Call) -> Json:
    """GET /v1/subscriptions; without ``status`` all that have not been canceled."""
    args = call.args
    status, price = args.get("status"), args.get("price", args.get("plan"))
    periods = [name for name in ("current_period_end", "current_period_start") if name in args]

    def keep(kept: Json) -> bool:
        items = kept["items"]["data"]
        if price is not None and all(item["price"]["id"] != price for item in items):
            return False
        if not all(within(min(item[name] for item in items), args[name]) for name in periods):
            return False
        if status is None:
            return bool(kept["status"] != "canceled")
        return status in ("all", kept["status"]) or (status == "ended" and kept["status"] in ENDED)

    return list_of(ledger, call, "subscription", ("collection_method", "customer"), keep)


def check_status(status: str, args: Json) -> None:
    """Refuse a change that a subscription of this status does not take any more, or not yet."""
    asked = set(args) - {"metadata", "expand"}
    if status in ENDED and asked - {"cancellation_details"}:
        raise invalid(
            "A canceled subscription can only update its cancellation_details and metadata.",
            code="invalid_canceled_subscription_fields",
        )
    too_early = sorted(asked - _WHILE_INCOMPLETE)
    if status == "incomplete" and too_early:
        raise invalid(
            f"Cannot update {', '.join(too_early)} on an incomplete subscription. Only metadata, "
            "description, default_source and default_payment_method can be updated.",
            code="status_transition_invalid",
        )
    if status == "paused" and "trial_end" in args:
        raise invalid(
            "You cannot set `trial_end` while a subscription is `paused`. Resume the subscription first "
            "before setting `trial_end`."
        )


def _check(ledger: Ledger, args: Json, customer: str) -> None:
    """Refuse what is not modelled, and a card that is not the customer's."""
    if args.get("collection_method") == "send_invoice":
        raise invalid("Deadheat does not model invoices that are sent.", param="collection_method")
    if args.get("cancel_at_period_end") and args.get("cancel_at"):
        raise invalid("You can only pass one of `cancel_at` and `cancel_at_period_end`.")
    check_trial(ledger, args)
    for name in ("trial_end", "cancel_at"):
        at = args.get(name)
        if isinstance(at, int) and at <= ledger.now:
            raise invalid("Invalid timestamp: must be an integer Unix timestamp in the future.", param=name)
    method = args.get("default_payment_method")
    if method is not None:
        cards.usable(ledger, method, param="default_payment_method", customer=customer)


def check_trial(ledger: Ledger, args: Json, at: str = "trial_end") -> None:
    """Refuse a trial that is to end at a time and after some days, or in more than two years.

    Source: stripe-ruby issue 804 (two years from now, not from the ``billing_cycle_anchor``).
    """
    if "trial_end" in args and "trial_period_days" in args:
        raise invalid("You may only specify one of these parameters: trial_end, trial_period_days.")
    if args.get("trial_end", "now") != "now" and args["trial_end"] > ledger.now + 730 * DAY:
        raise invalid("The maximum number of trial period days is 730 (2 years).", param=at)


def _claimed(ledger: Ledger, old: Json, args: Json, version: str) -> list[Json] | None:
    """Give the discounts that a call wants, not yet redeemed; None if it says nothing of them."""
    wanted = discounts.asked(args, version)
    if wanted is None:
        return None
    return discounts.claimed(
        ledger,
        wanted,
        "discounts",
        old["_discounts"],
        customer=old["customer"],
        subtotal=items.amount(old["items"]["data"]),
        currency=old["currency"],
        subscription=old["id"],
    )


def _trial_until(ledger: Ledger, now: Json, until: int) -> Json:
    """Give the changes of a trial that is begun or made longer: no charge before ``until``."""
    goes_on = now["status"] == "trialing"
    begun = {} if goes_on else {"current_period_start": ledger.now}
    data = [{**item, **begun, "current_period_end": until} for item in now["items"]["data"]]
    return {
        "billing_cycle_anchor": until,
        "cancel_at": until if now["cancel_at_period_end"] else now["cancel_at"],
        "items": {**now["items"], "data": data},
        "status": "trialing",
        "trial_end": until,
        "trial_start": now["trial_start"] if goes_on else ledger.now,
    }


def _ending(ledger: Ledger, old: Json, args: Json) -> Json:
    """Give the changes of one that is to end, or to end no more; nothing where it stays as it was."""
    at = old["cancel_at"]
    at_period_end = args.get("cancel_at_period_end", old["cancel_at_period_end"])
    if "cancel_at" in args:
        at, at_period_end = args["cancel_at"], False
    elif at_period_end != old["cancel_at_period_end"]:
        at = items.period_end(old) if at_period_end else None
    if (at, at_period_end) == (old["cancel_at"], old["cancel_at_period_end"]):
        return {}
    return {
        "cancel_at_period_end": at_period_end,
        "cancel_at": at,
        "canceled_at": None if at is None else ledger.now,
        "cancellation_details": {
            **old["cancellation_details"],
            "reason": None if at is None else "cancellation_requested",
        },
    }
