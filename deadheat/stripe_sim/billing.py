"""The life of a subscription: how it starts, what happens at the end of a period, how it is resumed.

A first payment makes it active, or leaves it incomplete for 23 hours of the run's clock. A period
ends only when somebody says so (`renew`): the run's clock does not renew. At the end of a trial
without a payment method its ``trial_settings`` decide: an invoice that fails, a pause, or the end.

Source: Stripe docs, "How subscriptions work", "Use trial periods", "Pause payment collection"; Stripe
API reference, "Create a subscription", "Resume a subscription".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from deadheat.stripe_sim import (
    cards,
    discounts,
    draft_invoices,
    invoices,
    items,
    payments,
    prorations,
    setup_intents,
)
from deadheat.stripe_sim.api_version import since_clover
from deadheat.stripe_sim.clock import DAY, HOUR
from deadheat.stripe_sim.collection import ENDED, TOLD_BEFORE, collect, end, expire, no_default, settled
from deadheat.stripe_sim.params import merged

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from deadheat.stripe_sim.api_error import ApiError
    from deadheat.stripe_sim.authentication import Presence
    from deadheat.stripe_sim.cards import Decline
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json

INCOMPLETE_FOR = 23 * HOUR
First = Literal["required", "before", "after", "later"]


def start(
    ledger: Ledger,
    *,
    customer: Json,
    lines: list[Json],
    data: Json,
    api_version: str,
    first: First,
    card: Json | None,
    presence: Presence,
    claims: Sequence[Json] = (),
) -> tuple[Json, Json]:
    """Start a subscription and its first invoice; returns both as they are afterwards.

    ``lines`` are {price: the object, quantity}, ``data`` is what the call says of the subscription,
    ``claims`` are discounts that were claimed for it already.
    ``first``: the payment comes ``before`` the subscription appears (active, or incomplete if ``card`` is
    declined), ``after`` it has appeared incomplete, or ``later``, by somebody else; ``required`` is
    ``before``, and a 402 without a subscription if it is declined. A card that asks for its customer, and
    does not get them by their ``presence``, has paid nothing yet. Where nothing is to be paid ``later`` has a
    setup intent wait for a card, if there is none.
    """
    made = _new(ledger, customer, lines, data, api_version, claims)
    invoice = invoices.draft(ledger, made, customer)
    made["latest_invoice"] = invoice["id"]
    claims, begins = made["_discounts"], invoices.begins(ledger, made["items"]["data"])
    made.update(discounts.held(discounts.spent(made, invoice, begins)))
    tried = None
    if invoice["amount_due"]:
        if first in ("before", "required"):
            card = _needed(card)
            invoice = invoices.intended(ledger, invoice)
            tried = payments.charge_invoice(ledger, invoice, card, customer=presence)
            if first == "required" and not tried.paid:
                raise _not_made(ledger, invoice, tried, api_version)
        if tried is None or not tried.paid:
            made["status"] = "incomplete"
        elif made["status"] != "trialing":  # a trial may begin with something to pay once
            made["status"] = "active"
    elif first == "later" and card is None:
        setup = setup_intents.intend(ledger, customer=customer["id"], said={}, subscription=made["id"])
        made["pending_setup_intent"] = setup["id"]
    discounts.redeemed(ledger, claims)
    ledger.put(made)
    ledger.emit("customer.subscription.created", made)
    discounts.dropped(ledger, claims, made["_discounts"])
    discounts.used(ledger, customer["id"], invoice, begins)
    if made["status"] == "trialing":
        tell_of_end(ledger, made)
    opened = invoices.finalized(ledger, invoice)
    if tried is not None and not tried.paid:
        asks = tried.charge is None
        opened = invoices.failed(ledger, opened, tried.charge, counts=True, next_attempt=None, asks=asks)
    elif tried is not None or not opened["amount_due"]:
        opened = settled(ledger, opened, tried.charge if tried else None)
    elif first == "after":
        opened = collect(ledger, opened, _needed(card), customer=presence)
    made = ledger.need("subscription", made["id"])
    remember(ledger, made, ("cancel_at",))
    if made["status"] == "incomplete":
        ledger.remind(ledger.now + INCOMPLETE_FOR, "subscription", made["id"])
    return made, opened


def renew(ledger: Ledger, old: Json, *, decline: Decline | None = None) -> Json:
    """End the period of a subscription and begin the next; gives the subscription as it is afterwards.

    Emits customer.subscription.updated, whose ``previous_attributes`` hold the period that is over,
    then the life of an invoice with ``billing_reason: subscription_cycle``, paid or (by the card, or
    by ``decline``) not. One that was to be canceled is canceled. One that is unpaid gets a draft.
    """
    if old["status"] == "trialing":
        old = _told_of_end(ledger, old)
    over = items.period_end(old)
    if old["cancel_at_period_end"] or (old["cancel_at"] is not None and old["cancel_at"] <= over):
        return end(ledger, old)
    ended = _without_card(ledger, old) if old["status"] == "trialing" else None
    return ended or _bill(ledger, old, reason="subscription_cycle", decline=decline)


def end_trial(ledger: Ledger, old: Json) -> Json:
    """End a trial now: the first paid period begins at once. Emits customer.subscription.trial_will_end.

    Without a card its ``trial_settings`` decide, as at the end of its time.
    """
    told = _told_of_end(ledger, old)
    return _without_card(ledger, told) or _bill(
        ledger,
        told,
        begin=ledger.now,
        reason="subscription_update",
        billing_cycle_anchor=ledger.now,
        trial_end=ledger.now,
    )


def check_end_of_trial(ledger: Ledger, subscription: Json) -> None:
    """Refuse to end a trial now that would be billed to nobody's card: 400 ``resource_missing``."""
    behavior = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if behavior == "create_invoice":
        _needed(cards.default_of(ledger, subscription, ledger.need("customer", subscription["customer"])))


