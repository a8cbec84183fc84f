"""Renewals, and what somebody makes in the dashboard."""

from __future__ import annotations

import pytest
from sim_client import checkout, event_types, new_account, send, subscribed

from deadheat.errors import ActRefused
from deadheat.stripe_sim import MONTHLY, Account
from deadheat.stripe_sim.clock import later


def subscription_of(account: Account) -> str:
    return str(account.made_since(0).subscriptions[0]["id"])


@pytest.mark.fidelity("A renewal begins the next period and has an invoice of its own")
def test_a_renewal_begins_the_next_period_and_says_what_was() -> None:
    account = new_account()
    subscribed(account)
    old = account.made_since(0).subscriptions[0]
    mark = account.mark()
    now = account.renew_subscription(old["id"])
    was, item = old["items"]["data"][0], now["items"]["data"][0]
    assert item["current_period_start"] == was["current_period_end"]
    assert item["current_period_end"] == later(was["current_period_end"], "month", 1)
    assert now["status"] == "active"
    made = account.made_since(mark)
    updated = next(e for e in made.events if e["type"] == "customer.subscription.updated")
    previous = updated["data"]["previous_attributes"]
    assert previous["latest_invoice"] == old["latest_invoice"]
    assert previous["items"]["data"][0]["current_period_end"] == was["current_period_end"]
    assert set(previous) == {"items", "latest_invoice"}


@pytest.mark.fidelity("A renewal begins the next period and has an invoice of its own")
def test_a_renewal_is_paid_by_an_invoice_of_its_own() -> None:
    account = new_account()
    subscribed(account)
    mark = account.mark()
    now = account.renew_subscription(subscription_of(account))
    (invoice,) = account.made_since(mark).invoices
    assert (invoice["id"], invoice["billing_reason"]) == (now["latest_invoice"], "subscription_cycle")
    assert (invoice["status"], invoice["amount_paid"]) == ("paid", 2000)
    assert invoice["lines"]["data"][0]["period"]["end"] == now["items"]["data"][0]["current_period_end"]
    assert event_types(account, mark) == [
        "customer.subscription.updated",
        "invoice.created",
        "payment_intent.created",
        "invoice.finalized",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]


@pytest.mark.fidelity("Subscriptions and money: active")
def test_a_trial_that_is_over_is_renewed_into_an_active_one() -> None:
    account = new_account()
    subscribed(account, subscription_data={"trial_period_days": 7})
    assert account.made_since(0).subscriptions[0]["status"] == "trialing"
    now = account.renew_subscription(subscription_of(account))
    assert now["status"] == "active"
    assert account.made_since(0).invoices[-1]["amount_paid"] == 2000


@pytest.mark.fidelity("Subscriptions and money: canceled")
def test_one_that_was_to_end_with_its_period_ends() -> None:
    account = new_account()
    subscribed(account)
    name = subscription_of(account)
    send(account, "POST", f"/v1/subscriptions/{name}", {"cancel_at_period_end": True})
    mark = account.mark()
    assert account.renew_subscription(name)["status"] == "canceled"
    assert event_types(account, mark) == ["customer.subscription.deleted"]


@pytest.mark.parametrize("name", ["sub_nowhere", "canceled"])
def test_what_is_not_there_or_over_is_not_renewed(name: str) -> None:
    account = new_account()
    subscribed(account)
    if name == "canceled":
        name = subscription_of(account)
        account.cancel_subscription(name)
    mark = account.mark()
    with pytest.raises(ActRefused, match="it is not renewed"):
        account.renew_subscription(name)
    assert account.mark() == mark


def test_a_customer_of_the_dashboard_can_be_subscribed_there() -> None:
    account = new_account()
    customer = account.make_customer(email="b@example.test", name="Bob")
    made = account.subscribe_customer(customer["id"], MONTHLY)
    assert (made["customer"], made["status"], made["metadata"]) == (customer["id"], "active", {})
    assert {"customer.created", "customer.subscription.created", "invoice.paid"} <= set(event_types(account))
    events = account.made_since(0).events
    assert all(e["request"] == {"id": None, "idempotency_key": None} for e in events)
    send(account, "DELETE", f"/v1/customers/{customer['id']}")
    with pytest.raises(ActRefused, match="no customer"):
        account.subscribe_customer(customer["id"], MONTHLY)


def test_a_product_of_the_dashboard_has_its_event() -> None:
    account = new_account()
    made = account.make_product("Mug")
    assert event_types(account) == ["product.created"]
    assert send(account, "GET", f"/v1/products/{made['id']}").json["name"] == "Mug"
    assert checkout(account)["status"] == "open"
