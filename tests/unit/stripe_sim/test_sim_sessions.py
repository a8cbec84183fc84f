"""Checkout sessions: what of a request is shown again, and what does not go together."""

from __future__ import annotations

from typing import Any

import pytest
from sim_client import checkout, new_account, send

from deadheat.errors import ActRefused
from deadheat.stripe_sim import MONTHLY, PRODUCT, Account

BOOK: dict[str, Any] = {
    "price_data": {"currency": "usd", "unit_amount": 500, "product_data": {"name": "A book"}},
    "quantity": 1,
}


def refused(**params: Any) -> dict[str, Any]:
    asked = {
        "mode": "subscription",
        "success_url": "https://app.test/done",
        "line_items": [{"price": MONTHLY, "quantity": 1}],
        **params,
    }
    answer = send(new_account(), "POST", "/v1/checkout/sessions", asked)
    assert answer.status == 400
    return answer.error


@pytest.mark.fidelity("A session shows what its page was asked to be")
def test_what_was_asked_for_is_shown() -> None:
    asked: dict[str, Any] = {
        "allow_promotion_codes": True,
        "billing_address_collection": "required",
        "locale": "de",
        "payment_method_collection": "if_required",
        "phone_number_collection": {"enabled": True},
    }
    account = new_account()
    assert asked.items() <= checkout(account, **asked).items()
    plain = checkout(account)
    assert [plain[name] for name in asked] == [None, None, None, "always", {"enabled": False}]


class TestWhatDoesNotGoTogether:
    @pytest.mark.fidelity("customer_creation is refused in subscription mode, and beside a customer")
    def test_a_subscription_always_makes_a_customer(self) -> None:
        assert "`payment` mode" in refused(customer_creation="always")["message"]
        account = new_account()
        customer = send(account, "POST", "/v1/customers").json["id"]
        asked = {
            "mode": "payment",
            "success_url": "https://app.test",
            "line_items": [BOOK],
            "customer": customer,
            "customer_creation": "always",
        }
        assert "only specify one" in send(account, "POST", "/v1/checkout/sessions", asked).error["message"]

    def test_a_page_within_the_application_has_no_page_to_go_to(self) -> None:
        assert refused(ui_mode="embedded", return_url="https://app.test/back")["param"] == "success_url"

    @pytest.mark.fidelity("An address without a scheme: 400 url_invalid")
    @pytest.mark.parametrize("name", ["success_url", "cancel_url"])
    def test_addresses_are_whole(self, name: str) -> None:
        error = refused(**{name: "app.test/done?session={CHECKOUT_SESSION_ID}"})
        assert (error["code"], error["param"]) == ("url_invalid", name)
        assert checkout(new_account(), **{name: "http://127.0.0.1/{CHECKOUT_SESSION_ID}"})[name]


@pytest.mark.fidelity("Sessions are listed by the e-mail of their customer")
def test_listed_by_email() -> None:
    account = new_account()
    ada = checkout(account, customer_email="ada@example.test")
    checkout(account, customer_email="bob@example.test")
    checkout(account)
    asked = {"customer_details": {"email": "ada@example.test"}}
    listed = send(account, "GET", "/v1/checkout/sessions", asked).json["data"]
    assert [session["id"] for session in listed] == [ada["id"]]


@pytest.mark.fidelity("payment_method_collection: a trial begins without a card if none is required")
@pytest.mark.parametrize(("collected", "ends"), [("always", "active"), ("if_required", "paused")])
def test_a_trial_without_a_card(collected: str, ends: str) -> None:
    account = new_account()
    trial = {
        "trial_period_days": 7,
        "trial_settings": {"end_behavior": {"missing_payment_method": "pause"}},
    }
    session = checkout(account, payment_method_collection=collected, subscription_data=trial)
    paid = account.complete_session(session["id"], email="ada@example.test")
    begun = send(account, "GET", f"/v1/subscriptions/{paid['subscription']}").json
    assert (begun["status"], begun["default_payment_method"] is not None) == ("trialing", ends == "active")
    account.renew_subscription(paid["subscription"])
    assert send(account, "GET", f"/v1/subscriptions/{paid['subscription']}").json["status"] == ends


