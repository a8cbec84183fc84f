"""Coupons and promotion codes: what they take off, for how long, how often, and who may redeem them."""

from __future__ import annotations

from typing import Any

import pytest
from billing_stage import customer_with, latest_invoice, subscribe, subscription
from coupon_stage import SET_UP, code, coupon, discounted, flat, shown
from sim_client import START, begin, checkout, event_types, finish, last_event, new_account, send

from deadheat.stripe_sim import MONTHLY, PRODUCT

ACACIA = "2024-12-18.acacia"
VISA = "pm_card_visa"
BASIL = "2025-03-31.basil"


class TestCoupons:
    @pytest.mark.fidelity("Coupons: made, changed, listed and deleted, each with its event")
    def test_their_life(self) -> None:
        account = new_account()
        name = coupon(account, id="LAUNCH", duration="repeating", duration_in_months=3, name="Launch")
        made = shown(account, name)
        assert (made["percent_off"], made["valid"], made["times_redeemed"]) == (25.0, True, 0)
        asked = {"name": "Early", "metadata": {"for": "friends"}}
        send(account, "POST", f"/v1/coupons/{name}", asked)
        assert last_event(account, "coupon.updated")["data"]["previous_attributes"]["name"] == "Launch"
        assert [c["id"] for c in send(account, "GET", "/v1/coupons").json["data"]] == ["LAUNCH"]
        gone = send(account, "DELETE", f"/v1/coupons/{name}").json
        assert gone == {"id": "LAUNCH", "object": "coupon", "deleted": True}
        assert event_types(account) == ["coupon.created", "coupon.updated", "coupon.deleted"]
        assert send(account, "GET", f"/v1/coupons/{name}").status == 404
        assert subscribe(account, customer_with(account), discounts=[{"coupon": name}]).status == 400

    @pytest.mark.parametrize(
        ("params", "param"),
        [
            ({}, None),
            ({"percent_off": 10, "amount_off": 5, "currency": "usd"}, None),
            ({"amount_off": 5}, "currency"),
            ({"percent_off": 101}, "percent_off"),
            ({"percent_off": 0}, "percent_off"),
            ({"percent_off": 10, "duration": "repeating"}, "duration_in_months"),
            ({"percent_off": 10, "redeem_by": START}, "redeem_by"),
            ({"percent_off": 10, "applies_to": {"products": ["prod_no"]}}, "applies_to[products][0]"),
        ],
    )
    def test_what_makes_none_is_refused(self, params: dict[str, Any], param: str | None) -> None:
        refused = send(new_account(), "POST", "/v1/coupons", params)
        assert (refused.status, refused.error.get("param")) == (400, param)

    def test_an_id_is_taken_until_its_coupon_is_deleted(self) -> None:
        account = new_account()
        coupon(account, id="ONE")
        again = send(account, "POST", "/v1/coupons", {"percent_off": 5, "id": "ONE"})
        assert again.error["code"] == "resource_already_exists"
        send(account, "DELETE", "/v1/coupons/ONE")
        assert coupon(account, id="ONE") == "ONE"

    def test_what_a_coupon_is_for_shows_only_when_it_is_expanded(self) -> None:
        account = new_account()
        name = coupon(account, applies_to={"products": [PRODUCT]})
        assert "applies_to" not in shown(account, name)
        asked = {"expand": ["applies_to"]}
        assert send(account, "GET", f"/v1/coupons/{name}", asked).json["applies_to"] == {
            "products": [PRODUCT]
        }


