"""Cards that ask for their customer (3-D Secure): payments, first invoices, renewals, and the challenge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from billing_stage import customer_with, intent_of, latest_invoice, statuses, subscribe, subscription
from sim_client import checkout, event_types, last_event, new_account, send, subscribed

from deadheat.errors import ActRefused

if TYPE_CHECKING:
    from deadheat.stripe_sim import Account

ASKS = "pm_card_authenticationRequired"
UNTIL_SET_UP = "pm_card_authenticationRequiredOnSetup"
SET_UP = "pm_card_authenticationRequiredSetupForOffSession"
ASKED = "payment_intent.requires_action"
UNPAID = ["invoice.payment_failed", "invoice.payment_action_required"]
PAID = ["invoice.paid", "invoice.payment_succeeded"]


def pay(account: Account, card: str, **params: Any) -> Any:
    asked = {"amount": 500, "currency": "usd", "payment_method": card, "confirm": True, **params}
    return send(account, "POST", "/v1/payment_intents", asked)


def intent(account: Account, name: str) -> dict[str, Any]:
    return dict(send(account, "GET", f"/v1/payment_intents/{name}").json)


class TestPayment:
    @pytest.mark.fidelity("Subscriptions and money: a payment that asks for the customer is requires_action")
    @pytest.mark.parametrize("card", [ASKS, UNTIL_SET_UP, SET_UP, "pm_card_threeDSecure2Required"])
    def test_nothing_is_charged_before_the_customer_has_passed(self, card: str) -> None:
        account = new_account()
        waits = pay(account, card).json
        assert (waits["status"], waits["next_action"]["type"]) == ("requires_action", "use_stripe_sdk")
        assert (waits["latest_charge"], waits["payment_method"][:3]) == (None, "pm_")
        assert event_types(account) == ["payment_intent.created", ASKED]
        assert last_event(account, ASKED)["data"]["object"]["next_action"] == waits["next_action"]
        mark = account.mark()
        paid = account.authenticate(waits["id"])
        assert (paid["status"], paid["amount_received"], paid["next_action"]) == ("succeeded", 500, None)
        assert event_types(account, mark) == ["charge.succeeded", "payment_intent.succeeded"]

    @pytest.mark.fidelity("Subscriptions and money: a challenge that fails wants another payment method")
    def test_a_failed_challenge_wants_another_card(self) -> None:
        account = new_account()
        waits = pay(account, ASKS).json["id"]
        mark = account.mark()
        failed = account.authenticate(waits, fails=True)
        assert (failed["status"], failed["payment_method"]) == ("requires_payment_method", None)
        assert failed["last_payment_error"]["code"] == "payment_intent_authentication_failure"
        assert event_types(account, mark) == ["payment_intent.payment_failed"]
        assert send(account, "GET", "/v1/charges").json["data"] == []
        asked = {"payment_method": "pm_card_visa"}
        paid = send(account, "POST", f"/v1/payment_intents/{waits}/confirm", asked).json
        assert (paid["status"], paid["last_payment_error"]) == ("succeeded", None)

    def test_what_was_refused_before_is_forgotten_when_another_card_asks(self) -> None:
        account = new_account()
        refused = pay(account, "pm_card_chargeDeclined").error["payment_intent"]
        path = f"/v1/payment_intents/{refused['id']}"
        waits = send(account, "POST", f"{path}/confirm", {"payment_method": ASKS}).json
        assert refused["last_payment_error"]["code"] == "card_declined"
        assert (waits["status"], waits["last_payment_error"]) == ("requires_action", None)
        other = send(account, "POST", path, {"payment_method": "pm_card_visa"}).json
        assert (other["status"], other["next_action"]) == ("requires_confirmation", None)

    def test_what_an_invoice_asks_for_is_not_changed_in_its_payment(self) -> None:
        account = new_account()
        made = subscribe(account, customer_with(account), payment_behavior="default_incomplete").json
        intent_id = intent_of(latest_invoice(account, made["id"]))
        refused = send(account, "POST", f"/v1/payment_intents/{intent_id}", {"amount": 5})
        assert (refused.status, refused.error["param"]) == (400, "amount")
        assert intent(account, intent_id)["amount"] == 2000

    def test_the_customer_goes_where_the_call_says(self) -> None:
        action = pay(new_account(), ASKS, return_url="https://app.test/back").json["next_action"]
        assert action["type"] == "redirect_to_url"
        assert action["redirect_to_url"]["return_url"] == "https://app.test/back"

    @pytest.mark.fidelity("Errors: off_session, a card that asks is declined: 402 authentication_required")
    def test_who_is_not_there_is_declined(self) -> None:
        account = new_account()
        refused = pay(account, ASKS, off_session=True)
        assert (refused.status, refused.error["code"]) == (402, "authentication_required")
        now = refused.error["payment_intent"]
        assert (now["status"], now["next_action"]) == ("requires_payment_method", None)
        assert event_types(account)[1:] == ["charge.failed", "payment_intent.payment_failed"]
        path = f"/v1/payment_intents/{now['id']}/confirm"
        waits = send(account, "POST", path, {"payment_method": ASKS}).json
        assert waits["status"] == "requires_action"
        assert account.authenticate(now["id"])["status"] == "succeeded"

    @pytest.mark.fidelity(
        "Subscriptions and money: a card set up with a payment is charged off_session later"
    )
    @pytest.mark.parametrize(("card", "later"), [(UNTIL_SET_UP, 200), (ASKS, 402)])
    def test_a_payment_sets_its_card_up(self, card: str, later: int) -> None:
        account = new_account()
        customer = customer_with(account, None)
        first = pay(account, card, customer=customer, setup_future_usage="off_session").json
        account.authenticate(first["id"])
        kept = intent(account, first["id"])["payment_method"]
        assert send(account, "GET", f"/v1/payment_methods/{kept}").json["customer"] == customer
        assert pay(account, kept, customer=customer, off_session=True).status == later

    def test_a_card_may_be_declined_even_then(self) -> None:
        account = new_account()
        waits = pay(account, "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds").json
        now = account.authenticate(waits["id"])
        assert (now["status"], now["next_action"]) == ("requires_payment_method", None)
        assert now["last_payment_error"]["decline_code"] == "insufficient_funds"

    def test_it_can_be_given_another_card_or_be_canceled(self) -> None:
        account = new_account()
        first, second = (pay(account, ASKS).json["id"] for _ in range(2))
        asked = {"payment_method": "pm_card_visa"}
        paid = send(account, "POST", f"/v1/payment_intents/{first}/confirm", asked).json
        assert (paid["status"], paid["next_action"]) == ("succeeded", None)
        over = send(account, "POST", f"/v1/payment_intents/{second}/cancel").json
        assert (over["status"], over["next_action"]) == ("canceled", None)
        mark = account.mark()
        for name in (first, second, "pi_nowhere"):
            with pytest.raises(ActRefused, match="nothing to authenticate"):
                account.authenticate(name)
        assert account.mark() == mark


class TestFirstInvoice:
    @pytest.mark.fidelity("A first invoice that asks for the customer leaves the subscription incomplete")
    def test_the_subscription_waits_for_the_customer(self) -> None:
        account = new_account()
        customer = customer_with(account, ASKS)
        mark = account.mark()
        made = subscribe(account, customer).json
        assert made["status"] == "incomplete"
        assert event_types(account, mark) == [
            *("payment_intent.created", ASKED, "customer.subscription.created", "invoice.created"),
            *("invoice.finalized", *UNPAID),
        ]
        invoice = latest_invoice(account, made["id"])
        assert (invoice["status"], invoice["attempted"], invoice["attempt_count"]) == ("open", True, 1)
        mark = account.mark()
        account.authenticate(intent_of(invoice))
        assert statuses(account, made["id"], mark) == [("active", "incomplete")]
        assert event_types(account, mark)[:5] == [
            *("charge.succeeded", "payment_intent.succeeded", "customer.subscription.updated"),
            *PAID,
        ]

    def test_a_failed_challenge_leaves_it_incomplete(self) -> None:
        account = new_account()
        made = subscribe(account, customer_with(account, ASKS)).json["id"]
        mark = account.mark()
        account.authenticate(intent_of(latest_invoice(account, made)), fails=True)
        assert event_types(account, mark) == ["payment_intent.payment_failed", "invoice.payment_failed"]
        assert subscription(account, made)["status"] == "incomplete"
        assert latest_invoice(account, made)["attempt_count"] == 1

    @pytest.mark.fidelity("error_if_incomplete: a card that asks for the customer is a 402 and makes nothing")
    def test_error_if_incomplete(self) -> None:
        account = new_account()
        asked = {"payment_behavior": "error_if_incomplete"}
        answer = subscribe(account, customer_with(account, ASKS), **asked)
        code = "subscription_payment_intent_requires_action"
        assert (answer.status, answer.error["code"]) == (402, code)
        assert account.made_since(0).subscriptions == ()

    def test_the_browser_confirms_and_authenticates(self) -> None:
        account = new_account()
        customer = customer_with(account, None)
        saved = {"save_default_payment_method": "on_subscription"}
        asked = {"payment_behavior": "default_incomplete", "payment_settings": saved}
        made = subscribe(account, customer, **asked).json["id"]
        name = intent_of(latest_invoice(account, made))
        path = f"/v1/payment_intents/{name}/confirm"
        waits = send(account, "POST", path, {"payment_method": UNTIL_SET_UP})
        assert (waits.status, waits.json["status"]) == (200, "requires_action")
        card = send(account, "GET", f"/v1/payment_methods/{waits.json['payment_method']}").json
        assert (subscription(account, made)["status"], card["customer"]) == ("incomplete", None)
        account.authenticate(name)
        now = subscription(account, made)
        assert (now["status"], now["default_payment_method"][:3]) == ("active", "pm_")
        assert account.renew_subscription(made)["status"] == "active"

    @pytest.mark.fidelity("Checkout: a card that asks for the customer has them on the page")
    @pytest.mark.parametrize("mode", ["subscription", "payment"])
    def test_the_page_has_the_customer_there(self, mode: str) -> None:
        account = new_account()
        price = {"currency": "usd", "unit_amount": 700, "product_data": {"name": "Mug"}}
        item = {"price_data": price, "quantity": 1}
        session = checkout(
            account, **({} if mode == "subscription" else {"mode": mode, "line_items": [item]})
        )
        mark = account.mark()
        assert (
            account.complete_session(session["id"], email="a@example.test", card=ASKS)["status"] == "complete"
        )
        types = event_types(account, mark)
        order = ["payment_intent.created", ASKED, "charge.succeeded", "payment_intent.succeeded"]
        assert [t for t in types if t in order] == order
        assert types[-1] == "checkout.session.completed"

    def test_the_page_sets_the_card_of_a_trial_up(self) -> None:
        account = new_account()
        customer = customer_with(account, None)
        session = checkout(account, customer=customer, subscription_data={"trial_period_days": 7})
        made = account.complete_session(session["id"], card=UNTIL_SET_UP)["subscription"]
        assert account.renew_subscription(made)["status"] == "active"


class TestRenewal:
    @pytest.mark.fidelity("A renewal that asks for the customer: invoice.payment_action_required, past_due")
    def test_it_is_past_due_until_the_customer_has_passed(self) -> None:
        account = new_account()
        made = subscribe(account, customer_with(account, ASKS)).json["id"]
        account.authenticate(intent_of(latest_invoice(account, made)))
        mark = account.mark()
        assert account.renew_subscription(made)["status"] == "past_due"
        assert event_types(account, mark) == [
            *("customer.subscription.updated", "invoice.created", "payment_intent.created"),
            *("invoice.finalized", ASKED, *UNPAID, "customer.subscription.updated"),
        ]
        name = intent_of(latest_invoice(account, made))
        path = f"/v1/invoices/{latest_invoice(account, made)['id']}/pay"
        refused = send(account, "POST", path)
        code = "invoice_payment_intent_requires_action"
        assert (refused.status, refused.error["code"]) == (402, code)
        assert refused.error["payment_intent"]["id"] == name
        mark = account.mark()
        account.authenticate(name)
        assert statuses(account, made, mark) == [("active", "past_due")]
        assert latest_invoice(account, made)["status"] == "paid"

    def test_a_card_that_was_set_up_asks_no_more(self) -> None:
        account = new_account()
        made = subscribe(account, customer_with(account, UNTIL_SET_UP)).json["id"]
        account.authenticate(intent_of(latest_invoice(account, made)))
        assert account.renew_subscription(made)["status"] == "active"

    def test_a_card_set_up_elsewhere_pays_off_session(self) -> None:
        account = new_account()
        assert subscribe(account, customer_with(account, SET_UP), off_session=True).json["status"] == "active"

    @pytest.mark.fidelity("Any card's bank may ask for the customer at a renewal: authentication_required")
    def test_the_bank_of_any_card_may_ask(self) -> None:
        account = new_account()
        made = subscribed(account)["subscription"]
        after = account.renew_subscription(made, decline="authentication_required")
        assert after["status"] == "past_due"
        name = intent_of(latest_invoice(account, made))
        assert intent(account, name)["status"] == "requires_action"
        assert account.authenticate(name)["status"] == "succeeded"
        assert subscription(account, made)["status"] == "active"

    def test_another_attempt_pays_what_has_waited(self) -> None:
        account = new_account()
        made = subscribed(account)["subscription"]
        account.renew_subscription(made, decline="authentication_required")
        assert account.retry_payment(made)["status"] == "active"
        paid = intent(account, intent_of(latest_invoice(account, made)))
        assert (paid["status"], paid["next_action"]) == ("succeeded", None)

    def test_nobody_answers_for_a_customer_who_is_gone(self) -> None:
        account = new_account()
        made = subscribed(account)["subscription"]
        account.renew_subscription(made, decline="authentication_required")
        invoice = latest_invoice(account, made)
        send(account, "DELETE", f"/v1/customers/{invoice['customer']}")
        mark = account.mark()
        with pytest.raises(ActRefused, match="No such customer"):
            account.authenticate(intent_of(invoice))
        assert account.mark() == mark

    def test_an_ended_one_leaves_nothing_to_authenticate(self) -> None:
        account = new_account()
        made = subscribe(account, customer_with(account, ASKS)).json["id"]
        name = intent_of(latest_invoice(account, made))
        send(account, "DELETE", f"/v1/subscriptions/{made}")
        assert intent(account, name)["status"] == "canceled"
        with pytest.raises(ActRefused, match="is canceled"):
            account.authenticate(name)


def test_who_pays_by_the_page_of_an_invoice_passes_what_is_asked() -> None:
    account = new_account()
    made = subscribe(account, customer_with(account, "pm_card_chargeCustomerFail")).json
    account.pay_invoice(made["latest_invoice"], card=ASKS)
    assert subscription(account, made["id"])["status"] == "active"
