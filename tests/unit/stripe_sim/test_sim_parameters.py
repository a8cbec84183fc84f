"""Parameters that Stripe has and applications send: taken, or refused by their name, never unknown."""

from __future__ import annotations

from typing import Any

import pytest
from billing_stage import customer_with, intent_of, latest_invoice, subscribe
from sim_client import checkout, last_event, new_account, send

from deadheat.stripe_sim import PRODUCT, Account

BOOK: dict[str, Any] = {"currency": "usd", "product_data": {"name": "A book"}}


def intent(account: Account, **params: Any) -> dict[str, Any]:
    answer = send(account, "POST", "/v1/payment_intents", {"amount": 500, "currency": "usd", **params})
    assert answer.status == 200, answer.json
    return answer.json


class TestPayments:
    def test_what_an_application_says_of_a_payment(self) -> None:
        made = intent(
            new_account(),
            confirmation_method="automatic",
            payment_method_options={"card": {"request_three_d_secure": "automatic"}},
            shipping={"name": "Ada", "address": {"line1": "1 Main St"}},
            statement_descriptor_suffix="BOOKS",
            use_stripe_sdk=True,
        )
        assert made["status"] == "requires_payment_method"

    @pytest.mark.fidelity("A payment shows whom it is receipted to, a charge who paid")
    def test_who_pays_is_told(self) -> None:
        account = new_account()
        whose = {"receipt_email": "ada@example.test", "automatic_payment_methods": {"enabled": True}}
        made = intent(account, **whose)
        assert made["automatic_payment_methods"] == {"allow_redirects": "always", "enabled": True}
        send(account, "POST", f"/v1/payment_intents/{made['id']}/confirm", {"payment_method": "pm_card_visa"})
        charge = last_event(account, "charge.succeeded")["data"]["object"]
        assert (made["receipt_email"], charge["receipt_email"]) == ("ada@example.test",) * 2
        item = {"price_data": {**BOOK, "unit_amount": 500}, "quantity": 1}
        session = checkout(account, mode="payment", line_items=[item])
        account.complete_session(session["id"], email="bob@example.test", name="Bob")
        told = last_event(account, "charge.succeeded")["data"]["object"]["billing_details"]
        assert (told["email"], told["name"]) == ("bob@example.test", "Bob")

    @pytest.mark.parametrize("name", ["on_behalf_of", "payment_method_data", "transfer_data"])
    def test_what_would_change_the_payment_is_refused_by_name(self, name: str) -> None:
        asked = {"amount": 500, "currency": "usd", name: {"type": "card"}}
        error = send(new_account(), "POST", "/v1/payment_intents", asked).error
        assert (error["param"], "does not model" in error["message"]) == (name, True)

    def test_a_browser_retrieves_with_its_secret(self) -> None:
        account = new_account()
        made = intent(account)
        asked = {"client_secret": made["client_secret"]}
        assert send(account, "GET", f"/v1/payment_intents/{made['id']}", asked).json["id"] == made["id"]

    @pytest.mark.fidelity("A payment intent is canceled with a reason, and once")
    def test_canceling_says_why(self) -> None:
        account = new_account()
        path = f"/v1/payment_intents/{intent(account)['id']}/cancel"
        gone = send(account, "POST", path, {"cancellation_reason": "abandoned"}).json
        assert (gone["status"], gone["cancellation_reason"]) == ("canceled", "abandoned")
        assert last_event(account, "payment_intent.canceled")["data"]["object"] == gone
        error = send(account, "POST", path).error
        assert error["code"] == "payment_intent_unexpected_state"
        assert (error["payment_intent"]["id"], error["payment_intent"]["status"]) == (gone["id"], "canceled")
        without = f"/v1/payment_intents/{intent(account)['id']}/cancel"
        assert send(account, "POST", without).json["cancellation_reason"] is None

    def test_a_second_confirmation_carries_the_intent(self) -> None:
        account = new_account()
        paid = intent(account, confirm=True, payment_method="pm_card_visa")
        error = send(account, "POST", f"/v1/payment_intents/{paid['id']}/confirm").error
        assert (error["code"], error["payment_intent"]["status"]) == (
            "payment_intent_unexpected_state",
            "succeeded",
        )

    def test_what_pays_an_invoice_is_not_canceled(self) -> None:
        account = new_account()
        made = subscribe(account, customer_with(account), payment_behavior="default_incomplete").json["id"]
        named = intent_of(latest_invoice(account, made))
        assert (
            "pays an invoice" in send(account, "POST", f"/v1/payment_intents/{named}/cancel").error["message"]
        )


