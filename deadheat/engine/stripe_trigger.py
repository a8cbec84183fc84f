"""Triggers: makes something happen in an account so that an event of a wanted type follows from it.

No event is made up: customers are created, sessions paid, subscriptions canceled, through the API or by
the account's own acts, and the event is what the account emits. So other events come with it, in the
order in which Stripe sends them, and what an event speaks of can be asked for.

Each type has a recipe. Recipes that need a subscription take the customer's newest one that has not
ended, and make one by a paid checkout where there is none.

Source: Stripe docs, "Stripe CLI", "trigger"; "Types of events".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from deadheat.errors import ActRefused, SettingsError, closest
from deadheat.stripe_sim import MONTHLY, PRODUCT, ApiRequest, form

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from deadheat.stripe_sim import Account

Json = dict[str, Any]


def trigger(account: Account, event_type: str, customer: str | None = None) -> Json:
    """Make an event of this type happen, about ``customer`` if it is given, else about a new one.

    Gives the object that it is about. SettingsError for a type that cannot be triggered, ActRefused when
    the account would not have it or it went another way.
    """
    recipe = RECIPES.get(event_type)
    if recipe is None:
        known = ", ".join(sorted(RECIPES))
        near = closest(event_type, RECIPES)
        raise SettingsError(
            f'"{event_type}" is no event that can be triggered.{near} Those that can be: {known}.'
        )
    if customer is not None and not recipe.takes_customer:
        raise SettingsError(f"{event_type} is not about a customer who is there already: no --customer.")
    mark = account.mark()
    recipe.act(account, customer)
    for kind, object_id in reversed(account.ids_since(mark)):
        if kind == "event" and (event := account.event_json(object_id))["type"] == event_type:
            return dict(event["data"]["object"])
    raise ActRefused(f"No {event_type} came of it: see what did by deadheat stripe events.")


def ask(account: Account, method: str, *path: str, **params: Any) -> Json:
    """Make an API call with the account's own key; ActRefused, in Stripe's words, when it is refused.

    ``path`` are the segments behind ``/v1/``, unquoted.
    """
    fields = form.encode(params)
    call = account.parse(
        ApiRequest(
            method=method,
            path="/".join(("/v1", *(quote(part, safe="") for part in path))),
            query="" if method == "POST" else fields,
            headers={"authorization": f"Bearer {account.secret_key}"},
            body=fields.encode() if method == "POST" else b"",
        )
    )
    account.received(call)
    account.effect(call)
    answer: Json = json.loads(account.response(call).body)
    if "error" in answer:
        raise ActRefused(answer["error"]["message"])
    return answer


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What makes an event; ``act`` takes the customer that was named, or None."""

    act: Callable[[Account, str | None], object]
    takes_customer: bool = True


def _new_customer(account: Account, _: str | None = None) -> str:
    email = f"triggered.{account.mark()}@example.test"
    return str(ask(account, "POST", "customers", email=email, name="Triggered by hand")["id"])


def _change_customer(account: Account, customer: str | None) -> None:
    made = customer or _new_customer(account)
    ask(account, "POST", "customers", made, metadata={"triggered": account.mark()})


def _delete_customer(account: Account, customer: str | None) -> None:
    ask(account, "DELETE", "customers", customer or _new_customer(account))


def _new_session(account: Account, customer: str | None) -> str:
    session = ask(
        account,
        "POST",
        "checkout",
        "sessions",
        customer=customer or _new_customer(account),
        mode="subscription",
        success_url="https://example.com/success",
        line_items=[{"price": MONTHLY, "quantity": 1}],
    )
    return str(session["id"])


def _pay_session(account: Account, customer: str | None) -> str:
    """Pay a new session; gives the subscription that it starts."""
    return str(account.complete_session(_new_session(account, customer))["subscription"])


def _expire_session(account: Account, customer: str | None) -> None:
    ask(account, "POST", "checkout", "sessions", _new_session(account, customer), "expire")


