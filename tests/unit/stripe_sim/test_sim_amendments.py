"""What is told of money afterwards: metadata that follows it, what is amended, and where it is looked up."""

from __future__ import annotations

from typing import Any

import pytest
from billing_stage import customer_with
from sim_client import checkout, event_types, last_event, new_account, send

from deadheat.stripe_sim import MONTHLY, Account

ACACIA = "2024-12-18.acacia"
OWNER = {"user": "7"}


def subscribe(account: Account, **params: Any) -> dict[str, Any]:
    """Subscribe a customer with a card and give the subscription."""
    asked = {"customer": customer_with(account), "items": [{"price": MONTHLY}], "metadata": OWNER, **params}
    return send(account, "POST", "/v1/subscriptions", asked).json


class TestWhoseMoneyItIs:
    @pytest.mark.fidelity("An invoice's line carries the metadata of its subscription")
    def test_a_line_carries_the_metadata_of_its_subscription(self) -> None:
        account = new_account()
        made = subscribe(account)
        (line,) = last_event(account, "invoice.paid")["data"]["object"]["lines"]["data"]
        assert (line["metadata"], line["subscription"]) == (OWNER, made["id"])

    @pytest.mark.fidelity("payment_intent_data of a session is copied to its payment, and on to the charge")
    def test_metadata_of_a_payment_reaches_its_events(self) -> None:
        account = new_account()
        described = {"currency": "usd", "unit_amount": 500, "product_data": {"name": "A book"}}
        session = checkout(
            account,
            mode="payment",
            line_items=[{"price_data": described, "quantity": 1}],
            payment_intent_data={"metadata": OWNER, "description": "A book"},
        )
        account.complete_session(session["id"], email="ada@example.test")
        for event in ("payment_intent.created", "charge.succeeded", "payment_intent.succeeded"):
            told = last_event(account, event)["data"]["object"]
            assert (told["metadata"], told["description"]) == (OWNER, "A book")

    def test_only_a_payment_takes_payment_intent_data(self) -> None:
        asked = {
            "mode": "subscription",
            "success_url": "https://app.test/done",
            "line_items": [{"price": MONTHLY, "quantity": 1}],
            "payment_intent_data": {"metadata": OWNER},
        }
        assert send(new_account(), "POST", "/v1/checkout/sessions", asked).status == 400


@pytest.mark.fidelity("API versions see their own shapes: price and plan of an invoice's line")
def test_a_line_before_basil_holds_its_price() -> None:
    account = new_account()
    invoice = subscribe(account)["latest_invoice"]
    path = f"/v1/invoices/{invoice}/lines"
    (before,), (since,) = (
        send(account, "GET", path, version=version).json["data"] for version in (ACACIA, None)
    )
    assert (before["price"]["id"], before["plan"]["id"]) == (MONTHLY, MONTHLY)
    assert since["pricing"]["price_details"]["price"] == MONTHLY
    assert not {"price", "plan"} & set(since)


@pytest.mark.fidelity("An invoice gets its number when it is final, each another one")
def test_each_invoice_has_a_number_of_its_own() -> None:
    account = new_account()
    made = subscribe(account)
    account.renew_subscription(made["id"])
    listed = send(account, "GET", "/v1/invoices", {"customer": made["customer"]}).json["data"]
    assert sorted(invoice["number"][-5:] for invoice in listed) == ["-0001", "-0002"]
    drafts = [e for e in account.made_since(0).events if e["type"] == "invoice.created"]
    assert drafts[-1]["data"]["object"]["number"] is None


