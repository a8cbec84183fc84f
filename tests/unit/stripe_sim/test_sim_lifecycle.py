"""The life of a subscription: how it starts, what unpaid renewals do to it, pauses and ends."""

from __future__ import annotations

import pytest
from billing_stage import (
    customer_with,
    intent_of,
    latest_invoice,
    priced,
    statuses,
    subscribe,
    subscription,
)
from sim_client import START, event_types, last_event, new_account, send, subscribed

from deadheat.errors import ActRefused
from deadheat.stripe_sim import MONTHLY, YEARLY, Dunning
from deadheat.stripe_sim.clock import DAY, HOUR, later


class TestStart:
    @pytest.mark.fidelity("Subscriptions and money: created through the API with a card, it is paid at once")
    def test_one_that_is_paid_is_active_from_the_beginning(self) -> None:
        account = new_account()
        customer = customer_with(account)
        mark = account.mark()
        made = subscribe(account, customer, metadata={"user_id": "u1"}).json
        assert (made["status"], made["metadata"]) == ("active", {"user_id": "u1"})
        assert event_types(account, mark) == [
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
            "customer.subscription.created",
            "invoice.created",
            "invoice.finalized",
            "invoice.paid",
            "invoice.payment_succeeded",
        ]
        invoice = latest_invoice(account, made["id"])
        assert (invoice["status"], invoice["amount_paid"], invoice["attempt_count"]) == ("paid", 2000, 1)
        assert all(e["request"]["id"] for e in account.made_since(mark).events)

    @pytest.mark.fidelity("Subscriptions and money: a subscription whose first payment fails is incomplete")
    def test_one_whose_card_is_declined_is_incomplete(self) -> None:
        account = new_account()
        customer = customer_with(account, "pm_card_chargeCustomerFail")
        mark = account.mark()
        answer = subscribe(account, customer)
        assert (answer.status, answer.json["status"]) == (200, "incomplete")
        assert event_types(account, mark) == [
            "payment_intent.created",
            "charge.failed",
            "payment_intent.payment_failed",
            "customer.subscription.created",
            "invoice.created",
            "invoice.finalized",
            "invoice.payment_failed",
        ]
        invoice = latest_invoice(account, answer.json["id"])
        assert (invoice["status"], invoice["amount_remaining"], invoice["attempted"]) == ("open", 2000, True)
        assert invoice["next_payment_attempt"] is None

    @pytest.mark.fidelity("payment_behavior=error_if_incomplete: a declined card is a 402 and makes nothing")
    def test_error_if_incomplete_makes_none(self) -> None:
        account = new_account()
        customer = customer_with(account, "pm_card_chargeCustomerFail")
        answer = subscribe(account, customer, payment_behavior="error_if_incomplete")
        assert (answer.status, answer.error["code"]) == (402, "card_declined")
        assert account.made_since(0).subscriptions == account.made_since(0).invoices == ()

    @pytest.mark.fidelity("payment_behavior=default_incomplete: incomplete until its intent is confirmed")
    def test_default_incomplete_waits_for_the_browser(self) -> None:
        account = new_account()
        made = subscribe(account, customer_with(account, None), payment_behavior="default_incomplete").json
        assert made["status"] == "incomplete"
        invoice = latest_invoice(account, made["id"])
        intent = intent_of(invoice)
        assert invoice["confirmation_secret"]["client_secret"].startswith(f"{intent}_secret_")
        assert not invoice["attempted"]
        path = f"/v1/payment_intents/{intent}"
        assert send(account, "GET", path).json["status"] == "requires_payment_method"
        declined = send(account, "POST", f"{path}/confirm", {"payment_method": "pm_card_chargeDeclined"})
        assert (declined.status, declined.error["payment_intent"]["id"]) == (402, intent)
        assert subscription(account, made["id"])["status"] == "incomplete"
        mark = account.mark()
        paid = send(account, "POST", f"{path}/confirm", {"payment_method": "pm_card_visa"}).json
        assert (paid["status"], paid["amount_received"]) == ("succeeded", 2000)
        assert statuses(account, made["id"], mark) == [("active", "incomplete")]
        assert latest_invoice(account, made["id"])["status"] == "paid"

    @pytest.mark.fidelity("save_default_payment_method: the card of the first payment pays the renewals")
    @pytest.mark.parametrize(("save", "status"), [("on_subscription", "active"), ("off", "past_due")])
    def test_the_first_card_is_kept_if_asked_for(self, save: str, status: str) -> None:
        account = new_account()
        params = {
            "payment_behavior": "default_incomplete",
            "payment_settings": {"save_default_payment_method": save},
        }
        made = subscribe(account, customer_with(account, None), **params).json
        path = f"/v1/payment_intents/{intent_of(latest_invoice(account, made['id']))}/confirm"
        send(account, "POST", path, {"payment_method": "pm_card_visa"})
        now = subscription(account, made["id"])
        assert (now["default_payment_method"] is not None) == (save == "on_subscription")
        assert account.renew_subscription(made["id"])["status"] == status

    def test_what_would_be_billed_wrongly_is_refused(self) -> None:
        account = new_account()
        answer = subscribe(account, customer_with(account), billing_cycle_anchor=START + DAY)
        assert (answer.status, answer.error["param"]) == (400, "billing_cycle_anchor")
        assert "does not model" in answer.error["message"]

    def test_without_a_card_none_is_made(self) -> None:
        account = new_account()
        answer = subscribe(account, customer_with(account, None))
        assert (answer.status, answer.error["code"]) == (400, "resource_missing")
        assert account.made_since(0).subscriptions == ()

    @pytest.mark.fidelity("Subscriptions and money: trialing needs no card and charges nothing")
    @pytest.mark.parametrize("how", [{"trial_period_days": 7}, {"trial_end": START + 7 * DAY}])
    def test_a_trial_needs_no_card(self, how: dict[str, int]) -> None:
        account = new_account()
        made = subscribe(account, customer_with(account, None), **how).json
        assert (made["status"], made["trial_end"]) == ("trialing", START + 7 * DAY)
        assert latest_invoice(account, made["id"])["amount_paid"] == 0
        assert "charge.succeeded" not in event_types(account)

    @pytest.mark.fidelity("Subscriptions and money: three days before a trial ends an event says so, once")
    def test_the_end_of_a_trial_is_told_three_days_before(self) -> None:
        account = new_account()
        name = subscribe(account, customer_with(account, None), trial_period_days=7).json["id"]
        told = "customer.subscription.trial_will_end"
        account.tick(4 * DAY - 1)
        assert told not in event_types(account)
        account.tick(1)
        assert event_types(account).count(told) == 1
        send(account, "POST", f"/v1/subscriptions/{name}", {"trial_end": START + 9 * DAY})
        account.tick(DAY)
        assert event_types(account).count(told) == 1, "it is longer now"
        account.tick(3 * DAY)
        assert event_types(account).count(told) == 2
        account.renew_subscription(name)
        assert event_types(account).count(told) == 2

    def test_the_end_of_a_short_trial_is_told_at_once_and_of_any_before_it_is_over(self) -> None:
        account = new_account()
        told = "customer.subscription.trial_will_end"
        short = subscribe(account, customer_with(account, None), trial_period_days=2).json["id"]
        assert last_event(account, told)["data"]["object"]["id"] == short
        for end in ("act", "call"):
            name = subscribe(account, customer_with(account), trial_period_days=30).json["id"]
            mark = account.mark()
            if end == "act":
                account.renew_subscription(name)
            else:
                send(account, "POST", f"/v1/subscriptions/{name}", {"trial_end": "now"})
            assert event_types(account, mark)[:2] == [told, "customer.subscription.updated"]

    @pytest.mark.fidelity("The prices of a subscription have one interval: mixed ones are refused")
    def test_the_items_of_a_subscription_have_one_interval(self) -> None:
        account = new_account()
        ada = customer_with(account)
        name = subscribe(account, ada).json["id"]
        lines = [{"price": MONTHLY, "quantity": 1}, {"price": YEARLY, "quantity": 1}]
        page = {"mode": "subscription", "success_url": "https://a.test", "line_items": lines}
        quarterly = priced(account, 600, count=3)
        mark = account.mark()
        for path, asked in (
            ("/v1/subscriptions", {"customer": ada, "items": [{"price": MONTHLY}, {"price": YEARLY}]}),
            (f"/v1/subscriptions/{name}", {"items": [{"price": quarterly}]}),
            ("/v1/subscription_items", {"subscription": name, "price": YEARLY}),
            ("/v1/checkout/sessions", page),
            (
                "/v1/invoices/create_preview",
                {"subscription": name, "subscription_details": {"items": [{"price": YEARLY}]}},
            ),
        ):
            refused = send(account, "POST", path, asked)
            assert (refused.status, "mismatch in interval" in refused.error["message"]) == (400, True), path
        assert account.mark() == mark

    def test_several_items_are_billed_together_and_in_one_currency(self) -> None:
        account = new_account()
        items = [{"price": MONTHLY, "quantity": 3}, {"price": priced(account, 20000)}]
        made = subscribe(account, customer_with(account), items=items).json
        assert [item["quantity"] for item in made["items"]["data"]] == [3, 1]
        assert latest_invoice(account, made["id"])["amount_paid"] == 3 * 2000 + 20000
        euro = {
            "currency": "eur",
            "unit_amount": 5,
            "product_data": {"name": "E"},
            "recurring[interval]": "day",
        }
        price = send(account, "POST", "/v1/prices", euro).json["id"]
        refused = subscribe(account, customer_with(account), items=[{"price": MONTHLY}, {"price": price}])
        assert (refused.status, refused.error["param"]) == (400, "items[1][price]")

    @pytest.mark.parametrize(
        ("params", "param"),
        [
            ({"customer": "cus_no"}, "customer"),
            ({"items": []}, "items"),
            ({"items": [{"quantity": 1}]}, "items[0][price]"),
            ({"items": [{"price": "price_no"}]}, "items[0][price]"),
            ({"default_payment_method": "pm_card_visa"}, "default_payment_method"),
            ({"trial_end": START - 1}, "trial_end"),
            ({"payment_behavior": "hope"}, "payment_behavior"),
        ],
    )
    def test_what_makes_none(self, params: dict[str, object], param: str) -> None:
        account = new_account()
        customer = customer_with(account)
        answer = subscribe(account, str(params.pop("customer", customer)), **params)
        assert (answer.status, answer.error["param"]) == (400, param)
        assert account.made_since(0).subscriptions == ()


