"""What a subscription lets be changed of it, status by status, and how a trial is ended by hand."""

from __future__ import annotations

from typing import Any

import pytest
from billing_stage import customer_with, statuses, subscribe, subscription
from sim_client import START, Answer, event_types, last_event, new_account, send

from deadheat.stripe_sim import MONTHLY, YEARLY, Account

DAY = 86_400


def started(account: Account, customer: str | None = None, **params: Any) -> str:
    """Start a subscription and give its id."""
    answer = subscribe(account, customer or customer_with(account), **params)
    assert answer.status == 200, answer.json
    return str(answer.json["id"])


def update(account: Account, subscription: str, **params: Any) -> Answer:
    return send(account, "POST", f"/v1/subscriptions/{subscription}", params)


def trial_without_card(account: Account, behavior: str) -> str:
    customer = send(account, "POST", "/v1/customers").json["id"]
    settings = {"end_behavior": {"missing_payment_method": behavior}}
    return started(account, customer, trial_period_days=7, trial_settings=settings)


class TestWhatMayBeChanged:
    @pytest.mark.fidelity("An incomplete subscription takes no change but metadata, description and its card")
    @pytest.mark.parametrize(
        "asked",
        [
            {"cancel_at_period_end": True},
            {"items": [{"price": MONTHLY, "quantity": 2}]},
            {"trial_end": "now"},
        ],
    )
    def test_an_incomplete_one_is_left_alone(self, asked: dict[str, Any]) -> None:
        account = new_account()
        made = started(account, payment_behavior="default_incomplete")
        mark = account.mark()
        refused = update(account, made, **asked)
        assert (refused.status, refused.error["code"]) == (400, "status_transition_invalid")
        assert f"Cannot update {next(iter(asked))} on an incomplete" in refused.error["message"]
        assert event_types(account, mark) == []

    def test_nor_are_its_items_changed(self) -> None:
        account = new_account()
        made = subscribe(account, customer_with(account), payment_behavior="default_incomplete").json
        path = f"/v1/subscription_items/{made['items']['data'][0]['id']}"
        for refused in (
            send(account, "POST", path, {"quantity": 2}),
            send(account, "POST", "/v1/subscription_items", {"subscription": made["id"], "price": YEARLY}),
        ):
            assert (refused.status, refused.error["code"]) == (400, "status_transition_invalid")

    def test_what_an_incomplete_one_takes(self) -> None:
        account = new_account()
        made = started(account, payment_behavior="default_incomplete")
        assert update(account, made, metadata={"a": "b"}, description="Ada's").json["description"] == "Ada's"

    @pytest.mark.fidelity("A canceled subscription takes no change but metadata and cancellation_details")
    def test_a_canceled_one_is_left_alone(self) -> None:
        account = new_account()
        made = started(account)
        account.cancel_subscription(made)
        refused = update(account, made, cancel_at_period_end=True)
        assert (refused.status, refused.error["code"]) == (400, "invalid_canceled_subscription_fields")
        assert update(account, made, metadata={"a": "b"}).json["metadata"] == {"a": "b"}
        said = update(account, made, cancellation_details={"comment": "Bye"}).json
        assert said["cancellation_details"]["comment"] == "Bye"

    def test_a_paused_one_goes_on_when_its_invoice_is_given_up(self) -> None:
        account = new_account()
        made = trial_without_card(account, "pause")
        update(account, made, trial_end="now")
        resumed = send(account, "POST", f"/v1/subscriptions/{made}/resume").json
        assert resumed["status"] == "paused"
        send(account, "POST", f"/v1/invoices/{resumed['latest_invoice']}/mark_uncollectible")
        assert event_types(account)[-1] == "customer.subscription.resumed"
        assert subscription(account, made)["status"] == "active"

    def test_a_paused_one_gets_no_other_trial(self) -> None:
        account = new_account()
        made = trial_without_card(account, "pause")
        assert update(account, made, trial_end="now").json["status"] == "paused"
        refused = update(account, made, trial_end=START + 30 * DAY)
        assert (refused.status, "Resume the subscription first" in refused.error["message"]) == (400, True)


