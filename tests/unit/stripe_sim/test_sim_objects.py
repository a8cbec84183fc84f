"""Objects and their events, without sockets: what the SDK's tests do not look into."""

from __future__ import annotations

from typing import Any

import pytest
from sim_client import START, checkout, event_types, last_event, new_account, send, subscribed

from deadheat.errors import ActRefused
from deadheat.stripe_sim import MONTHLY, YEARLY
from deadheat.stripe_sim.clock import DAY, later

BASIL = "2025-03-31.basil"
BEFORE_BASIL = "2025-02-24.acacia"


class TestCustomers:
    @pytest.mark.fidelity("Metadata is stored, merged key by key, and unset by an empty string")
    @pytest.mark.fidelity("previous_attributes hold what changed")
    def test_metadata_is_merged_and_unset(self) -> None:
        account = new_account()
        made = send(account, "POST", "/v1/customers", {"metadata": {"a": "1", "b": "2"}}).json
        path = f"/v1/customers/{made['id']}"
        merged = send(account, "POST", path, {"metadata": {"b": "", "c": "3"}}).json
        assert merged["metadata"] == {"a": "1", "c": "3"}
        event = last_event(account, "customer.updated")
        assert event["data"]["previous_attributes"] == {"metadata": {"b": "2", "c": None}}
        assert send(account, "POST", path, {"metadata": ""}).json["metadata"] == {}

    def test_metadata_keys_may_be_numbers(self) -> None:
        made = send(new_account(), "POST", "/v1/customers", {"metadata": {"0": "a", "1": "b"}}).json
        assert made["metadata"] == {"0": "a", "1": "b"}

    @pytest.mark.fidelity("Objects: an update that changes nothing emits no event")
    def test_an_update_that_changes_nothing_emits_nothing(self) -> None:
        account = new_account()
        made = send(account, "POST", "/v1/customers", {"name": "Ada", "metadata": {"a": "1"}}).json
        send(account, "POST", f"/v1/customers/{made['id']}", {"name": "Ada", "metadata": {"a": "1"}})
        assert event_types(account) == ["customer.created"]

    @pytest.mark.fidelity("An empty string unsets a field")
    def test_an_empty_string_unsets(self) -> None:
        account = new_account()
        made = send(account, "POST", "/v1/customers", {"email": "a@b.c", "address": {"city": "X"}}).json
        assert made["address"]["city"] == "X"
        unset = send(account, "POST", f"/v1/customers/{made['id']}", {"email": "", "address": ""}).json
        assert (unset["email"], unset["address"]) == (None, None)

    @pytest.mark.fidelity("Objects: a deleted customer cancels its subscriptions and leaves a trace")
    def test_deleting_one_cancels_and_keeps_a_trace(self) -> None:
        account = new_account()
        session = subscribed(account)
        customer = session["customer"]
        mark = account.mark()
        gone = {"id": customer, "object": "customer", "deleted": True}
        assert send(account, "DELETE", f"/v1/customers/{customer}").json == gone
        assert event_types(account, mark) == ["customer.subscription.deleted", "customer.deleted"]
        assert send(account, "GET", f"/v1/customers/{customer}").json == gone
        assert send(account, "GET", "/v1/customers", {"email": "ada@example.test"}).json["data"] == []
        assert send(account, "DELETE", f"/v1/customers/{customer}").status == 404
        assert send(account, "POST", f"/v1/customers/{customer}", {"name": "A"}).status == 404
        subscription = send(account, "GET", f"/v1/subscriptions/{session['subscription']}").json
        assert subscription["status"] == "canceled"
        assert last_event(account, "customer.deleted")["data"]["object"]["email"] == "ada@example.test"

    @pytest.mark.fidelity("State is kept across requests")
    @pytest.mark.fidelity("Every object has a new id; an e-mail is no key")
    def test_lists_follow_a_changed_e_mail(self) -> None:
        account = new_account()
        ids = [send(account, "POST", "/v1/customers", {"email": "x@y.z"}).json["id"] for _ in range(3)]

        def found(email: str) -> list[str]:
            return [c["id"] for c in send(account, "GET", "/v1/customers", {"email": email}).json["data"]]

        assert found("x@y.z") == ids[::-1]
        assert found("X@y.z") == []
        send(account, "POST", f"/v1/customers/{ids[1]}", {"email": "new@y.z"})
        assert (found("x@y.z"), found("new@y.z")) == ([ids[2], ids[0]], [ids[1]])
        send(account, "POST", f"/v1/customers/{ids[1]}", {"email": "x@y.z"})
        assert (found("x@y.z"), found("new@y.z")) == (ids[::-1], [])

    @pytest.mark.fidelity("Lists page in both directions")
    def test_pages_in_both_directions(self) -> None:
        account = new_account()
        ids = [send(account, "POST", "/v1/customers").json["id"] for _ in range(5)][::-1]

        def page(**params: Any) -> tuple[list[str], bool]:
            answer = send(account, "GET", "/v1/customers", params).json
            return [c["id"] for c in answer["data"]], answer["has_more"]

        assert page(limit=2) == (ids[:2], True)
        assert page(limit=2, starting_after=ids[1]) == (ids[2:4], True)
        assert page(limit=2, starting_after=ids[3]) == (ids[4:], False)
        assert page(limit=2, ending_before=ids[3]) == (ids[1:3], True)
        assert page(limit=3, ending_before=ids[3]) == (ids[:3], False)
        missing = send(account, "GET", "/v1/customers", {"starting_after": "cus_no"})
        assert (missing.status, missing.error["param"]) == (400, "starting_after")

    @pytest.mark.fidelity("Lists are filtered by created")
    def test_created_filters(self) -> None:
        account = new_account()
        for _ in range(3):
            send(account, "POST", "/v1/customers")
            account.tick(10)
        asked = {"created": {"gt": START, "lte": START + 20}}
        assert len(send(account, "GET", "/v1/customers", asked).json["data"]) == 2
        assert len(send(account, "GET", "/v1/customers", {"created": START}).json["data"]) == 1