class TestIncompleteExpired:
    @pytest.mark.fidelity("incomplete_expired: 23 hours after its start, by the clock; the invoice is void")
    def test_after_23_hours_it_expires(self) -> None:
        account = new_account()
        made = subscribe(account, customer_with(account, None), payment_behavior="default_incomplete").json
        account.tick(23 * HOUR - 1)
        assert subscription(account, made["id"])["status"] == "incomplete"
        mark = account.mark()
        account.tick(1)
        assert statuses(account, made["id"], mark) == [("incomplete_expired", "incomplete")]
        assert event_types(account, mark) == [
            "payment_intent.canceled",
            "invoice.voided",
            "customer.subscription.updated",
        ]
        invoice = latest_invoice(account, made["id"])
        assert (invoice["status"], invoice["payments"]["data"][0]["status"]) == ("void", "canceled")
        paid = send(account, "POST", f"/v1/payment_intents/{intent_of(invoice)}/confirm")
        assert paid.error["code"] == "payment_intent_unexpected_state"

    @pytest.mark.fidelity("incomplete_expired: what an incomplete one becomes when it is canceled or voided")
    @pytest.mark.parametrize("how", ["cancel", "void"])
    def test_canceling_or_voiding_expires_it(self, how: str) -> None:
        account = new_account()
        made = subscribe(account, customer_with(account, None), payment_behavior="default_incomplete").json
        if how == "cancel":
            send(account, "DELETE", f"/v1/subscriptions/{made['id']}")
        else:
            send(account, "POST", f"/v1/invoices/{made['latest_invoice']}/void")
        now = subscription(account, made["id"])
        assert (now["status"], now["canceled_at"]) == ("incomplete_expired", START)
        assert "customer.subscription.deleted" not in event_types(account)
        assert latest_invoice(account, made["id"])["status"] == "void"

    def test_one_that_was_paid_does_not_expire(self) -> None:
        account = new_account()
        made = subscribe(account, customer_with(account, None), payment_behavior="default_incomplete").json
        account.pay_invoice(made["latest_invoice"])
        account.tick(24 * HOUR)
        assert subscription(account, made["id"])["status"] == "active"