class TestRefunds:
    def test_what_is_wrong_is_said_in_money(self) -> None:
        account = new_account()
        paid = intent(account, confirm=True, payment_method="pm_card_visa")["id"]
        error = send(account, "POST", "/v1/refunds", {"payment_intent": paid, "amount": 700}).error
        assert error["param"] == "amount"
        assert "($7.00) is greater than unrefunded amount on charge ($5.00)" in error["message"]

    def test_nothing_was_paid(self) -> None:
        account = new_account()
        made = intent(account)
        declined = {"payment_method": "pm_card_chargeDeclined"}
        failed = send(account, "POST", f"/v1/payment_intents/{made['id']}/confirm", declined).error["charge"]
        for asked in ({"payment_intent": made["id"]}, {"charge": failed}):
            message = send(account, "POST", "/v1/refunds", asked).error["message"]
            assert (
                message == f"This PaymentIntent ({made['id']}) does not have a successful charge to refund."
            )

    def test_neither_is_named(self) -> None:
        assert "payment_intent or charge" in send(new_account(), "POST", "/v1/refunds").error["message"]


class TestPrices:
    @pytest.mark.fidelity("Currencies are kept in lower case")
    def test_a_currency_in_capitals(self) -> None:
        account = new_account()
        assert intent(account, currency="USD")["currency"] == "usd"
        price = {"product": PRODUCT, "currency": "EUR", "unit_amount": 5}
        assert send(account, "POST", "/v1/prices", price).json["currency"] == "eur"
        assert send(account, "GET", "/v1/prices", {"currency": "EUR"}).json["data"] != []
        refused = send(account, "POST", "/v1/payment_intents", {"amount": 5, "currency": "dollars"})
        assert (refused.status, refused.error["param"]) == (400, "currency")

    @pytest.mark.fidelity("An amount can be said as unit_amount_decimal")
    def test_an_amount_as_a_decimal_is_charged(self) -> None:
        account = new_account()
        item = {"price_data": {**BOOK, "unit_amount_decimal": "1250.0"}, "quantity": 2}
        session = checkout(account, mode="payment", line_items=[item])
        assert session["amount_total"] == 2500
        asked = {"product": PRODUCT, "currency": "usd", "unit_amount_decimal": "12"}
        made = send(account, "POST", "/v1/prices", asked).json
        assert (made["unit_amount"], made["unit_amount_decimal"]) == (12, "12")

    @pytest.mark.parametrize(("amount", "words"), [("0.5", "parts of a cent"), ("a", "Invalid integer")])
    def test_a_decimal_that_is_no_amount(self, amount: str, words: str) -> None:
        asked = {"product": PRODUCT, "currency": "usd", "unit_amount_decimal": amount}
        assert words in send(new_account(), "POST", "/v1/prices", asked).error["message"]

    def test_no_amount_at_all(self) -> None:
        asked = {
            "mode": "payment",
            "success_url": "https://app.test/done",
            "line_items": [{"price_data": BOOK, "quantity": 1}],
        }
        error = send(new_account(), "POST", "/v1/checkout/sessions", asked).error
        assert (error["code"], error["param"]) == (
            "parameter_missing",
            "line_items[0][price_data][unit_amount]",
        )

    def test_what_a_product_and_its_price_were_said_to_be(self) -> None:
        account = new_account()
        said = {"images": ["https://app.test/a.png"], "unit_label": "seat", "tax_code": "txcd_1"}
        price = {"currency": "usd", "unit_amount": 5, "tax_behavior": "exclusive"}
        made = send(account, "POST", "/v1/products", {"name": "P", **said, "default_price_data": price}).json
        assert said.items() <= made.items()
        sold = send(account, "GET", f"/v1/prices/{made['default_price']}").json
        assert sold["tax_behavior"] == "exclusive"
        now = send(account, "POST", f"/v1/products/{made['id']}", {"unit_label": "", "images": ""}).json
        assert (now["unit_label"], now["images"], now["tax_code"]) == (None, [], "txcd_1")

    def test_a_licensed_price_says_so(self) -> None:
        account = new_account()
        asked: dict[str, Any] = {"product": PRODUCT, "currency": "usd", "unit_amount": 5}
        monthly = {"interval": "month", "usage_type": "licensed"}
        made = send(account, "POST", "/v1/prices", {**asked, "recurring": monthly}).json
        assert made["recurring"]["usage_type"] == "licensed"
        metered = {"interval": "month", "usage_type": "metered"}
        error = send(account, "POST", "/v1/prices", {**asked, "recurring": metered}).error
        assert error["message"] == "Deadheat does not model `recurring[usage_type]=metered`."
        error = send(account, "POST", "/v1/prices", {**asked, "tiers_mode": "volume"}).error
        assert error["param"] == "tiers_mode"


