"""What coupons and promotion codes take off a checkout session, and when they are redeemed."""

from __future__ import annotations

from typing import Any

import pytest
from coupon_stage import SET_UP, code, coupon, shown
from sim_client import checkout, last_event, new_account, send

from deadheat.errors import ActRefused
from deadheat.stripe_sim import MONTHLY, PRODUCT


class TestCheckout:
    @pytest.mark.fidelity("Coupons: a checkout session takes off a coupon, to the cent of its invoice")
    def test_a_session_with_a_coupon(self) -> None:
        account = new_account()
        name = coupon(account, percent_off=33.33)
        made = checkout(account, discounts=[{"coupon": name}])
        assert (made["amount_subtotal"], made["amount_total"]) == (2000, 1333)
        assert made["total_details"]["amount_discount"] == 667
        assert made["discounts"] == [{"coupon": name, "promotion_code": None}]
        assert shown(account, name)["times_redeemed"] == 0
        done = account.complete_session(made["id"], email="ada@example.test")
        invoice = account.made_since(0).invoices[0]
        assert (invoice["amount_paid"], done["payment_status"]) == (done["amount_total"], "paid")
        assert shown(account, name)["times_redeemed"] == 1

    @pytest.mark.fidelity("Coupons: the payer of a checkout session types a promotion code, if it takes any")
    def test_the_payer_types_a_code(self) -> None:
        account = new_account()
        made = code(account, coupon(account), "Spring")
        closed = checkout(account)["id"]
        with pytest.raises(ActRefused, match="takes no promotion codes"):
            account.complete_session(closed, promotion_code="spring")
        opened = checkout(account, allow_promotion_codes=True)["id"]
        with pytest.raises(ActRefused, match="no active promotion code"):
            account.complete_session(opened, promotion_code="autumn")
        code(account, coupon(account), "HERS", customer=send(account, "POST", "/v1/customers").json["id"])
        with pytest.raises(ActRefused, match="no active promotion code"):
            account.complete_session(opened, promotion_code="hers")
        done = account.complete_session(opened, promotion_code="spring")
        assert (done["amount_total"], done["discounts"][0]["promotion_code"]) == (1500, made["id"])
        both = {"allow_promotion_codes": True, "discounts": [{"coupon": "x"}]}
        asked = {"mode": "subscription", "success_url": "https://app.test", **both}
        asked["line_items"] = [{"price": MONTHLY, "quantity": 1}]
        assert send(account, "POST", "/v1/checkout/sessions", asked).status == 400
        two = [{"coupon": coupon(account)}, {"coupon": coupon(account)}]
        asked = {**asked, "allow_promotion_codes": False, "discounts": two}
        assert send(account, "POST", "/v1/checkout/sessions", asked).error["param"] == "discounts"

    def test_what_is_paid_once_counts_for_a_minimum(self) -> None:
        account = new_account()
        least = {"minimum_amount": 2700, "minimum_amount_currency": "usd"}
        made = code(account, coupon(account, percent_off=10), restrictions=least)
        session = checkout(
            account,
            discounts=[{"promotion_code": made["id"]}],
            line_items=[{"price": MONTHLY, "quantity": 1}, SET_UP],
        )
        assert session["amount_total"] == 2430
        account.complete_session(session["id"], email="ada@example.test")
        invoice = account.made_since(0).invoices[0]
        assert invoice["amount_paid"] == 2430
        assert send(account, "GET", f"/v1/promotion_codes/{made['id']}").json["times_redeemed"] == 1

    @pytest.mark.parametrize("off", [{"amount_off": 500, "currency": "usd"}, {"percent_off": 33.3}])
    def test_with_a_trial_it_takes_only_from_what_is_paid_at_once(self, off: dict[str, Any]) -> None:
        account = new_account()
        send(account, "POST", "/v1/coupons", {"id": "OFF", **off})
        session = checkout(
            account,
            discounts=[{"coupon": "OFF"}],
            line_items=[{"price": MONTHLY, "quantity": 1}, SET_UP],
            subscription_data={"trial_period_days": 7},
        )
        account.complete_session(session["id"], email="ada@example.test")
        invoice = account.made_since(0).invoices[0]
        taken = 500 if "amount_off" in off else 233
        assert invoice["amount_paid"] == session["amount_total"] == 700 - taken
        assert session["total_details"]["amount_discount"] == taken

    @pytest.mark.fidelity("Coupons: of two open sessions for the last redemption one is paid")
    def test_two_sessions_and_one_redemption(self) -> None:
        account = new_account()
        last = coupon(account, max_redemptions=1)
        first, second = (checkout(account, discounts=[{"coupon": last}]) for _ in range(2))
        account.complete_session(second["id"])
        mark = account.mark()
        with pytest.raises(ActRefused, match="is used up"):
            account.complete_session(first["id"])
        assert account.mark() == mark
        assert send(account, "GET", f"/v1/checkout/sessions/{first['id']}").json["status"] == "open"

    @pytest.mark.fidelity("Checkout: nothing to pay is no_payment_required, with a customer and no intent")
    def test_an_order_at_no_cost(self) -> None:
        account = new_account()
        free = coupon(account, percent_off=100)
        item = {
            "price_data": {"currency": "usd", "unit_amount": 700, "product": PRODUCT},
            "quantity": 1,
        }
        made = checkout(account, mode="payment", line_items=[item], discounts=[{"coupon": free}])
        done = account.complete_session(made["id"], email="ada@example.test", card="pm_card_chargeDeclined")
        assert (done["payment_status"], done["payment_intent"]) == ("no_payment_required", None)
        assert done["customer"] is not None
        redeemed = last_event(account, "customer.discount.created")["data"]["object"]
        assert (redeemed["checkout_session"], redeemed["customer"]) == (made["id"], done["customer"])
