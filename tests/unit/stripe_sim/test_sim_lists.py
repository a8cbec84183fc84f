"""Lists: cursors whose object is gone, filters of subscriptions; and what renewals and items tell."""

from __future__ import annotations

from typing import Any

import pytest
from billing_stage import customer_with, subscribe
from sim_client import START, last_event, new_account, send

from deadheat.stripe_sim import MONTHLY, YEARLY, Account

DAY = 86_400


def listed(account: Account, kind: str, **params: Any) -> list[str]:
    answer = send(account, "GET", f"/v1/{kind}", params)
    assert answer.status == 200, answer.json
    return [found["id"] for found in answer.json["data"]]


@pytest.mark.fidelity("Paging goes on behind an object that was deleted meanwhile")
def test_who_deletes_page_by_page_comes_to_the_end() -> None:
    account = new_account()
    made = [send(account, "POST", "/v1/customers").json["id"] for _ in range(5)]
    deleted: list[str] = []
    cursor: dict[str, str] = {}
    while page := listed(account, "customers", limit=2, **cursor):
        for gone in page:
            send(account, "DELETE", f"/v1/customers/{gone}")
        deleted += page
        cursor = {"starting_after": page[-1]}
    assert deleted == made[::-1]
    error = send(account, "GET", "/v1/customers", {"starting_after": "cus_nope"}).error
    assert (error["code"], error["param"]) == ("resource_missing", "starting_after")


@pytest.mark.fidelity("Subscriptions are listed by price, by period and by how they are paid")
def test_subscriptions_by_what_they_are() -> None:
    account = new_account()
    customer = customer_with(account)
    monthly = subscribe(account, customer).json["id"]
    yearly = subscribe(account, customer, items=[{"plan": YEARLY}]).json["id"]
    assert listed(account, "subscriptions", plan=YEARLY) == [yearly]
    assert listed(account, "subscriptions", current_period_end={"lt": START + 32 * DAY}) == [monthly]
    assert listed(account, "subscriptions", current_period_end={"gte": START + 32 * DAY}) == [yearly]
    assert listed(account, "subscriptions", current_period_start=START) == [yearly, monthly]
    assert listed(account, "subscriptions", collection_method="send_invoice") == []
    assert listed(account, "subscriptions", collection_method="charge_automatically") == [yearly, monthly]


@pytest.mark.fidelity("A subscription that has ended takes no more items: resource_missing")
def test_a_seat_is_not_added_to_what_has_ended() -> None:
    account = new_account()
    made = subscribe(account, customer_with(account)).json["id"]
    account.cancel_subscription(made)
    error = send(account, "POST", "/v1/subscription_items", {"subscription": made, "price": YEARLY}).error
    assert (error["code"], error["param"]) == ("resource_missing", "subscription")


def test_what_items_were_is_told_whole() -> None:
    account = new_account()
    made = subscribe(account, customer_with(account)).json
    item = made["items"]["data"][0]
    send(account, "POST", f"/v1/subscription_items/{item['id']}", {"quantity": 3})
    told = last_event(account, "customer.subscription.updated")["data"]["previous_attributes"]
    assert told["items"] == {"data": [item]}


@pytest.mark.fidelity("A renewal's invoice is over the period that has closed, its lines over the next")
def test_the_period_of_an_invoice() -> None:
    account = new_account()
    made = subscribe(account, customer_with(account)).json
    item = made["items"]["data"][0]
    first = send(account, "GET", f"/v1/invoices/{made['latest_invoice']}").json
    assert (first["period_start"], first["period_end"]) == (START, START)
    account.renew_subscription(made["id"])
    renewal = last_event(account, "invoice.paid")["data"]["object"]
    assert (renewal["period_start"], renewal["period_end"]) == (
        item["current_period_start"],
        item["current_period_end"],
    )
    assert renewal["lines"]["data"][0]["period"]["start"] == item["current_period_end"]


def test_a_price_is_still_a_plan_to_who_says_so() -> None:
    account = new_account()
    made = subscribe(account, customer_with(account), items=[{"plan": MONTHLY, "quantity": 2}]).json
    assert made["items"]["data"][0]["price"]["id"] == MONTHLY
    error = subscribe(account, customer_with(account), items=[{"plan": "nope"}]).error
    assert (error["code"], error["message"]) == ("resource_missing", "No such price: 'nope'")
