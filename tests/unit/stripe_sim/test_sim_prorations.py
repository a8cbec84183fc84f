"""Prorations: what a change in the middle of a period gives back and costs, to the second."""

from __future__ import annotations

from typing import Any

import pytest
from billing_stage import customer_with, latest_invoice, priced, subscribe, subscription
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_client import event_types, new_account, send

from deadheat.stripe_sim import MONTHLY, PRODUCT, YEARLY, Account, Dunning
from deadheat.stripe_sim.clock import DAY

MONTH = 30 * DAY  # from 14 November 2023, where the account's clock begins


def start(account: Account, **params: Any) -> tuple[str, str]:
    """Subscribe a customer; gives the subscription and its item."""
    made = subscribe(account, customer_with(account), **params).json
    return made["id"], made["items"]["data"][0]["id"]


def change(account: Account, name: str, item: str, **params: Any) -> Any:
    of_item = {n: params.pop(n) for n in ("price", "quantity") if n in params}
    asked = {"items": [{"id": item, **of_item}], **params}
    return send(account, "POST", f"/v1/subscriptions/{name}", asked)


def waiting(account: Account) -> list[int]:
    found = send(account, "GET", "/v1/invoiceitems", {"pending": True}).json["data"]
    return [one["amount"] for one in reversed(found)]


