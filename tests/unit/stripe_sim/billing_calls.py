"""Calls and acts that move one customer's money, to be drawn in any order."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from sim_client import send, subscribed

from deadheat.errors import ActRefused
from deadheat.stripe_sim import MONTHLY, Account, Dunning
from deadheat.stripe_sim.clock import HOUR

AMOUNTS = st.sampled_from([500, 900, 2000])
CARDS = st.sampled_from(["pm_card_visa", "pm_card_chargeDeclined", "pm_card_authenticationRequired"])

TWICE, THIRD = "TWICE", "THIRD"
DISCOUNTS = st.lists(st.sampled_from([{"coupon": TWICE}, {"coupon": THIRD}]), max_size=2)


def post(path: str, **params: Any) -> st.SearchStrategy[tuple[str, str, dict[str, Any]]]:
    """Draw a POST; parameters are values, or strategies of values."""
    drawn = {n: v if isinstance(v, st.SearchStrategy) else st.just(v) for n, v in params.items()}
    return st.tuples(st.just("POST"), st.just(path), st.fixed_dictionaries(drawn))


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
ACTS = st.sampled_from(["renew", "decline", "ask", "pass", "fail", "retry", "give up", "hours"])
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
    return {
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
    return path, {n: names.get(v, v) if isinstance(v, str) else v for n, v in params.items()}


def act(account: Account, what: str, subscription: str) -> None:
    """Let Stripe's billing do something by itself; where it cannot, nothing is changed."""
    mark = account.mark()
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