class TestUnpaidRenewals:
    @pytest.mark.fidelity("Subscriptions and money: past_due after a renewal whose payment failed")
    def test_a_declined_renewal_makes_it_past_due(self) -> None:
        account = new_account()
        name = subscribed(account)["subscription"]
        old = subscription(account, name)
        mark = account.mark()
        now = account.renew_subscription(name, decline="insufficient_funds")
        assert event_types(account, mark) == [
            "customer.subscription.updated",
            "invoice.created",
            "payment_intent.created",
            "invoice.finalized",
            "charge.failed",
            "payment_intent.payment_failed",
            "invoice.payment_failed",
            "customer.subscription.updated",
        ]
        assert statuses(account, name, mark) == [("active", None), ("past_due", "active")]
        period = now["items"]["data"][0]["current_period_start"]
        assert period == old["items"]["data"][0]["current_period_end"]
        invoice = latest_invoice(account, name)
        assert (invoice["status"], invoice["attempt_count"]) == ("open", 1)
        assert invoice["next_payment_attempt"] > account.now
        charge = send(account, "GET", "/v1/charges", {"limit": 1}).json["data"][0]
        assert (charge["status"], charge["paid"]) == ("failed", False)
        assert charge["outcome"]["reason"] == "insufficient_funds"

    @pytest.mark.fidelity("A failed payment that is made good: past_due, then active again")
    @pytest.mark.parametrize("how", ["retry", "pay", "page"])
    def test_paying_the_latest_invoice_makes_it_active(self, how: str) -> None:
        account = new_account()
        name = subscribed(account)["subscription"]
        account.renew_subscription(name, decline="card_velocity_exceeded")
        invoice = latest_invoice(account, name)["id"]
        mark = account.mark()
        if how == "retry":
            account.retry_payment(name)
        elif how == "pay":
            assert send(account, "POST", f"/v1/invoices/{invoice}/pay").json["status"] == "paid"
        else:
            account.pay_invoice(invoice)
        assert statuses(account, name, mark) == [("active", "past_due")]
        assert latest_invoice(account, name)["amount_paid"] == 2000
        with pytest.raises(ActRefused, match="no open invoice"):
            account.retry_payment(name)
        with pytest.raises(ActRefused, match="is paid"):
            account.pay_invoice(invoice)
        with pytest.raises(ActRefused, match="does not exist"):
            account.pay_invoice("in_no")

    @pytest.mark.fidelity("Subscriptions and money: unpaid, canceled or past_due after the last retry")
    @pytest.mark.parametrize("then", ["unpaid", "canceled", "past_due"])
    def test_after_the_last_attempt_the_rule_decides(self, then: str) -> None:
        account = new_account()
        account.dunning = Dunning(3, then)  # type: ignore[arg-type]
        name = subscribed(account)["subscription"]
        account.renew_subscription(name, decline="generic_decline")
        assert account.retry_payment(name, decline="generic_decline")["status"] == "past_due"
        mark = account.mark()
        last = account.retry_payment(name, decline="generic_decline")
        assert last["status"] == then
        assert latest_invoice(account, name)["next_payment_attempt"] is None
        ended = "customer.subscription.deleted" in event_types(account, mark)
        assert ended == (then == "canceled")
        if ended:
            assert last["cancellation_details"]["reason"] == "payment_failed"

    @pytest.mark.fidelity("An unpaid subscription gets drafts, and is active once the latest is paid")
    def test_an_unpaid_one_is_not_charged_by_itself(self) -> None:
        account = new_account()
        account.dunning = Dunning(1, "unpaid")
        name = subscribed(account)["subscription"]
        assert account.renew_subscription(name, decline="lost_card")["status"] == "unpaid"
        mark = account.mark()
        account.renew_subscription(name)
        assert event_types(account, mark) == ["customer.subscription.updated", "invoice.created"]
        invoice = latest_invoice(account, name)
        assert (invoice["status"], invoice["auto_advance"]) == ("draft", False)
        assert send(account, "POST", f"/v1/invoices/{invoice['id']}/pay").json["status"] == "paid"
        assert subscription(account, name)["status"] == "active"

    def test_a_default_card_that_is_declined_fails_the_renewal(self) -> None:
        account = new_account()
        customer = customer_with(account)
        name = subscribe(account, customer).json["id"]
        path = "/v1/payment_methods/pm_card_chargeCustomerFail/attach"
        bad = send(account, "POST", path, {"customer": customer}).json["id"]
        settings = {"invoice_settings": {"default_payment_method": bad}}
        send(account, "POST", f"/v1/customers/{customer}", settings)
        assert account.renew_subscription(name)["status"] == "past_due"
        good = send(account, "POST", "/v1/payment_methods/pm_card_visa/attach", {"customer": customer}).json
        send(account, "POST", f"/v1/subscriptions/{name}", {"default_payment_method": good["id"]})
        assert account.retry_payment(name)["status"] == "active"

    def test_only_the_latest_invoice_moves_it(self) -> None:
        account = new_account()
        name = subscribed(account)["subscription"]
        account.renew_subscription(name, decline="generic_decline")
        first = latest_invoice(account, name)["id"]
        account.renew_subscription(name, decline="generic_decline")
        account.pay_invoice(first)
        assert subscription(account, name)["status"] == "past_due"


