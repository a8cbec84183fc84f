"""Triggers without a server: each event follows from an effect that the account shows."""

from __future__ import annotations

from typing import Any

import pytest

from deadheat.engine.stripe_trigger import RECIPES, ask, trigger
from deadheat.errors import ActRefused, SettingsError
from deadheat.stripe_sim import MONTHLY, Account


def account() -> Account:
    return Account(seed=1, started_at=1_800_000_000, secret_key="sk_" + "test_trigger")


def emitted(made: Account, mark: int = 0) -> list[dict[str, Any]]:
    return [made.event_json(object_id) for kind, object_id in made.ids_since(mark) if kind == "event"]


@pytest.mark.parametrize("event_type", sorted(RECIPES))
def test_an_event_of_the_type_follows(event_type: str) -> None:
    made = account()
    trigger(made, event_type)
    assert event_type in [event["type"] for event in emitted(made)]


@pytest.mark.parametrize("event_type", sorted(t for t, recipe in RECIPES.items() if recipe.takes_customer))
def test_it_is_about_the_customer_who_is_named(event_type: str) -> None:
    made = account()
    ada = ask(made, "POST", "customers", email="ada@example.test")["id"]
    mark = made.mark()
    trigger(made, event_type, ada)
    events = emitted(made, mark)
    assert event_type in [event["type"] for event in events]
    assert "customer.created" not in [event["type"] for event in events]
    about = [event["data"]["object"] for event in events]
    assert {
        found["id"] if found["object"] == "customer" else found.get("customer") or ada for found in about
    } == {ada}


def test_a_subscription_that_goes_on_is_taken() -> None:
    made = account()
    ada = ask(made, "POST", "customers", email="ada@example.test")["id"]
    trigger(made, "customer.subscription.created", ada)
    for event_type in ("invoice.paid", "customer.subscription.updated", "charge.refunded"):
        trigger(made, event_type, ada)
    assert len(made.made_since(0).subscriptions) == 1
    assert [invoice["billing_reason"] for invoice in made.made_since(0).invoices] == [
        "subscription_create",
        "subscription_cycle",
    ]
    trigger(made, "customer.subscription.deleted", ada)
    trigger(made, "invoice.paid", ada)
    assert [s["status"] for s in made.made_since(0).subscriptions] == ["canceled", "active"]


def test_what_is_past_due_is_paid() -> None:
    made = account()
    ada = ask(made, "POST", "customers", email="ada@example.test")["id"]
    trigger(made, "invoice.payment_failed", ada)
    assert [s["status"] for s in made.made_since(0).subscriptions] == ["past_due"]
    assert trigger(made, "invoice.paid", ada)["id"] == made.made_since(0).invoices[-1]["id"]
    assert [s["status"] for s in made.made_since(0).subscriptions] == ["active"]
    assert [invoice["status"] for invoice in made.made_since(0).invoices] == ["paid", "paid"]


def test_an_event_that_did_not_follow_is_missed() -> None:
    made = account()
    ada = ask(made, "POST", "customers", email="ada@example.test")["id"]
    params = {
        "customer": ada,
        "mode": "subscription",
        "success_url": "https://x.test",
        "line_items": [{"price": MONTHLY, "quantity": 1}],
        "subscription_data": {"trial_period_days": 7},
    }
    session = ask(made, "POST", "checkout", "sessions", **params)
    made.complete_session(session["id"], card="pm_card_chargeCustomerFail")
    with pytest.raises(ActRefused, match=r"No invoice\.paid came of it"):
        trigger(made, "invoice.paid", ada)


def test_a_type_that_is_nearly_one_is_told() -> None:
    with pytest.raises(
        SettingsError, match=r'Did you mean "invoice\.paid"\? Those that can be: .*refund\.created'
    ):
        trigger(account(), "invoice.payed")


def test_a_customer_is_refused_where_none_is_meant() -> None:
    with pytest.raises(SettingsError, match="no --customer"):
        trigger(account(), "product.created", "cus_ada")


def test_stripe_s_own_words_tell_that_there_is_no_such_customer() -> None:
    with pytest.raises(ActRefused, match="No such customer: 'cus_/none'"):
        trigger(account(), "checkout.session.completed", "cus_/none")
