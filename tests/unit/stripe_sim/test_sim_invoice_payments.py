"""Invoice payments: found by invoice, by what paid, by their own id; and the event when one is paid."""

from __future__ import annotations

from typing import Any

import pytest
from billing_stage import customer_with, intent_of, latest_invoice, subscribe
from sim_client import KEY, event_types, last_event, new_account, send, subscribed

from deadheat.stripe_sim import Account
from deadheat.stripe_sim.invoice_payments import TOLD_SINCE

PATH = "/v1/invoice_payments"
ACACIA = "2024-12-18.acacia"


def account_of_today() -> Account:
    return Account(seed=7, started_at=TOLD_SINCE, secret_key=KEY)


def good_card(account: Account) -> str:
    """Attach a card that pays to the only customer; gives its id."""
    (customer,) = account.made_since(0).customers
    path = "/v1/payment_methods/pm_card_visa/attach"
    return str(send(account, "POST", path, {"customer": customer["id"]}).json["id"])


def listed(account: Account, **asked: Any) -> list[dict[str, Any]]:
    return list(send(account, "GET", PATH, asked).json["data"])


@pytest.mark.fidelity("Invoice payments are listed by invoice and by payment intent")
def test_the_invoice_of_a_payment_is_found() -> None:
    account = new_account()
    subscribed(account, email="other@example.test")
    made = subscribe(account, customer_with(account)).json
    invoice = made["latest_invoice"]
    intent = intent_of(latest_invoice(account, made["id"]))
    payment = {"type": "payment_intent", "payment_intent": intent}
    for asked in ({"invoice": invoice}, {"payment": payment}, {"payment": payment, "status": "paid"}):
        (found,) = listed(account, **asked)
        assert (found["invoice"], found["payment"]["payment_intent"]) == (invoice, intent)
    assert listed(account, payment=payment, status="open") == []
    other = account.made_since(0).invoices[0]["id"]
    assert listed(account, payment=payment, invoice=other) == []
    unknown = send(account, "GET", PATH, {"payment": {"type": "payment_intent", "payment_intent": "pi_0"}})
    assert (unknown.status, unknown.error["param"]) == (400, "payment[payment_intent]")


@pytest.mark.fidelity("Subscriptions and money: an invoice payment is found by its id; it is open, then paid")
def test_one_is_open_until_it_is_paid() -> None:
    account = new_account()
    made = subscribe(account, customer_with(account, "pm_card_chargeCustomerFail")).json["id"]
    (shown,) = latest_invoice(account, made)["payments"]["data"]
    assert (shown["status"], shown["amount_paid"], shown["amount_requested"]) == ("open", None, 2000)
    path = f"{PATH}/{shown['id']}"
    assert send(account, "GET", path).json == shown
    send(account, "POST", f"/v1/invoices/{shown['invoice']}/mark_uncollectible")
    assert send(account, "GET", path).json["status"] == "open"
    send(account, "POST", f"/v1/invoices/{shown['invoice']}/pay", {"payment_method": good_card(account)})
    expanded = send(account, "GET", path, {"expand": ["payment.payment_intent", "invoice"]}).json
    assert (expanded["status"], expanded["amount_paid"]) == ("paid", 2000)
    assert expanded["payment"]["payment_intent"]["status"] == "succeeded"
    assert expanded["invoice"]["status"] == "paid"
    assert send(account, "GET", f"{PATH}/inpay_none").status == 404


def test_all_are_listed_page_by_page_but_those_of_nothing() -> None:
    account = new_account()
    subscribed(account, subscription_data={"trial_period_days": 7})
    paid = [subscribed(account, email=f"{n}@example.test")["invoice"] for n in range(3)]
    subscribe(account, customer_with(account, "pm_card_chargeCustomerFail"))
    assert [found["invoice"] for found in listed(account, status="paid")] == paid[::-1]
    assert len(listed(account)) == 4
    first = send(account, "GET", PATH, {"status": "paid", "limit": 2}).json
    assert first["has_more"]
    rest = listed(account, status="paid", starting_after=first["data"][-1]["id"])
    assert [found["invoice"] for found in rest] == paid[:1]
    assert send(account, "GET", PATH, {"starting_after": "inpay_none"}).error["param"] == "starting_after"


def test_an_invoice_that_was_credited_whole_was_paid_by_none() -> None:
    account = new_account()
    made = subscribe(account, customer_with(account, "pm_card_chargeCustomerFail")).json
    invoice = made["latest_invoice"]
    (payment,) = listed(account, invoice=invoice)
    assert send(account, "POST", "/v1/credit_notes", {"invoice": invoice, "amount": 2000}).status == 200
    assert send(account, "GET", f"/v1/invoices/{invoice}").json["attempt_count"] == 1
    assert listed(account, invoice=invoice) == listed(account) == []
    assert send(account, "GET", f"{PATH}/{payment['id']}").status == 404


@pytest.mark.fidelity("Events and webhooks: invoice_payment.paid comes last of a paid invoice's, since basil")
def test_a_paid_invoice_tells_of_its_payment() -> None:
    account = account_of_today()
    mark = account.mark()
    made = subscribe(account, customer_with(account)).json
    assert event_types(account, mark)[-3:] == [
        *("invoice.paid", "invoice.payment_succeeded", "invoice_payment.paid")
    ]
    event = last_event(account, "invoice_payment.paid")
    told = event["data"]["object"]
    assert told == send(account, "GET", f"{PATH}/{told['id']}").json
    assert (told["invoice"], told["status"]) == (made["latest_invoice"], "paid")
    assert send(account, "GET", f"/v1/events/{event['id']}").json["data"]["object"] == told
    mark = account.mark()
    subscribed(account, subscription_data={"trial_period_days": 7})
    assert "invoice_payment.paid" not in event_types(account, mark)


def test_before_stripe_had_it_there_is_no_such_event() -> None:
    account = Account(seed=7, started_at=TOLD_SINCE - 1, secret_key=KEY)
    subscribed(account)
    assert "invoice.paid" in event_types(account)
    assert "invoice_payment.paid" not in event_types(account)


@pytest.mark.fidelity("API versions see their own shapes: invoice.payments is shown from basil on")
@pytest.mark.parametrize(("version", "shown"), [(None, True), (ACACIA, False)])
def test_versions_before_basil_have_no_payments(version: str | None, shown: bool) -> None:
    account = new_account()
    path = f"/v1/invoices/{subscribed(account)['invoice']}"
    asked = {"expand": ["payments", "confirmation_secret"]}
    invoice = send(account, "GET", path, asked, version=version).json
    assert ("payments" in invoice, "confirmation_secret" in invoice) == (shown, shown)
    assert ("payment_intent" in invoice) == (not shown)
