"""Setup intents: a card saved for later payments, without a charge now.

One is confirmed with a card, whose bank may refuse it or ask for the customer; what succeeds is attached to
the intent's customer. A card set up for ``off_session`` use may be charged while its customer is not there.
The intent of a checkout session is confirmed by the session's page and canceled by its end; that of a
subscription (``pending_setup_intent``) leaves it when it has succeeded.

Source: Stripe API reference, "SetupIntents" and "Checkout Sessions" (``setup_intent``); Stripe docs, "How
PaymentIntents and SetupIntents work", "Set up payment methods for subscriptions with no initial payment".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim import authentication, cards
from deadheat.stripe_sim.api_error import invalid
from deadheat.stripe_sim.lists import list_of
from deadheat.stripe_sim.params import (
    accepted,
    boolean,
    listing,
    merged,
    metadata,
    one_of,
    only,
    record,
    text,
    unsettable,
)
from deadheat.stripe_sim.present import present

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deadheat.stripe_sim.authentication import Presence
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

KIND = "setup_intent"

_CARD = {
    "payment_method": text(unset=False),
    "payment_method_data": only(),
    **accepted("payment_method_options"),
}
_SAID = {"description": text(longest=1000), "metadata": metadata}
DATA = record({**_SAID, **accepted("on_behalf_of")})
"""What a checkout session may say of its setup intent."""
UPDATE = {
    **_CARD,
    **_SAID,
    "customer": text(unset=False),
    **accepted("attach_to_self", "flow_directions", "payment_method_configuration", "payment_method_types"),
}
CONFIRM = {
    **_CARD,
    "confirmation_token": only(),
    "return_url": text(unset=False),
    **accepted("mandate_data", "use_stripe_sdk"),
}
CREATE = {
    **UPDATE,
    **CONFIRM,
    "confirm": boolean,
    "usage": one_of("off_session", "on_session"),
    **accepted("automatic_payment_methods", "excluded_payment_method_types", "on_behalf_of", "single_use"),
}
CANCEL = {
    "cancellation_reason": unsettable(one_of("abandoned", "duplicate", "requested_by_customer")),
}
LIST = listing(customer=text(unset=False), payment_method=text(unset=False), **accepted("attach_to_self"))
_OVER = ("succeeded", "canceled")
_NOTHING: Json = {
    **dict.fromkeys(("application", "automatic_payment_methods", "cancellation_reason")),
    **dict.fromkeys(("excluded_payment_method_types", "flow_directions", "latest_attempt", "mandate")),
    **dict.fromkeys(("on_behalf_of", "payment_method_configuration_details", "single_use_mandate")),
    "attach_to_self": False,
    "payment_method_options": {"card": {"mandate_options": None, "request_three_d_secure": "automatic"}},
    "payment_method_types": ["card"],
}
"""What every setup intent shows of what is not modelled."""


def intend(
    ledger: Ledger,
    *,
    customer: str | None,
    said: Mapping[str, Any],
    session: str | None = None,
    subscription: str | None = None,
) -> Json:
    """Make a setup intent that waits for a payment method; emits setup_intent.created.

    ``said`` is its ``description``, ``metadata`` and ``usage``; ``session`` or ``subscription`` whose it is.
    """
    made = ledger.new(KIND)
    made.update(
        **_NOTHING,
        client_secret=f"{made['id']}_secret_{ledger.ids.letters(25)}",
        customer=customer,
        description=said.get("description"),
        last_setup_error=None,
        metadata=merged({}, said.get("metadata", {})),
        next_action=None,
        payment_method=None,
        status="requires_payment_method",
        usage=said.get("usage", "off_session"),
        _session=session,
        _subscription=subscription,
    )
    ledger.put(made)
    ledger.emit("setup_intent.created", made)
    return made


def confirmed(
    ledger: Ledger, intent: Json, method: Json, *, customer: Presence, return_url: str | None = None
) -> Json:
    """Set a card up for an intent, as far as its bank plays along; gives the intent.

    It has ``succeeded`` (payment_method.attached, setup_intent.succeeded), stands at ``requires_action``
    (setup_intent.requires_action), or is back at ``requires_payment_method`` (setup_intent.setup_failed).
    """
    if ledger.find("payment_method", method["id"]) is None:
        ledger.put(method)
    if cards.asks(method, off_session=True) and customer == "present":
        asked = authentication.asked(intent, method, return_url)
        return _told(ledger, {**intent, **asked, "last_setup_error": None}, "requires_action")
    decline = cards.refusal_of(method)
    if decline is not None:
        return _failed(ledger, intent, decline.noted(method))
    owner = ledger.find("customer", intent["customer"] or "")
    if owner is not None and not owner.get("deleted"):
        method = cards.attached(ledger, method, owner)
    if intent["usage"] == "off_session":
        method = cards.set_up(ledger, method)
    changes = {"last_setup_error": None, "next_action": None, "payment_method": method["id"]}
    now = _told(ledger, {**intent, **changes, "status": "succeeded"}, "succeeded")
    _settle(ledger, now)
    return now


def answered(ledger: Ledger, intent: Json, *, passes: bool) -> Json:
    """Go on with a set-up whose customer was asked: save the card, or note that they did not pass."""
    method = ledger.need("payment_method", intent["payment_method"])
    if passes:
        return confirmed(ledger, intent, method, customer="authenticates")
    return _failed(ledger, intent, authentication.failure(intent, method))


def canceled(ledger: Ledger, intent: Json, reason: str | None) -> Json:
    """Cancel an intent that has not succeeded; emits setup_intent.canceled."""
    changes = {"cancellation_reason": reason, "next_action": None, "status": "canceled"}
    return _told(ledger, {**intent, **changes}, "canceled")


def create(ledger: Ledger, call: Call) -> Json:
    """POST /v1/setup_intents, confirmed at once if asked for."""
    args = call.args
    customer = ledger.need("customer", args["customer"], param="customer") if "customer" in args else None
    owner = customer["id"] if customer else None
    method = (
        cards.chargeable(ledger, args["payment_method"], owner, of="SetupIntent")
        if "payment_method" in args
        else None
    )
    if args.get("confirm") and method is None:
        raise _no_method()
    intent = intend(ledger, customer=owner, said=args)
    if method is None:
        return intent
    if args.get("confirm"):
        return _confirmed(ledger, intent, method, call)
    ledger.put(method)
    return ledger.put({**intent, "payment_method": method["id"], "status": "requires_confirmation"})


def confirm(ledger: Ledger, call: Call) -> Json:
    """POST /v1/setup_intents/:id/confirm, as a browser does: 402 if the card is declined."""
    intent = _changeable(ledger, call, "confirm")
    named = call.args.get("payment_method") or intent["payment_method"]
    if named is None:
        raise _no_method()
    return _confirmed(
        ledger, intent, cards.chargeable(ledger, named, intent["customer"], of="SetupIntent"), call
    )


def cancel(ledger: Ledger, call: Call) -> Json:
    """POST /v1/setup_intents/:id/cancel; not of a checkout session, which is expired instead."""
    return canceled(ledger, _changeable(ledger, call, "cancel"), call.args.get("cancellation_reason"))


def update(ledger: Ledger, call: Call) -> Json:
    """POST /v1/setup_intents/:id; whose it is and which card only while it is not over. It has no event."""
    args = dict(call.args)
    fixed = "customer" in args or "payment_method" in args
    old = _changeable(ledger, call, "update") if fixed else ledger.need(KIND, call.path_id)
    changes: Json = {name: args[name] for name in ("customer", "description") if name in args}
    if "customer" in args:
        ledger.need("customer", args["customer"], param="customer")
    if "metadata" in args:
        changes["metadata"] = merged(old["metadata"], args["metadata"])
    if "payment_method" in args:
        method = ledger.put(
            cards.chargeable(ledger, args["payment_method"], {**old, **changes}["customer"], of="SetupIntent")
        )
        changes.update(next_action=None, payment_method=method["id"], status="requires_confirmation")
    return ledger.change(old, None, **changes)


def retrieve(ledger: Ledger, call: Call) -> Json:
    """GET /v1/setup_intents/:id."""
    return ledger.need(KIND, call.path_id)


def listing_of(ledger: Ledger, call: Call) -> Json:
    """GET /v1/setup_intents, by customer or payment method."""
    return list_of(ledger, call, KIND, ("customer", "payment_method"))


def _confirmed(ledger: Ledger, intent: Json, method: Json, call: Call) -> Json:
    now = confirmed(ledger, intent, method, customer="present", return_url=call.args.get("return_url"))
    decline = cards.refusal_of(method)
    if now["status"] == "requires_payment_method" and decline is not None:
        raise decline.error(setup_intent=present(now, call.api_version))
    return now


def _changeable(ledger: Ledger, call: Call, verb: str) -> Json:
    """Find the intent that a call would change; refuse one that is over, or a checkout session's."""
    intent = ledger.need(KIND, call.path_id)
    if intent["status"] in _OVER or intent["_session"] is not None:
        raise invalid(
            f"You cannot {verb} this SetupIntent because it has a status of {intent['status']} or belongs to "
            "a Checkout Session.",
            code="setup_intent_unexpected_state",
        )
    return intent


def _failed(ledger: Ledger, intent: Json, error: Json) -> Json:
    changes = {"last_setup_error": error, "next_action": None, "payment_method": None}
    return _told(ledger, {**intent, **changes, "status": "requires_payment_method"}, "setup_failed")


def _told(ledger: Ledger, intent: Json, what: str) -> Json:
    """Write an intent and emit what became of it."""
    ledger.put(intent)
    ledger.emit(f"{KIND}.{what}", intent)
    return intent


def _settle(ledger: Ledger, intent: Json) -> None:
    """Let the subscription go on that the intent was for; it keeps the card if it was to."""
    subscription = ledger.find("subscription", intent["_subscription"] or "")
    if subscription is None or subscription["ended_at"] is not None:
        return
    changes: Json = {"pending_setup_intent": None}
    if subscription["payment_settings"]["save_default_payment_method"] == "on_subscription":
        changes["default_payment_method"] = intent["payment_method"]
    ledger.change(subscription, "customer.subscription.updated", **changes)


def _no_method() -> Exception:
    return invalid(
        "You cannot confirm this SetupIntent because it's missing a payment method.",
        code="setup_intent_unexpected_state",
    )