class TestDurations:
    @pytest.mark.fidelity("Coupons: one for once is used by the first invoice, and the subscription has none")
    def test_once(self) -> None:
        account = new_account()
        made = discounted(account, coupon(account, duration="once"))
        invoice = latest_invoice(account, made["id"])
        assert (invoice["subtotal"], invoice["total"], invoice["amount_paid"]) == (2000, 1500, 1500)
        (taken,) = invoice["total_discount_amounts"]
        assert taken == {"amount": 500, "discount": invoice["discounts"][0]}
        assert invoice["lines"]["data"][0]["discount_amounts"] == [taken]
        assert made["discounts"] == []
        types = event_types(account)
        assert types.index("customer.discount.created") < types.index("customer.discount.deleted")
        account.renew_subscription(made["id"])
        assert latest_invoice(account, made["id"])["total"] == 2000

    @pytest.mark.fidelity("Coupons: forever and repeating ones take off in each period until they end")
    def test_repeating_and_forever(self) -> None:
        account = new_account()
        months = coupon(account, duration="repeating", duration_in_months=2)
        made = discounted(account, months, coupon(account, percent_off=50, duration="forever"))
        totals = [latest_invoice(account, made["id"])["total"]]
        for _ in range(2):
            assert subscription(account, made["id"])["discounts"] == made["discounts"]
            account.renew_subscription(made["id"])
            totals.append(latest_invoice(account, made["id"])["total"])
        assert totals == [750, 750, 1000]
        left = subscription(account, made["id"])["discounts"]
        gone = last_event(account, "customer.discount.deleted")["data"]["object"]
        assert left == made["discounts"][1:]
        assert gone["source"] == {"coupon": months, "type": "coupon"}

    def test_a_trial_uses_up_nothing(self) -> None:
        account = new_account()
        made = discounted(account, coupon(account), trial_period_days=7)
        assert len(made["discounts"]) == 1
        account.renew_subscription(made["id"])
        assert latest_invoice(account, made["id"])["total"] == 1500
        assert subscription(account, made["id"])["discounts"] == []

    def test_an_amount_takes_no_more_than_there_is(self) -> None:
        account = new_account()
        made = discounted(account, flat(account, 5000))
        invoice = latest_invoice(account, made["id"])
        assert (invoice["total"], invoice["status"], made["status"]) == (0, "paid", "active")
        assert not account.ledger.of("payment_intent")

    def test_a_coupon_takes_only_from_what_it_is_for(self) -> None:
        account = new_account()
        other = {
            "price_data": {
                "currency": "usd",
                "unit_amount": 1001,
                "recurring": {"interval": "month"},
                "product": send(account, "POST", "/v1/products", {"name": "Other"}).json["id"],
            }
        }
        only = coupon(account, percent_off=50, applies_to={"products": [PRODUCT]})
        made = discounted(account, only, items=[{"price": MONTHLY}, other])
        invoice = latest_invoice(account, made["id"])
        assert (invoice["subtotal"], invoice["total"]) == (3001, 2001)
        assert [len(line["discount_amounts"]) for line in invoice["lines"]["data"]] == [1, 0]

    def test_a_coupon_of_another_currency_is_refused(self) -> None:
        account = new_account()
        euros = flat(account, 500, currency="eur")
        refused = subscribe(account, customer_with(account), discounts=[{"coupon": euros}])
        assert (refused.status, refused.error["param"]) == (400, "discounts[0][coupon]")


