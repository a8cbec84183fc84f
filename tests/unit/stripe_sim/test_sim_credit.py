"""Credit: the balance of a customer, what invoices take from it, and credit notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from billing_stage import customer_with, latest_invoice, subscribe, subscription
from sim_client import event_types, new_account, send

if TYPE_CHECKING:
    from deadheat.stripe_sim import Account


def give(account: Account, customer: str, amount: int) -> int:
    path = f"/v1/customers/{customer}/balance_transactions"
    made = send(account, "POST", path, {"amount": amount, "currency": "usd", "description": "Sorry"}).json
    assert (made["amount"], made["description"]) == (amount, "Sorry")
    return int(made["ending_balance"])


def balance(account: Account, customer: str) -> int:
    return int(send(account, "GET", f"/v1/customers/{customer}").json["balance"])


def transactions(account: Account, customer: str) -> list[tuple[str, int]]:
    made = send(account, "GET", f"/v1/customers/{customer}/balance_transactions").json["data"]
    return [(transaction["type"], transaction["amount"]) for transaction in made][::-1]


@pytest.mark.fidelity("Credit: a customer's balance is used up by the next invoices")
def test_credit_is_used_by_the_next_invoices() -> None:
    account = new_account()
    customer = customer_with(account)
    assert give(account, customer, -2500) == -2500
    name = subscribe(account, customer).json["id"]
    invoice = latest_invoice(account, name)
    assert (invoice["status"], invoice["total"], invoice["amount_due"]) == ("paid", 2000, 0)
    assert (invoice["starting_balance"], invoice["ending_balance"]) == (-2500, -500)
    assert "charge.succeeded" not in event_types(account)
    account.renew_subscription(name)
    invoice = latest_invoice(account, name)
    assert (invoice["amount_due"], invoice["amount_paid"], balance(account, customer)) == (1500, 1500, 0)
    (charge,) = send(account, "GET", "/v1/charges", {"customer": customer}).json["data"]
    assert charge["amount"] == 1500
    assert transactions(account, customer) == [
        ("adjustment", -2500),
        ("applied_to_invoice", 2000),
        ("applied_to_invoice", 500),
    ]


@pytest.mark.fidelity("Credit: what a customer owes by their balance is added to the next invoice")
def test_a_debt_is_added_on() -> None:
    account = new_account()
    customer = customer_with(account, balance=300)
    name = subscribe(account, customer).json["id"]
    assert latest_invoice(account, name)["amount_paid"] == 2300
    assert transactions(account, customer) == [("initial", 300), ("applied_to_invoice", -300)]


@pytest.mark.fidelity("Credit: voiding an invoice gives back what it took from the balance")
def test_voiding_gives_the_credit_back() -> None:
    account = new_account()
    customer = customer_with(account)
    name = subscribe(account, customer).json["id"]
    send(account, "POST", f"/v1/customers/{customer}", {"balance": -700})
    account.renew_subscription(name, decline="generic_decline")
    invoice = latest_invoice(account, name)
    assert (invoice["amount_due"], balance(account, customer)) == (1300, 0)
    send(account, "POST", f"/v1/invoices/{invoice['id']}/void")
    assert balance(account, customer) == -700
    assert transactions(account, customer)[-1] == ("unapplied_from_invoice", -700)


@pytest.mark.fidelity("Credit notes of a paid invoice: refunded, credited, or given back elsewhere")
def test_a_credit_note_of_a_paid_invoice() -> None:
    account = new_account()
    customer = customer_with(account)
    name = subscribe(account, customer).json["id"]
    invoice = latest_invoice(account, name)["id"]
    asked = {"invoice": invoice, "amount": 1500, "refund_amount": 900, "credit_amount": 500}
    refused = send(account, "POST", "/v1/credit_notes", asked)
    assert (refused.status, account.made_since(0).refunds) == (400, ())
    note = send(account, "POST", "/v1/credit_notes", {**asked, "out_of_band_amount": 100}).json
    assert (note["type"], note["post_payment_amount"]) == ("post_payment", 1500)
    (refund,) = account.made_since(0).refunds
    assert (refund["amount"], note["refunds"][0]["refund"]) == (900, refund["id"])
    assert balance(account, customer) == -500
    assert transactions(account, customer) == [("credit_note", -500)]
    too_much = send(account, "POST", "/v1/credit_notes", {"invoice": invoice, "amount": 501})
    assert (too_much.status, too_much.error["param"]) == (400, "amount")
    listed = send(account, "GET", "/v1/credit_notes", {"invoice": invoice}).json["data"]
    assert [found["id"] for found in listed] == [note["id"]]
    assert latest_invoice(account, name)["post_payment_credit_notes_amount"] == 1500


@pytest.mark.fidelity("Credit notes of an open invoice: less to pay, and paid when nothing is left")
def test_a_credit_note_of_an_open_invoice() -> None:
    account = new_account()
    name = subscribe(account, customer_with(account)).json["id"]
    account.renew_subscription(name, decline="generic_decline")
    invoice = latest_invoice(account, name)["id"]
    send(account, "POST", "/v1/credit_notes", {"invoice": invoice, "amount": 500})
    now = send(account, "GET", f"/v1/invoices/{invoice}").json
    assert (now["total"], now["amount_due"], now["amount_remaining"]) == (2000, 1500, 1500)
    send(account, "POST", "/v1/credit_notes", {"invoice": invoice, "amount": 1500})
    now = latest_invoice(account, name)
    assert (now["status"], now["amount_paid"], now["payments"]["data"]) == ("paid", 0, [])
    assert subscription(account, name)["status"] == "active"
    void = send(account, "POST", f"/v1/invoices/{invoice}/void")
    assert void.status == 400


def test_transactions_belong_to_their_customer() -> None:
    account = new_account()
    customer, other = customer_with(account), customer_with(account)
    give(account, customer, -100)
    path = f"/v1/customers/{customer}/balance_transactions"
    made = send(account, "GET", path).json["data"][0]["id"]
    assert send(account, "GET", f"{path}/{made}").json["amount"] == -100
    assert send(account, "GET", f"/v1/customers/{other}/balance_transactions/{made}").status == 404