def _going_on(account: Account, customer: str | None) -> Json:
    """Give the newest subscription of a customer that has not ended, a new one where there is none."""
    if customer is not None:
        listed = ask(account, "GET", "subscriptions", customer=customer, limit=100)["data"]
        for subscription in listed:
            if subscription["status"] in ("active", "trialing", "past_due"):
                return dict(subscription)
    return ask(account, "GET", "subscriptions", _pay_session(account, customer))


def _bill(account: Account, customer: str | None) -> None:
    """Make an invoice: of the next period, or of the first where a subscription has only begun."""
    mark = account.mark()
    subscription = _going_on(account, customer)
    if ("subscription", subscription["id"]) not in account.ids_since(mark):
        account.renew_subscription(subscription["id"])


def _charge(account: Account, customer: str | None) -> None:
    """Have an invoice paid: the one that is past due, or a new one."""
    mark = account.mark()
    subscription = _going_on(account, customer)
    if subscription["status"] == "past_due":
        account.retry_payment(subscription["id"])
    elif ("subscription", subscription["id"]) not in account.ids_since(mark):
        account.renew_subscription(subscription["id"])


def _decline(account: Account, customer: str | None) -> str:
    """Have the charge of a renewal fail; gives the invoice that stays open."""
    subscription = _going_on(account, customer)
    after = account.renew_subscription(subscription["id"], decline="insufficient_funds")
    return str(after["latest_invoice"])


def _ask(account: Account, customer: str | None) -> None:
    """Have the bank ask for the customer at a renewal."""
    subscription = _going_on(account, customer)
    account.renew_subscription(subscription["id"], decline="authentication_required")


def _new_setup(account: Account, customer: str | None, **more: Any) -> str:
    made = ask(account, "POST", "setup_intents", customer=customer or _new_customer(account), **more)
    return str(made["id"])


def _set_up(account: Account, customer: str | None) -> None:
    _new_setup(account, customer, payment_method="pm_card_visa", confirm=True)


def _ask_to_set_up(account: Account, customer: str | None) -> str:
    card = "pm_card_authenticationRequired"
    return _new_setup(account, customer, payment_method=card, confirm=True)


def _fail_to_set_up(account: Account, customer: str | None) -> None:
    account.authenticate(_ask_to_set_up(account, customer), fails=True)


def _cancel_setup(account: Account, customer: str | None) -> None:
    ask(account, "POST", "setup_intents", _new_setup(account, customer), "cancel")


def _void_invoice(account: Account, customer: str | None) -> None:
    ask(account, "POST", "invoices", _decline(account, customer), "void")


def _give_up_invoice(account: Account, customer: str | None) -> None:
    ask(account, "POST", "invoices", _decline(account, customer), "mark_uncollectible")


def _change_subscription(account: Account, customer: str | None) -> None:
    made = _going_on(account, customer)["id"]
    ask(account, "POST", "subscriptions", made, metadata={"triggered": account.mark()})


def _cancel_subscription(account: Account, customer: str | None) -> None:
    account.cancel_subscription(_going_on(account, customer)["id"])


def _try(account: Account, customer: str | None) -> Json:
    """Begin a trial of a day for which nothing is left to pay with."""
    return ask(
        account,
        "POST",
        "subscriptions",
        customer=customer or _new_customer(account),
        items=[{"price": MONTHLY}],
        trial_period_days=1,
        trial_settings={"end_behavior": {"missing_payment_method": "pause"}},
    )


def _pause_subscription(account: Account, customer: str | None) -> str:
    """End a trial for which nothing was left to pay with."""
    return str(account.renew_subscription(_try(account, customer)["id"])["id"])


def _resume_subscription(account: Account, customer: str | None) -> None:
    """Resume what was paused, and pay for its new period."""
    resumed = ask(account, "POST", "subscriptions", _pause_subscription(account, customer), "resume")
    account.pay_invoice(resumed["latest_invoice"])


def _refund(account: Account, customer: str | None) -> str:
    """Refund the latest invoice of the customer's subscription; gives the refund."""
    return str(account.refund_invoice(_going_on(account, customer)["latest_invoice"])["id"])


def _change_refund(account: Account, customer: str | None) -> None:
    ask(account, "POST", "refunds", _refund(account, customer), metadata={"triggered": account.mark()})


