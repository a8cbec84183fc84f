"""Checkout sessions: create, retrieve, list, expire, and the customer's act that completes one.

A session is open until its customer pays, somebody expires it, or its time is up. Nothing keeps two
open sessions of one customer from both being paid. Paying makes the customer if the session has
none, then in mode ``subscription`` the subscription with its first invoice, in mode ``payment`` a
payment, unless nothing is left to pay, in mode ``setup`` the card that its setup intent waits for;
``checkout.session.completed`` comes last. A card that asks for its customer has them there: they pass the
challenge on the page.

Discounts are looked at when a session is made and redeemed when it is paid. What Stripe's page does where
one was used up in between is not told; here it says so, and the session stays open.

Source: Stripe API reference, "Checkout Sessions"; Stripe docs, "Fulfill orders", "Add discounts", "No-cost
orders".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deadheat.errors import ActRefused
from deadheat.stripe_sim import (
    billing,
    cards,
    catalog,
    currencies,
    customers,
    discounts,
    invoice_items,
    invoice_lines,
    items,
    payments,
    session_discounts,
    session_payments,
    setup_intents,
)
from deadheat.stripe_sim.api_error import invalid, missing
from deadheat.stripe_sim.api_version import since_basil, ui_modes
from deadheat.stripe_sim.clock import DAY
from deadheat.stripe_sim.lists import list_of, part_of
from deadheat.stripe_sim.params import (
    accepted,
    boolean,
    email,
    integer,
    listed,
    listing,
    merged,
    metadata,
    one_of,
    record,
    text,
    timestamp,
    unsettable,
    url,
)
from deadheat.stripe_sim.present import listed as list_object
from deadheat.stripe_sim.subscriptions import TRIAL_SETTINGS, check_trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

_ITEM = record(
    {
        "price": text(unset=False),
        "price_data": catalog.PRICE_DATA,
        "quantity": integer(1),
        **accepted("adjustable_quantity", "dynamic_tax_rates", "tax_rates"),
    }
)
_SUBSCRIPTION_DATA = record(
    {
        "description": text(longest=500),
        "metadata": metadata,
        "trial_end": timestamp,
        "trial_period_days": integer(1, 730),
        "trial_settings": TRIAL_SETTINGS,
        **accepted("application_fee_percent", "billing_cycle_anchor", "billing_mode", "default_tax_rates"),
        **accepted("invoice_settings", "on_behalf_of", "proration_behavior", "transfer_data"),
    }
)
_PAYMENT_INTENT_DATA = record(
    {
        "capture_method": payments.CAPTURE,
        "description": text(longest=1000),
        "metadata": metadata,
        **accepted(
            "application_fee_amount", "on_behalf_of", "receipt_email", "setup_future_usage", "shipping"
        ),
        **accepted("statement_descriptor", "statement_descriptor_suffix", "transfer_data", "transfer_group"),
    }
)
CREATE = {
    "allow_promotion_codes": boolean,
    "billing_address_collection": one_of("auto", "required"),
    "cancel_url": unsettable(url),
    "client_reference_id": text(longest=200),
    "customer": text(unset=False),
    "customer_creation": one_of("always", "if_required"),
    "currency": text(unset=False),
    "customer_email": email,
    "discounts": listed(record(dict.fromkeys(("coupon", "promotion_code"), text(unset=False)))),
    "expires_at": timestamp,
    "line_items": listed(_ITEM),
    "locale": text(),
    "metadata": metadata,
    "mode": one_of("payment", "setup", "subscription"),
    "payment_intent_data": _PAYMENT_INTENT_DATA,
    "payment_method_collection": one_of("always", "if_required"),
    "phone_number_collection": record({"enabled": boolean}, required=("enabled",)),
    "redirect_on_completion": one_of("always", "if_required", "never"),
    "return_url": unsettable(url),
    "setup_intent_data": setup_intents.DATA,
    "submit_type": one_of("auto", "book", "donate", "pay", "subscribe"),
    "subscription_data": _SUBSCRIPTION_DATA,
    "success_url": unsettable(url),
    "ui_mode": text(unset=False),
    **accepted("adaptive_pricing", "after_expiration", "automatic_tax"),
    **accepted("branding_settings", "consent_collection"),
    **accepted("custom_fields", "custom_text", "customer_update", "excluded_payment_method_types"),
    **accepted("invoice_creation", "name_collection", "optional_items", "origin_context"),
    **accepted("payment_method_configuration", "payment_method_data"),
    **accepted("payment_method_options", "payment_method_types", "permissions"),
    **accepted("saved_payment_method_options", "shipping_address_collection", "shipping_options"),
    **accepted("tax_id_collection", "wallet_options"),
}
UPDATE = {"metadata": metadata, **accepted("collected_information", "shipping_options")}
_NOTHING: Json = {
    **dict.fromkeys(("after_expiration", "consent", "consent_collection", "currency_conversion")),
    **dict.fromkeys(("collected_information", "invoice_creation", "origin_context", "payment_link")),
    **dict.fromkeys(("payment_method_configuration_details", "permissions", "recovered_from")),
    **dict.fromkeys(("saved_payment_method_options", "shipping_address_collection", "shipping_cost")),
    "adaptive_pricing": {"enabled": False},
    "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
    "custom_fields": [],
    "custom_text": dict.fromkeys(
        ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance"),
    ),
    "payment_method_options": {},
    "payment_method_types": ["card"],
    "shipping_options": [],
    "wallet_options": None,
}
"""What every session shows of what is not modelled."""
_ONLY_IN = {
    "payment": "payment_intent_data",
    "setup": "setup_intent_data",
    "subscription": "subscription_data",
}
_ECHOED = ("allow_promotion_codes", "billing_address_collection", "locale", "submit_type")
LIST = listing(
    customer=text(unset=False),
    customer_details=record({"email": text(unset=False)}, required=("email",)),
    payment_intent=text(unset=False),
    status=one_of("complete", "expired", "open"),
    subscription=text(unset=False),
    **accepted("payment_link"),
)
LINE_ITEMS = {
    "limit": integer(1, 100),
    "starting_after": text(unset=False),
    "ending_before": text(unset=False),
}


def create(ledger: Ledger, call: Call) -> Json:
    """POST /v1/checkout/sessions."""
    args = call.args
    ui_mode = _ui_mode(args.get("ui_mode"), call.api_version)
    hosted = ui_mode == "hosted"
    customer = _check(ledger, args, hosted=hosted)
    lines = [_line(ledger, item) for item in args.get("line_items", ())]
    saves = args["mode"] == "setup"
    trial = any(name in args.get("subscription_data", {}) for name in ("trial_end", "trial_period_days"))
    made = ledger.new("checkout.session")
    made.update(
        **_NOTHING,
        **{name: args.get(name) for name in _ECHOED},
        cancel_url=args.get("cancel_url"),
        client_reference_id=args.get("client_reference_id"),
        client_secret=None if hosted else f"{made['id']}_secret_{ledger.ids.letters(25)}",
        currency=lines[0]["currency"] if lines else args.get("currency"),
        customer=customer["id"] if customer else None,
        customer_creation=None if customer else _creation(args),
        customer_details=_details(customer, args.get("customer_email")),
        customer_email=args.get("customer_email"),
        expires_at=args.get("expires_at", ledger.now + DAY),
        invoice=None,
        metadata=merged({}, args.get("metadata", {})),
        mode=args["mode"],
        payment_intent=None,
        payment_method_collection=args.get(
            "payment_method_collection", "if_required" if args["mode"] == "payment" else "always"
        ),
        phone_number_collection=args.get("phone_number_collection", {"enabled": False}),
        return_url=args.get("return_url"),
        setup_intent=None,
        status="open",
        subscription=None,
        success_url=args.get("success_url"),
        ui_mode=ui_mode,
        url=f"https://checkout.stripe.com/c/pay/{made['id']}" if hosted else None,
        _asked=args.get("discounts", []),
        _lines=lines,
        _payment_intent_data=args.get("payment_intent_data", {}),
        _subscription_data=args.get("subscription_data", {}),
        _trial=trial,
        _api_version=call.api_version,
    )
    if saves:
        said = args.get("setup_intent_data", {})
        setup = setup_intents.intend(ledger, customer=made["customer"], said=said, session=made["id"])
        made["setup_intent"] = setup["id"]
    made.update(session_discounts.totals(made, session_discounts.of(ledger, made, customer)))
    ledger.remind(made["expires_at"], made["object"], made["id"])
    return ledger.put(made)


def complete(
    ledger: Ledger,
    session_id: str,
    *,
    email: str | None,
    name: str | None,
    card: str = cards.VISA,
    promotion_code: str | None = None,
) -> Json:
    """Pay a session as its customer; returns it complete. ActRefused if it cannot be paid.

    ``card`` is a test token. One that is declined leaves the session open, with the events of the
    attempt: charge.failed and payment_intent.payment_failed. ``promotion_code`` is what the customer types.
    A discount is redeemed now: where it is used up meanwhile the session is not paid and stays open.
    """
    old = ledger.find("checkout.session", session_id)
    if old is None:
        raise ActRefused(f"There is no checkout session {session_id} to pay.")
    if old["status"] != "open":
        raise ActRefused(f"Checkout session {session_id} is {old['status']}: only an open one can be paid.")
    method = cards.of_token(ledger, card)
    if method is None:
        raise ActRefused(f"There is no test card {card} to pay with.")
    old, found = session_discounts.as_paid(ledger, old, promotion_code)
    session_payments.refuse_declined(ledger, old, method)
    customer = _payer(ledger, old, email, name)
    details = _details(customer, email or old["customer_email"], name)
    if details is not None:
        known = {part: details[part] for part in ("email", "name")}
        method = {**method, "billing_details": {**method["billing_details"], **known}}
    changes: dict[str, Any] = {"status": "complete", "url": None}
    if old["mode"] == "subscription":
        assert customer is not None  # a subscription always has one
        changes.update(_subscribe(ledger, old, customer, method, found if old["_asked"] else ()))
    elif old["mode"] == "setup":
        session_payments.save(ledger, old, customer, method)
    else:
        owner = customer["id"] if customer else None
        discounts.redeemed(ledger, [{**discount, "customer": owner} for discount in found])
        changes["payment_intent"] = session_payments.pay(ledger, old, owner, method)
    if old["payment_status"] == "unpaid":
        changes["payment_status"] = "paid"
    done = ledger.put(
        {
            **old,
            **changes,
            "customer": customer["id"] if customer else None,
            "customer_details": details,
        }
    )
    ledger.emit("checkout.session.completed", done)
    return done


def _subscribe(ledger: Ledger, session: Json, customer: Json, method: Json, claims: Sequence[Json]) -> Json:
    """Start the subscription of a session; its card, set up on the page, is what renewals are charged to.

    What is paid once is an invoice item that its first invoice draws in. With
    ``payment_method_collection: if_required`` a trial begins without a card. From 2025-03-31.basil on the
    subscription appears when it is paid; before, it appears incomplete and becomes active with the payment.
    """
    for line in (line for line in session["_lines"] if not line["price"]["recurring"]):
        invoice_items.make(
            ledger,
            customer["id"],
            amount=line["amount_subtotal"],
            currency=line["currency"],
            price=line["price"],
            quantity=line["quantity"],
        )
    waiting = invoice_lines.pending(ledger, customer["id"], session["currency"])
    if session_payments.asks_for_card(session) or waiting:
        card = cards.set_up(ledger, cards.attached(ledger, method, customer))
        default = {"default_payment_method": card["id"]}
    else:
        card, default = None, {}
    subscription, invoice = billing.start(
        ledger,
        customer=customer,
        lines=[line for line in session["_lines"] if line["price"]["recurring"]],
        data={**session["_subscription_data"], **default},
        api_version=session["_api_version"],
        first="before" if since_basil(session["_api_version"]) or session["_trial"] else "after",
        card=card,
        presence="authenticates",
        claims=claims,
    )
    return {"subscription": subscription["id"], "invoice": invoice["id"]}


def lapse(ledger: Ledger, session_id: str) -> None:
    """End a session whose time is up, if it is still open."""
    session = ledger.need("checkout.session", session_id)
    if session["status"] == "open":
        _end(ledger, session)


def _end(ledger: Ledger, session: Json) -> Json:
    """End an open session unpaid; emits checkout.session.expired."""
    ended = ledger.put({**session, "status": "expired", "url": None})
    ledger.emit("checkout.session.expired", ended)
    if session["setup_intent"] is not None:
        intent = ledger.need("setup_intent", session["setup_intent"])
        setup_intents.canceled(ledger, intent, "abandoned")
    return ended


def retrieve(ledger: Ledger, call: Call) -> Json:
    """GET /v1/checkout/sessions/:id."""
    return ledger.need("checkout.session", call.path_id)


def update(ledger: Ledger, call: Call) -> Json:
    """POST /v1/checkout/sessions/:id: its metadata."""
    old = ledger.need("checkout.session", call.path_id)
    if "metadata" not in call.args:
        return old
    return ledger.change(old, None, metadata=merged(old["metadata"], call.args["metadata"]))


def expire(ledger: Ledger, call: Call) -> Json:
    """POST /v1/checkout/sessions/:id/expire, only while it is open."""
    session = ledger.need("checkout.session", call.path_id)
    if session["status"] != "open":
        raise invalid(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a '
            f"status of `{session['status']}`."
        )
    return _end(ledger, session)


def listing_of(ledger: Ledger, call: Call) -> Json:
    """GET /v1/checkout/sessions, by customer or their e-mail, subscription, payment intent or status."""
    fields = ("customer", "payment_intent", "status", "subscription")
    named = call.args.get("customer_details")

    def keep(session: Json) -> bool:
        return named is None or (session["customer_details"] or {}).get("email") == named["email"]

    return list_of(ledger, call, "checkout.session", fields, keep)


def line_items(ledger: Ledger, call: Call) -> Json:
    """GET /v1/checkout/sessions/:id/line_items."""
    return line_items_of(ledger.need("checkout.session", call.path_id), call.args)


def line_items_of(session: Json, args: Json) -> Json:
    """Give a page of a session's line items; the first is what it shows when it is expanded."""
    found, has_more = part_of(session["_lines"], args)
    return list_object(found, f"/v1/checkout/sessions/{session['id']}/line_items", has_more=has_more)


