"""Setup intents: cards saved without a charge, by themselves, by a checkout session, for a trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from billing_stage import customer_with, subscribe, subscription
from sim_client import Answer, checkout, event_types, last_event, new_account, send

from deadheat.errors import ActRefused
from deadheat.stripe_sim.clock import DAY

if TYPE_CHECKING:
    from deadheat.stripe_sim import Account

ASKS = "pm_card_authenticationRequired"
UNTIL_SET_UP = "pm_card_authenticationRequiredOnSetup"
SAVED = ["payment_method.attached", "setup_intent.succeeded"]


def post(account: Account, path: str = "", **params: Any) -> Answer:
    return send(account, "POST", f"/v1/setup_intents{path}", params)


class TestApi:
    @pytest.mark.fidelity("Subscriptions and money: a setup intent attaches a card without a charge")
    def test_it_saves_a_card(self) -> None:
        account = new_account()
        customer = customer_with(account, None)
        mark = account.mark()
        made = post(account, customer=customer, metadata={"user": "u1"}).json
        assert (made["status"], made["usage"]) == ("requires_payment_method", "off_session")
        assert made["client_secret"].startswith(f"{made['id']}_secret_")
        done = post(account, f"/{made['id']}/confirm", payment_method="pm_card_visa").json
        assert (done["status"], done["metadata"]) == ("succeeded", {"user": "u1"})
        assert event_types(account, mark) == ["setup_intent.created", *SAVED]
        card = send(account, "GET", f"/v1/payment_methods/{done['payment_method']}").json
        assert card["customer"] == customer
        assert send(account, "GET", "/v1/charges").json["data"] == []

    def test_it_is_created_and_confirmed_at_once_or_step_by_step(self) -> None:
        account = new_account()
        assert post(account, payment_method="pm_card_visa", confirm=True).json["status"] == "succeeded"
        chosen = post(account, payment_method="pm_card_visa").json
        assert chosen["status"] == "requires_confirmation"
        assert post(account, f"/{chosen['id']}/confirm").json["status"] == "succeeded"
        bare = post(account).json["id"]
        refused = post(account, f"/{bare}/confirm")
        assert (refused.status, refused.error["code"]) == (400, "setup_intent_unexpected_state")
        changed = post(account, f"/{bare}", payment_method="pm_card_visa", description="For later").json
        assert (changed["status"], changed["description"]) == ("requires_confirmation", "For later")

    @pytest.mark.fidelity(
        "Subscriptions and money: a setup intent that asks for the customer, passed or failed"
    )
    def test_the_customer_is_asked(self) -> None:
        account = new_account()
        customer = customer_with(account, None)
        waits = post(account, customer=customer, payment_method=ASKS, confirm=True).json
        assert (waits["status"], waits["next_action"]["type"]) == ("requires_action", "use_stripe_sdk")
        mark = account.mark()
        failed = account.authenticate(waits["id"], fails=True)
        assert (failed["status"], failed["payment_method"]) == ("requires_payment_method", None)
        assert failed["last_setup_error"]["code"] == "setup_intent_authentication_failure"
        post(account, f"/{waits['id']}/confirm", payment_method=ASKS)
        done = account.authenticate(waits["id"])
        assert (done["status"], done["next_action"], done["last_setup_error"]) == ("succeeded", None, None)
        assert event_types(account, mark) == [
            *("setup_intent.setup_failed", "setup_intent.requires_action", *SAVED)
        ]

    @pytest.mark.fidelity("Subscriptions and money: a declined card at a setup intent: 402, setup_failed")
    def test_a_declined_card_is_not_saved(self) -> None:
        account = new_account()
        refused = post(account, payment_method="pm_card_chargeDeclined", confirm=True)
        assert (refused.status, refused.error["code"]) == (402, "card_declined")
        now = refused.error["setup_intent"]
        assert (now["status"], now["last_setup_error"]["code"]) == (
            "requires_payment_method",
            "card_declined",
        )
        assert event_types(account) == ["setup_intent.created", "setup_intent.setup_failed"]
        kept = post(account, payment_method="pm_card_chargeCustomerFail", confirm=True).json
        assert kept["status"] == "succeeded"

    @pytest.mark.fidelity("Subscriptions and money: a card set up is charged while its customer is away")
    @pytest.mark.parametrize(("usage", "status"), [("off_session", "active"), ("on_session", "incomplete")])
    def test_a_card_that_was_set_up_pays_off_session(self, usage: str, status: str) -> None:
        account = new_account()
        customer = customer_with(account, None)
        asked = {"customer": customer, "payment_method": UNTIL_SET_UP, "confirm": True, "usage": usage}
        card = account.authenticate(post(account, **asked).json["id"])["payment_method"]
        made = subscribe(account, customer, default_payment_method=card, off_session=True).json
        assert made["status"] == status

    def test_a_card_that_is_set_up_elsewhere_does_not_ask(self) -> None:
        account = new_account()
        card = "pm_card_authenticationRequiredSetupForOffSession"
        assert post(account, payment_method=card, confirm=True).json["status"] == "succeeded"

    def test_it_is_canceled_once(self) -> None:
        account = new_account()
        made = post(account).json["id"]
        over = post(account, f"/{made}/cancel", cancellation_reason="duplicate").json
        assert (over["status"], over["cancellation_reason"]) == ("canceled", "duplicate")
        assert event_types(account) == ["setup_intent.created", "setup_intent.canceled"]
        for path in ("confirm", "cancel"):
            refused = post(account, f"/{made}/{path}")
            assert (refused.status, refused.error["code"]) == (400, "setup_intent_unexpected_state")

    def test_those_of_a_customer_are_listed(self) -> None:
        account = new_account()
        customer = customer_with(account, None)
        made = [post(account, **asked).json["id"] for asked in ({"customer": customer}, {}, {})]
        listed = send(account, "GET", "/v1/setup_intents", {"customer": customer}).json["data"]
        assert [found["id"] for found in listed] == made[:1]
        listed = send(account, "GET", "/v1/setup_intents", {"limit": 2}).json
        assert ([found["id"] for found in listed["data"]], listed["has_more"]) == (made[:0:-1], True)
        shown = send(account, "GET", f"/v1/setup_intents/{made[0]}", {"expand": ["customer"]}).json
        assert shown["customer"]["id"] == customer

    def test_nobody_saves_the_card_of_somebody_else(self) -> None:
        account = new_account()
        customer = customer_with(account, "pm_card_visa")
        cards = send(account, "GET", f"/v1/customers/{customer}/payment_methods").json["data"]
        other = customer_with(account, None)
        refused = post(account, customer=other, payment_method=cards[0]["id"], confirm=True)
        assert (refused.status, refused.error["param"]) == (400, "payment_method")


class TestCheckout:
    @pytest.mark.fidelity("Checkout: a session in setup mode saves a card, and no money moves")
    def test_a_session_saves_a_card(self) -> None:
        account = new_account()
        customer = customer_with(account, None)
        data = {"metadata": {"user": "u1"}}
        session = checkout(account, mode="setup", line_items=[], customer=customer, setup_intent_data=data)
        assert (session["amount_total"], session["payment_status"]) == (None, "no_payment_required")
        waits = send(account, "GET", f"/v1/setup_intents/{session['setup_intent']}").json
        assert (waits["status"], waits["metadata"]) == ("requires_payment_method", {"user": "u1"})
        assert post(account, f"/{waits['id']}/cancel").status == 400
        mark = account.mark()
        done = account.complete_session(session["id"], card=ASKS)
        assert (done["status"], done["subscription"], done["payment_intent"]) == ("complete", None, None)
        assert event_types(account, mark) == [
            *("setup_intent.requires_action", *SAVED, "checkout.session.completed")
        ]
        told = last_event(account, "checkout.session.completed")["data"]["object"]
        saved = send(account, "GET", f"/v1/setup_intents/{told['setup_intent']}").json
        card = send(account, "GET", f"/v1/payment_methods/{saved['payment_method']}").json
        assert (saved["status"], card["customer"]) == ("succeeded", customer)

    def test_a_declined_card_leaves_it_open_and_its_end_cancels(self) -> None:
        account = new_account()
        session = checkout(account, mode="setup", line_items=[], currency="usd")
        with pytest.raises(ActRefused, match="still open"):
            account.complete_session(session["id"], card="pm_card_chargeDeclined")
        assert event_types(account)[-1] == "setup_intent.setup_failed"
        account.tick(DAY)
        assert event_types(account)[-2:] == ["checkout.session.expired", "setup_intent.canceled"]

    def test_who_is_new_becomes_a_customer_if_asked_for(self) -> None:
        account = new_account()
        session = checkout(account, mode="setup", line_items=[], customer_creation="always")
        done = account.complete_session(session["id"], email="new@example.test")
        saved = send(account, "GET", f"/v1/setup_intents/{done['setup_intent']}").json
        assert saved["customer"] == done["customer"] is not None

    def test_what_belongs_to_other_modes_is_refused(self) -> None:
        account = new_account()
        asked = {"mode": "setup", "success_url": "https://app.test/done"}
        item = {"price_data": {"currency": "usd", "unit_amount": 1}, "quantity": 1}
        for more in ({"line_items": [item]}, {"subscription_data": {"description": "x"}}):
            assert send(account, "POST", "/v1/checkout/sessions", {**asked, **more}).status == 400
        paid = {**asked, "mode": "payment", "line_items": [item], "setup_intent_data": {"description": "x"}}
        assert send(account, "POST", "/v1/checkout/sessions", paid).status == 400


@pytest.mark.fidelity(
    "A trial that begins without a card has a pending_setup_intent, with default_incomplete"
)
def test_a_trial_waits_for_its_card() -> None:
    account = new_account()
    customer = customer_with(account, None)
    made = subscribe(
        account,
        customer,
        trial_period_days=7,
        payment_behavior="default_incomplete",
        payment_settings={"save_default_payment_method": "on_subscription"},
        expand=["pending_setup_intent"],
    ).json
    waits = made["pending_setup_intent"]
    assert (made["status"], waits["status"]) == ("trialing", "requires_payment_method")
    done = post(account, f"/{waits['id']}/confirm", payment_method="pm_card_visa").json
    now = subscription(account, made["id"])
    assert (now["pending_setup_intent"], now["default_payment_method"]) == (None, done["payment_method"])
    assert last_event(account, "customer.subscription.updated")["data"]["previous_attributes"] == {
        "default_payment_method": None,
        "pending_setup_intent": waits["id"],
    }
    assert account.renew_subscription(made["id"])["status"] == "active"


def test_a_subscription_that_has_ended_keeps_no_card() -> None:
    account = new_account()
    asked = {"trial_period_days": 7, "payment_behavior": "default_incomplete"}
    made = subscribe(account, customer_with(account, None), **asked).json
    send(account, "DELETE", f"/v1/subscriptions/{made['id']}")
    post(account, f"/{made['pending_setup_intent']}/confirm", payment_method="pm_card_visa")
    assert event_types(account)[-2:] == SAVED


def test_a_card_is_the_default_where_the_subscription_says_so_and_asked_for_where_there_is_none() -> None:
    account = new_account()
    asked = {"trial_period_days": 7, "payment_behavior": "default_incomplete"}
    made = subscribe(account, customer_with(account, None), **asked).json
    post(account, f"/{made['pending_setup_intent']}/confirm", payment_method="pm_card_visa")
    now = subscription(account, made["id"])
    assert (now["pending_setup_intent"], now["default_payment_method"]) == (None, None)
    assert subscribe(account, customer_with(account), **asked).json["pending_setup_intent"] is None
