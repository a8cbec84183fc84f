"""Coupons and promotion codes, made through the API."""

from __future__ import annotations

from typing import Any

from billing_stage import customer_with, subscribe
from sim_client import send

from deadheat.stripe_sim import PRODUCT, Account

SET_UP = {"price_data": {"currency": "usd", "unit_amount": 700, "product": PRODUCT}, "quantity": 1}
"""What is paid once, in a session."""


def coupon(account: Account, **params: Any) -> str:
    answer = send(account, "POST", "/v1/coupons", {"percent_off": 25, **params})
    assert answer.status == 200, answer.json
    return str(answer.json["id"])


def flat(account: Account, amount: int, **params: Any) -> str:
    asked = {"amount_off": amount, "currency": "usd", **params}
    return str(send(account, "POST", "/v1/coupons", asked).json["id"])


def code(account: Account, of: str, word: str = "SPRING", **params: Any) -> dict[str, Any]:
    asked = {"promotion": {"type": "coupon", "coupon": of}, "code": word, **params}
    answer = send(account, "POST", "/v1/promotion_codes", asked)
    assert answer.status == 200, answer.json
    return answer.json


def shown(account: Account, of: str) -> dict[str, Any]:
    return send(account, "GET", f"/v1/coupons/{of}").json


def discounted(account: Account, *coupons: str, **params: Any) -> dict[str, Any]:
    asked = {"discounts": [{"coupon": one} for one in coupons], **params}
    answer = subscribe(account, customer_with(account), **asked)
    assert answer.status == 200, answer.json
    return answer.json