class TestCheckout:
    @pytest.mark.fidelity("Checkout: a session is open, then complete")
    @pytest.mark.fidelity("subscription_data.metadata is copied to the subscription")
    @pytest.mark.fidelity("Subscriptions and money: active")
    def test_paying_emits_in_order_with_the_session_last(self) -> None:
        account = new_account()
        mark = account.mark()
        session = subscribed(account, subscription_data={"metadata": {"user_id": "u1"}}, metadata={"m": "1"})
        assert event_types(account, mark) == [
            "customer.created",
            "payment_method.attached",
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
            "customer.subscription.created",
            "invoice.created",
            "invoice.finalized",
            "invoice.paid",
            "invoice.payment_succeeded",
            "checkout.session.completed",
        ]
        assert (session["status"], session["payment_status"], session["url"]) == ("complete", "paid", None)
        subscription = account.object("subscription", session["subscription"])
        assert subscription is not None
        assert (subscription["status"], subscription["metadata"]) == ("active", {"user_id": "u1"})
        assert subscription["latest_invoice"] == session["invoice"]
        created = last_event(account, "customer.subscription.created")
        assert created["request"] == {"id": None, "idempotency_key": None}
        assert created["data"]["object"]["status"] == "active"

    @pytest.mark.fidelity("Before basil a subscription is first incomplete")
    def test_before_basil_a_subscription_is_first_incomplete(self) -> None:
        account = new_account()
        session = checkout(account, version=BEFORE_BASIL)
        account.complete_session(session["id"])
        assert (
            last_event(account, "customer.subscription.created")["data"]["object"]["status"] == "incomplete"
        )
        updated = last_event(account, "customer.subscription.updated")
        assert updated["data"]["previous_attributes"] == {"status": "incomplete"}
        assert updated["data"]["object"]["status"] == "active"
        types = event_types(account)
        assert types.index("customer.subscription.created") < types.index("charge.succeeded")
        assert types.index("charge.succeeded") < types.index("customer.subscription.updated")
        assert types[-1] == "checkout.session.completed"

    @pytest.mark.fidelity("From basil on a subscription appears when it is paid")
    @pytest.mark.parametrize("version", [BASIL, None])
    def test_from_basil_on_it_appears_paid(self, version: str | None) -> None:
        account = new_account()
        account.complete_session(checkout(account, version=version)["id"])
        assert "customer.subscription.updated" not in event_types(account)

    @pytest.mark.fidelity("Two open sessions can both be paid")
    def test_two_open_sessions_can_both_be_paid(self) -> None:
        account = new_account()
        customer = send(account, "POST", "/v1/customers").json["id"]
        sessions = [checkout(account, customer=customer)["id"] for _ in range(2)]
        for session in sessions:
            account.complete_session(session)
        made = account.made_since(0)
        assert [s["customer"] for s in made.subscriptions] == [customer, customer]
        assert [i["amount_paid"] for i in made.invoices] == [2000, 2000]

    @pytest.mark.fidelity("Checkout: only an open session can be paid")
    def test_only_an_open_session_can_be_paid(self) -> None:
        account = new_account()
        session = checkout(account)["id"]
        account.complete_session(session)
        with pytest.raises(ActRefused, match="complete"):
            account.complete_session(session)
        with pytest.raises(ActRefused, match="no checkout session cs_no"):
            account.complete_session("cs_no")
        other = checkout(account)["id"]
        send(account, "POST", f"/v1/checkout/sessions/{other}/expire")
        with pytest.raises(ActRefused, match="expired"):
            account.complete_session(other)

    def test_a_deleted_customer_cannot_pay(self) -> None:
        account = new_account()
        customer = send(account, "POST", "/v1/customers").json["id"]
        session = checkout(account, customer=customer)["id"]
        send(account, "DELETE", f"/v1/customers/{customer}")
        with pytest.raises(ActRefused, match="deleted"):
            account.complete_session(session)
        assert account.made_since(0).subscriptions == ()

    @pytest.mark.fidelity("Checkout: a session without a customer makes one when it is paid")
    def test_a_session_without_customer_makes_one_when_paid(self) -> None:
        account = new_account()
        session = checkout(account, customer_email="new@example.test", client_reference_id="u1")
        assert (session["customer"], session["customer_creation"]) == (None, "always")
        assert account.made_since(0).customers == ()
        done = account.complete_session(session["id"], name="New")
        (customer,) = account.made_since(0).customers
        assert (customer["id"], customer["email"], customer["name"]) == (
            done["customer"],
            "new@example.test",
            "New",
        )
        assert done["client_reference_id"] == "u1"

    @pytest.mark.fidelity("A session expires, by its time or by a call")
    def test_a_session_expires_with_the_run_s_clock(self) -> None:
        account = new_account()
        session = checkout(account, expires_at=START + 1800)["id"]
        account.tick(1799)
        assert send(account, "GET", f"/v1/checkout/sessions/{session}").json["status"] == "open"
        account.tick(1)
        assert send(account, "GET", f"/v1/checkout/sessions/{session}").json["status"] == "expired"
        assert event_types(account) == ["checkout.session.expired"]
        refused = send(account, "POST", f"/v1/checkout/sessions/{session}/expire")
        assert refused.status == 400

    @pytest.mark.fidelity("Checkout: payment mode, and prices given in the call")
    def test_payment_mode_and_price_data(self) -> None:
        account = new_account()
        data = {"currency": "eur", "unit_amount": 999, "product_data": {"name": "Book"}}
        session = checkout(account, mode="payment", line_items=[{"price_data": data, "quantity": 2}])
        assert (session["amount_total"], session["customer_creation"]) == (1998, "if_required")
        done = account.complete_session(session["id"])
        assert (done["customer"], done["subscription"], done["payment_status"]) == (None, None, "paid")
        intent = account.object("payment_intent", done["payment_intent"])
        assert intent is not None
        assert (intent["amount"], intent["currency"], intent["status"]) == (1998, "eur", "succeeded")

    @pytest.mark.fidelity("Subscriptions and money: trialing")
    def test_a_trial_is_not_charged(self) -> None:
        account = new_account()
        done = subscribed(account, subscription_data={"trial_period_days": 7})
        assert done["payment_status"] == "no_payment_required"
        (subscription,), (invoice,) = account.made_since(0).subscriptions, account.made_since(0).invoices
        assert (subscription["status"], subscription["trial_end"]) == ("trialing", START + 7 * DAY)
        assert (invoice["status"], invoice["amount_paid"], invoice["payments"]["data"]) == ("paid", 0, [])
        assert "charge.succeeded" not in event_types(account)

    @pytest.mark.fidelity("A missing parameter: 400 with code and param")
    @pytest.mark.fidelity("An id in a parameter that is not there: 400 resource_missing")
    @pytest.mark.parametrize(
        ("change", "param"),
        [
            ({"line_items": [{"price": "price_no", "quantity": 1}]}, "line_items[0][price]"),
            ({"line_items": [{"price": MONTHLY}]}, "line_items[0][quantity]"),
            ({"line_items": [{"price": MONTHLY, "quantity": "x"}]}, "line_items[0][quantity]"),
            ({"line_items": [{"prise": MONTHLY}]}, "line_items[0][prise]"),
            ({"line_items": []}, "line_items"),
            ({"customer": "cus_no"}, "customer"),
            ({"success_url": ""}, "success_url"),
            ({"mode": "sell"}, "mode"),
            ({"expires_at": START + 60}, "expires_at"),
            ({"mode": "payment"}, None),
            ({"customer": "CUSTOMER", "customer_email": "a@b.c"}, None),
            ({"subscription_data": {"metadata": {"a": {"b": "c"}}}}, "subscription_data[metadata][a]"),
        ],
    )
    def test_what_makes_no_session(self, change: dict[str, Any], param: str | None) -> None:
        account = new_account()
        if change.get("customer") == "CUSTOMER":
            change = {**change, "customer": send(account, "POST", "/v1/customers").json["id"]}
        items = [{"price": MONTHLY, "quantity": 1}]
        asked = {"mode": "subscription", "success_url": "https://a.test", "line_items": items, **change}
        answer = send(account, "POST", "/v1/checkout/sessions", asked)
        assert answer.status == 400
        assert answer.error.get("param") == param
        assert account.made_since(0).sessions == ()