@pytest.mark.fidelity(
    "A trial that is ended without a card: refused, paused or canceled, as its settings say"
)
class TestATrialIsEndedByHand:
    def test_nobody_is_billed_without_a_card(self) -> None:
        account = new_account()
        made = trial_without_card(account, "create_invoice")
        mark = account.mark()
        refused = update(account, made, trial_end="now", metadata={"a": "b"})
        assert (refused.status, refused.error["code"]) == (400, "resource_missing")
        assert event_types(account, mark) == []
        kept = send(account, "GET", f"/v1/subscriptions/{made}").json
        assert (kept["status"], kept["metadata"]) == ("trialing", {})

    @pytest.mark.parametrize(
        ("behavior", "status", "event"),
        [
            ("pause", "paused", "customer.subscription.paused"),
            ("cancel", "canceled", "customer.subscription.deleted"),
        ],
    )
    def test_its_settings_decide(self, behavior: str, status: str, event: str) -> None:
        account = new_account()
        made = trial_without_card(account, behavior)
        mark = account.mark()
        assert update(account, made, trial_end="now").json["status"] == status
        told = event_types(account, mark)
        assert (told[0], told[-1]) == ("customer.subscription.trial_will_end", event)
        assert "invoice.created" not in told

    def test_a_card_that_comes_with_the_call_is_charged(self) -> None:
        account = new_account()
        customer = send(account, "POST", "/v1/customers").json["id"]
        made = started(account, customer, trial_period_days=7)
        card = send(account, "POST", "/v1/payment_methods/pm_card_visa/attach", {"customer": customer}).json
        assert (
            update(account, made, trial_end="now", default_payment_method=card["id"]).json["status"]
            == "active"
        )


@pytest.mark.fidelity("pause_collection ends by itself when resumes_at has come")
def test_collection_goes_on_at_its_time() -> None:
    account = new_account()
    made = started(account)
    assert update(account, made, pause_collection={"behavior": "void"}).json["pause_collection"] == {
        "behavior": "void",
        "resumes_at": None,
    }
    update(account, made, pause_collection={"behavior": "void", "resumes_at": START + DAY})
    account.tick(DAY - 1)
    account.renew_subscription(made)
    assert send(account, "GET", "/v1/invoices", {"status": "void"}).json["data"] != []
    mark = account.mark()
    account.tick(1)
    assert event_types(account, mark) == ["customer.subscription.updated"]
    told = last_event(account, "customer.subscription.updated")["data"]
    assert told["object"]["pause_collection"] is None
    assert told["previous_attributes"]["pause_collection"]["resumes_at"] == START + DAY
    account.renew_subscription(made)
    assert send(account, "GET", "/v1/invoices", {"limit": 1}).json["data"][0]["status"] == "paid"


def test_a_pause_that_was_taken_back_does_not_end_again() -> None:
    account = new_account()
    made = started(account)
    update(account, made, pause_collection={"behavior": "void", "resumes_at": START + DAY})
    update(account, made, pause_collection={"behavior": "keep_as_draft", "resumes_at": START + 2 * DAY})
    mark = account.mark()
    account.tick(DAY)
    assert event_types(account, mark) == []
    account.tick(DAY)
    assert event_types(account, mark) == ["customer.subscription.updated"]


def test_a_pause_of_what_was_canceled_does_not_end() -> None:
    account = new_account()
    made = started(account)
    update(account, made, pause_collection={"behavior": "void", "resumes_at": START + DAY})
    account.cancel_subscription(made)
    mark = account.mark()
    account.tick(DAY)
    assert event_types(account, mark) == []