def _credit(account: Account, customer: str | None) -> None:
    """Give back part of an invoice as credit."""
    invoice = _going_on(account, customer)["latest_invoice"]
    ask(account, "POST", "credit_notes", invoice=invoice, amount=100, credit_amount=100)


def _detach_card(account: Account, customer: str | None) -> None:
    owner = customer or _new_customer(account)
    card = ask(account, "POST", "payment_methods", "pm_card_visa", "attach", customer=owner)
    ask(account, "POST", "payment_methods", card["id"], "detach")


def _new_product(account: Account, _: str | None) -> str:
    return str(account.make_product("Triggered by hand")["id"])


def _change_product(account: Account, _: str | None) -> None:
    ask(account, "POST", "products", _new_product(account, None), metadata={"triggered": account.mark()})


def _delete_product(account: Account, _: str | None) -> None:
    ask(account, "DELETE", "products", _new_product(account, None))


def _new_price(account: Account, _: str | None) -> str:
    return str(ask(account, "POST", "prices", product=PRODUCT, currency="usd", unit_amount=500)["id"])


def _change_price(account: Account, _: str | None) -> None:
    ask(account, "POST", "prices", _new_price(account, None), metadata={"triggered": account.mark()})


RECIPES: Mapping[str, _Recipe] = {
    "charge.failed": _Recipe(_decline),
    "charge.refunded": _Recipe(_refund),
    "charge.succeeded": _Recipe(_charge),
    "checkout.session.completed": _Recipe(_pay_session),
    "checkout.session.expired": _Recipe(_expire_session),
    "credit_note.created": _Recipe(_credit),
    "customer.created": _Recipe(_new_customer, takes_customer=False),
    "customer.deleted": _Recipe(_delete_customer),
    "customer.subscription.created": _Recipe(_pay_session),
    "customer.subscription.deleted": _Recipe(_cancel_subscription),
    "customer.subscription.paused": _Recipe(_pause_subscription),
    "customer.subscription.resumed": _Recipe(_resume_subscription),
    "customer.subscription.trial_will_end": _Recipe(_try),
    "customer.subscription.updated": _Recipe(_change_subscription),
    "customer.updated": _Recipe(_change_customer),
    "invoice.created": _Recipe(_bill),
    "invoice.finalized": _Recipe(_bill),
    "invoice.marked_uncollectible": _Recipe(_give_up_invoice),
    "invoice.paid": _Recipe(_charge),
    "invoice.payment_action_required": _Recipe(_ask),
    "invoice.payment_failed": _Recipe(_decline),
    "invoice.payment_succeeded": _Recipe(_charge),
    "invoice.updated": _Recipe(_credit),
    "invoice.voided": _Recipe(_void_invoice),
    "payment_intent.canceled": _Recipe(_void_invoice),
    "payment_intent.created": _Recipe(_charge),
    "invoice_payment.paid": _Recipe(_charge),
    "payment_intent.payment_failed": _Recipe(_decline),
    "payment_intent.requires_action": _Recipe(_ask),
    "payment_intent.succeeded": _Recipe(_charge),
    "payment_method.attached": _Recipe(_pay_session),
    "payment_method.detached": _Recipe(_detach_card),
    "price.created": _Recipe(_new_price, takes_customer=False),
    "price.updated": _Recipe(_change_price, takes_customer=False),
    "product.created": _Recipe(_new_product, takes_customer=False),
    "product.deleted": _Recipe(_delete_product, takes_customer=False),
    "product.updated": _Recipe(_change_product, takes_customer=False),
    "refund.created": _Recipe(_refund),
    "refund.updated": _Recipe(_change_refund),
    "setup_intent.canceled": _Recipe(_cancel_setup),
    "setup_intent.created": _Recipe(_new_setup),
    "setup_intent.requires_action": _Recipe(_ask_to_set_up),
    "setup_intent.setup_failed": _Recipe(_fail_to_set_up),
    "setup_intent.succeeded": _Recipe(_set_up),
}
"""What makes each type. A type that is not here has no effect in the account to follow from."""