class TestPaused:
    def paused(self) -> tuple[object, str, str]:
        account = new_account()
        customer = customer_with(account, None)
        settings = {"end_behavior": {"missing_payment_method": "pause"}}
        made = subscribe(account, customer, trial_period_days=7, trial_settings=settings).json
        account.tick(7 * DAY)
        mark = account.mark()
        assert account.renew_subscription(made["id"])["status"] == "paused"
        assert event_types(account, mark) == ["customer.subscription.updated", "customer.subscription.paused"]
        return account, customer, made["id"]

    @pytest.mark.fidelity("Subscriptions and money: paused when a trial ends without a card, then resumed")
    def test_a_trial_without_card_is_paused_and_resumed(self) -> None:
        account, customer, name = self.paused()
        path = "/v1/payment_methods/pm_card_visa/attach"
        card = send(account, "POST", path, {"customer": customer}).json["id"]
        send(account, "POST", f"/v1/subscriptions/{name}", {"default_payment_method": card})
        mark = account.mark()
        resumed = send(account, "POST", f"/v1/subscriptions/{name}/resume").json
        assert resumed["status"] == "active"
        assert resumed["items"]["data"][0]["current_period_start"] == account.now
        assert statuses(account, name, mark)[-2:] == [("active", "paused"), ("active", None)]
        assert "customer.subscription.resumed" in event_types(account, mark)
        assert latest_invoice(account, name)["amount_paid"] == 2000
        again = send(account, "POST", f"/v1/subscriptions/{name}/resume")
        assert again.status == 400

    @pytest.mark.fidelity("A paused subscription stays paused while its resumption is not paid, for 23 hours")
    def test_a_resumption_that_nobody_pays_is_voided(self) -> None:
        account, _, name = self.paused()
        assert send(account, "POST", f"/v1/subscriptions/{name}/resume").json["status"] == "paused"
        assert latest_invoice(account, name)["status"] == "open"
        account.tick(23 * HOUR)
        assert latest_invoice(account, name)["status"] == "void"
        assert subscription(account, name)["status"] == "paused"
        with pytest.raises(ActRefused, match="is paused"):
            account.renew_subscription(name)

    @pytest.mark.fidelity("A trial that ends without a card: canceled, or an invoice whose payment fails")
    @pytest.mark.parametrize(("behavior", "status"), [("cancel", "canceled"), ("create_invoice", "past_due")])
    def test_the_other_ends_of_a_trial(self, behavior: str, status: str) -> None:
        account = new_account()
        settings = {"end_behavior": {"missing_payment_method": behavior}}
        customer = customer_with(account, None)
        made = subscribe(account, customer, trial_period_days=7, trial_settings=settings).json
        mark = account.mark()
        assert account.renew_subscription(made["id"])["status"] == status
        assert ("invoice.payment_failed" in event_types(account, mark)) == (status == "past_due")

    @pytest.mark.fidelity(
        "pause_collection: renewals go on, their invoices are drafts, void or uncollectible"
    )
    @pytest.mark.parametrize(
        ("behavior", "status"),
        [("keep_as_draft", "draft"), ("void", "void"), ("mark_uncollectible", "uncollectible")],
    )
    def test_paused_collection_takes_no_money(self, behavior: str, status: str) -> None:
        account = new_account()
        name = subscribed(account)["subscription"]
        path = f"/v1/subscriptions/{name}"
        send(account, "POST", path, {"pause_collection": {"behavior": behavior}})
        mark = account.mark()
        assert account.renew_subscription(name)["status"] == "active"
        assert "charge.succeeded" not in event_types(account, mark)
        assert latest_invoice(account, name)["status"] == status
        send(account, "POST", path, {"pause_collection": ""})
        account.renew_subscription(name)
        assert latest_invoice(account, name)["status"] == "paid"


class TestEnds:
    @pytest.mark.fidelity("A trial ends at once by trial_end=now: the first period is billed")
    def test_a_trial_ends_now(self) -> None:
        account = new_account()
        made = subscribe(account, customer_with(account), trial_period_days=7).json
        account.tick(DAY)
        path = f"/v1/subscriptions/{made['id']}"
        now = send(account, "POST", path, {"trial_end": "now"}).json
        assert (now["status"], now["trial_end"]) == ("active", START + DAY)
        period = now["items"]["data"][0]
        assert period["current_period_end"] == later(START + DAY, "month", 1)
        assert latest_invoice(account, made["id"])["amount_paid"] == 2000

    @pytest.mark.fidelity("cancel_at: canceled by the renewal that would pass it")
    def test_cancel_at_a_time(self) -> None:
        account = new_account()
        name = subscribed(account)["subscription"]
        at = START + 40 * DAY
        set_to = send(account, "POST", f"/v1/subscriptions/{name}", {"cancel_at": at}).json
        assert (set_to["cancel_at"], set_to["cancel_at_period_end"]) == (at, False)
        assert account.renew_subscription(name)["status"] == "active"
        assert account.renew_subscription(name)["status"] == "canceled"
