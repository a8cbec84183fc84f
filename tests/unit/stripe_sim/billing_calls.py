"""Calls and acts that move one customer's money, to be drawn in any order."""

from __future__ import annotations

from typing import Any

from billing_stage import priced, subscribe
from hypothesis import strategies as st
from sim_client import send, subscribed

from deadheat.errors import ActRefused
from deadheat.stripe_sim import MONTHLY, PRODUCT, YEARLY, Account, Dunning
from deadheat.stripe_sim.clock import HOUR

AMOUNTS = st.sampled_from([500, 900, 2000])
CARDS = st.sampled_from(["pm_card_visa", "pm_card_chargeDeclined", "pm_card_authenticationRequired"])

TWICE, THIRD = "TWICE", "THIRD"
ACACIA = "2024-12-18.acacia"
DISCOUNTS = st.lists(st.sampled_from([{"coupon": TWICE}, {"coupon": THIRD}]), max_size=2)


def post(path: str, **params: Any) -> st.SearchStrategy[tuple[str, str, dict[str, Any]]]:
    """Draw a POST; parameters are values, or strategies of values."""
    drawn = {n: v if isinstance(v, st.SearchStrategy) else st.just(v) for n, v in params.items()}
    return st.tuples(st.just("POST"), st.just(path), st.fixed_dictionaries(drawn))


def delete(path: str) -> st.SearchStrategy[tuple[str, str, dict[str, Any]]]:
    """Draw a DELETE."""
    return st.tuples(st.just("DELETE"), st.just(path), st.just({}))


BILLING = st.one_of(
    post("/v1/invoices/OPEN/pay"),
    post("/v1/invoices/OPEN/void"),
    post("/v1/invoices/OPEN/mark_uncollectible"),
    post("/v1/payment_intents/INTENT/confirm", payment_method=CARDS),
    post("/v1/refunds", charge="CHARGE", amount=AMOUNTS),
    post("/v1/credit_notes", invoice="OPEN", amount=AMOUNTS),
    post("/v1/credit_notes", invoice="PAID", amount=1500, refund_amount=600, credit_amount=900),
    post("/v1/customers/CUSTOMER/balance_transactions", amount=st.integers(-3000, 900), currency="usd"),
    post("/v1/subscriptions/SUBSCRIPTION", pause_collection={"behavior": "keep_as_draft"}),
    post(
        "/v1/subscriptions",
        customer="CUSTOMER",
        items=[{"price": MONTHLY}],
        payment_behavior=st.sampled_from(["allow_incomplete", "default_incomplete", "error_if_incomplete"]),
        default_payment_method="BAD_CARD",
    ),
    post("/v1/subscriptions", customer="CUSTOMER", items=[{"price": MONTHLY}], discounts=DISCOUNTS),
    post("/v1/subscriptions/SUBSCRIPTION", discounts=DISCOUNTS),
    post("/v1/invoiceitems", customer="CUSTOMER", amount=st.integers(-3000, 900), currency="usd"),
    post("/v1/invoiceitems", customer="CUSTOMER", amount=AMOUNTS, currency="usd", invoice="DRAFT"),
    post(
        "/v1/invoices",
        customer="CUSTOMER",
        discounts=DISCOUNTS,
        pending_invoice_items_behavior=st.sampled_from(["exclude", "include"]),
        auto_advance=st.booleans(),
    ),
    post("/v1/invoices/DRAFT/finalize"),
    st.tuples(
        st.just("DELETE"),
        st.just("/v1/subscriptions/SUBSCRIPTION"),
        st.fixed_dictionaries({"prorate": st.booleans(), "invoice_now": st.booleans()}),
    ),
    post(
        "/v1/subscription_items/ITEM",
        quantity=st.integers(0, 4),
        proration_behavior=st.sampled_from(["always_invoice", "create_prorations", "none"]),
    ),
    post("/v1/invoices/DRAFT/pay"),
    post("/v1/invoices/DRAFT/void"),
)
ONCE = {"price_data": {"currency": "usd", "unit_amount": 333, "product": PRODUCT}, "quantity": 1}
DAILY = {"currency": "usd", "unit_amount": 5, "product": PRODUCT, "recurring": {"interval": "day"}}
PRICED = st.sampled_from([MONTHLY, YEARLY, "OTHER"])
MORE = st.one_of(
    post(
        "/v1/invoices/create_preview",
        subscription="SUBSCRIPTION",
        discounts=DISCOUNTS,
        subscription_details=st.fixed_dictionaries({"items": st.just([{"id": "ITEM", "quantity": 3}])}),
    ),
    post("/v1/invoices/DRAFT/add_lines", lines=[{"invoice_item": "WAITS"}, {"amount": -40}]),
    post("/v1/invoices/DRAFT/add_lines", lines=[{"amount": 40}, {"price": MONTHLY}]),
    delete("/v1/invoices/DRAFT"),
    post("/v1/invoiceitems/WAITS", amount=AMOUNTS),
    delete("/v1/invoiceitems/WAITS"),
    post("/v1/invoices", customer="CUSTOMER", subscription="SUBSCRIPTION", discounts=DISCOUNTS),
    post("/v1/setup_intents", customer="CUSTOMER", payment_method=CARDS, confirm=True),
    post("/v1/payment_intents", amount=AMOUNTS, currency="usd", payment_method=CARDS, confirm=True),
    post("/v1/payment_intents/INTENT/confirm", payment_method=CARDS, off_session=True),
    post("/v1/subscription_items", subscription="SUBSCRIPTION", price=PRICED, quantity=st.integers(0, 2)),
    post("/v1/subscription_items", subscription="SUBSCRIPTION", price_data=DAILY),
    post("/v1/subscription_items/ITEM", price=PRICED),
    post("/v1/subscriptions/SUBSCRIPTION", discounts=DISCOUNTS, trial_end="now"),
    post("/v1/subscriptions/SUBSCRIPTION", discounts=DISCOUNTS, cancel_at_period_end=st.booleans()),
    post(
        "/v1/subscriptions",
        customer=st.sampled_from(["CUSTOMER", "CARDLESS"]),
        items=[{"price": MONTHLY}],
        discounts=[{"promotion_code": "CODE"}],
        trial_period_days=7,
        payment_behavior=st.sampled_from(["allow_incomplete", "default_incomplete"]),
    ),
    post("/v1/subscriptions/TRIAL", discounts=DISCOUNTS, trial_end="now"),
    post(
        "/v1/checkout/sessions",
        mode="subscription",
        success_url="https://a.test",
        customer=st.sampled_from(["CUSTOMER", "CARDLESS"]),
        discounts=st.sampled_from([[{"promotion_code": "CODE"}], [{"coupon": TWICE}], []]),
        line_items=st.sampled_from([[{"price": MONTHLY, "quantity": 2}, ONCE], [{"price": "OTHER"}, ONCE]]),
        subscription_data=st.sampled_from([{}, {"trial_period_days": 7}]),
    ),
    post(
        "/v1/checkout/sessions",
        mode="payment",
        success_url="https://a.test",
        discounts=DISCOUNTS,
        line_items=[ONCE],
    ),
    post("/v1/checkout/sessions", mode="setup", success_url="https://a.test", currency="usd"),
    post("/v1/promotion_codes/CODE", active=st.booleans()),
    delete("/v1/coupons/TWICE"),
    delete("/v1/customers/CUSTOMER/discount"),
)
"""Calls of what came later: previews, drafts, setup intents, trials, promotion codes and sessions."""
ACTS = st.sampled_from(["renew", "decline", "ask", "pass", "fail", "retry", "give up", "hours", "trial"])
DECLINES = {"decline": "lost_card", "ask": "authentication_required"}


