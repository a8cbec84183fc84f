"""What people and Stripe do at Stripe, on a real account."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from deadheat import Dunning, World
from deadheat.engine.acts import Acts
from deadheat.engine.cast import Cast
from deadheat.stripe_sim import MONTHLY, Account, ApiRequest
from deadheat.stripe_sim.form import encode

if TYPE_CHECKING:
    from deadheat.program import User

KEY = "sk_test_acts"


class Stage:
    """Ada and Bob, and an account that an application calls for them."""

    def __init__(self) -> None:
        world = World("aa")
        self.ada, self.bob = world.user(), world.user()
        self.account = Account(seed=1, started_at=1_700_000_000, secret_key=KEY)
        self.cast = Cast([self.ada, self.bob], MONTHLY)
        self.acts = Acts(self.account, self.cast, self.account.mark())

    def post(self, path: str, params: dict[str, Any], user: User) -> str:
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/x-www-form-urlencoded"}
        body = encode(params).encode()
        call = self.account.received(
            self.account.parse(ApiRequest(method="POST", path=path, headers=headers, body=body))
        )
        self.account.effect(call)
        self.cast.made(call.object_ids, self.cast[user])
        return str(json.loads(self.account.response(call).body)["id"])

    def opens(self, user: User, actor: str = "A", **params: Any) -> str:
        customer = self.post("/v1/customers", {"email": user.email}, user)
        lines = [{"price": MONTHLY, "quantity": 1}]
        session = {
            "mode": "subscription",
            "customer": customer,
            "success_url": "https://a.test",
            "line_items": lines,
            **params,
        }
        made = self.post("/v1/checkout/sessions", session, user)
        self.cast[user].given_session(actor, made)
        return made

    def statuses(self) -> list[str]:
        return [s["status"] for s in self.account.made_since(0).subscriptions]

    def invoices(self) -> list[str]:
        return [i["billing_reason"] for i in self.account.made_since(0).invoices]


@pytest.mark.fidelity("The customer who pays and never returns")
def test_who_pays_owns_what_comes_of_it() -> None:
    stage = Stage()
    session = stage.opens(stage.ada)
    assert stage.acts.do(stage.ada.pay(), "A") == [session]
    made = stage.account.made_since(0)
    assert {made.subscriptions[0]["id"], made.invoices[0]["id"]} <= stage.cast.owner.keys()
    assert stage.cast.whose([made.subscriptions[0]["id"]]) is stage.cast[stage.ada]


def test_what_stripe_refuses_is_noted() -> None:
    stage = Stage()
    assert stage.acts.do(stage.ada.pay(), "A") == ["there was no checkout session to pay"]
    stage.opens(stage.ada)
    stage.acts.do(stage.ada.pay(), "A")
    assert "only an open one can be paid" in stage.acts.do(stage.ada.pay(), "A")[0]


@pytest.mark.parametrize("first", ["cancel", "renew"])
def test_renewing_and_cancelling_meet_only_the_users_own(first: str) -> None:
    stage = Stage()
    for user in (stage.ada, stage.bob):
        stage.opens(user)
        stage.acts.do(user.pay(), "A")
    acts = [stage.ada.cancel(), stage.ada.renew()]
    for act in acts if first == "cancel" else acts[::-1]:
        stage.acts.do(act, "A")
    assert stage.statuses() == ["canceled", "active"]
    renewals = stage.invoices().count("subscription_cycle")
    assert renewals == (0 if first == "cancel" else 1)


def test_a_renewal_that_fails_is_tried_again_until_it_is_paid_or_ended() -> None:
    for then in ("canceled", "unpaid"):
        stage = Stage()
        stage.account.dunning = Dunning(attempts=2, then=then)  # type: ignore[arg-type]
        for user in (stage.ada, stage.bob):
            stage.opens(user)
            stage.acts.do(user.pay(), "A")
        stage.acts.do(stage.ada.renew(decline="insufficient_funds"), "A")
        assert stage.statuses() == ["past_due", "active"]
        stage.acts.do(stage.ada.retry_payment(), "A")
        assert stage.statuses() == ["active", "active"]
        stage.acts.do(stage.ada.renew(decline="expired_card"), "A")
        stage.acts.do(stage.ada.retry_payment(decline="expired_card"), "A")
        assert stage.statuses() == [then, "active"]
        assert stage.cast.whose([stage.account.made_since(0).invoices[-1]["id"]]) is stage.cast[stage.ada]
        if then == "unpaid":
            stage.acts.do(stage.ada.retry_payment(), "A")
            assert stage.statuses() == ["active", "active"]
            assert "has no open invoice" in stage.acts.do(stage.ada.retry_payment(), "A")[0]


@pytest.mark.parametrize(("fails", "status"), [(False, "active"), (True, "past_due")])
def test_who_is_asked_at_a_renewal_answers_for_themselves(fails: bool, status: str) -> None:
    stage = Stage()
    for user in (stage.ada, stage.bob):
        stage.opens(user)
        stage.acts.do(user.pay(), "A")
        stage.acts.do(user.renew(decline="authentication_required"), "A")
    assert stage.statuses() == ["past_due", "past_due"]
    (intent,) = stage.acts.do(stage.ada.authenticate(fails=fails), "A")
    assert stage.statuses() == [status, "past_due"]
    asked = stage.account.object("payment_intent", intent)
    assert asked is not None
    assert asked["status"] == ("requires_payment_method" if fails else "succeeded")
    assert stage.acts.do(stage.ada.authenticate(), "A") == ["there was nothing to authenticate"]


def test_a_card_without_a_customer_is_saved_by_whom_the_call_was_for() -> None:
    stage = Stage()
    card = {"payment_method": "pm_card_authenticationRequired", "confirm": True}
    intent = stage.post("/v1/setup_intents", card, stage.ada)
    assert stage.acts.do(stage.bob.authenticate(), "A") == ["there was nothing to authenticate"]
    assert stage.acts.do(stage.ada.authenticate(), "A") == [intent]


def test_what_is_made_at_the_dashboard_is_nobodys() -> None:
    stage = Stage()
    before = dict(stage.cast.owner)
    world = World("aa")
    for thing in ("customer", "subscription", "product"):
        stage.acts.do(world.at_stripe(thing), "A")
    customers = {c["id"] for c in stage.account.made_since(0).customers}
    assert stage.acts.strangers == customers
    assert len(customers) == 2
    assert stage.statuses() == ["active"]
    assert stage.cast.owner == before
    assert "product.created" in [e["type"] for e in stage.account.made_since(0).events]


def test_a_payer_types_a_promotion_code() -> None:
    on = Stage()
    on.post("/v1/coupons", {"id": "HALF", "percent_off": 50}, on.ada)
    on.post("/v1/promotion_codes", {"promotion": {"type": "coupon", "coupon": "HALF"}, "code": "NEW"}, on.ada)
    session = on.opens(on.ada, allow_promotion_codes=True)
    refused = on.acts.do(on.ada.pay(promotion_code="OLD"), "A")
    assert "no active promotion code" in refused[0]
    assert on.acts.do(on.ada.pay(promotion_code="new"), "A") == [session]
    assert on.account.made_since(0).invoices[0]["amount_paid"] == 1000