def _check(ledger: Ledger, args: Json, *, hosted: bool) -> Json | None:
    """Refuse what makes no session; gives the customer if the session names one."""
    _check_form(args, hosted=hosted)
    session_discounts.check(args)
    data, where = args.get("subscription_data", {}), "subscription_data[trial_end]"
    check_trial(ledger, data, where)
    if data.get("trial_end", ledger.now + 2 * DAY) < ledger.now + 2 * DAY:
        raise invalid("The `trial_end` date has to be at least 2 days in the future.", param=where)
    expires_in = args.get("expires_at", ledger.now + DAY) - ledger.now
    if not 1800 <= expires_in <= DAY:
        raise invalid(
            "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session "
            "creation.",
            param="expires_at",
        )
    customer = ledger.need("customer", args["customer"], param="customer") if "customer" in args else None
    currency = _check_items(ledger, args)
    if customer is not None and currency is not None and args["mode"] == "subscription":
        currencies.check(ledger, customer, currency)
    return customer


def _check_form(args: Json, *, hosted: bool) -> None:
    """Refuse parameters that do not go together, or with the mode."""
    if args["mode"] == "setup" and args.get("line_items"):
        raise invalid("You can not pass `line_items` in `setup` mode.", param="line_items")
    if args["mode"] != "setup" and not args.get("line_items"):
        raise missing("line_items")
    if hosted and not args.get("success_url"):
        raise missing("success_url")
    for name in () if hosted else ("success_url", "cancel_url"):
        if args.get(name):
            raise invalid(f"You can not pass `{name}` unless the page is hosted by Stripe.", param=name)
    for name in ("customer_email", "customer_creation"):
        if "customer" in args and args.get(name):
            raise invalid(f"You may only specify one of these parameters: customer, {name}.")
    if "customer_creation" in args and args["mode"] == "subscription":
        raise invalid("`customer_creation` can only be used in `payment` mode.", param="customer_creation")
    for mode, name in _ONLY_IN.items():
        if name in args and args["mode"] != mode:
            raise invalid(f"You can not pass `{name}` in `{args['mode']}` mode.")


