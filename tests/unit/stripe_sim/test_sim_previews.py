"""Previews of the next invoice: what it says is what is billed, and nothing is written."""

from __future__ import annotations

from typing import Any

import pytest
from billing_stage import customer_with, latest_invoice, subscribe
from sim_client import START, new_account, send

from deadheat.stripe_sim import YEARLY, Account
from deadheat.stripe_sim.clock import DAY

ACACIA = "2024-12-18.acacia"
HALF_A_MONTH = 15 * DAY


def preview(account: Account, name: str, **params: Any) -> Any:
    return send(account, "POST", "/v1/invoices/create_preview", {"subscription": name, **params})


@pytest.mark.fidelity("Previews: what they ask for is what the change bills, and nothing is written")
@pytest.mark.parametrize("behavior", ["create_prorations", "always_invoice", "none"])
@pytest.mark.parametrize("change", [{"quantity": 3}, {"price": YEARLY}])
def test_a_preview_is_what_comes(change: dict[str, Any], behavior: str) -> None:
    account = new_account()
    send(account, "POST", "/v1/coupons", {"percent_off": 10, "duration": "forever", "id": "TENTH"})
    asked = {"discounts": [{"coupon": "TENTH"}]}
    made = subscribe(account, customer_with(account), **asked).json
    account.tick(HALF_A_MONTH)
    details = {
        "items": [{"id": made["items"]["data"][0]["id"], **change}],
        "proration_behavior": behavior,
    }
    mark = account.mark()
    said = preview(account, made["id"], subscription_details=details).json
    assert account.mark() == mark
    assert said["id"].startswith("upcoming_in_")
    send(account, "POST", f"/v1/subscriptions/{made['id']}", details)
    if latest_invoice(account, made["id"])["id"] == made["latest_invoice"]:
        account.renew_subscription(made["id"])
    billed = latest_invoice(account, made["id"])
    for name in ("subtotal", "total", "amount_due"):
        assert said[name] == billed[name]
    amounts = [[line["amount"] for line in one["lines"]["data"]] for one in (said, billed)]
    assert amounts[0] == amounts[1]


def test_of_the_next_invoice_as_it_is() -> None:
    account = new_account()
    ada = customer_with(account)
    made = subscribe(account, ada).json
    send(account, "POST", "/v1/invoiceitems", {"customer": ada, "amount": 300, "currency": "usd"})
    said = send(account, "POST", "/v1/invoices/create_preview", {"customer": ada}).json
    assert (said["total"], said["billing_reason"], said["status"]) == (2300, "upcoming", "draft")
    assert said["period_end"] == made["items"]["data"][0]["current_period_end"]
    old = send(account, "GET", "/v1/invoices/upcoming", {"customer": ada}, version=ACACIA).json
    assert (old["total"], "id" in old, old["subscription"]) == (2300, False, made["id"])
    assert send(account, "GET", "/v1/invoices/upcoming", {"customer": ada}).status == 404


def test_where_nothing_is_to_come() -> None:
    account = new_account()
    ada = customer_with(account)
    asked = {"customer": ada}
    none = send(account, "POST", "/v1/invoices/create_preview", asked)
    assert (none.status, none.error["code"]) == (404, "invoice_upcoming_none")
    name = subscribe(account, ada).json["id"]
    send(account, "POST", f"/v1/subscriptions/{name}", {"cancel_at_period_end": True})
    assert preview(account, name).error["code"] == "invoice_upcoming_none"
    account.cancel_subscription(name)
    assert preview(account, name).status == 404
    assert send(account, "POST", "/v1/invoices/create_preview").error["param"] == "customer"


def test_of_the_subscription_that_renews_first_with_other_discounts_and_after_a_trial() -> None:
    account = new_account()
    ada = customer_with(account)
    subscribe(account, ada, items=[{"price": YEARLY}])
    trial = subscribe(account, ada, trial_period_days=7).json
    send(account, "POST", "/v1/coupons", {"percent_off": 10, "id": "TENTH"})
    mark = account.mark()
    asked = {"customer": ada, "discounts": [{"coupon": "TENTH"}]}
    said = send(account, "POST", "/v1/invoices/create_preview", asked).json
    assert account.mark() == mark
    assert (said["subtotal"], said["total"], said["created"]) == (2000, 1800, trial["trial_end"])
    assert send(account, "GET", "/v1/coupons/TENTH").json["times_redeemed"] == 0


def test_another_interval_begins_now_whatever_its_prorations_count_from() -> None:
    account = new_account()
    made = subscribe(account, customer_with(account)).json
    account.tick(HALF_A_MONTH)
    items = [{"id": made["items"]["data"][0]["id"], "price": YEARLY}]
    said = preview(account, made["id"], subscription_details={"items": items, "proration_date": START}).json
    assert [line["amount"] for line in said["lines"]["data"]] == [20000, -2000]
    assert said["created"] == said["lines"]["data"][0]["period"]["start"] == account.now