@pytest.mark.fidelity("Payment intents, charges, refunds, invoices and cards are amended, and told of")
class TestAmended:
    @pytest.mark.parametrize(
        ("kind", "event"),
        [
            ("charges", "charge.updated"),
            ("invoices", "invoice.updated"),
            ("payment_intents", None),
            ("refunds", "refund.updated"),
        ],
    )
    def test_metadata_is_kept_and_told(self, kind: str, event: str | None) -> None:
        account = new_account()
        subscribe(account)
        (charge,) = send(account, "GET", "/v1/charges").json["data"]
        send(account, "POST", "/v1/refunds", {"charge": charge["id"], "amount": 1})
        (found,) = send(account, "GET", f"/v1/{kind}").json["data"]
        mark = account.mark()
        amended = send(account, "POST", f"/v1/{kind}/{found['id']}", {"metadata": OWNER}).json
        assert amended["metadata"] == OWNER
        assert send(account, "GET", f"/v1/{kind}/{found['id']}").json == amended
        assert event_types(account, mark) == ([] if event is None else [event])

    def test_a_payment_asks_for_another_sum_until_it_is_paid(self) -> None:
        account = new_account()
        asked = {"amount": 500, "currency": "usd"}
        intent = send(account, "POST", "/v1/payment_intents", asked).json["id"]
        path = f"/v1/payment_intents/{intent}"
        card = {"amount": 700, "payment_method": "pm_card_visa"}
        assert send(account, "POST", path, card).json["status"] == "requires_confirmation"
        paid = send(account, "POST", f"{path}/confirm").json
        assert (paid["status"], paid["amount_received"]) == ("succeeded", 700)
        refused = send(account, "POST", path, {"amount": 900})
        assert (refused.status, refused.error["code"]) == (400, "payment_intent_unexpected_state")

    def test_a_card_that_is_nobody_s_is_not_amended(self) -> None:
        account = new_account()
        asked = {"type": "card", "card": {"token": "tok_visa"}}
        card = send(account, "POST", "/v1/payment_methods", asked).json["id"]
        assert send(account, "POST", f"/v1/payment_methods/{card}", {"metadata": OWNER}).status == 400


@pytest.mark.fidelity("A subscription has one item of a price")
def test_a_price_is_added_once() -> None:
    account = new_account()
    made = subscribe(account)
    asked = {"subscription": made["id"], "price": MONTHLY}
    refused = send(account, "POST", "/v1/subscription_items", asked)
    assert (refused.status, refused.error["param"]) == (400, "price")
    twice = {"customer": made["customer"], "items": [{"price": MONTHLY}, {"price": MONTHLY}]}
    assert send(account, "POST", "/v1/subscriptions", twice).status == 400
    swapped = [{"id": made["items"]["data"][0]["id"], "deleted": True}, {"price": MONTHLY}]
    assert send(account, "POST", f"/v1/subscriptions/{made['id']}", {"items": swapped}).status == 200


def test_a_product_comes_with_its_price_and_goes() -> None:
    account = new_account()
    price = {"currency": "usd", "unit_amount": 500, "recurring": {"interval": "month"}}
    made = send(account, "POST", "/v1/products", {"name": "A", "default_price_data": price}).json
    assert send(account, "GET", f"/v1/prices/{made['default_price']}").json["product"] == made["id"]
    assert send(account, "DELETE", f"/v1/products/{made['id']}").status == 400
    bare = send(account, "POST", "/v1/products", {"name": "B"}).json["id"]
    assert [p["id"] for p in send(account, "GET", "/v1/products", {"ids": [bare]}).json["data"]] == [bare]
    assert send(account, "DELETE", f"/v1/products/{bare}").json["deleted"] is True
    assert send(account, "GET", f"/v1/products/{bare}").status == 404


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/v1/payment_intents", {"amount": 500, "currency": "usd", "capture_method": "manual"}),
        ("/v1/subscriptions", {"customer": "cus_1", "items": [{"price": MONTHLY}], "trial_from_plan": True}),
    ],
)
def test_what_would_move_money_otherwise_is_refused_in_every_version(path: str, params: Any) -> None:
    for version in (None, ACACIA, "2026-03-25.dahlia"):
        refused = send(new_account(), "POST", path, params, version=version)
        assert (refused.status, "Deadheat does not model" in refused.error["message"]) == (400, True)


def test_a_route_that_is_not_modelled_says_so_and_names_no_object() -> None:
    account = new_account()
    for method, path in (("POST", "/v1/tax_rates"), ("POST", "/v1/quotes")):
        refused = send(account, method, path)
        assert refused.status == 404
        assert "Deadheat does not model it" in refused.error["message"]


@pytest.mark.fidelity("Metadata holds 50 keys, those of earlier calls counted")
def test_metadata_fills_up() -> None:
    account = new_account()
    full = {"metadata": {f"k{n}": "v" for n in range(50)}}
    path = f"/v1/customers/{send(account, 'POST', '/v1/customers', full).json['id']}"
    assert send(account, "POST", path, {"metadata": {"more": "v"}}).status == 400
    assert send(account, "POST", path, {"metadata": {"more": "v", "k0": ""}}).status == 200
