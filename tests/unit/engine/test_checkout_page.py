"""Checkout's page, without a server: what it shows, where it sends people, and what it does not follow."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from deadheat.engine.checkout_page import PATH, CheckoutPages, amount
from deadheat.engine.serve import catch_up
from deadheat.stripe_sim import MONTHLY, Account, ApiRequest, ApiResponse

KEY = "sk_" + "test_" + "page"
START = 1_700_000_000


def account(started_at: int = START) -> Account:
    return Account(seed=1, started_at=started_at, secret_key=KEY)


def post(made: Account, path: str, **params: str) -> None:
    """Make an API call, whatever it is answered."""
    headers = {"authorization": f"Bearer {KEY}"}
    call = made.parse(ApiRequest(method="POST", path=path, headers=headers, body=urlencode(params).encode()))
    made.received(call)
    made.effect(call)
    assert made.response(call).status == 200, made.response(call).body


def session(made: Account, **more: str) -> dict[str, Any]:
    given = {
        "mode": "subscription",
        "success_url": "https://app.test/done",
        "line_items[0][price]": MONTHLY,
        "line_items[0][quantity]": "1",
        **more,
    }
    mark = made.mark()
    post(made, "/v1/checkout/sessions", **given)
    return made.made_since(mark).sessions[0]


def visit(made: Account, session_id: str, method: str = "GET", body: bytes = b"") -> ApiResponse:
    request = ApiRequest(method=method, path=PATH + quote(session_id, safe=""), body=body)
    answer = CheckoutPages(made).answer(request)
    assert answer is not None
    return answer


def test_other_paths_are_not_its_own() -> None:
    assert CheckoutPages(account()).answer(ApiRequest(method="GET", path="/v1/customers")) is None


def test_the_place_for_the_sessions_id_is_filled() -> None:
    made = account()
    opened = session(made, success_url="https://app.test/done?s={CHECKOUT_SESSION_ID}&x=%20#top")
    answer = visit(made, opened["id"], "POST", b"act=pay&email=ada%40example.test")
    assert answer.status == 303
    assert answer.headers["location"] == f"https://app.test/done?s={opened['id']}&x=%20#top"


def test_nobody_can_smuggle_a_header_into_the_redirect() -> None:
    made = account()
    opened = session(made, success_url="https://app.test/\r\nset-cookie: a=b")
    location = visit(made, opened["id"], "POST", b"act=pay&email=a%40b.test").headers["location"]
    assert "\r" not in location
    assert "\n" not in location


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//app.test/done"])
def test_what_is_no_web_address_is_not_followed(url: str) -> None:
    made = account()
    opened = session(made)
    kept = made.ledger.need("checkout.session", opened["id"])
    made.ledger.put({**kept, "success_url": url, "cancel_url": url})  # the API would not take it
    assert "href" not in visit(made, opened["id"]).body.decode()
    paid = visit(made, opened["id"], "POST", b"act=pay&email=a%40b.test")
    assert (paid.status, "location" in paid.headers) == (200, False)
    assert b"is complete" in paid.body


def test_a_page_that_saves_a_card_asks_for_no_money() -> None:
    made = account()
    mark = made.mark()
    asked = {"mode": "setup", "success_url": "https://app.test/done", "customer_email": "a@b.test"}
    post(made, "/v1/checkout/sessions", **asked)
    opened = made.made_since(mark).sessions[0]
    shown = visit(made, opened["id"]).body
    assert b"Nothing to pay" in shown
    assert b"Save the card" in shown
    assert visit(made, opened["id"], "POST", b"act=pay").status == 303


def test_a_session_is_paid_once() -> None:
    made = account()
    opened = session(made)
    mark = made.mark()
    assert visit(made, opened["id"], "POST", b"act=pay&email=a%40b.test").status == 303
    assert visit(made, opened["id"], "POST", b"act=pay&email=a%40b.test").status == 409
    assert visit(made, opened["id"], "POST", b"act=expire").status == 409
    assert len(made.made_since(mark).subscriptions) == 1


def test_looking_at_a_page_pays_nothing() -> None:
    made = account()
    opened = session(made)
    visit(made, opened["id"])
    assert visit(made, opened["id"], "PUT", b"act=pay").status == 405
    now = made.object("checkout.session", opened["id"])
    assert now is not None
    assert now["status"] == "open"


def test_what_the_application_said_is_escaped() -> None:
    made = account()
    opened = session(made, customer_email='"<b>"@example.test', cancel_url='https://app.test/"><script>')
    page = visit(made, opened["id"]).body.decode()
    assert "<b>" not in page
    assert "<script>" not in page


def test_amounts_of_currencies_without_a_minor_unit_are_whole() -> None:
    assert amount(2000, "eur") == "20.00 EUR"
    assert amount(2000, "jpy") == "2000 JPY"


def test_the_served_clock_is_the_real_one_and_lets_sessions_expire() -> None:
    made = account(started_at=int(time.time()) - 2 * 24 * 3600)
    opened = session(made)
    catch_up(made)
    now = made.object("checkout.session", opened["id"])
    assert now is not None
    assert now["status"] == "expired"
    assert abs(made.now - time.time()) < 60
    assert b"is expired" in visit(made, opened["id"]).body


def test_a_promotion_code_is_typed_where_the_session_takes_any() -> None:
    made = account()
    post(made, "/v1/coupons", percent_off="25", id="QUARTER")
    asked = {"promotion[type]": "coupon", "promotion[coupon]": "QUARTER", "code": "SPRING"}
    post(made, "/v1/promotion_codes", **asked)
    plain, opened = session(made), session(made, allow_promotion_codes="true")
    assert b"promotion_code" not in visit(made, plain["id"]).body
    assert b'name="promotion_code"' in visit(made, opened["id"]).body
    refused = visit(made, opened["id"], "POST", b"act=pay&email=a%40example.test&promotion_code=AUTUMN")
    assert refused.status == 409
    assert visit(made, opened["id"], "POST", b"act=pay&email=a%40example.test&promotion_code=").status == 303
    second = session(made, allow_promotion_codes="true")
    body = b"act=pay&email=a%40example.test&promotion_code=spring"
    assert visit(made, second["id"], "POST", body).status == 303
    assert [s["amount_total"] for s in made.made_since(0).sessions] == [2000, 2000, 1500]
