"""Search lags: by how much, and what it finds of an object that has changed since."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from billing_stage import customer_with, subscribe
from sim_client import new_account, send

if TYPE_CHECKING:
    from deadheat.stripe_sim import Account


def made(account: Account, **params: str) -> str:
    return str(send(account, "POST", "/v1/customers", params).json["id"])


def named(account: Account, name: str) -> list[str]:
    found = send(account, "GET", "/v1/customers/search", {"query": f"name:'{name}'"}).json["data"]
    return [customer["id"] for customer in found]


@pytest.mark.fidelity("Search lags behind list")
@pytest.mark.parametrize("lag", [0, 5, 600])
def test_the_lag_is_settable_and_runs_by_the_clock_of_the_run(lag: int) -> None:
    account = new_account()
    account.ledger.search_lag = lag
    who = made(account, name="Ada")
    if lag:
        account.tick(lag - 1)
        assert named(account, "Ada") == []
        assert [c["id"] for c in send(account, "GET", "/v1/customers").json["data"]] == [who]
        account.tick(1)
    assert named(account, "Ada") == [who]


@pytest.mark.fidelity("Payments, charges, invoices, prices and products are searched too")
@pytest.mark.parametrize(
    ("kind", "query", "other"),
    [
        ("payment_intents", "metadata['order']:'7' AND status:'succeeded'", "amount<500"),
        ("charges", "amount:500 AND refunded:'false'", "disputed:'true'"),
        ("invoices", "total>=2000 AND subscription:'{subscription}'", "status:'void'"),
        ("prices", "active:'true' AND type:'one_time'", "lookup_key:'nope'"),
        ("products", "name~'book'", "active:'false'"),
        ("subscriptions", "status:'canceled' AND canceled_at>0", "status:'canceled' AND canceled_at<5"),
    ],
)
def test_what_else_is_searched(kind: str, query: str, other: str) -> None:
    account = new_account()
    customer = customer_with(account)
    order = {"amount": 500, "currency": "usd", "metadata": {"order": "7"}}
    paid = {**order, "confirm": True, "payment_method": "pm_card_visa"}
    send(account, "POST", "/v1/payment_intents", paid)
    send(
        account,
        "POST",
        "/v1/prices",
        {"currency": "usd", "unit_amount": 1, "product_data": {"name": "A book"}},
    )
    subscription = subscribe(account, customer).json["id"]
    account.cancel_subscription(subscription)

    def found(asked: str) -> int:
        path = f"/v1/{kind}/search"
        answer = send(account, "GET", path, {"query": asked.format(subscription=subscription)})
        assert answer.status == 200, answer.json
        return len(answer.json["data"])

    assert found(query) == 0
    account.tick(60)
    assert (found(query), found(other)) == (1, 0)


@pytest.mark.fidelity("Search lags behind list")
@pytest.mark.parametrize("searched_before", [True, False], ids=["index there", "index made later"])
def test_what_has_changed_is_found_as_it_was(searched_before: bool) -> None:
    account = new_account()
    who = made(account, name="Ada")
    account.tick(60)
    if searched_before:
        assert named(account, "Ada") == [who]
    for name in ("Bob", "Cleo"):
        send(account, "POST", f"/v1/customers/{who}", {"name": name})
        account.tick(10)
    assert (named(account, "Ada"), named(account, "Bob"), named(account, "Cleo")) == ([who], [], [])
    account.tick(50)
    assert (named(account, "Ada"), named(account, "Bob"), named(account, "Cleo")) == ([], [], [who])


def test_what_is_deleted_is_found_no_more() -> None:
    account = new_account()
    who = made(account, name="Ada")
    account.tick(60)
    send(account, "DELETE", f"/v1/customers/{who}")
    assert named(account, "Ada") == []