class TestSubscriptions:
    @pytest.mark.fidelity("Quantities and items change")
    @pytest.mark.fidelity("previous_attributes hold what changed")
    def test_items_and_quantities_change(self) -> None:
        account = new_account()
        session = subscribed(account)
        path = f"/v1/subscriptions/{session['subscription']}"
        item = send(account, "GET", path).json["items"]["data"][0]["id"]
        changed = send(account, "POST", path, {"items": [{"id": item, "price": YEARLY, "quantity": 3}]}).json
        assert [(i["price"]["id"], i["quantity"]) for i in changed["items"]["data"]] == [(YEARLY, 3)]
        event = last_event(account, "customer.subscription.updated")
        previous = event["data"]["previous_attributes"]["items"]["data"][0]
        assert (previous["price"]["id"], previous["quantity"]) == (MONTHLY, 1)

    @pytest.mark.fidelity("Subscriptions and money: to be canceled at its period's end, and back")
    def test_cancel_at_period_end_and_back(self) -> None:
        account = new_account()
        session = subscribed(account)
        path = f"/v1/subscriptions/{session['subscription']}"
        ending = send(account, "POST", path, {"cancel_at_period_end": True}).json
        assert ending["status"] == "active"
        assert ending["cancel_at"] == ending["items"]["data"][0]["current_period_end"]
        back = send(account, "POST", path, {"cancel_at_period_end": False}).json
        assert (back["cancel_at_period_end"], back["cancel_at"]) == (False, None)

    @pytest.mark.fidelity("Subscriptions and money: canceled")
    def test_one_that_has_ended(self) -> None:
        account = new_account()
        session = subscribed(account)
        path = f"/v1/subscriptions/{session['subscription']}"
        assert account.cancel_subscription(session["subscription"])["status"] == "canceled"
        assert last_event(account, "customer.subscription.deleted")["request"]["id"] is None
        assert send(account, "DELETE", path).error["code"] == "resource_missing"
        assert send(account, "POST", path, {"cancel_at_period_end": True}).status == 400
        assert send(account, "POST", path, {"metadata": {"a": "1"}}).status == 200
        with pytest.raises(ActRefused, match="canceled"):
            account.cancel_subscription(session["subscription"])
        assert send(account, "GET", "/v1/subscriptions").json["data"] == []
        for status in ("all", "canceled", "ended"):
            assert len(send(account, "GET", "/v1/subscriptions", {"status": status}).json["data"]) == 1

    @pytest.mark.fidelity("API versions see their own shapes: periods of a subscription")
    @pytest.mark.fidelity("API versions see their own shapes: invoice.parent")
    def test_an_older_version_sees_the_older_shape(self) -> None:
        account = new_account()
        session = subscribed(account)
        path = f"/v1/subscriptions/{session['subscription']}"
        expand = {"expand": ["latest_invoice.payment_intent"]}
        old = send(account, "GET", path, expand, version=BEFORE_BASIL).json
        new = send(account, "GET", path, {"expand": ["latest_invoice"]}).json
        assert old["current_period_end"] == new["items"]["data"][0]["current_period_end"]
        assert "current_period_end" not in new
        assert old["latest_invoice"]["subscription"] == session["subscription"]
        assert old["latest_invoice"]["payment_intent"]["status"] == "succeeded"
        assert "subscription" not in new["latest_invoice"]
        parent = new["latest_invoice"]["parent"]["subscription_details"]
        assert parent["subscription"] == session["subscription"]
        assert "billing_mode" not in old

    def test_periods_follow_the_calendar(self) -> None:
        assert later(1_706_659_200, "month", 1) == 1_709_164_800  # 31 January to 29 February 2024
        assert later(1_709_164_800, "year", 1) == 1_740_700_800  # 29 February 2024 to 28 February 2025
        assert later(START, "week", 2) == START + 14 * DAY