def tell_of_end(ledger: Ledger, subscription: Json) -> Json:
    """Emit customer.subscription.trial_will_end three days before the trial ends; at once if it is later.

    An act that ends the period before the clock has come there emits it first.
    """
    at = subscription["trial_end"] - TOLD_BEFORE
    if at <= ledger.now:
        return _told_of_end(ledger, subscription)
    ledger.remind(at, "subscription", subscription["id"])
    return subscription


def remember(ledger: Ledger, subscription: Json, changes: Container[str]) -> None:
    """Ask the clock for what was set to a time of its own: ``cancel_at``, the end of a pause."""
    times = {
        "cancel_at": None if subscription["cancel_at_period_end"] else subscription["cancel_at"],
        "pause_collection": (subscription["pause_collection"] or {}).get("resumes_at"),
    }
    for name, at in times.items():
        if at is not None and name in changes:
            ledger.remind(at, "subscription", subscription["id"])


def _is_over(ledger: Ledger, subscription: Json) -> bool:
    """Say whether a subscription has come to its ``cancel_at``; a period ends only when somebody says so."""
    at = None if subscription["cancel_at_period_end"] else subscription["cancel_at"]
    return at is not None and at <= ledger.now and subscription["status"] not in ENDED


def _collected_again(ledger: Ledger, old: Json) -> Json:
    at = (old["pause_collection"] or {}).get("resumes_at")
    if at is None or at > ledger.now or old["status"] in ENDED:
        return old
    return ledger.change(old, "customer.subscription.updated", pause_collection=None)


def resume(ledger: Ledger, old: Json) -> Json:
    """Begin a new period of a paused subscription; it is active once its invoice is paid.

    Emits customer.subscription.updated and the life of the invoice; with the payment
    customer.subscription.updated again and .resumed. If it is not paid the subscription stays paused,
    and the invoice is voided after 23 hours.
    """
    now = _bill(ledger, old, begin=ledger.now, reason="subscription_update", billing_cycle_anchor=ledger.now)
    if now["status"] == "paused":
        ledger.remind(ledger.now + INCOMPLETE_FOR, "invoice", now["latest_invoice"])
    return now


def retry(ledger: Ledger, subscription: Json, *, decline: Decline | None = None) -> Json | None:
    """Try the latest invoice once more, as Stripe does by schedule; None if it is not open."""
    invoice = ledger.need("invoice", subscription["latest_invoice"])
    if invoice["status"] != "open":
        return None
    customer = ledger.need("customer", subscription["customer"])
    collect(ledger, invoice, cards.default_of(ledger, subscription, customer), decline=decline)
    return ledger.need("subscription", subscription["id"])


def payment_settings(asked: Json, old: Json | None = None) -> Json:
    """Give the payment settings of a subscription; only which card is kept as its default is modelled."""
    kept = (old or {}).get("save_default_payment_method", "off")
    return {
        "payment_method_options": None,
        "payment_method_types": None,
        "save_default_payment_method": (asked.get("payment_settings") or {}).get(
            "save_default_payment_method", kept
        ),
    }