@pytest.mark.fidelity("A customer is billed in one currency: a subscription or an open session keeps it")
class TestOneCurrency:
    def test_an_open_session_keeps_the_others_out_until_it_is_over(self) -> None:
        account = new_account()
        customer, euros = priced_in_euros(account)
        first = checkout(account, customer=customer)
        asked = {
            "mode": "subscription",
            "success_url": "https://app.test",
            "customer": customer,
            "line_items": [{"price": euros, "quantity": 1}],
        }
        error = send(account, "POST", "/v1/checkout/sessions", asked).error
        assert error["message"].startswith("You cannot combine currencies on a single customer.")
        assert error["message"].endswith("with currency usd.")
        send(account, "POST", f"/v1/checkout/sessions/{first['id']}/expire")
        assert send(account, "POST", "/v1/checkout/sessions", asked).status == 200

    def test_so_does_a_subscription_while_it_goes_on(self) -> None:
        account = new_account()
        customer, euros = priced_in_euros(account)
        begun = account.complete_session(checkout(account, customer=customer)["id"])["subscription"]
        asked = {"customer": customer, "items": [{"price": euros}], "trial_period_days": 7}
        assert "currency usd" in send(account, "POST", "/v1/subscriptions", asked).error["message"]
        account.cancel_subscription(begun)
        assert send(account, "POST", "/v1/subscriptions", asked).json["currency"] == "eur"

    def test_an_open_session_for_one_payment_does_not(self) -> None:
        account = new_account()
        customer, euros = priced_in_euros(account)
        checkout(account, customer=customer, mode="payment", line_items=[BOOK])
        asked = {"customer": customer, "items": [{"price": euros}], "payment_behavior": "default_incomplete"}
        assert send(account, "POST", "/v1/subscriptions", asked).status == 200

    def test_so_do_an_item_that_waits_and_a_discount_but_one_s_own_invoices_do_not(self) -> None:
        account = new_account()
        customer, euros = priced_in_euros(account)
        dollars = {"customer": customer, "amount": 500, "currency": "usd"}
        item = send(account, "POST", "/v1/invoiceitems", dollars).json["id"]
        asked = {"customer": customer, "items": [{"price": euros}], "payment_behavior": "default_incomplete"}
        refused = send(account, "POST", "/v1/subscriptions", asked)
        assert (refused.status, "invoice item" in refused.error["message"]) == (400, True)
        send(account, "DELETE", f"/v1/invoiceitems/{item}")
        flat = {"id": "FLAT", "amount_off": 5, "currency": "usd", "duration": "forever"}
        send(account, "POST", "/v1/coupons", flat)
        path = f"/v1/customers/{customer}"
        send(account, "POST", path, {"coupon": "FLAT"}, version="2024-12-18.acacia")
        assert send(account, "POST", "/v1/subscriptions", asked).status == 400
        send(account, "DELETE", f"{path}/discount")
        assert send(account, "POST", "/v1/subscriptions", asked).status == 200
        send(account, "POST", "/v1/invoiceitems", dollars)
        gathered = {"customer": customer, "pending_invoice_items_behavior": "include"}
        own = [
            send(account, "POST", "/v1/invoices", {**gathered, **money}).json
            for money in ({}, {"currency": "usd"})
        ]
        assert [(invoice["currency"], invoice["total"]) for invoice in own] == [("eur", 0), ("usd", 500)]

    def test_one_session_has_one(self) -> None:
        euros = {**BOOK["price_data"], "currency": "eur"}
        error = refused(mode="payment", line_items=[BOOK, {"price_data": euros, "quantity": 1}])
        assert error["param"] == "line_items[1]"


def priced_in_euros(account: Account) -> tuple[str, str]:
    """Make a customer, and a price in another currency than the others'."""
    price = {
        "currency": "eur",
        "unit_amount": 900,
        "product": PRODUCT,
        "recurring": {"interval": "month"},
    }
    customer = send(account, "POST", "/v1/customers").json["id"]
    return customer, send(account, "POST", "/v1/prices", price).json["id"]


@pytest.mark.fidelity("A card that is declined when it is kept for after a trial leaves the session open")
def test_a_declined_card_begins_no_trial() -> None:
    account = new_account()
    session = checkout(account, subscription_data={"trial_period_days": 7})["id"]
    mark = account.mark()
    with pytest.raises(ActRefused, match="saved no card"):
        account.complete_session(session, email="ada@example.test", card="pm_card_chargeDeclined")
    assert account.mark() == mark
    assert account.complete_session(session, email="ada@example.test")["status"] == "complete"


def test_a_trial_that_asks_for_no_card_takes_one_for_what_waits() -> None:
    account = new_account()
    customer = send(account, "POST", "/v1/customers").json["id"]
    item = {"customer": customer, "amount": 700, "currency": "usd"}
    send(account, "POST", "/v1/invoiceitems", item)
    asked = {"payment_method_collection": "if_required", "subscription_data": {"trial_period_days": 7}}
    session = account.complete_session(checkout(account, customer=customer, **asked)["id"])
    assert send(account, "GET", f"/v1/invoices/{session['invoice']}").json["amount_paid"] == 700


@pytest.mark.fidelity("What is paid once in a session for a subscription is on the first invoice only")
@pytest.mark.parametrize("version", [None, "2024-12-18.acacia"])
@pytest.mark.parametrize("trial", [False, True])
def test_a_set_up_fee(version: str | None, trial: bool) -> None:
    account = new_account()
    both = [{"price": MONTHLY, "quantity": 1}, {**BOOK, "quantity": 2}]
    asked: dict[str, Any] = {"subscription_data": {"trial_period_days": 7}} if trial else {}
    session = checkout(account, version=version, line_items=both, **asked)
    due = 1000 if trial else 3000
    assert (session["amount_subtotal"], session["amount_total"], session["payment_status"]) == (
        3000,
        due,
        "unpaid",
    )
    paid = account.complete_session(session["id"], email="ada@example.test")
    assert paid["payment_status"] == "paid"
    first = send(account, "GET", f"/v1/invoices/{paid['invoice']}").json
    assert (first["amount_paid"], len(first["lines"]["data"])) == (due, 2)
    begun = send(account, "GET", f"/v1/subscriptions/{paid['subscription']}").json
    assert (begun["status"], len(begun["items"]["data"])) == ("trialing" if trial else "active", 1)
    account.renew_subscription(paid["subscription"])
    renewal = send(account, "GET", "/v1/invoices", {"limit": 1}).json["data"][0]
    assert (renewal["amount_paid"], len(renewal["lines"]["data"])) == (2000, 1)
