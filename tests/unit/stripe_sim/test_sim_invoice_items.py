"""Invoice items, and invoices that an application makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from billing_stage import customer_with, latest_invoice, subscribe
from sim_client import event_types, last_event, new_account, send

from deadheat.stripe_sim import MONTHLY, PRODUCT, Account
from deadheat.stripe_sim.clock import DAY, HOUR

ACACIA = "2024-12-18.acacia"
TEN = {"amount": 1000, "currency": "usd", "description": "Setup"}


def item(account: Account, customer: str, **params: Any) -> dict[str, Any]:
    answer = send(account, "POST", "/v1/invoiceitems", {"customer": customer, **TEN, **params})
    assert answer.status == 200, answer.json
    return answer.json


def invoice(account: Account, customer: str, *, version: str | None = None, **params: Any) -> dict[str, Any]:
    answer = send(account, "POST", "/v1/invoices", {"customer": customer, **params}, version=version)
    assert answer.status == 200, answer.json
    return answer.json


def of(account: Account, customer: str, **params: Any) -> dict[str, Any]:
    """Make a draft of all that is pending."""
    return invoice(account, customer, pending_invoice_items_behavior="include", **params)


def post(account: Account, made: dict[str, Any], act: str, **params: Any) -> Any:
    return send(account, "POST", f"/v1/invoices/{made['id']}/{act}", params)


def shown(account: Account, made: dict[str, Any]) -> dict[str, Any]:
    return send(account, "GET", f"/v1/invoices/{made['id']}").json


class TestItems:
    @pytest.mark.fidelity("Invoice items: a pending one is drawn into the subscription's next invoice")
    def test_the_next_invoice_draws_them_in(self) -> None:
        account = new_account()
        ada = customer_with(account)
        subscription = subscribe(account, ada).json["id"]
        other = subscribe(account, ada).json["id"]
        made, theirs = item(account, ada), item(account, ada, subscription=other, amount=7)
        assert made["invoice"] is None
        account.renew_subscription(subscription)
        renewal = latest_invoice(account, subscription)
        assert [line["amount"] for line in renewal["lines"]["data"]] == [2000, 1000]
        assert renewal["amount_paid"] == 3000
        parent = renewal["lines"]["data"][1]["parent"]
        assert parent["invoice_item_details"]["invoice_item"] == made["id"]
        path = "/v1/invoiceitems"
        assert send(account, "GET", f"{path}/{made['id']}").json["invoice"] == renewal["id"]
        waiting = send(account, "GET", path, {"customer": ada, "pending": True}).json["data"]
        assert [one["id"] for one in waiting] == [theirs["id"]]
        account.renew_subscription(subscription)
        assert latest_invoice(account, subscription)["amount_paid"] == 2000
        account.renew_subscription(other)
        assert latest_invoice(account, other)["amount_paid"] == 2007

    @pytest.mark.fidelity("Invoice items: changed and deleted until their invoice is final")
    def test_their_life(self) -> None:
        account = new_account()
        ada = customer_with(account)
        draft = invoice(account, ada)
        made = item(account, ada, invoice=draft["id"])
        assert shown(account, draft)["total"] == 1000
        path = f"/v1/invoiceitems/{made['id']}"
        assert send(account, "POST", path, {"amount": 600, "metadata": {"k": "v"}}).json["amount"] == 600
        assert shown(account, draft)["amount_due"] == 600
        more = item(account, ada, invoice=draft["id"], amount=-100)
        assert (more["discountable"], shown(account, draft)["total"]) == (False, 500)
        gone = send(account, "DELETE", f"/v1/invoiceitems/{more['id']}").json
        assert (gone["deleted"], shown(account, draft)["total"]) == (True, 600)
        assert event_types(account)[-2:] == ["invoiceitem.deleted", "invoice.updated"]
        credit = item(account, ada, invoice=draft["id"], amount=-100, discountable=True)
        send(account, "POST", "/v1/coupons", {"id": "HALF", "percent_off": 50})
        halved = of(account, ada, discounts=[{"coupon": "HALF"}])
        lines = [{"amount": 600}, {"amount": -100, "discountable": True}]
        halved = post(account, halved, "add_lines", lines=lines, invoice_metadata={"by": "ada"}).json
        assert (halved["total"], halved["metadata"]) == (200, {"by": "ada"})
        send(account, "DELETE", f"/v1/invoiceitems/{credit['id']}")
        post(account, draft, "finalize")
        assert send(account, "POST", path, {"amount": 5}).status == 400
        assert send(account, "DELETE", path).status == 400

    def test_a_price_and_a_quantity(self) -> None:
        account = new_account()
        ada = customer_with(account)
        asked = {"unit_amount": 250, "currency": "usd", "product": PRODUCT}
        price = send(account, "POST", "/v1/prices", asked).json["id"]
        asked = {"customer": ada, "pricing": {"price": price}, "quantity": 3}
        made = send(account, "POST", "/v1/invoiceitems", asked).json
        assert (made["amount"], made["quantity"], made["currency"]) == (750, 3, "usd")
        changed = send(account, "POST", f"/v1/invoiceitems/{made['id']}", {"quantity": 2}).json
        assert changed["amount"] == 500
        asked = {"customer": ada, "price": MONTHLY}
        refused = send(account, "POST", "/v1/invoiceitems", asked)
        assert "type=recurring" in refused.error["message"]
        old = send(account, "GET", f"/v1/invoiceitems/{made['id']}", version=ACACIA).json
        assert (old["price"]["id"], old["unit_amount"], "pricing" in old) == (price, 250, False)

    @pytest.mark.parametrize(
        "params",
        [
            {"currency": "usd"},
            {"amount": 5},
            {"amount": 5, "currency": "usd", "invoice": "in_no"},
            {"amount": 5, "currency": "usd", "subscription": "sub_no"},
        ],
    )
    def test_what_makes_none_is_refused(self, params: dict[str, Any]) -> None:
        account = new_account()
        asked = {"customer": customer_with(account), **params}
        assert send(account, "POST", "/v1/invoiceitems", asked).status == 400

    def test_an_item_of_somebody_else(self) -> None:
        account = new_account()
        ada, bob = customer_with(account), customer_with(account)
        draft, waiting = invoice(account, ada), item(account, bob)
        asked = {"customer": bob, **TEN, "invoice": draft["id"]}
        assert send(account, "POST", "/v1/invoiceitems", asked).status == 400
        assert post(account, draft, "add_lines", lines=[{"invoice_item": waiting["id"]}]).status == 400
        assert (
            post(account, of(account, ada), "add_lines", lines=[{"amount": 5}, {"description": "?"}]).status
            == 400
        )
        assert [one["id"] for one in account.ledger.of("invoiceitem")] == [waiting["id"]]

    def test_what_is_not_its_invoice_s(self) -> None:
        account = new_account()
        ada, bob = customer_with(account), customer_with(account)
        draft = invoice(account, ada)
        made = item(account, ada, invoice=draft["id"])
        other = invoice(account, ada)
        assert post(account, other, "add_lines", lines=[{"invoice_item": made["id"]}]).status == 400
        for asked in (
            {"invoice": draft["id"], "currency": "eur"},
            {"subscription": subscribe(account, bob).json["id"]},
        ):
            assert send(account, "POST", "/v1/invoiceitems", {"customer": ada, **TEN, **asked}).status == 400
        item(account, ada)
        for pending in (True, False):
            found = send(account, "GET", "/v1/invoiceitems", {"customer": ada, "pending": pending})
            assert [one["invoice"] for one in found.json["data"]] == [None if pending else draft["id"]]

    def test_a_draft_of_a_deleted_customer_is_left_alone(self) -> None:
        account = new_account()
        ada = customer_with(account)
        draft = invoice(account, ada)
        made, waiting = item(account, ada, invoice=draft["id"]), item(account, ada)
        send(account, "DELETE", f"/v1/customers/{ada}")
        mark, path = account.mark(), f"/v1/invoiceitems/{made['id']}"
        lines = [{"amount": 5}, {"invoice_item": waiting["id"]}]
        assert post(account, draft, "add_lines", lines=lines).status == 400
        assert send(account, "POST", path, {"amount": 5}).status == 400
        assert send(account, "DELETE", path).status == 400
        assert (account.mark(), send(account, "GET", path).json["amount"]) == (mark, 1000)


class TestInvoices:
    @pytest.mark.fidelity("Invoices of one's own: drafted, finalized, paid, with their events")
    def test_an_invoice_is_drafted_finalized_and_paid(self) -> None:
        account = new_account()
        ada = customer_with(account)
        item(account, ada)
        assert invoice(account, ada)["total"] == 0
        mark = account.mark()
        draft = of(account, ada)
        assert (draft["status"], draft["auto_advance"], draft["billing_reason"]) == ("draft", False, "manual")
        assert (draft["total"], draft["parent"]) == (1000, None)
        account.tick(DAY)
        assert shown(account, draft)["status"] == "draft"
        assert post(account, draft, "finalize").json["status"] == "open"
        assert post(account, draft, "pay").json["amount_paid"] == 1000
        assert event_types(account, mark) == [
            "invoice.created",
            "payment_intent.created",
            "invoice.finalized",
            "charge.succeeded",
            "payment_intent.succeeded",
            "invoice.paid",
            "invoice.payment_succeeded",
        ]
        old = send(account, "GET", f"/v1/invoices/{draft['id']}", version=ACACIA).json
        assert (old["subscription"], old["subscription_details"]) == (None, None)
        assert old["lines"]["data"][0]["type"] == "invoiceitem"

    @pytest.mark.fidelity("Invoices of one's own: auto_advance finalizes and charges an hour later")
    def test_it_advances_by_the_clock(self) -> None:
        account = new_account()
        ada, poor = customer_with(account), customer_with(account, None)
        for customer in (ada, poor):
            item(account, customer)
        first, second = of(account, ada, auto_advance=True), of(account, poor, auto_advance=True)
        account.tick(HOUR - 1)
        assert shown(account, first)["status"] == "draft"
        account.tick(1)
        assert (shown(account, first)["status"], shown(account, second)["status"]) == ("paid", "open")
        assert last_event(account, "invoice.payment_failed")["data"]["object"]["id"] == second["id"]
        item(account, ada)
        third = of(account, ada)
        post(account, third, "finalize", auto_advance=True)
        account.tick(HOUR)
        assert shown(account, third)["status"] == "paid"

    def test_it_advances_no_further_where_it_was_tried_or_its_customer_is_gone(self) -> None:
        account = new_account()
        poor, gone = customer_with(account, "pm_card_chargeCustomerFail"), customer_with(account)
        for customer in (poor, gone):
            item(account, customer)
        tried, left = of(account, poor, auto_advance=True), of(account, gone, auto_advance=True)
        assert post(account, tried, "pay").status == 402
        send(account, "DELETE", f"/v1/customers/{gone}")
        mark = account.mark()
        account.tick(HOUR)
        assert (account.mark(), shown(account, left)["status"]) == (mark, "draft")

    def test_whether_it_advances_is_changed(self) -> None:
        account = new_account()
        ada = customer_with(account)
        item(account, ada)
        made = of(account, ada, auto_advance=True)
        path = f"/v1/invoices/{made['id']}"
        send(account, "POST", path, {"auto_advance": False})
        account.tick(HOUR)
        assert shown(account, made)["status"] == "draft"
        send(account, "POST", path, {"auto_advance": True})
        account.tick(HOUR)
        assert shown(account, made)["status"] == "paid"
        name = subscribe(account, ada).json["id"]
        kept = {"pause_collection": {"behavior": "keep_as_draft"}}
        send(account, "POST", f"/v1/subscriptions/{name}", kept)
        account.renew_subscription(name)
        theirs = latest_invoice(account, name)
        send(account, "POST", f"/v1/invoices/{theirs['id']}", {"auto_advance": True})
        post(account, theirs, "finalize")
        account.tick(HOUR)
        assert shown(account, theirs)["status"] == "open"

    @pytest.mark.fidelity("Invoices of one's own: send_invoice waits for its customer, with invoice.sent")
    def test_it_is_sent(self) -> None:
        account = new_account()
        ada = customer_with(account)
        item(account, ada)
        asked = {"customer": ada, "collection_method": "send_invoice"}
        assert send(account, "POST", "/v1/invoices", asked).error["param"] == "days_until_due"
        made = of(account, ada, collection_method="send_invoice", days_until_due=30)
        assert made["due_date"] == account.now + 30 * DAY
        assert post(account, made, "send").json["status"] == "open"
        assert event_types(account)[-1] == "invoice.sent"
        assert account.pay_invoice(made["id"])["status"] == "paid"
        assert post(account, made, "send").status == 400
        free = invoice(account, ada, collection_method="send_invoice", days_until_due=30)
        assert post(account, free, "send").json["status"] == "paid"

    @pytest.mark.fidelity("Invoices of one's own: a draft is deleted, an open one only voided")
    def test_a_draft_is_deleted_and_its_items_wait_again(self) -> None:
        account = new_account()
        ada = customer_with(account)
        made = item(account, ada)
        draft = of(account, ada)
        path = f"/v1/invoices/{draft['id']}"
        assert send(account, "DELETE", path).json == {"id": draft["id"], "object": "invoice", "deleted": True}
        assert (event_types(account)[-1], send(account, "GET", path).status) == ("invoice.deleted", 404)
        assert account.made_since(0).invoices == ()
        assert send(account, "GET", "/v1/invoice_payments").json["data"] == []
        again = of(account, ada)
        assert again["lines"]["data"][0]["parent"]["invoice_item_details"]["invoice_item"] == made["id"]
        post(account, again, "finalize")
        assert send(account, "DELETE", f"/v1/invoices/{again['id']}").status == 400
        assert post(account, again, "void").json["status"] == "void"

    @pytest.mark.fidelity("Invoices of one's own: coupons, the customer's or the invoice's")
    def test_discounts(self) -> None:
        account = new_account()
        ada = customer_with(account)
        for name, percent in (("HERS", 10), ("ITS", 50)):
            send(account, "POST", "/v1/coupons", {"id": name, "percent_off": percent})
        send(account, "POST", f"/v1/customers/{ada}", {"coupon": "HERS"}, version=ACACIA)
        totals = []
        for more in ({"discounts": [{"coupon": "ITS"}]}, {"discounts": ""}, {}, {}):
            item(account, ada)
            made = of(account, ada, **more)
            post(account, made, "pay")
            totals.append(shown(account, made)["total"])
        assert totals == [500, 1000, 900, 1000]
        for name in ("HERS", "ITS"):
            assert send(account, "GET", f"/v1/coupons/{name}").json["times_redeemed"] == 1

    @pytest.mark.fidelity("Invoices of one's own: of all that waits, or of one subscription's alone")
    def test_which_items_it_draws_in(self) -> None:
        account = new_account()
        ada = customer_with(account)
        name = subscribe(account, ada).json["id"]
        drawn = []
        for version, asked in (
            (None, {}),
            (None, {"subscription": name}),
            (None, {"subscription": name, "pending_invoice_items_behavior": "include"}),
            (None, {"pending_invoice_items_behavior": "include"}),
            ("2020-08-27", {"subscription": name}),
            ("2020-08-27", {}),
        ):
            waiting = [item(account, ada, amount=5), item(account, ada, amount=7, subscription=name)]
            drawn.append(invoice(account, ada, version=version, **asked)["total"])
            for one in waiting:
                send(account, "DELETE", f"/v1/invoiceitems/{one['id']}")
        assert drawn == [0, 7, 7, 12, 12, 12]

    def test_a_discount_in_another_currency_takes_nothing(self) -> None:
        account = new_account()
        ada = customer_with(account)
        flat = {"id": "FLAT", "amount_off": 5, "currency": "usd", "duration": "forever"}
        send(account, "POST", "/v1/coupons", flat)
        send(account, "POST", f"/v1/customers/{ada}", {"coupon": "FLAT"}, version=ACACIA)
        for money in ("usd", "eur"):
            item(account, ada, currency=money)
        assert [of(account, ada, currency=money)["total"] for money in ("usd", "eur")] == [995, 1000]

    def test_lines_are_added(self) -> None:
        account = new_account()
        ada = customer_with(account)
        waiting = item(account, ada)
        draft = invoice(account, ada)
        added = post(
            account,
            draft,
            "add_lines",
            lines=[{"invoice_item": waiting["id"]}, {"amount": 250, "description": "x"}],
        ).json
        assert [line["amount"] for line in added["lines"]["data"]] == [1000, 250]
        assert (added["total"], added["amount_due"]) == (1250, 1250)

    def test_what_is_owed_to_a_customer_goes_to_their_balance(self) -> None:
        account = new_account()
        ada = customer_with(account)
        item(account, ada, amount=-300)
        made = of(account, ada)
        assert (made["total"], made["amount_due"]) == (-300, 0)
        assert post(account, made, "finalize").json["status"] == "paid"
        assert send(account, "GET", f"/v1/customers/{ada}").json["balance"] == -300

    def test_before_august_2022_it_takes_in_what_is_pending(self) -> None:
        account = new_account()
        ada = customer_with(account)
        item(account, ada)
        made = invoice(account, ada, version="2022-08-01")
        assert (made["total"], made["auto_advance"]) == (0, False)
        made = invoice(account, ada, version="2020-08-27")
        assert (made["total"], made["auto_advance"]) == (1000, True)