class TestTrials:
    @pytest.mark.fidelity("A trial ends at a time or after some days: both at once are a 400")
    def test_a_trial_has_one_end(self) -> None:
        account = new_account()
        both = {"trial_end": START + 9 * DAY, "trial_period_days": 9}
        page = {"mode": "subscription", "success_url": "https://a.test", "subscription_data": both}
        page["line_items"] = [{"price": MONTHLY, "quantity": 1}]
        for refused in (
            subscribe(account, customer_with(account), **both),
            send(account, "POST", "/v1/checkout/sessions", page),
        ):
            assert refused.status == 400
            assert refused.error["message"].endswith("trial_end, trial_period_days.")
        page["subscription_data"] = {"trial_end": START + 2 * DAY - 1}
        soon = send(account, "POST", "/v1/checkout/sessions", page)
        assert (soon.status, soon.error["param"]) == (400, "subscription_data[trial_end]")
        page["subscription_data"] = {"trial_end": START + 2 * DAY}
        assert send(account, "POST", "/v1/checkout/sessions", page).status == 200

    def test_a_trial_with_something_to_pay_first_is_a_trial_once_it_is_paid(self) -> None:
        account = new_account()
        ada = customer_with(account)
        send(account, "POST", "/v1/invoiceitems", {"customer": ada, "amount": 700, "currency": "usd"})
        waits = {"payment_behavior": "default_incomplete", "trial_period_days": 7}
        made = subscribe(account, ada, **waits).json
        assert made["status"] == "incomplete"
        mark = account.mark()
        send(account, "POST", f"/v1/invoices/{made['latest_invoice']}/pay")
        assert statuses(account, made["id"], mark) == [("trialing", "incomplete")]
        account.tick(4 * DAY - 1)
        assert "customer.subscription.trial_will_end" not in event_types(account, mark)
        account.tick(1)
        assert event_types(account, mark)[-1] == "customer.subscription.trial_will_end"
        account.renew_subscription(made["id"])
        assert subscription(account, made["id"])["status"] == "active"

    def test_a_short_one_is_told_of_as_soon_as_it_is_paid(self) -> None:
        account = new_account()
        ada = customer_with(account)
        send(account, "POST", "/v1/invoiceitems", {"customer": ada, "amount": 700, "currency": "usd"})
        waits = {"payment_behavior": "default_incomplete", "trial_period_days": 2}
        made = subscribe(account, ada, **waits).json
        send(account, "POST", f"/v1/invoices/{made['latest_invoice']}/pay")
        account.tick(0)
        assert event_types(account)[-1] == "customer.subscription.trial_will_end"

    def test_a_trial_that_is_made_longer_began_when_it_began(self) -> None:
        account = new_account()
        ends = {"trial_period_days": 7, "cancel_at_period_end": True}
        name = subscribe(account, customer_with(account), **ends).json["id"]
        account.tick(DAY)
        longer = {"trial_end": START + 20 * DAY}
        now = send(account, "POST", f"/v1/subscriptions/{name}", longer).json
        assert (now["trial_start"], now["trial_end"]) == (START, START + 20 * DAY)
        assert now["cancel_at"] == START + 20 * DAY


class TestHowOneEnds:
    @pytest.mark.fidelity("A cancellation keeps the comment and the feedback that it came with")
    def test_what_was_said_of_it_is_kept(self) -> None:
        account = new_account()
        made = started(account)
        said = {"comment": "Too many mails", "feedback": "other"}
        asked = update(account, made, cancel_at_period_end=True, cancellation_details=said).json
        assert asked["cancellation_details"] == {**said, "reason": "cancellation_requested"}
        account.renew_subscription(made)
        gone = last_event(account, "customer.subscription.deleted")["data"]["object"]
        assert gone["cancellation_details"] == {**said, "reason": "cancellation_requested"}

    @pytest.mark.fidelity("cancel_at cancels when its time has come")
    @pytest.mark.parametrize("at_creation", [True, False])
    def test_its_time_has_come(self, at_creation: bool) -> None:
        account = new_account()
        at = {"cancel_at": START + DAY}
        made = started(account, **(at if at_creation else {}))
        if not at_creation:
            update(account, made, **at)
        account.tick(DAY - 1)
        assert send(account, "GET", f"/v1/subscriptions/{made}").json["status"] == "active"
        mark = account.mark()
        account.tick(1)
        assert event_types(account, mark) == ["customer.subscription.deleted"]
        gone = send(account, "GET", f"/v1/subscriptions/{made}").json
        assert (gone["status"], gone["ended_at"]) == ("canceled", START + DAY)

    def test_what_was_taken_back_or_is_for_the_period_s_end_does_not(self) -> None:
        account = new_account()
        back, later, incomplete = (
            started(account, cancel_at=START + DAY),
            started(account, cancel_at_period_end=True),
            started(account, cancel_at=START + 60, payment_behavior="default_incomplete"),
        )
        assert update(account, back, cancel_at="").json["canceled_at"] is None
        update(account, later, pause_collection={"behavior": "void", "resumes_at": START + 40 * DAY})
        mark = account.mark()
        account.tick(DAY // 2)
        assert event_types(account, mark) == []
        account.tick(60 * DAY)
        now = [send(account, "GET", f"/v1/subscriptions/{made}").json for made in (back, later, incomplete)]
        assert [made["status"] for made in now] == ["active", "active", "incomplete_expired"]

    def test_a_trial_ends_within_two_years(self) -> None:
        account = new_account()
        made = started(account, trial_period_days=730)
        assert update(account, made, trial_end=START + 730 * DAY).status == 200
        refused = update(account, made, trial_end=START + 730 * DAY + 1)
        assert (refused.status, refused.error["param"]) == (400, "trial_end")

    def test_it_is_in_the_future(self) -> None:
        account = new_account()
        refused = update(account, started(account), cancel_at=START)
        assert (refused.status, refused.error["param"]) == (400, "cancel_at")


def test_a_preview_is_no_object() -> None:
    answer = send(new_account(), "GET", "/v1/credit_notes/preview", {"invoice": "in_1", "amount": 5})
    assert (answer.status, answer.call.route) == (404, None)