class TestRedemptions:
    @pytest.mark.fidelity("Coupons: two at once for the last redemption: the second is refused")
    def test_the_last_redemption_is_had_once(self) -> None:
        account = new_account()
        last = coupon(account, max_redemptions=1)
        calls = [
            begin(
                account,
                "POST",
                "/v1/subscriptions",
                {
                    "customer": customer_with(account),
                    "items": [{"price": MONTHLY}],
                    "discounts": [{"coupon": last}],
                },
            )
            for _ in range(2)
        ]
        second, first = (finish(account, call) for call in reversed(calls))
        assert (second.status, first.status) == (200, 400)
        assert first.error["code"] == "coupon_expired"
        assert (shown(account, last)["times_redeemed"], shown(account, last)["valid"]) == (1, False)
        assert len(account.made_since(0).subscriptions) == 1

    def test_a_payment_that_is_refused_redeems_nothing(self) -> None:
        account = new_account()
        name = coupon(account, max_redemptions=1)
        poor = customer_with(account, "pm_card_chargeCustomerFail")
        asked = {"discounts": [{"coupon": name}], "payment_behavior": "error_if_incomplete"}
        assert subscribe(account, poor, **asked).status == 402
        assert shown(account, name)["times_redeemed"] == 0
        assert "customer.discount.created" not in event_types(account)

    def test_an_update_that_is_refused_redeems_nothing(self) -> None:
        account = new_account()
        name = coupon(account, max_redemptions=1)
        made = subscribe(account, customer_with(account, None), trial_period_days=7).json
        mark = account.mark()
        asked = {"discounts": [{"coupon": name}], "trial_end": "now"}
        assert send(account, "POST", f"/v1/subscriptions/{made['id']}", asked).status == 400
        assert (account.mark(), shown(account, name)["times_redeemed"]) == (mark, 0)

    @pytest.mark.fidelity("Coupons: redeem_by and expires_at end them by the run's clock")
    def test_time_ends_coupons_and_codes(self) -> None:
        account = new_account()
        name = coupon(account, redeem_by=START + 100)
        early = code(account, name, "EARLY", expires_at=START + 50)
        late = code(account, name, "LATE")
        account.tick(50)
        path = "/v1/promotion_codes"
        assert not send(account, "GET", f"{path}/{early['id']}").json["active"]
        assert send(account, "GET", f"{path}/{late['id']}").json["active"]
        account.tick(50)
        assert subscribe(account, customer_with(account), discounts=[{"coupon": name}]).status == 200
        account.tick(1)
        assert not shown(account, name)["valid"]
        assert not send(account, "GET", f"{path}/{late['id']}").json["active"]
        refused = subscribe(account, customer_with(account), discounts=[{"coupon": name}])
        assert refused.error["code"] == "coupon_expired"

    def test_one_call_redeems_a_coupon_once(self) -> None:
        account = new_account()
        name = coupon(account, max_redemptions=1)
        both = [{"coupon": name}, {"promotion_code": code(account, name)["id"]}]
        assert subscribe(account, customer_with(account), discounts=both).status == 400
        assert shown(account, name)["times_redeemed"] == 0


