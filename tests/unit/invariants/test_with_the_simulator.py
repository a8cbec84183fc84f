"""The invariants of money, over what the simulator really makes of payments, cancellations and refunds."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from deadheat.invariants import judge
from deadheat.invariants.settled import Person, Settled, StripeObjects
from deadheat.stripe_sim import MONTHLY, Account, ApiRequest

KEY = "sk_test_key"
ADA = Person(ids=("u1",), email="Ada@example.test", name="Ada")


def call(account: Account, path: str, **params: str) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/x-www-form-urlencoded"}
    request = ApiRequest(method="POST", path=path, headers=headers, body=urlencode(params).encode())
    made = account.received(account.parse(request))
    account.effect(made)
    response = account.response(made)
    assert response.status == 200, response.body
    answer: dict[str, Any] = json.loads(response.body)
    return answer


def tripped(account: Account, asked_for: int = 1) -> set[str]:
    made = account.made_since(0)
    stripe = StripeObjects(
        customers=made.customers,
        subscriptions=made.subscriptions,
        sessions=made.sessions,
        invoices=made.invoices,
        refunds=made.refunds,
        events=made.events,
    )
    judgement = judge(Settled(people=(ADA,), stripe=stripe, asked_for={"u1": asked_for}), {})
    assert "charged-once" in judgement.checked
    return {violation.invariant for violation in judgement.violations}


def buy(account: Account, customer: str) -> None:
    params = {"customer": customer, "mode": "subscription", "success_url": "http://localhost/"}
    lines = {"line_items[0][price]": MONTHLY, "line_items[0][quantity]": "1"}
    account.complete_session(call(account, "/v1/checkout/sessions", **params, **lines)["id"])


def opened() -> tuple[Account, str]:
    account = Account(seed=1, started_at=1_700_000_000, secret_key=KEY)
    return account, call(account, "/v1/customers", email=ADA.email.lower())["id"]


def test_a_second_purchase_is_a_double_charge_until_it_is_given_back() -> None:
    account, customer = opened()
    buy(account, customer)
    assert tripped(account) == set()
    buy(account, customer)
    assert tripped(account) == {"charged-once"}
    made = account.made_since(0)
    account.cancel_subscription(made.subscriptions[1]["id"])
    assert tripped(account) == {"charged-once"}
    account.refund_invoice(made.invoices[1]["id"])
    assert tripped(account) == set()


def test_to_cancel_and_subscribe_anew_is_to_ask_twice() -> None:
    account, customer = opened()
    buy(account, customer)
    account.cancel_subscription(account.made_since(0).subscriptions[0]["id"])
    buy(account, customer)
    assert tripped(account, asked_for=2) == set()
    assert tripped(account, asked_for=1) == {"charged-once"}
