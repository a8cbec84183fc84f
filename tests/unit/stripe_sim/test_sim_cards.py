"""Test cards: what each does when it is attached and when it is charged, and payments by themselves."""

from __future__ import annotations

import pytest
from billing_stage import customer_with, subscribe
from sim_client import checkout, event_types, new_account, send

from deadheat.errors import ActRefused

FAILED = ("charge.failed", "payment_intent.payment_failed")
DECLINES = [
    ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
    ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
    ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
    ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
    ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
    ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
    ("pm_card_visa_chargeDeclinedVelocityLimitExceeded", "card_declined", "card_velocity_exceeded"),
    ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
]


@pytest.mark.fidelity("Faults by rule or by step: declines by test card, with code and decline_code")
@pytest.mark.parametrize(("card", "code", "decline_code"), DECLINES)
def test_a_declined_payment(card: str, code: str, decline_code: str) -> None:
    account = new_account()
    asked = {"amount": 500, "currency": "usd", "payment_method": card, "confirm": True}
    answer = send(account, "POST", "/v1/payment_intents", asked)
    assert (answer.status, answer.error["type"]) == (402, "card_error")
    assert (answer.error["code"], answer.error["decline_code"]) == (code, decline_code)
    intent = answer.error["payment_intent"]
    assert (intent["status"], intent["last_payment_error"]["code"]) == ("requires_payment_method", code)
    charge = send(account, "GET", f"/v1/charges/{answer.error['charge']}").json
    assert (charge["status"], charge["failure_code"], charge["amount_captured"]) == ("failed", code, 0)
    assert event_types(account) == ["payment_intent.created", *FAILED]
    assert send(account, "POST", "/v1/refunds", {"charge": charge["id"]}).status == 400
    paid = send(
        account, "POST", f"/v1/payment_intents/{intent['id']}/confirm", {"payment_method": "pm_card_visa"}
    )
    assert (paid.json["status"], paid.json["last_payment_error"]) == ("succeeded", None)
    again = send(account, "POST", f"/v1/payment_intents/{intent['id']}/confirm")
    assert again.error["code"] == "payment_intent_unexpected_state"


@pytest.mark.fidelity(
    "A declined payment under a key: the 402 is stored and replayed, the card not charged again"
)
def test_a_decline_is_kept_under_its_key() -> None:
    account = new_account()
    asked = {"amount": 500, "currency": "usd", "payment_method": "pm_card_chargeDeclined", "confirm": True}
    first = send(account, "POST", "/v1/payment_intents", asked, key="k")
    again = send(account, "POST", "/v1/payment_intents", asked, key="k")
    assert (first.status, again.raw) == (402, first.raw)
    assert again.headers["idempotent-replayed"] == "true"
    assert len(send(account, "GET", "/v1/charges").json["data"]) == 1


@pytest.mark.fidelity("A test card that is declined when charged is declined when attached, but for one")
@pytest.mark.parametrize("card", [card for card, _, _ in DECLINES[:-1]])
def test_a_card_that_cannot_be_attached(card: str) -> None:
    account = new_account()
    customer = customer_with(account, None)
    attach = send(account, "POST", f"/v1/payment_methods/{card}/attach", {"customer": customer})
    assert attach.status == 402
    create = send(account, "POST", "/v1/customers", {"payment_method": card})
    assert (create.status, len(account.made_since(0).customers)) == (402, 1)
    listed = send(account, "GET", f"/v1/customers/{customer}/payment_methods").json["data"]
    assert listed == []


def test_the_card_that_fails_once_it_is_attached() -> None:
    account = new_account()
    customer = customer_with(account, "pm_card_chargeCustomerFail")
    (card,) = send(account, "GET", "/v1/payment_methods", {"customer": customer}).json["data"]
    assert card["card"]["last4"] == "0341"
    assert subscribe(account, customer).json["status"] == "incomplete"