class TestRefunds:
    @pytest.mark.fidelity("Refunds add up to the charge")
    def test_refunds_add_up_to_the_charge(self) -> None:
        account = new_account()
        session = subscribed(account)
        intent = account.made_since(0).invoices[0]["payments"]["data"][0]["payment"]["payment_intent"]
        half = send(account, "POST", "/v1/refunds", {"payment_intent": intent, "amount": 1500}).json
        assert (half["amount"], half["payment_intent"]) == (1500, intent)
        event = last_event(account, "charge.refunded")
        assert event["data"]["previous_attributes"] == {"amount_refunded": 0}
        too_much = send(account, "POST", "/v1/refunds", {"payment_intent": intent, "amount": 501})
        assert (too_much.status, too_much.error["param"]) == (400, "amount")
        rest = account.refund_invoice(session["invoice"])
        assert rest["amount"] == 500
        again = send(account, "POST", "/v1/refunds", {"charge": rest["charge"]})
        assert again.error["code"] == "charge_already_refunded"
        with pytest.raises(ActRefused, match="already been refunded"):
            account.refund_invoice(session["invoice"])
        with pytest.raises(ActRefused, match="no invoice in_no"):
            account.refund_invoice("in_no")
        made = send(account, "GET", "/v1/refunds", {"charge": rest["charge"]}).json["data"]
        assert [r["amount"] for r in made] == [500, 1500]


