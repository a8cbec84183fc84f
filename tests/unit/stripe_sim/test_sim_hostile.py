"""Well-formed requests that mean harm: every route with values that no client would send.

Whatever comes is answered 200 or refused in Stripe's shape, and never an error of ours.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
from collections import Counter
from dataclasses import replace

import pytest

from deadheat.errors import ActRefused
from deadheat.stripe_sim import MONTHLY, Account, ApiRequest
from deadheat.stripe_sim.form import encode
from deadheat.stripe_sim.routes import ROUTES

KEY = "sk_test_hostile"
SEED = 20261127
CALLS = 8_000
VERSIONS = (
    None,
    "2024-06-20",
    "2025-09-30.clover",
    "9999-99-99",
    "0000-00-00.x",
    "2025-13-99",
    "acacia",
    "\x00",
)
NUMBERS = (
    "0",
    "-1",
    "1e9",
    "+5",
    "-0",
    "NaN",
    "Infinity",
    "0x10",
    "9" * 18,
    "-" + "9" * 18,
    "9" * 5000,
    "١٢",
    "²",
)
TEXTS = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "%",
    "[]",
    "🐘" * 200,
    "\u202e",
    "\ud7ff",
    "a" * 5000,
    "a" * 5001,
    "None",
    "null",
)
WORDS = (
    "true",
    "false",
    "TRUE",
    "usd",
    "now",
    "all",
    "month",
    "subscription",
    "payment",
    "hosted",
    "ada@a.test",
)
NAMES = (
    "email", "name", "metadata", "metadata[a]", "balance", "address", "address[city]", "shipping",
    "limit", "created", "created[gt]", "created[lte]", "starting_after", "ending_before", "query",
    "page", "expand", "expand[]", "expand[0]", "mode", "success_url", "line_items",
    "line_items[0][price]", "line_items[0][quantity]", "line_items[0][price_data][unit_amount]",
    "line_items[0][price_data][currency]", "line_items[0][price_data][product_data][name]",
    "line_items[0][price_data][recurring][interval]",
    "line_items[0][price_data][recurring][interval_count]", "customer", "customer_email",
    "client_reference_id", "subscription_data", "subscription_data[trial_end]",
    "subscription_data[trial_period_days]", "subscription_data[metadata][a]", "expires_at", "status",
    "price", "items", "items[0][id]", "items[0][price]", "items[0][quantity]", "items[0][deleted]",
    "cancel_at_period_end", "cancel_at", "trial_end", "trial_period_days", "proration_behavior",
    "payment_behavior", "billing_cycle_anchor", "amount", "charge", "payment_intent", "reason",
    "currency", "unit_amount", "recurring[interval]", "recurring[interval_count]", "product", "type",
    "types[]", "payment_method", "return_url", "subscription", "invoice", "quantity",
    "default_payment_method", "url", "enabled_events[]", "next_invoice_sequence", "preferred_locales[]",
    "tax_exempt", "days_until_due", "active",
)  # fmt: skip


ODD_IDS = ("x", "%00", "..", "é", "%2e%2e%2f", "1" * 5000)
VALID = {
    "POST /v1/checkout/sessions": "mode=subscription&success_url=https://a.test&line_items[0][price]={price}"
    "&line_items[0][quantity]=1&customer={customer}",
    "POST /v1/subscriptions": "customer={customer}&items[0][price]={price}"
    "&payment_behavior=default_incomplete",
    "POST /v1/subscriptions/:id": "metadata[a]=1",
    "POST /v1/refunds": "charge={charge}",
    "POST /v1/prices": "currency=usd&unit_amount=100&product_data[name]=x&recurring[interval]=month",
    "POST /v1/products": "name=x",
    "POST /v1/customers/:id": "name=x",
    "GET /v1/customers/search": "query=email:'ada@a.test'",
}  # damaged by one or two further parameters


@pytest.mark.slow
def test_no_value_of_any_parameter_is_an_error_of_ours() -> None:
    account = Account(seed=1, started_at=1_700_000_000, secret_key=KEY)
    rng = random.Random(SEED)
    known = _furnish(account)
    done: Counter[str] = Counter()
    for number in range(CALLS):
        route = rng.choice(ROUTES)
        values = (*NUMBERS, *TEXTS, *WORDS, MONTHLY, *(rng.choice(ids) for ids in known.values()))
        names = rng.choices(NAMES, k=rng.randint(0, 2))
        form = "&".join(encode({"x": rng.choice(values)}).replace("x", name, 1) for name in names)
        if rng.random() < 0.7:
            some = {kind: rng.choice(ids) for kind, ids in known.items()} | {"price": MONTHLY}
            form = VALID.get(route.template, "").format_map(some) + f"&{form}"
        noun = route.template.split("/")[2].removesuffix("s")
        fitting = known.get({"checkout": "checkout.session"}.get(noun, noun), ["x"])
        request = _request(rng, route.template, rng.choice((*fitting, *fitting, *ODD_IDS)), form)
        try:
            if _status(account, request) == 200:
                done[route.template] += 1
            if number % 20 == 0:
                _go_on(account, rng, known)
        except Exception as error:
            raise AssertionError(f"call {number}: {request}") from error
        if number % 20 == 0:
            known = {kind: ids[-20:] for kind, ids in _ids(account).items()}
    never = {route.template for route in ROUTES} & set(VALID) - set(done)
    assert not never, "these were never let through, so nothing was tried behind their parameters"


@pytest.mark.slow
@pytest.mark.parametrize("template", VALID)
def test_no_number_is_an_error_of_ours_however_late(template: str) -> None:
    account = Account(seed=1, started_at=1_700_000_000, secret_key=KEY)
    rng = random.Random(SEED)
    _furnish(account)
    for name, number in itertools.product(NAMES, NUMBERS):
        known = _ids(account)
        form = VALID[template].format_map({kind: ids[-1] for kind, ids in known.items()} | {"price": MONTHLY})
        value = encode({"x": number}).partition("=")[2]
        ours = {"POST /v1/refunds": "charge"}.get(template, template.split("/")[2].removesuffix("s"))
        request = _request(rng, template, known.get(ours, ["x"])[-1], f"{form}&{name}={value}")
        try:
            if _status(account, replace(request, headers={"authorization": f"Bearer {KEY}"})) == 200:
                _go_on(account, rng, {kind: ids[-1:] for kind, ids in _ids(account).items()})
        except Exception as error:
            raise AssertionError(f"{name}={number}: {request}") from error


def test_nests_and_lists_without_end_are_refused() -> None:
    account = Account(seed=1, started_at=1_700_000_000, secret_key=KEY)
    for form in (
        "metadata" + "[a]" * 50_000 + "=1",
        "metadata[" * 50_000 + "=1",
        "a]" * 50_000 + "=1",
        "[" * 100_000,
        "&" * 100_000,
        "metadata[a]=1&" * 100_000,
        "&".join(f"metadata[k{n}]=1" for n in range(1_999)),
        "&".join("expand[]=data" for _ in range(1_999)) + "&expand[0][0]=x",
        "expand[]=" + "data." * 20_000,
        "email=" + "%" * 100_000,
        "email=" + "%ff" * 30_000,
    ):
        request = ApiRequest(
            method="POST",
            path="/v1/customers",
            headers={"authorization": f"Bearer {KEY}"},
            body=form.encode(),
        )
        assert _status(account, request) == 400, form[:50]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer sk_test_other",
        "bearer\tsk_test_hostile",
        "Basic !!!",
        "Basic " + "A" * 60_000,
        "Basic /w==",
        "Basic Og==",
        "Digest username=x",
        "Bearer \x00\xff",
        "Bearer " + "k" * 60_000,
        f"Bearer {KEY} {KEY}",
    ],
)
def test_bad_auth_is_refused_in_stripes_shape(authorization: str | None) -> None:
    account = Account(seed=1, started_at=1_700_000_000, secret_key=KEY)
    headers = {} if authorization is None else {"authorization": authorization}
    assert _status(account, ApiRequest(method="GET", path="/v1/customers", headers=headers)) == 401


def _furnish(account: Account) -> dict[str, list[str]]:
    """Make one object of most kinds; gives the ids of each."""
    customer = account.make_customer(email="ada@a.test", name="Ada")
    account.subscribe_customer(customer["id"], MONTHLY)
    return _ids(account)


def _ids(account: Account) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for kind, object_id in account.ids_since(0):
        found.setdefault(kind, []).append(object_id)
    return found


def _go_on(account: Account, rng: random.Random, known: dict[str, list[str]]) -> None:
    """Let time pass, pay, renew and refund, as far as Stripe would."""
    account.tick(rng.choice((0, 1, 3_600, 86_400)))
    for act, kind in (
        (account.complete_session, "checkout.session"),
        (account.renew_subscription, "subscription"),
        (account.refund_invoice, "invoice"),
    ):
        with contextlib.suppress(ActRefused):
            act(rng.choice(known.get(kind, ["x"])))


def _request(rng: random.Random, template: str, object_id: str, form: str) -> ApiRequest:
    method, _, path = template.partition(" ")
    headers = {"authorization": f"Bearer {KEY}"}
    if (version := rng.choice(VERSIONS)) is not None:
        headers["stripe-version"] = version
    if rng.random() < 0.2:
        headers["idempotency-key"] = rng.choice(("k", "k2", "\x00", "k" * 255, "k" * 256))
    if rng.random() < 0.05:
        headers["content-type"] = rng.choice(
            ("application/json", "multipart/form-data", "\x00", "text/plain;;=")
        )
    path = path.replace(":id", object_id)
    if method == "POST":
        return ApiRequest(method=method, path=path, headers=headers, body=form.encode())
    return ApiRequest(method=method, path=path, query=form, headers=headers)


def _status(account: Account, request: ApiRequest) -> int:
    """Take a call through its steps; what is refused must be refused as Stripe does."""
    call = account.parse(request)
    account.received(call)
    account.effect(call)
    response = account.response(call)
    said = json.loads(response.body)
    if response.status != 200:
        assert 400 <= response.status < 500
        assert said["error"]["type"] in ("invalid_request_error", "idempotency_error", "card_error")
        assert said["error"]["message"]
    return response.status
