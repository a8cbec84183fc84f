"""What is done to invoices and items through the API, and what is sold and shown beside them."""

from __future__ import annotations

from typing import Any

import pytest
from billing_stage import customer_with, intent_of, latest_invoice, priced, subscribe, subscription
from sim_client import checkout, event_types, new_account, send, subscribed

from deadheat.stripe_sim import MONTHLY, PRODUCT

BEFORE_BASIL = "2025-02-24.acacia"


class TestInvoices:
    @pytest.mark.fidelity(
        "Paying an invoice with a card that is declined: 402, and the events of the attempt"
    )
    def test_paying_with_a_bad_card_then_a_good_one(self) -> None:
        account = new_account()
        customer = customer_with(account, "pm_card_chargeCustomerFail")
        name = subscribe(account, customer).json["id"]
        path = f"/v1/invoices/{latest_invoice(account, name)['id']}/pay"
        mark = account.mark()
        refused = send(account, "POST", path)
        assert (refused.status, refused.error["decline_code"]) == (402, "generic_decline")
        assert event_types(account, mark) == [
            "charge.failed",
            "payment_intent.payment_failed",
            "invoice.payment_failed",
        ]
        assert {e["data"]["object"]["id"] for e in account.made_since(mark).events} <= set(
            refused.call.object_ids
        )
        assert latest_invoice(account, name)["attempt_count"] == 1
        foreign = send(account, "POST", path, {"payment_method": "pm_card_visa"})
        assert (foreign.status, foreign.error["param"]) == (400, "payment_method")
        attach = "/v1/payment_methods/pm_card_visa/attach"
        good = send(account, "POST", attach, {"customer": customer}).json["id"]
        assert send(account, "POST", path, {"payment_method": good}).json["status"] == "paid"
        again = send(account, "POST", path)
        assert (again.status, again.error["message"]) == (400, "Invoice is already paid")
        assert subscription(account, name)["status"] == "active"

    @pytest.mark.fidelity(
        "Of two calls that pay one invoice, the second is refused and nothing is charged twice"
    )
    def test_two_payments_of_one_invoice(self) -> None:
        account = new_account()
        name = subscribe(account, customer_with(account)).json["id"]
        account.renew_subscription(name, decline="generic_decline")
        invoice = latest_invoice(account, name)
        intent = f"/v1/payment_intents/{intent_of(invoice)}/confirm"
        first = send(account, "POST", intent, {"payment_method": "pm_card_visa"})
        second = send(account, "POST", f"/v1/invoices/{invoice['id']}/pay")
        assert (first.status, second.status) == (200, 400)
        charges = send(account, "GET", "/v1/charges").json["data"]
        assert sum(charge["amount_captured"] for charge in charges) == 2 * 2000

    def test_a_draft_is_finalized_and_paid_by_hand(self) -> None:
        account = new_account()
        name = subscribed(account)["subscription"]
        pause = {"pause_collection": {"behavior": "keep_as_draft"}}
        send(account, "POST", f"/v1/subscriptions/{name}", pause)
        account.renew_subscription(name)
        path = f"/v1/invoices/{latest_invoice(account, name)['id']}"
        assert send(account, "POST", f"{path}/void").status == 400
        opened = send(account, "POST", f"{path}/finalize").json
        assert (opened["status"], opened["amount_remaining"]) == ("open", 2000)
        assert send(account, "POST", f"{path}/finalize").status == 400
        assert send(account, "POST", f"{path}/mark_uncollectible").json["status"] == "uncollectible"
        assert send(account, "POST", f"{path}/mark_uncollectible").status == 400
        assert send(account, "POST", f"{path}/pay").json["status"] == "paid"

    @pytest.mark.fidelity(
        "API versions see their own shapes: invoice.parent and what stood there before basil"
    )
    def test_an_unpaid_invoice_before_basil(self) -> None:
        account = new_account()
        customer = customer_with(account, None)
        params = {"payment_behavior": "default_incomplete", "expand": ["latest_invoice.payment_intent"]}
        made = subscribe(account, customer, version=BEFORE_BASIL, **params).json
        invoice = made["latest_invoice"]
        assert (invoice["paid"], invoice["charge"], invoice["subscription"]) == (False, None, made["id"])
        assert invoice["payment_intent"]["client_secret"]
        assert "parent" not in invoice


class TestItems:
    @pytest.mark.fidelity(
        "Subscription items: added, changed in quantity and price, removed, never the last one"
    )
    def test_items_come_change_and_go(self) -> None:
        account = new_account()
        name = subscribed(account)["subscription"]
        listed = send(account, "GET", "/v1/subscription_items", {"subscription": name}).json["data"]
        (first,) = listed
        whole: dict[str, Any] = {"proration_behavior": "none"}
        asked = {"subscription": name, "price": priced(account, 20000), "quantity": 2, **whole}
        added = send(account, "POST", "/v1/subscription_items", asked).json
        assert (added["subscription"], added["quantity"]) == (name, 2)
        path = f"/v1/subscription_items/{first['id']}"
        mark = account.mark()
        assert send(account, "POST", path, {"quantity": 5, **whole}).json["quantity"] == 5
        assert event_types(account, mark) == ["customer.subscription.updated"]
        account.renew_subscription(name)
        assert latest_invoice(account, name)["amount_paid"] == 5 * 2000 + 2 * 20000
        assert send(account, "DELETE", path).json == {
            "id": first["id"],
            "object": "subscription_item",
            "deleted": True,
        }
        assert send(account, "GET", path).error["code"] == "resource_missing"
        assert send(account, "DELETE", f"/v1/subscription_items/{added['id']}").status == 400
        assert [i["id"] for i in subscription(account, name)["items"]["data"]] == [added["id"]]

    def test_items_follow_the_version_and_the_end(self) -> None:
        account = new_account()
        name = subscribed(account)["subscription"]
        item = subscription(account, name)["items"]["data"][0]["id"]
        path = f"/v1/subscription_items/{item}"
        assert "current_period_end" in send(account, "GET", path).json
        assert "current_period_end" not in send(account, "GET", path, version=BEFORE_BASIL).json
        once = send(account, "POST", "/v1/prices", {"currency": "usd", "unit_amount": 5, "product": PRODUCT})
        assert send(account, "POST", path, {"price": once.json["id"]}).error["param"] == "price"
        account.cancel_subscription(name)
        assert send(account, "POST", path, {"quantity": 2}).status == 400
        asked = {"subscription": name, "price": MONTHLY}
        assert send(account, "POST", "/v1/subscription_items", asked).status == 400


