"""Triggers: makes something happen in an account so that an event of a wanted type follows from it.

No event is made up: customers are created, sessions paid, subscriptions canceled, through the API or by
the account's own acts, and the event is what the account emits. So other events come with it, in the
order in which Stripe sends them, and what an event speaks of can be asked for.

Each type has a recipe. Recipes that need a subscription take the newest one of the customer that is
going on, and make one by a paid checkout where there is none.

Source: Stripe docs, "Stripe CLI", "trigger"; "Types of events".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from deadheat.errors import ActRefused, SettingsError, closest
from deadheat.stripe_sim import MONTHLY, ApiRequest, form

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from deadheat.stripe_sim import Account

Json = dict[str, Any]


def trigger(account: Account, event_type: str, customer: str | None = None) -> None:
    """Make an event of this type happen, about ``customer`` if it is given, else about a new one.

    SettingsError for a type that cannot be triggered, ActRefused when the account would not have it.
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
    recipe.act(account, customer)


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


def _going_on(account: Account, customer: str | None) -> str | None:
    """Give the customer's newest subscription that is active or on trial."""
    if customer is None:
        return None
    listed = ask(account, "GET", "subscriptions", customer=customer, limit=100)["data"]
    return next((s["id"] for s in listed if s["status"] in ("active", "trialing")), None)


def _subscription(account: Account, customer: str | None) -> str:
    return _going_on(account, customer) or _pay_session(account, customer)


def _charge(account: Account, customer: str | None) -> None:
    """Renew what the customer has subscribed to, or let them subscribe: either makes a paid invoice."""
    subscription = _going_on(account, customer)
    if subscription is None:
        _pay_session(account, customer)
    else:
        account.renew_subscription(subscription)


def _change_subscription(account: Account, customer: str | None) -> None:
    made = _subscription(account, customer)
    ask(account, "POST", "subscriptions", made, metadata={"triggered": account.mark()})


def _cancel_subscription(account: Account, customer: str | None) -> None:
    account.cancel_subscription(_subscription(account, customer))


def _refund(account: Account, customer: str | None) -> None:
    """Refund the latest invoice of the customer's subscription."""
    subscription = ask(account, "GET", "subscriptions", _subscription(account, customer))
    account.refund_invoice(subscription["latest_invoice"])


def _new_product(account: Account, _: str | None) -> None:
    account.make_product("Triggered by hand")


RECIPES: Mapping[str, _Recipe] = {
    "charge.refunded": _Recipe(_refund),
    "charge.succeeded": _Recipe(_charge),
    "checkout.session.completed": _Recipe(_pay_session),
    "checkout.session.expired": _Recipe(_expire_session),
    "customer.created": _Recipe(_new_customer, takes_customer=False),
    "customer.deleted": _Recipe(_delete_customer),
    "customer.subscription.created": _Recipe(_pay_session),
    "customer.subscription.deleted": _Recipe(_cancel_subscription),
    "customer.subscription.updated": _Recipe(_change_subscription),
    "customer.updated": _Recipe(_change_customer),
    "invoice.created": _Recipe(_charge),
    "invoice.finalized": _Recipe(_charge),
    "invoice.paid": _Recipe(_charge),
    "invoice.payment_succeeded": _Recipe(_charge),
    "payment_intent.succeeded": _Recipe(_charge),
    "product.created": _Recipe(_new_product, takes_customer=False),
    "refund.created": _Recipe(_refund),
}
"""What makes each type. A type that is not here has no effect in the account to follow from."""