class TestPromotionCodes:
    @pytest.mark.fidelity("Coupons: a promotion code is active once for each customer, whatever its case")
    def test_a_code_is_active_once(self) -> None:
        account = new_account()
        name = coupon(account)
        first = code(account, name, "Spring")
        asked = {"promotion": {"type": "coupon", "coupon": name}, "code": "SPRING"}
        again = send(account, "POST", "/v1/promotion_codes", asked)
        assert (again.status, again.error["param"]) == (400, "code")
        send(account, "POST", f"/v1/promotion_codes/{first['id']}", {"active": False})
        second = code(account, name, "SPRING")
        back = send(account, "POST", f"/v1/promotion_codes/{first['id']}", {"active": True})
        assert back.status == 400
        found = send(account, "GET", "/v1/promotion_codes", {"code": "spring", "active": True}).json["data"]
        assert [one["id"] for one in found] == [second["id"]]
        assert event_types(account)[1:] == [
            "promotion_code.created",
            "promotion_code.updated",
            "promotion_code.created",
        ]

    @pytest.mark.fidelity(
        "Coupons: of promotion codes max_redemptions, customer, minimum and first transaction are held"
    )
    def test_who_may_redeem_one(self) -> None:
        account = new_account()
        name = coupon(account)
        ada, bob = customer_with(account), customer_with(account)

        def answered(made: dict[str, Any], customer: str) -> int:
            return subscribe(account, customer, discounts=[{"promotion_code": made["id"]}]).status

        hers = code(account, name, "HERS", customer=ada)
        assert (answered(hers, bob), answered(hers, ada)) == (400, 200)
        new = code(account, name, "NEW", restrictions={"first_time_transaction": True})
        assert (answered(new, ada), answered(new, bob)) == (400, 200)
        for least, status in ((2001, 400), (2000, 200)):
            limits = {"minimum_amount": least, "minimum_amount_currency": "usd"}
            assert answered(code(account, name, f"BIG{least}", restrictions=limits), ada) == status
        limits = {"minimum_amount": 5, "minimum_amount_currency": "eur"}
        assert answered(code(account, name, "EUROS", restrictions=limits), ada) == 400
        code(account, name, "HERS", customer=bob)
        paid = {"amount": 500, "currency": "usd", "customer": (eve := customer_with(account))}
        send(account, "POST", "/v1/payment_intents", {**paid, "payment_method": VISA, "confirm": True})
        assert answered(new, eve) == 400
        last = code(account, name, "LAST", max_redemptions=1)
        assert (answered(last, ada), answered(last, bob)) == (200, 400)
        assert not send(account, "GET", f"/v1/promotion_codes/{last['id']}").json["active"]
        assert shown(account, name)["times_redeemed"] == 4

    def test_a_coupon_that_is_deleted_or_used_up_ends_its_codes(self) -> None:
        account = new_account()
        for name in (coupon(account, max_redemptions=1), coupon(account)):
            made = code(account, name, f"OF-{name}")
            if shown(account, name)["max_redemptions"]:
                discounted(account, name)
            else:
                send(account, "DELETE", f"/v1/coupons/{name}")
            path = f"/v1/promotion_codes/{made['id']}"
            assert not send(account, "GET", path).json["active"]
            assert send(account, "POST", path, {"active": True}).status == 400
            again = {"promotion": {"type": "coupon", "coupon": name}, "code": "AGAIN"}
            assert send(account, "POST", "/v1/promotion_codes", again).status == 400

    def test_a_code_that_is_used_up_is_not_made_active_again(self) -> None:
        account = new_account()
        made = code(account, coupon(account), max_redemptions=1)
        asked = {"discounts": [{"promotion_code": made["id"]}]}
        assert subscribe(account, customer_with(account), **asked).status == 200
        path = f"/v1/promotion_codes/{made['id']}"
        assert send(account, "POST", path, {"active": True}).error["param"] == "active"
        assert not send(account, "GET", path).json["active"]