class TestChanges:
    @pytest.mark.fidelity("Prorations: to the second, as pending items, without an invoice at once")
    def test_half_a_period(self) -> None:
        account = new_account()
        name, item = start(account)
        account.tick(MONTH // 2)
        mark = account.mark()
        change(account, name, item, quantity=3)
        assert waiting(account) == [-1000, 3000]
        assert event_types(account, mark) == [
            "invoiceitem.created",
            "invoiceitem.created",
            "customer.subscription.updated",
        ]
        credit, debit = reversed(send(account, "GET", "/v1/invoiceitems").json["data"])
        assert (credit["proration"], credit["discountable"], credit["quantity"]) == (True, False, 1)
        assert credit["description"] == "Unused time on 1 × Deadheat"
        assert debit["description"] == "Remaining time on 3 × Deadheat"
        assert debit["period"] == {"start": account.now, "end": account.now + MONTH // 2}
        account.renew_subscription(name)
        invoice = latest_invoice(account, name)
        assert [line["amount"] for line in invoice["lines"]["data"]] == [6000, -1000, 3000]
        assert invoice["amount_paid"] == 8000
        details = invoice["lines"]["data"][1]["parent"]["subscription_item_details"]
        assert (details["proration"], details["subscription_item"]) == (True, item)
        first = account.made_since(0).invoices[0]
        assert details["proration_details"]["credited_items"] == {
            "invoice": first["id"],
            "invoice_line_items": [first["lines"]["data"][0]["id"]],
        }
        assert waiting(account) == []

    @pytest.mark.slow
    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, MONTH), st.integers(0, 5), st.integers(0, 5))
    def test_there_and_back_costs_nothing(self, seconds: int, first: int, then: int) -> None:
        account = new_account()
        name, item = start(account, items=[{"price": MONTHLY, "quantity": first}])
        account.tick(seconds)
        for quantity in (then, first):
            change(account, name, item, quantity=quantity)
        assert sum(waiting(account)) == 0
        assert sum(waiting(account)[:2]) == pytest.approx(
            2000 * (then - first) * (MONTH - seconds) / MONTH, abs=1
        )

    @pytest.mark.fidelity("Prorations: none makes no items, always_invoice bills them at once")
    def test_the_other_behaviors(self) -> None:
        account = new_account()
        name, item = start(account)
        account.tick(MONTH // 4)
        change(account, name, item, quantity=2, proration_behavior="none")
        assert waiting(account) == []
        mark = account.mark()
        now = change(account, name, item, quantity=3, proration_behavior="always_invoice").json
        (invoice,) = account.made_since(mark).invoices
        assert (invoice["id"], invoice["billing_reason"]) == (now["latest_invoice"], "subscription_update")
        assert [line["amount"] for line in invoice["lines"]["data"]] == [-3000, 4500]
        assert (invoice["status"], invoice["amount_paid"], waiting(account)) == ("paid", 1500, [])
        change(account, name, item, quantity=1, proration_behavior="always_invoice")
        customer = account.made_since(0).customers[0]
        assert customer["balance"] == -3000
        refused = change(
            account,
            name,
            item,
            quantity=4,
            proration_behavior="always_invoice",
            payment_behavior="pending_if_incomplete",
        )
        assert "does not model" in refused.error["message"]

    @pytest.mark.fidelity("Prorations: proration_date counts from a time within the period")
    def test_another_time(self) -> None:
        account = new_account()
        name, item = start(account)
        began = account.now
        account.tick(MONTH // 2)
        change(account, name, item, quantity=2, proration_date=began)
        assert waiting(account) == [-2000, 4000]
        for wrong in (began - 1, began + MONTH + 1):
            refused = change(account, name, item, quantity=3, proration_date=wrong)
            assert (refused.status, refused.error["param"]) == (400, "proration_date")

    def test_a_period_renewed_ahead_of_the_clock_is_all_left(self) -> None:
        account = new_account()
        name, item = start(account)
        account.renew_subscription(name)
        change(account, name, item, quantity=2)
        assert waiting(account) == [-2000, 4000]

    @pytest.mark.fidelity("Prorations: a trial in the middle of a period gives back what is left of it")
    @pytest.mark.parametrize(("behavior", "left"), [("create_prorations", [-1000]), ("none", [])])
    def test_a_trial_in_the_middle_of_a_period(self, behavior: str, left: list[int]) -> None:
        account = new_account()
        name, item = start(account)
        account.tick(MONTH // 2)
        until = account.now + 7 * DAY
        asked = {"trial_end": until, "proration_behavior": behavior}
        now = change(account, name, item, price=YEARLY, **asked).json
        (after,) = now["items"]["data"]
        assert (now["status"], now["trial_start"], now["trial_end"]) == ("trialing", account.now, until)
        assert (after["current_period_start"], after["current_period_end"]) == (account.now, until)
        assert waiting(account) == left
        assert len(account.made_since(0).invoices) == 1
        account.renew_subscription(name)
        assert latest_invoice(account, name)["total"] == 20000 + sum(left)

    def test_a_trial_has_nothing_to_give_back(self) -> None:
        account = new_account()
        name, item = start(account, trial_period_days=7)
        change(account, name, item, quantity=2)
        assert waiting(account) == []

    @pytest.mark.fidelity("Prorations: discounts are taken off them, and not once more by their invoice")
    def test_discounts(self) -> None:
        account = new_account()
        asked = {"percent_off": 50, "duration": "forever", "id": "HALF"}
        send(account, "POST", "/v1/coupons", asked)
        name, item = start(account, discounts=[{"coupon": "HALF"}])
        account.tick(MONTH // 2)
        change(account, name, item, quantity=2)
        assert waiting(account) == [-500, 1000]
        account.renew_subscription(name)
        assert latest_invoice(account, name)["total"] == 2000 + 500

    def test_half_a_cent_is_a_cent_of_either(self) -> None:
        account = new_account()
        name, item = start(account, items=[{"price": priced(account, 333)}])
        account.tick(MONTH // 2)
        assert change(account, name, item, price=priced(account, 2999)).status == 200
        assert waiting(account) == [-167, 1500]

    def test_at_its_end_nothing_is_left_of_a_period(self) -> None:
        account = new_account()
        name, item = start(account)
        change(account, name, item, quantity=2, proration_date=account.now + MONTH)
        assert waiting(account) == [0, 0]

    @pytest.mark.parametrize("status", ["past_due", "unpaid"])
    def test_what_was_billed_and_not_paid_is_given_back_too(self, status: str) -> None:
        account = new_account()
        account.dunning = Dunning(2 if status == "past_due" else 1, "unpaid")
        name, item = start(account)
        account.renew_subscription(name, decline="lost_card")
        assert subscription(account, name)["status"] == status
        asked = {"payment_behavior": "pending_if_incomplete"}  # nothing is billed at once
        assert change(account, name, item, quantity=2, **asked).status == 200
        assert waiting(account) == [-2000, 4000]

    def test_a_discount_that_is_over_is_taken_off_no_more(self) -> None:
        account = new_account()
        asked = {"percent_off": 50, "duration": "repeating", "duration_in_months": 1, "id": "HALF"}
        send(account, "POST", "/v1/coupons", asked)
        name, item = start(account, items=[{"price": YEARLY}], discounts=[{"coupon": "HALF"}])
        account.tick(10 * DAY)
        change(account, name, item, quantity=2)
        assert waiting(account) == [-9727, 19454]  # 356 of 366 days at half the price
        account.tick(173 * DAY)
        change(account, name, item, quantity=3)
        assert waiting(account)[2:] == [-20000, 30000]

    def test_of_what_a_credit_is_and_when_nothing_is_billed(self) -> None:
        account = new_account()
        name, item = start(account)
        for quantity in (2, 3):
            change(account, name, item, quantity=quantity, proration_behavior="always_invoice")
        first, second = account.made_since(0).invoices[1:]
        credit = second["lines"]["data"][0]["parent"]["subscription_item_details"]["proration_details"]
        debit = first["lines"]["data"][1]
        assert credit["credited_items"] == {"invoice": first["id"], "invoice_line_items": [debit["id"]]}
        change(account, name, item, quantity=3, proration_behavior="always_invoice")
        assert len(account.made_since(0).invoices) == 3


class TestCanceling:
    @pytest.mark.fidelity("Prorations: canceling gives back what is left if asked to, and bills what waits")
    def test_what_is_left_is_given_back(self) -> None:
        for asked, left, balance in (
            ({}, [], 0),
            ({"prorate": True}, [-1000], 0),
            ({"prorate": True, "invoice_now": True}, [], -1000),
            ({"invoice_now": True}, [], 0),
        ):
            account = new_account()
            name, _ = start(account)
            account.tick(MONTH // 2)
            assert send(account, "DELETE", f"/v1/subscriptions/{name}", asked).json["status"] == "canceled"
            assert waiting(account) == left
            made = account.made_since(0)
            assert made.customers[0]["balance"] == balance
            assert len(made.invoices) == 1 + bool(balance)


class TestItems:
    @pytest.mark.fidelity("Prorations: items that come and go in the middle of a period")
    def test_an_item_comes_and_goes(self) -> None:
        account = new_account()
        name, _ = start(account)
        asked = {
            "product": PRODUCT,
            "currency": "usd",
            "unit_amount": 600,
            "recurring": {"interval": "month"},
        }
        price = send(account, "POST", "/v1/prices", asked).json["id"]
        account.tick(MONTH // 2)
        added = send(account, "POST", "/v1/subscription_items", {"subscription": name, "price": price}).json
        assert waiting(account) == [300]
        send(account, "DELETE", f"/v1/subscription_items/{added['id']}", {"proration_behavior": "none"})
        assert waiting(account) == [300]

    @pytest.mark.fidelity("Prorations: a price of another interval begins a new period, invoiced at once")
    @pytest.mark.parametrize(("interval", "count"), [("year", 1), ("month", 3)])
    def test_another_interval(self, interval: str, count: int) -> None:
        account = new_account()
        name, item = start(account)
        account.tick(MONTH // 2)
        other = priced(account, 20000, interval, count)
        mark = account.mark()
        now = change(account, name, item, price=other).json
        assert now["billing_cycle_anchor"] == now["items"]["data"][0]["current_period_start"] == account.now
        invoice = latest_invoice(account, name)
        assert [line["amount"] for line in invoice["lines"]["data"]] == [20000, -1000]
        assert (invoice["status"], invoice["amount_paid"]) == ("paid", 19000)
        assert (now["cancel_at"], now["cancel_at_period_end"]) == (None, False)
        assert event_types(account, mark).count("customer.subscription.updated") == 1
        assert subscription(account, name)["latest_invoice"] == invoice["id"]

    def test_a_new_period_begins_now_whatever_its_prorations_count_from(self) -> None:
        account = new_account()
        name, item = start(account, cancel_at_period_end=True)
        began = account.now
        account.tick(MONTH // 2)
        now = change(account, name, item, price=YEARLY, proration_date=began).json
        (after,) = now["items"]["data"]
        assert now["billing_cycle_anchor"] == after["current_period_start"] == account.now
        assert (now["cancel_at_period_end"], now["cancel_at"]) == (True, after["current_period_end"])
        lines = latest_invoice(account, name)["lines"]["data"]
        assert [line["amount"] for line in lines] == [20000, -2000]
