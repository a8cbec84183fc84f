"""The account itself, and what a product has nothing of: what libraries ask that copy Stripe's objects."""

from __future__ import annotations

from sim_client import new_account, send

from deadheat.stripe_sim import PRODUCT


def test_an_application_is_always_told_the_same_account() -> None:
    account = new_account()
    first = send(account, "GET", "/v1/account").json
    assert first["object"] == "account"
    assert first["id"].startswith("acct_")
    send(account, "POST", "/v1/customers", {"name": "Ada"})
    assert send(account, "GET", "/v1/account").json == first
    assert send(account, "GET", f"/v1/accounts/{first['id']}").json == first
    assert send(new_account(), "GET", "/v1/account").json["id"] == first["id"]
    assert send(new_account(seed=8), "GET", "/v1/account").json["id"] != first["id"]


def test_another_account_is_none_of_the_keys() -> None:
    refused = send(new_account(), "GET", "/v1/accounts/acct_1xxxxxxxxxxxxxxx")
    assert (refused.status, refused.error["code"]) == (403, "account_invalid")


def test_a_product_has_no_features() -> None:
    account = new_account()
    listed = send(account, "GET", f"/v1/products/{PRODUCT}/features").json
    assert (listed["object"], listed["data"], listed["has_more"]) == ("list", [], False)
    assert send(account, "GET", "/v1/products/prod_no/features").status == 404