def _check_items(ledger: Ledger, args: Json) -> str | None:
    """Refuse line items that are of no use, or not in this mode; gives the currency that they share."""
    recurring: list[Json] = []
    currency = None
    for n, item in enumerate(args.get("line_items", ())):
        price = catalog.check_item(ledger, item, f"line_items[{n}]") or item["price_data"]
        if "quantity" not in item:
            raise missing(f"line_items[{n}][quantity]")
        recurring += [price] if price.get("recurring") else []
        if currency not in (None, price["currency"]):
            raise invalid("All line items of a session have one currency.", param=f"line_items[{n}]")
        currency = price["currency"]
    if args["mode"] == "subscription" and not recurring:
        raise invalid(
            "You must provide at least one recurring price in `subscription` mode when using prices."
        )
    if args["mode"] == "payment" and recurring:
        raise invalid(
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` "
            "mode or use only one-time prices."
        )
    items.check_intervals(recurring, "line_items")
    return currency


def _ui_mode(asked: str | None, version: str) -> str:
    """Give the word that the ledger keeps for the word of a version; another version's is refused."""
    known = {word: kept for kept, word in ui_modes(version).items()}
    return "hosted" if asked is None else known[one_of(*known)(asked, "ui_mode")]


def _line(ledger: Ledger, item: Json) -> Json:
    price = ledger.need("price", item["price"]) if "price" in item else None
    price = price or catalog.price_from(ledger, item["price_data"])
    amount = price["unit_amount"] * item["quantity"]
    return {
        "id": ledger.ids.new("session_item"),
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": None,
        "price": price,
        "quantity": item["quantity"],
    }


def _creation(args: Json) -> str:
    always = args["mode"] == "subscription" or args.get("customer_creation") == "always"
    return "always" if always else "if_required"


def _payer(ledger: Ledger, session: Json, email: str | None, name: str | None) -> Json | None:
    """Give the customer who pays, made now if the session has none and needs one."""
    if session["customer"] is not None:
        customer = ledger.find("customer", session["customer"])
        if customer is None or customer.get("deleted"):
            raise ActRefused(f"Checkout session {session['id']} cannot be paid: its customer is deleted.")
        return customer
    free = session["mode"] == "payment" and not session["amount_total"]
    if session["customer_creation"] == "if_required" and not free:
        return None
    return customers.make(ledger, {"email": email or session["customer_email"], "name": name})


def _details(customer: Json | None, email: str | None, name: str | None = None) -> Json | None:
    if customer is None and email is None:
        return None
    return {
        "address": None,
        "email": email or (customer or {}).get("email"),
        "name": name or (customer or {}).get("name"),
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": None,
    }
