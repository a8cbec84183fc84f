"""Previews: the invoice that would come next, with or without a change, and nothing is written.

It comes of the same lines, discounts and prorations as the invoice itself. What it would ask for is what it
says, as long as nothing changes in between. Previews of new prices, of schedules and of invoice items that
are not there yet are not modelled.

Source: Stripe API reference, "Create a preview invoice"; before 2025-03-31.basil "Retrieve an upcoming
invoice" (removed by that version, API changelog).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.stripe_sim import coupons, discounts, invoice_items, invoices, items, prorations
from deadheat.stripe_sim.api_error import ApiError, Problem, invalid, missing, no_such
from deadheat.stripe_sim.api_version import since_basil
from deadheat.stripe_sim.collection import ENDED
from deadheat.stripe_sim.params import accepted, boolean, record, text, unmodelled

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

_DETAILS = {"cancel_at_period_end": boolean, "items": items.ITEMS, **prorations.ASKED}
_BOTH = {
    "customer": text(unset=False),
    "discounts": coupons.DISCOUNTS,
    "subscription": text(unset=False),
    **accepted("automatic_tax", "currency"),
    **unmodelled("customer_details", "invoice_items", "schedule", "schedule_details"),
}
PREVIEW = {
    **_BOTH,
    "subscription_details": record(
        {
            **_DETAILS,
            **accepted("billing_mode"),
            **unmodelled("billing_cycle_anchor", "cancel_at", "cancel_now", "resume_at", "start_date"),
            **unmodelled("trial_end"),
        }
    ),
    **accepted("preview_mode"),
}
UPCOMING = {
    **_BOTH,
    **{f"subscription_{name}": check for name, check in _DETAILS.items()},
    **unmodelled("subscription_billing_cycle_anchor", "subscription_cancel_now", "subscription_trial_end"),
}


def create(ledger: Ledger, call: Call) -> Json:
    """POST /v1/invoices/create_preview: of a subscription's next invoice, or of a change's."""
    made = _preview(ledger, call, call.args.get("subscription_details", {}), "subscription_details[items]")
    return {**made, "id": f"upcoming_{made['id']}"}


def upcoming(ledger: Ledger, call: Call) -> Json:
    """GET /v1/invoices/upcoming, before 2025-03-31.basil; it has no id."""
    if since_basil(call.api_version):
        raise no_such("invoice", "upcoming")
    names = {name: f"subscription_{name}" for name in _DETAILS}
    details = {name: call.args[asked] for name, asked in names.items() if asked in call.args}
    made = _preview(ledger, call, details, "subscription_items")
    del made["id"]
    return made


def _preview(ledger: Ledger, call: Call, details: Json, at: str) -> Json:
    subscription = _subscription(ledger, call.args)
    customer = ledger.need("customer", subscription["customer"], param="customer")
    if any("price_data" in asked for asked in details.get("items", ())):
        raise invalid("Deadheat does not model `price_data` in a preview.", param=at)
    after, found, at_once = subscription["items"], [], False
    if "items" in details:
        after = items.changed(ledger, subscription, details["items"], at=at)
        moment = prorations.moment(ledger, subscription, details)
        how = details.get("proration_behavior", "create_prorations")
        if how != "none":
            found = prorations.of(ledger, subscription, after["data"], customer, moment)
        anew = prorations.begins_anew(subscription, after["data"])
        at_once = how == "always_invoice" and not anew
        after = items.begun(after, prorations.moment(ledger, subscription, {}) if anew else None)
    else:
        after = items.begun(after)
    next_one = {**subscription, "items": after, "status": "active"}
    wanted = discounts.asked(call.args, call.api_version)
    if wanted is not None:
        known = {"subtotal": items.amount(after["data"]), "currency": subscription["currency"]}
        claims = discounts.claimed(
            ledger, wanted, "discounts", subscription["_discounts"], customer=customer["id"], **known
        )
        next_one.update(discounts.held(claims))
    ends = details.get("cancel_at_period_end", subscription["cancel_at_period_end"])
    made = invoices.draft(
        ledger,
        next_one,
        customer,
        reason="upcoming",
        billed=not (ends or at_once),
        more=[invoice_items.new(ledger, customer["id"], **one) for one in found],
    )
    if not made["lines"]["data"]:
        raise _none(customer["id"])
    begins = min(int(item["current_period_start"]) for item in after["data"])
    start = min(int(item["current_period_start"]) for item in subscription["items"]["data"])
    return {**made, "created": begins, "period_end": begins, "period_start": start}


def _subscription(ledger: Ledger, args: Json) -> Json:
    """Give the subscription whose next invoice is asked for: the one that is named, or renews first."""
    if "subscription" in args:
        found = ledger.need("subscription", args["subscription"], param="subscription")
        if found["status"] in ENDED:
            raise _none(found["customer"])
        return found
    if "customer" not in args:
        raise missing("customer")
    customer = ledger.need("customer", args["customer"], param="customer")
    live = [s for s in ledger.of("subscription", customer=customer["id"]) if s["status"] not in ENDED]
    if not live:
        raise _none(customer["id"])
    return min(live, key=items.period_end)


def _none(customer_id: str) -> ApiError:
    message = f"No upcoming invoices for customer: {customer_id}"
    return ApiError(Problem(status=404, message=message, code="invoice_upcoming_none"))