class TestParameters:
    @pytest.mark.fidelity("An unknown parameter: 400 with code and param")
    @pytest.mark.fidelity("An ill-typed parameter: 400 with param")
    @pytest.mark.parametrize(
        ("params", "code", "param"),
        [
            ({"emial": "a@b.c"}, "parameter_unknown", "emial"),
            ({"email": "nobody"}, "email_invalid", "email"),
            ({"balance": "ten"}, "parameter_invalid_integer", "balance"),
            ({"name": {"first": "A"}}, None, "name"),
            ({"metadata": "x"}, None, "metadata"),
            ({"metadata": {"k" * 41: "v"}}, None, f"metadata[{'k' * 41}]"),
            ({"metadata": {f"k{n}": "v" for n in range(51)}}, None, "metadata"),
            ({"tax_exempt": "maybe"}, None, "tax_exempt"),
            ({"expand": ["nothing"]}, None, "expand"),
            ({"name": "x" * 257}, "parameter_invalid_string_length", "name"),
        ],
    )
    def test_refusals_name_code_and_param(self, params: dict[str, Any], code: str | None, param: str) -> None:
        account = new_account()
        answer = send(account, "POST", "/v1/customers", params)
        assert (answer.status, answer.error.get("code"), answer.error["param"]) == (400, code, param)
        assert answer.error["type"] == "invalid_request_error"
        assert account.made_since(0).customers == ()

    @pytest.mark.fidelity("Errors: a version that we do not know may have parameters that we do not know")
    def test_another_version_may_have_parameters_that_we_do_not_know(self) -> None:
        asked = {"email": "a@b.c", "newfangled": "1"}
        answer = send(new_account(), "POST", "/v1/customers", asked, version="2026-10-28.endive")
        assert answer.status == 200

    @pytest.mark.fidelity("An id in the path that is not there: 404 resource_missing")
    @pytest.mark.fidelity("An id in a parameter that is not there: 400 resource_missing")
    def test_a_missing_object_in_the_path_and_in_a_parameter(self) -> None:
        account = new_account()
        path = send(account, "GET", "/v1/customers/cus_no")
        assert (path.status, path.error["code"], path.error["param"]) == (404, "resource_missing", "id")
        parameter = send(account, "POST", "/v1/refunds", {"payment_intent": "pi_no"})
        assert (parameter.status, parameter.error["code"]) == (400, "resource_missing")

    @pytest.mark.fidelity("Expansion, four levels deep")
    def test_expand_goes_four_deep(self) -> None:
        deep = "data.subscription.latest_invoice.customer"
        account = new_account()
        subscribed(account)
        answer = send(account, "GET", "/v1/checkout/sessions", {"expand": [deep]}).json
        customer = answer["data"][0]["subscription"]["latest_invoice"]["customer"]
        assert customer["email"] == "ada@example.test"
        too_deep = send(account, "GET", "/v1/checkout/sessions", {"expand": [f"{deep}.subscriptions"]})
        assert (too_deep.status, too_deep.error["code"]) == (400, "property_expansion_max_depth")


