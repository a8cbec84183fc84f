"""A customer with a card, and subscriptions made through the API."""

from __future__ import annotations

from typing import Any

from sim_client import Answer, send

from deadheat.stripe_sim import MONTHLY, PRODUCT, Account

MONEY_KEPT = ("amount_due", "amount_paid", "amount_remaining")


def customer_with(account: Account, card: str | None = "pm_card_visa", **params: Any) -> str:
    """Make a customer whose default is a test card; gives its id."""
    asked: dict[str, Any] = {"email": "ada@example.test", **params}
    if card is not None:
        asked |= {"payment_method": card, "invoice_settings": {"default_payment_method": card}}
    answer = send(account, "POST", "/v1/customers", asked)
    assert answer.status == 200, answer.json
    return str(answer.json["id"])


def subscribe(account: Account, customer: str, **params: Any) -> Answer:
    version = params.pop("version", None)
    asked = {"customer": customer, "items": [{"price": MONTHLY}], **params}
    return send(account, "POST", "/v1/subscriptions", asked, version=version)


def priced(account: Account, amount: int, interval: str = "month", count: int = 1, **params: Any) -> str:
    """Make a price in dollars of the product that is there; gives its id."""
    recurring = {"interval": interval, "interval_count": count}
    asked = {"currency": "usd", "unit_amount": amount, "product": PRODUCT, "recurring": recurring, **params}
    return str(send(account, "POST", "/v1/prices", asked).json["id"])


def subscription(account: Account, name: str) -> dict[str, Any]:
    return dict(send(account, "GET", f"/v1/subscriptions/{name}").json)


def latest_invoice(account: Account, name: str) -> dict[str, Any]:
    asked = {"expand": ["latest_invoice.payments", "latest_invoice.confirmation_secret"]}
    return dict(send(account, "GET", f"/v1/subscriptions/{name}", asked).json["latest_invoice"])


def intent_of(invoice: dict[str, Any]) -> str:
    return str(invoice["payments"]["data"][0]["payment"]["payment_intent"])


def statuses(account: Account, name: str, mark: int = 0) -> list[tuple[str, Any]]:
    """Give what events said of a subscription's status since a mark: now, and before if it changed."""
    return [
        (event["data"]["object"]["status"], event["data"].get("previous_attributes", {}).get("status"))
        for event in account.made_since(mark).events
        if event["data"]["object"]["id"] == name
    ]