class TestCatalog:
    @pytest.mark.fidelity("Products and prices are made, changed and retired through the API")
    def test_products_and_prices(self) -> None:
        account = new_account()
        product = send(account, "POST", "/v1/products", {"name": "Pro", "metadata": {"tier": "2"}}).json
        asked = {
            "currency": "usd",
            "unit_amount": 4900,
            "recurring": {"interval": "month"},
            "product": product["id"],
            "lookup_key": "pro",
        }
        price = send(account, "POST", "/v1/prices", asked).json
        assert (price["type"], price["unit_amount"], price["lookup_key"]) == ("recurring", 4900, "pro")
        taken = send(account, "POST", "/v1/prices", asked)
        assert (taken.status, taken.error["param"]) == (400, "lookup_key")
        moved = send(account, "POST", "/v1/prices", {**asked, "transfer_lookup_key": True}).json
        found = send(account, "GET", "/v1/prices", {"lookup_keys": ["pro"]}).json["data"]
        assert [p["id"] for p in found] == [moved["id"]]
        session = checkout(account, line_items=[{"price": price["id"], "quantity": 1}])
        assert account.complete_session(session["id"])["amount_total"] == 4900
        retired = send(account, "POST", f"/v1/prices/{price['id']}", {"active": False}).json
        assert not retired["active"]
        asked = {"line_items": [{"price": price["id"], "quantity": 1}], "mode": "subscription"}
        refused = send(account, "POST", "/v1/checkout/sessions", {**asked, "success_url": "https://a.test"})
        assert refused.error["param"] == "line_items[0][price]"
        send(account, "POST", f"/v1/products/{product['id']}", {"name": "Pro+", "default_price": moved["id"]})
        types = event_types(account)
        assert [t for t in types if t.startswith(("product", "price"))] == [
            "product.created",
            "price.created",
            "price.updated",
            "price.created",
            "price.updated",
            "product.updated",
        ]

    def test_products_may_bring_their_id(self) -> None:
        account = new_account()
        assert send(account, "POST", "/v1/products", {"name": "A", "id": "prod_a"}).json["id"] == "prod_a"
        again = send(account, "POST", "/v1/products", {"name": "A", "id": "prod_a"})
        assert again.error["code"] == "resource_already_exists"
        with_new = {"currency": "usd", "unit_amount": 1, "product_data": {"name": "B"}}
        assert send(account, "POST", "/v1/prices", with_new).json["type"] == "one_time"
        assert send(account, "POST", "/v1/prices", {"currency": "usd", "unit_amount": 1}).status == 400
        assert send(account, "POST", "/v1/prices", {"currency": "usd", "product": PRODUCT}).status == 400


class TestPortal:
    @pytest.mark.fidelity("Billing-portal sessions, and their configurations")
    def test_sessions_take_a_configuration(self) -> None:
        account = new_account()
        customer = customer_with(account)
        asked = {"customer": customer, "return_url": "https://app.test/account"}
        made = send(account, "POST", "/v1/billing_portal/sessions", asked).json
        assert (made["customer"], made["return_url"]) == (customer, "https://app.test/account")
        assert made["url"].startswith("https://billing.stripe.com/")
        again = send(
            account, "POST", "/v1/billing_portal/sessions", {**asked, "expand": ["configuration"]}
        ).json
        assert (again["configuration"]["id"], again["id"] == made["id"]) == (made["configuration"], False)
        assert again["configuration"]["is_default"]
        features = {
            "features": {"invoice_history": {"enabled": True}},
            "default_return_url": "https://b.test",
        }
        own = send(account, "POST", "/v1/billing_portal/configurations", features).json
        session = {"customer": customer, "configuration": own["id"]}
        made = send(account, "POST", "/v1/billing_portal/sessions", session).json
        assert made["return_url"] == "https://b.test"
        path = f"/v1/billing_portal/configurations/{own['id']}"
        assert not send(account, "POST", path, {"active": False}).json["active"]
        refused = send(account, "POST", "/v1/billing_portal/sessions", session)
        assert (refused.status, refused.error["param"]) == (400, "configuration")
        listed = send(account, "GET", "/v1/billing_portal/configurations", {"active": False}).json["data"]
        assert [found["id"] for found in listed] == [own["id"]]

    def test_nobody_has_no_portal(self) -> None:
        refused = send(new_account(), "POST", "/v1/billing_portal/sessions", {"customer": "cus_no"})
        assert (refused.status, refused.error["param"]) == (400, "customer")