class TestSearch:
    @pytest.mark.fidelity("Search lags behind list")
    def test_search_lags_behind_list(self) -> None:
        account = new_account()
        params = {"email": "ada@example.test", "metadata": {"user_id": "u1"}}
        made = send(account, "POST", "/v1/customers", params).json["id"]

        def found(query: str) -> list[str]:
            answer = send(account, "GET", "/v1/customers/search", {"query": query})
            assert answer.status == 200, answer.json
            return [c["id"] for c in answer.json["data"]]

        assert found("email:'ada@example.test'") == []
        account.tick(60)
        assert found("email:'ADA@example.test'") == [made]
        assert found("metadata['user_id']:'u1' AND email:'ada@example.test'") == [made]
        assert found('metadata["user_id"]:"u2" OR email~"ada@"') == [made]
        assert found("-metadata['user_id']:'u1'") == []
        send(account, "POST", f"/v1/customers/{made}", {"name": "Ada"})
        assert found("email:'ada@example.test'") == [made], "as it was before the change"
        assert found("name:'Ada'") == []

    @pytest.mark.fidelity("Objects: search by time of creation, and for what is not set")
    @pytest.mark.parametrize(
        ("query", "found"),
        [
            (f"created>{START}", [1, 2]),
            (f"created>={START} AND created<{START + 20}", [0, 1]),
            (f"created:{START + 10}", [1]),
            (f"-created<={START + 10}", [2]),
            (f"email:'ada@x.test' AND created<{START + 10}", [0]),
            ("name:null", [0, 2]),
            ("-name:null", [1]),
            ("metadata['plan']:null", [0, 1]),
            ("-metadata['plan']:null OR name:'ada'", [1, 2]),
        ],
    )
    def test_times_and_null(self, query: str, found: list[int]) -> None:
        account = new_account()
        ids = []
        for more in ({}, {"name": "Ada"}, {"metadata": {"plan": "b"}}):
            asked = {"email": "ada@x.test", **more}
            ids.append(send(account, "POST", "/v1/customers", asked).json["id"])
            account.tick(10)
        account.tick(60)
        answer = send(account, "GET", "/v1/customers/search", {"query": query}).json
        assert [ids.index(one["id"]) for one in answer["data"]] == found[::-1]

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "email",
            "shoe:'9'",
            "email:'a' AND",
            "email:'a' AND name:'b' OR name:'c'",
            "created:'today'",
            "created~5",
            "created:null",
            "email>5",
            "name~null",
            "metadata:null",
        ],
    )
    def test_a_query_that_makes_no_sense(self, query: str) -> None:
        assert send(new_account(), "GET", "/v1/customers/search", {"query": query}).status == 400


def test_what_is_given_out_is_a_copy() -> None:
    account = new_account()
    made = send(account, "POST", "/v1/customers", {"metadata": {"a": "1"}}).json["id"]
    account.made_since(0).customers[0]["metadata"]["a"] = "changed"
    account.made_since(0).events[0]["data"]["object"]["metadata"]["a"] = "changed"
    assert account.made_since(0).customers[0]["metadata"] == {"a": "1"}
    assert send(account, "GET", f"/v1/customers/{made}").json["metadata"] == {"a": "1"}
    assert account.made_since(0).events[0]["data"]["object"]["metadata"] == {"a": "1"}
