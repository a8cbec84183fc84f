"""Checkout sessions: what of a request is shown again, and what does not go together."""

from __future__ import annotations

from typing import Any

import pytest
from sim_client import checkout, new_account, send

from deadheat.stripe_sim import MONTHLY

BOOK = {
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