def lapse(ledger: Ledger, kind: str, object_id: str) -> None:
    """Do what is due by time.

    Tell that a trial ends, cancel, collect again after a pause, give up after 23 hours what was never paid,
    and go on with an invoice that advances by itself.
    """
    found = ledger.find(kind, object_id)
    if found is None or found.get("deleted"):
        return
    if kind == "subscription" and found["status"] == "incomplete":
        if ledger.now >= found["created"] + INCOMPLETE_FOR:
            expire(ledger, found)
    elif kind == "subscription" and _is_over(ledger, found):
        end(ledger, found)
    elif kind == "subscription":
        found = _collected_again(ledger, found)
        if found["status"] == "trialing":
            tell_of_end(ledger, found)
    elif found["billing_reason"] == "manual":
        draft_invoices.advance(ledger, found)
    elif found["status"] == "open":
        invoices.closed(ledger, found, "void")


def changed(ledger: Ledger, old: Json, changes: Json, args: Json) -> Json:
    """Write the changes of a subscription, its items prorated as a call asks; gives it as it is then.

    Emits invoiceitem.created for each proration, then customer.subscription.updated if anything changed,
    then the life of an invoice with ``always_invoice``, or where a price of another interval begins a period.
    """
    after = changes["items"]["data"] if "items" in changes else old["items"]["data"]
    how = args.get("proration_behavior", "create_prorations")
    at = prorations.moment(ledger, old, args)
    customer = ledger.find("customer", old["customer"]) or {}
    found: list[Json] = []
    free = "trial_end" in changes  # what is left of a period that was billed is given back
    if "items" in changes and how != "none" and not customer.get("deleted"):
        found = prorations.of(ledger, old, () if free else after, customer, at)
        prorations.written(ledger, old["customer"], found)
    if not free and prorations.begins_anew(old, after):
        begin = prorations.moment(ledger, old, {})  # whatever time the prorations count from
        anchored = {**changes, "billing_cycle_anchor": begin}
        return _bill(ledger, old, reason="subscription_update", begin=begin, **anchored)
    if not found or how != "always_invoice":
        now = ledger.change(old, "customer.subscription.updated", **changes)
        discounts.dropped(ledger, old["_discounts"], now["_discounts"])
        return now
    invoice = invoices.draft(ledger, {**old, **changes}, customer, reason="subscription_update", billed=False)
    changes["latest_invoice"] = invoice["id"]
    now = ledger.change(old, "customer.subscription.updated", **changes)
    discounts.dropped(ledger, old["_discounts"], now["_discounts"])
    return _collected(ledger, now, invoice, customer)


def cancel(ledger: Ledger, old: Json, args: Json) -> Json:
    """End a subscription; what is left of its period is given back, and what waits billed, if asked for.

    Emits invoiceitem.created for each credit, customer.subscription.deleted, then the life of an invoice.
    """
    customer = ledger.need("customer", old["customer"], param="customer")
    if args.get("prorate"):
        at = prorations.moment(ledger, old, {})
        prorations.written(ledger, customer["id"], prorations.of(ledger, old, (), customer, at))
    now = end(ledger, old, args.get("cancellation_details"))
    if args.get("invoice_now"):
        invoice = invoices.draft(ledger, now, customer, reason="subscription_update", billed=False)
        if invoice["lines"]["data"]:
            return _collected(ledger, now, invoice, customer)
    return now


def _bill(
    ledger: Ledger,
    old: Json,
    *,
    reason: str,
    begin: int | None = None,
    decline: Decline | None = None,
    **fields: Any,
) -> Json:
    """Begin the next period, make its invoice, and collect it as far as the subscription lets us."""
    customer = ledger.need("customer", old["customer"])
    status = "active" if old["status"] == "trialing" else old["status"]
    base = {**old, **fields, "status": status}
    base["items"] = items.begun(base["items"], begin)
    if base["cancel_at_period_end"]:
        base["cancel_at"] = items.period_end(base)
    invoice = invoices.draft(ledger, base, customer, reason=reason)
    if reason == "subscription_cycle":
        over = old["items"]["data"]
        invoice["period_start"] = min(item["current_period_start"] for item in over)
        invoice["period_end"] = items.period_end(old)
    begins = invoices.begins(ledger, base["items"]["data"])
    kept = discounts.spent(base, invoice, begins)
    now = {**base, "latest_invoice": invoice["id"], **discounts.held(kept)}
    now = ledger.change(old, "customer.subscription.updated", **now)
    discounts.dropped(ledger, old["_discounts"], kept)
    discounts.used(ledger, customer["id"], invoice, begins)
    return _collected(ledger, now, invoice, customer, decline)


def _collected(
    ledger: Ledger, now: Json, invoice: Json, customer: Json, decline: Decline | None = None
) -> Json:
    """Collect a new invoice as far as its subscription lets us; gives the subscription as it is then."""
    paused = (now["pause_collection"] or {}).get("behavior")
    if now["status"] == "unpaid" or paused == "keep_as_draft":
        invoices.drafted(ledger, {**invoice, "auto_advance": False})
    elif paused is not None:
        closing: Literal["uncollectible", "void"] = "void" if paused == "void" else "uncollectible"
        invoices.closed(ledger, invoices.finalized(ledger, invoice), closing)
    else:
        card = cards.default_of(ledger, now, customer)
        collect(ledger, invoices.finalized(ledger, invoice), card, decline=decline)
    return ledger.need("subscription", now["id"])