@pytest.mark.fidelity("Payment methods are attached, listed, detached, and not used again")
def test_attach_list_detach() -> None:
    account = new_account()
    customer, other = customer_with(account, None), customer_with(account, None)
    card = send(account, "POST", "/v1/payment_methods/pm_card_visa/attach", {"customer": customer}).json
    assert card["id"] != "pm_card_visa"
    path = f"/v1/payment_methods/{card['id']}"
    assert send(account, "POST", f"{path}/attach", {"customer": other}).status == 400
    assert send(account, "GET", f"/v1/customers/{customer}/payment_methods/{card['id']}").json == card
    assert send(account, "GET", f"/v1/customers/{other}/payment_methods/{card['id']}").status == 404
    default = {"invoice_settings": {"default_payment_method": card["id"]}}
    assert send(account, "POST", f"/v1/customers/{other}", default).status == 400
    assert send(account, "POST", f"/v1/customers/{customer}", default).status == 200
    expanded = send(
        account, "GET", f"/v1/customers/{customer}", {"expand": ["invoice_settings.default_payment_method"]}
    ).json
    assert expanded["invoice_settings"]["default_payment_method"]["card"]["brand"] == "visa"
    assert send(account, "POST", f"{path}/detach").json["customer"] is None
    assert send(account, "POST", f"{path}/detach").status == 400
    assert send(account, "POST", f"{path}/attach", {"customer": customer}).status == 400
    assert subscribe(account, customer).error["code"] == "resource_missing"
    assert event_types(account)[2:] == [
        "payment_method.attached",
        "customer.updated",
        "payment_method.detached",
    ]


def test_a_card_by_number_or_token() -> None:
    account = new_account()
    for card, last4 in (({"number": "5555555555554444"}, "4444"), ({"token": "tok_visa"}, "4242")):
        asked = {"type": "card", "card": {**card, "exp_month": 3, "exp_year": 2031}}
        made = send(account, "POST", "/v1/payment_methods", asked).json["card"]
        assert (made["last4"], made["exp_month"], made["exp_year"]) == (last4, 3, 2031)
    wrong = send(account, "POST", "/v1/payment_methods", {"type": "card", "card": {"number": "1"}})
    assert (wrong.status, wrong.error["code"]) == (402, "incorrect_number")
    assert send(account, "POST", "/v1/payment_methods", {"type": "card"}).error["param"] == "card"


@pytest.mark.fidelity("Checkout: a declined card leaves the session open, to be paid with another")
@pytest.mark.parametrize("mode", ["subscription", "payment"])
def test_a_declined_checkout_stays_open(mode: str) -> None:
    account = new_account()
    data = {"currency": "usd", "unit_amount": 700, "product_data": {"name": "Book"}}
    params = {"mode": mode, "line_items": [{"price_data": data, "quantity": 1}]} if mode == "payment" else {}
    session = checkout(account, customer_email="ada@example.test", **params)
    with pytest.raises(ActRefused, match="insufficient funds"):
        account.complete_session(session["id"], card="pm_card_chargeDeclinedInsufficientFunds")
    assert event_types(account) == ["payment_intent.created", *FAILED]
    assert send(account, "GET", f"/v1/checkout/sessions/{session['id']}").json["status"] == "open"
    assert account.made_since(0).customers == account.made_since(0).subscriptions == ()
    assert account.complete_session(session["id"])["payment_status"] == "paid"
    with pytest.raises(ActRefused, match="no test card"):
        account.complete_session(checkout(account)["id"], card="pm_card_unheard_of")


def test_an_intent_waits_and_is_canceled() -> None:
    account = new_account()
    asked = {"amount": 500, "currency": "usd", "payment_method": "pm_card_visa", "metadata": {"a": "1"}}
    intent = send(account, "POST", "/v1/payment_intents", asked).json
    assert (intent["status"], intent["metadata"]) == ("requires_confirmation", {"a": "1"})
    path = f"/v1/payment_intents/{intent['id']}"
    assert send(account, "POST", f"{path}/cancel").json["status"] == "canceled"
    assert send(account, "POST", f"{path}/confirm").status == 400
    assert send(account, "POST", f"{path}/cancel").status == 400
    bare = send(account, "POST", "/v1/payment_intents", {"amount": 500, "currency": "usd"}).json
    assert send(account, "POST", f"/v1/payment_intents/{bare['id']}/confirm").status == 400
    assert send(account, "POST", "/v1/refunds", {"payment_intent": bare["id"]}).status == 400