@pytest.mark.fidelity("A customer's card pays for nobody else, and a detached one for nobody")
class TestWhoseCardItIs:
    def test_of_two_customers_of_one_person_the_other_does_not_pay(self) -> None:
        account = new_account()
        mine, other = (customer_with(account) for _ in range(2))
        card = send(account, "GET", f"/v1/customers/{mine}/payment_methods").json["data"][0]["id"]
        asked = {"amount": 500, "currency": "usd", "payment_method": card, "confirm": True}
        for customer, words in (
            ({}, "Please include the Customer"),
            ({"customer": other}, "does not belong"),
        ):
            for path in ("/v1/payment_intents", "/v1/setup_intents"):
                said = asked if "payment" in path else {"payment_method": card, "confirm": True}
                error = send(account, "POST", path, {**said, **customer}).error
                assert (error["param"], words in error["message"]) == ("payment_method", True)
        waits = intent(account, customer=other)["id"]
        for path in (f"/v1/payment_intents/{waits}", f"/v1/payment_intents/{waits}/confirm"):
            assert send(account, "POST", path, {"payment_method": card}).status == 400
        assert (
            send(account, "POST", "/v1/payment_intents", {**asked, "customer": mine}).json["status"]
            == "succeeded"
        )

    def test_a_card_that_was_detached(self) -> None:
        account = new_account()
        mine = customer_with(account)
        card = send(account, "GET", f"/v1/customers/{mine}/payment_methods").json["data"][0]["id"]
        send(account, "POST", f"/v1/payment_methods/{card}/detach")
        asked = {"amount": 500, "currency": "usd", "customer": mine, "payment_method": card}
        assert "may not be used again" in send(account, "POST", "/v1/payment_intents", asked).error["message"]

    def test_what_is_said_of_a_card_is_kept(self) -> None:
        account = new_account()
        asked = {
            "type": "card",
            "card": {"token": "tok_visa"},
            "billing_details": {"email": "ada@example.test"},
        }
        card = send(account, "POST", "/v1/payment_methods", asked).json
        assert card["billing_details"]["email"] == "ada@example.test"
        path = f"/v1/payment_methods/{card['id']}"
        send(account, "POST", f"{path}/attach", {"customer": customer_with(account)})
        said = {"billing_details": {"name": "Ada"}, "card": {"exp_year": 2040}}
        now = send(account, "POST", path, said).json
        assert now["billing_details"] == {**card["billing_details"], "name": "Ada"}
        assert (now["card"]["exp_year"], now["card"]["last4"]) == (2040, "4242")
        assert last_event(account, "payment_method.updated")["data"]["previous_attributes"] == {
            "billing_details": {"name": None},
            "card": {"exp_year": 2034},
        }
