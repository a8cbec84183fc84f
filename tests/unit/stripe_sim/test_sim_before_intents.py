"""Invoices of before 15 March 2019, which are paid by charges and have no payment intent."""

from __future__ import annotations

import pytest
from billing_stage import customer_with, latest_invoice, subscribe
from money_adds_up import money_adds_up
from sim_client import KEY, event_types, last_event, send, subscribed

from deadheat.stripe_sim import Account
from deadheat.stripe_sim.payments import INTENTS_SINCE

BEFORE_BASIL = "2024-06-20"


def old_account(now: int = INTENTS_SINCE - 1) -> Account:
    return Account(seed=7, started_at=now, secret_key=KEY)


@pytest.mark.fidelity("Subscriptions and money: an invoice of before 15 March 2019 has no payment intent")
@pytest.mark.parametrize(("now", "named"), [(INTENTS_SINCE - 1, False), (INTENTS_SINCE, True)])
def test_whether_there_is_an_intent_is_a_question_of_the_time(now: int, named: bool) -> None:
    account = old_account(now)
    session = subscribed(account)
    mark = account.mark()
    account.renew_subscription(session["subscription"])
    assert ("payment_intent.succeeded" in event_types(account)) == named
    for name in (session["invoice"], latest_invoice(account, session["subscription"])["id"]):
        invoice = send(account, "GET", f"/v1/invoices/{name}", version=BEFORE_BASIL).json
        charge = send(account, "GET", f"/v1/charges/{invoice['charge']}", version=BEFORE_BASIL).json
        assert (charge["invoice"], charge["payment_intent"]) == (name, invoice["payment_intent"])
        assert (invoice["payment_intent"] is not None) == named
        way = "payment_intent" if named else "charge"
        (payment,) = send(account, "GET", f"/v1/invoices/{name}", {"expand": ["payments"]}).json["payments"][
            "data"
        ]
        assert payment["payment"] == {"type": way, way: invoice[way]}
    told = last_event(account, "charge.succeeded")["data"]["object"]
    assert (told["payment_intent"] is not None) == named
    if not named:
        assert event_types(account, mark) == [
            "customer.subscription.updated",
            "invoice.created",
            "invoice.finalized",
            "charge.succeeded",
            "invoice.paid",
            "invoice.payment_succeeded",
        ]
    money_adds_up(account)


def test_it_is_declined_tried_again_credited_and_refunded() -> None:
    account = old_account()
    refused = subscribe(
        account, customer_with(account, "pm_card_chargeCustomerFail"), payment_behavior="error_if_incomplete"
    )
    assert (refused.status, refused.error["decline_code"]) == (402, "generic_decline")
    assert "payment_intent" not in refused.error
    name = subscribed(account)["subscription"]
    mark = account.mark()
    assert account.renew_subscription(name, decline="lost_card")["status"] == "past_due"
    assert event_types(account, mark)[-3:] == [
        "charge.failed",
        "invoice.payment_failed",
        "customer.subscription.updated",
    ]
    invoice = latest_invoice(account, name)
    send(account, "POST", "/v1/credit_notes", {"invoice": invoice["id"], "amount": 500})
    assert account.retry_payment(name)["status"] == "active"
    assert latest_invoice(account, name)["amount_paid"] == 1500
    assert account.refund_invoice(invoice["id"])["amount"] == 1500
    account.renew_subscription(name, decline="lost_card")
    voided = latest_invoice(account, name)["id"]
    assert send(account, "POST", f"/v1/invoices/{voided}/void").json["status"] == "void"
    account.renew_subscription(name, decline="lost_card")
    credited = latest_invoice(account, name)
    send(account, "POST", "/v1/credit_notes", {"invoice": credited["id"], "amount": 2000})
    assert latest_invoice(account, name)["status"] == "paid"
    money_adds_up(account)


@pytest.mark.fidelity("Before basil an invoice names its latest charge, one that failed too")
def test_an_invoice_names_the_charge_that_failed() -> None:
    account = old_account(INTENTS_SINCE)
    session = subscribed(account)
    account.renew_subscription(session["subscription"], decline="lost_card")
    name = latest_invoice(account, session["subscription"])["id"]
    failed = last_event(account, "charge.failed")["data"]["object"]["id"]
    assert send(account, "GET", f"/v1/invoices/{name}", version=BEFORE_BASIL).json["charge"] == failed
    account.retry_payment(session["subscription"])
    paid = send(account, "GET", f"/v1/invoices/{name}", version=BEFORE_BASIL).json
    assert paid["charge"] == last_event(account, "charge.succeeded")["data"]["object"]["id"]