def _without_card(ledger: Ledger, old: Json) -> Json | None:
    """End a trial that nobody left a card for by its ``trial_settings``; None where it is to be billed."""
    if cards.default_of(ledger, old, ledger.need("customer", old["customer"])) is not None:
        return None
    behavior = old["trial_settings"]["end_behavior"]["missing_payment_method"]
    if behavior == "cancel":
        return end(ledger, old)
    return _pause(ledger, old) if behavior == "pause" else None


def _pause(ledger: Ledger, old: Json) -> Json:
    now = ledger.change(old, "customer.subscription.updated", status="paused")
    ledger.emit("customer.subscription.paused", now)
    return now


def _told_of_end(ledger: Ledger, subscription: Json) -> Json:
    """Emit customer.subscription.trial_will_end, once for each end that a trial is given."""
    if subscription["_end_told"] == subscription["trial_end"]:
        return subscription
    told = ledger.put({**subscription, "_end_told": subscription["trial_end"]})
    ledger.emit("customer.subscription.trial_will_end", told)
    return told


def _not_made(ledger: Ledger, invoice: Json, tried: payments.Attempt, version: str) -> ApiError:
    """Give the 402 of a subscription that is only made with its payment."""
    if tried.charge is None:
        return payments.waiting(ledger, invoice["_payment_intent"], version, kind="subscription")
    return payments.refused(ledger, tried.charge["id"], version)


def _needed(card: Json | None) -> Json:
    if card is None:
        raise no_default()
    return card


def _new(
    ledger: Ledger,
    customer: Json,
    lines: list[Json],
    data: Json,
    api_version: str,
    claims: Sequence[Json],
) -> Json:
    made = ledger.new("subscription")
    trial_end = _trial_end(ledger, data)
    begun = [items.new(ledger, made["id"], line["price"], line, period_end=trial_end) for line in lines]
    currency = begun[0]["price"]["currency"]
    owner = {"customer": customer["id"], "subscription": made["id"]}
    found = [{**claim, **owner} for claim in claims]
    wanted = discounts.asked(data, api_version) or ()
    worth = {"subtotal": items.amount(begun), "currency": currency}
    found += discounts.claimed(ledger, wanted, "discounts", **worth, **owner)
    cancel_at = data.get("cancel_at")
    if data.get("cancel_at_period_end"):
        cancel_at = max(item["current_period_end"] for item in begun)
    made.update(
        application=None,
        application_fee_percent=None,
        automatic_tax={"disabled_reason": None, "enabled": False, "liability": None},
        billing_cycle_anchor=trial_end or ledger.now,
        billing_cycle_anchor_config=None,
        billing_mode={"flexible": None, "type": "flexible" if since_clover(api_version) else "classic"},
        billing_thresholds=None,
        cancel_at=cancel_at,
        cancel_at_period_end=data.get("cancel_at_period_end", False),
        canceled_at=None if cancel_at is None else ledger.now,
        cancellation_details={"comment": None, "feedback": None, "reason": None},
        collection_method="charge_automatically",
        currency=currency,
        customer=customer["id"],
        days_until_due=None,
        default_payment_method=data.get("default_payment_method"),
        default_source=None,
        default_tax_rates=[],
        description=data.get("description"),
        **discounts.held(found),
        ended_at=None,
        invoice_settings={"account_tax_ids": None, "issuer": {"type": "self"}},
        items=items.listing_around(made["id"], begun),
        latest_invoice=None,
        metadata=merged({}, data.get("metadata", {})),
        next_pending_invoice_item_invoice=None,
        on_behalf_of=None,
        pause_collection=None,
        payment_settings=payment_settings(data),
        pending_invoice_item_interval=None,
        pending_setup_intent=None,
        pending_update=None,
        schedule=None,
        start_date=ledger.now,
        status="trialing" if trial_end else "active",
        test_clock=None,
        transfer_data=None,
        trial_end=trial_end,
        trial_settings=data.get("trial_settings")
        or {"end_behavior": {"missing_payment_method": "create_invoice"}},
        trial_start=ledger.now if trial_end else None,
        _end_told=None,
    )
    return made


def _trial_end(ledger: Ledger, data: Json) -> int | None:
    given = data.get("trial_end")
    if given is not None:
        return None if given == "now" else int(given)
    days = data.get("trial_period_days")
    return ledger.now + days * DAY if days else None