class TestOnSubscriptionsAndCustomers:
    @pytest.mark.fidelity("Coupons: a subscription's discounts are replaced, kept by id, or taken away")
    def test_discounts_of_a_subscription_change(self) -> None:
        account = new_account()
        lasting = coupon(account, duration="forever")
        made = discounted(account, lasting)
        path = f"/v1/subscriptions/{made['id']}"
        both = [{"discount": made["discounts"][0]}, {"coupon": coupon(account, id="MORE")}]
        now = send(account, "POST", path, {"discounts": both}).json
        assert now["discounts"][0] == made["discounts"][0]
        assert len(now["discounts"]) == 2
        asked = {"expand": ["discounts.source.coupon"]}
        full = send(account, "GET", path, asked).json["discounts"]
        assert [one["source"]["coupon"]["id"] for one in full] == [lasting, "MORE"]
        assert shown(account, lasting)["times_redeemed"] == 1
        gone = send(account, "DELETE", f"{path}/discount").json
        assert (gone["deleted"], gone["source"]["coupon"]) == (True, "MORE")
        assert send(account, "POST", path, {"discounts": ""}).json["discounts"] == []
        assert send(account, "DELETE", f"{path}/discount").status == 404
        assert event_types(account).count("customer.discount.deleted") == 2

    @pytest.mark.fidelity(
        "Coupons: API versions before basil and clover have their own parameters and shapes"
    )
    def test_older_versions(self) -> None:
        account = new_account()
        name = coupon(account, duration="forever")
        made = subscribe(account, customer_with(account), coupon=name, version=ACACIA).json
        assert made["discount"]["coupon"]["id"] == name
        assert "source" not in made["discount"]
        assert made["discount"]["coupon"]["times_redeemed"] == 1
        newer = subscribe(account, customer_with(account), coupon=name)
        assert newer.error["code"] == "parameter_unknown"
        asked = {"coupon": name, "code": "OLD"}
        old = send(account, "POST", "/v1/promotion_codes", asked, version=BASIL).json
        assert (old["coupon"]["id"], "promotion" in old) == (name, False)
        assert send(account, "POST", "/v1/promotion_codes", asked).error["param"] == "coupon"
        none = send(account, "POST", f"/v1/subscriptions/{made['id']}", {"coupon": ""}, version=ACACIA).json
        assert none["discount"] is None
        assert none["discounts"] == []

    @pytest.mark.fidelity(
        "Coupons: a customer's discount is for all subscriptions that have none of their own"
    )
    def test_a_customers_discount(self) -> None:
        account = new_account()
        name = coupon(account, duration="forever")
        ada = customer_with(account)
        asked = {"coupon": name}
        now = send(account, "POST", f"/v1/customers/{ada}", asked, version=ACACIA).json
        assert now["discount"]["coupon"]["id"] == name
        own = subscribe(account, ada, discounts=[{"coupon": coupon(account, percent_off=50)}]).json
        totals = [latest_invoice(account, s["id"])["total"] for s in (own, subscribe(account, ada).json)]
        assert totals == [1000, 1500]
        session = checkout(account, customer=ada)
        assert account.complete_session(session["id"])["amount_total"] == 1500
        once = checkout(account, customer=ada, mode="payment", line_items=[SET_UP])
        assert once["amount_total"] == 700
        other = {"coupon": coupon(account, percent_off=5)}
        send(account, "POST", f"/v1/customers/{ada}", other, version=ACACIA)
        assert event_types(account)[-1] == "customer.discount.updated"
        gone = send(account, "DELETE", f"/v1/customers/{ada}/discount").json
        assert (gone["deleted"], gone["customer"]) == (True, ada)
        assert send(account, "GET", f"/v1/customers/{ada}").json["discount"] is None
        assert send(account, "DELETE", f"/v1/customers/{ada}/discount").status == 404

    def test_a_customers_discount_takes_over_when_the_subscriptions_own_is_over(self) -> None:
        account = new_account()
        ada = customer_with(account)
        hers = {"coupon": coupon(account, duration="forever")}
        send(account, "POST", f"/v1/customers/{ada}", hers, version=ACACIA)
        own = coupon(account, percent_off=50, duration="repeating", duration_in_months=1)
        name = subscribe(account, ada, discounts=[{"coupon": own}]).json["id"]
        totals = [latest_invoice(account, name)["total"]]
        for _ in range(2):
            account.renew_subscription(name)
            totals.append(latest_invoice(account, name)["total"])
        assert totals == [1000, 1500, 1500]

    def test_a_customers_discount_for_once_goes_with_an_invoice(self) -> None:
        account = new_account()
        ada = customer_with(account)
        asked = {"coupon": coupon(account)}
        send(account, "POST", f"/v1/customers/{ada}", asked, version=ACACIA)
        totals = [latest_invoice(account, subscribe(account, ada).json["id"])["total"] for _ in range(2)]
        assert totals == [1500, 2000]
        assert event_types(account).count("customer.discount.deleted") == 1

    def test_a_customers_discount_is_gone_with_the_first_period_after_its_end(self) -> None:
        account = new_account()
        ada = customer_with(account)
        asked = {"coupon": coupon(account, duration="repeating", duration_in_months=1)}
        send(account, "POST", f"/v1/customers/{ada}", asked, version=ACACIA)
        name = subscribe(account, ada).json["id"]
        assert "customer.discount.deleted" not in event_types(account)
        account.renew_subscription(name)
        assert "customer.discount.deleted" in event_types(account)
        assert send(account, "GET", f"/v1/customers/{ada}").json["discount"] is None