def billed(account: Account) -> dict[str, str]:
    """Subscribe a customer, with one invoice paid and one, partly by credit, open; gives all names."""
    session = subscribed(account)
    customer = {"customer": session["customer"]}
    bad = send(account, "POST", "/v1/payment_methods/pm_card_chargeCustomerFail/attach", customer).json
    charge = send(account, "GET", "/v1/charges").json["data"][0]
    send(account, "POST", "/v1/coupons", {"id": TWICE, "percent_off": 33.3, "max_redemptions": 2})
    third = {"amount_off": 700, "currency": "usd", "duration": "forever"}
    send(account, "POST", "/v1/coupons", {"id": THIRD, **third})
    send(account, "POST", f"/v1/customers/{session['customer']}", {"balance": -600})
    account.dunning = Dunning(3, "unpaid")
    account.renew_subscription(session["subscription"], decline="generic_decline")
    unpaid = account.made_since(0).invoices[-1]
    draft = send(account, "POST", "/v1/invoices", customer).json
    hers = {"coupon": send(account, "POST", "/v1/coupons", {"percent_off": 12.5}).json["id"]}
    send(account, "POST", f"/v1/customers/{session['customer']}", hers, version=ACACIA)
    waits = {**customer, "amount": 450, "currency": "usd"}
    least = {"minimum_amount": 2100, "minimum_amount_currency": "usd"}
    code = {"promotion": {"type": "coupon", "coupon": TWICE}, "code": "TWO", "restrictions": least}
    cardless = send(account, "POST", "/v1/customers").json["id"]
    return {
        "CARDLESS": cardless,
        "CODE": send(account, "POST", "/v1/promotion_codes", code).json["id"],
        "OTHER": priced(account, 2999),
        "TRIAL": subscribe(account, cardless, trial_period_days=7).json["id"],
        "WAITS": send(account, "POST", "/v1/invoiceitems", waits).json["id"],
        "DRAFT": draft["id"],
        "ITEM": account.made_since(0).subscriptions[0]["items"]["data"][0]["id"],
        "CHARGE": charge["id"],
        "SUBSCRIPTION": session["subscription"],
        "CUSTOMER": session["customer"],
        "BAD_CARD": bad["id"],
        "PAID": session["invoice"],
        "OPEN": unpaid["id"],
        "INTENT": unpaid["payments"]["data"][0]["payment"]["payment_intent"],
    }


def named(names: dict[str, str], path: str, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Put ids in the place of names."""
    path = "/".join(names.get(part, part) for part in path.split("/"))
    return path, {n: _named(names, v) for n, v in params.items()}


def _named(names: dict[str, str], value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _named(names, part) for name, part in value.items()}
    if isinstance(value, list):
        return [_named(names, part) for part in value]
    return names.get(value, value) if isinstance(value, str) else value


def act(account: Account, what: str, names: dict[str, str]) -> None:
    """Let Stripe's billing do something by itself; where it cannot, nothing is changed."""
    mark = account.mark()
    subscription = names["TRIAL" if what == "trial" else "SUBSCRIPTION"]
    try:
        if what == "hours":
            account.tick(23 * HOUR)  # a key lives for 24
        elif what == "retry":
            account.retry_payment(subscription)
        elif what == "give up":
            account.retry_payment(subscription, decline="lost_card")
        elif what in ("pass", "fail"):
            for intent in account.ledger.of("payment_intent", status="requires_action")[:1]:
                account.authenticate(intent["id"], fails=what == "fail")
        else:
            account.renew_subscription(subscription, decline=DECLINES.get(what))
    except ActRefused:
        assert account.mark() == mark
