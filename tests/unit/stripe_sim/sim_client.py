"""A client without sockets: requests to an account as plain calls, step by step or at once."""

from __future__ import annotations

import json
from typing import Any

from deadheat.stripe_sim import MONTHLY, Account, ApiRequest, ApiResponse, Call
from deadheat.stripe_sim.form import encode

KEY = "sk_test_sim"
START = 1_700_000_000


def new_account(seed: int = 7) -> Account:
    return Account(seed=seed, started_at=START, secret_key=KEY)


def request(
    method: str,
    path: str,
    params: dict[str, Any] | None = None,
    *,
    key: str | None = None,
    version: str | None = None,
    secret: str = KEY,
) -> ApiRequest:
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/x-www-form-urlencoded"}
    if key is not None:
        headers["idempotency-key"] = key
    if version is not None:
        headers["stripe-version"] = version
    form = encode(params or {})
    if method == "POST":
        return ApiRequest(method=method, path=path, headers=headers, body=form.encode())
    return ApiRequest(method=method, path=path, headers=headers, query=form)


class Answer:
    """An answer, read."""

    def __init__(self, call: Call, response: ApiResponse) -> None:
        self.call = call
        self.status = response.status
        self.headers = response.headers
        self.raw = response.body
        self.json: dict[str, Any] = json.loads(response.body)

    @property
    def error(self) -> dict[str, Any]:
        assert self.status >= 400
        return dict(self.json["error"])


def begin(account: Account, *args: Any, **kwargs: Any) -> Call:
    """Send a request as far as received."""
    return account.received(account.parse(request(*args, **kwargs)))


def finish(account: Account, call: Call) -> Answer:
    account.effect(call)
    return Answer(call, account.response(call))


def send(account: Account, *args: Any, **kwargs: Any) -> Answer:
    return finish(account, begin(account, *args, **kwargs))


def checkout(account: Account, *, version: str | None = None, **params: Any) -> dict[str, Any]:
    """Create a checkout session for the monthly price."""
    asked: dict[str, Any] = {
        "mode": "subscription",
        "success_url": "https://app.test/done",
        "line_items": [{"price": MONTHLY, "quantity": 1}],
        **params,
    }
    answer = send(account, "POST", "/v1/checkout/sessions", asked, version=version)
    assert answer.status == 200, answer.json
    return answer.json


def subscribed(account: Account, email: str = "ada@example.test", **params: Any) -> dict[str, Any]:
    """Create a customer and a session, pay it, and give the session as it is then."""
    customer = send(account, "POST", "/v1/customers", {"email": email}).json
    session = checkout(account, customer=customer["id"], **params)
    return account.complete_session(session["id"])


def event_types(account: Account, mark: int = 0) -> list[str]:
    return [event["type"] for event in account.made_since(mark).events]


def last_event(account: Account, event_type: str) -> dict[str, Any]:
    return next(e for e in reversed(account.made_since(0).events) if e["type"] == event_type)
