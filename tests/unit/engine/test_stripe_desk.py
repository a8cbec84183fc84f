"""The desk without a server: whom it answers, and what it says."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from deadheat.engine.forward import Forwarder
from deadheat.engine.stripe_desk import COMMANDS, Desk
from deadheat.engine.stripe_trigger import ask
from deadheat.stripe_sim import MONTHLY, Account, ApiRequest, form

KEY = "sk_" + "test_desk"
HERE = {"host": "127.0.0.1:12113", "authorization": f"Bearer {KEY}"}


def account() -> Account:
    return Account(seed=1, started_at=1_700_000_000, secret_key=KEY)


def desk_of(made: Account) -> Desk:
    """A desk with nobody to bring events to."""
    told: list[object] = []
    return Desk(
        account=made, secret="whsec_desk", forwarder=Forwarder(account=made, own=None, tell=told.append)
    )


def request(
    made: Account, command: str, headers: dict[str, str] = HERE, method: str = "POST", **params: Any
) -> tuple[int, dict[str, Any]]:
    desk = desk_of(made)
    asked = ApiRequest(
        method=method, path=f"/_deadheat/{command}", headers=headers, body=form.encode(params).encode()
    )
    answer = asyncio.run(desk.answer(asked))
    assert answer is not None
    return answer.status, json.loads(answer.body)


def done(made: Account, command: str, **params: Any) -> dict[str, Any]:
    status, said = request(made, command, **params)
    assert status == 200, said
    return said


def refused(made: Account, command: str, **params: Any) -> tuple[int, str]:
    status, said = request(made, command, **params)
    return status, said["error"]["message"]


def test_other_paths_are_not_its_own() -> None:
    assert (
        asyncio.run(desk_of(account()).answer(ApiRequest(method="GET", path="/v1/customers", headers=HERE)))
        is None
    )


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("given", [None, "Bearer sk_" + "test_other", "Bearer "])
def test_nobody_without_the_key_is_answered(command: str, given: str | None) -> None:
    made = account()
    mark = made.mark()
    headers = {"host": "127.0.0.1:12113"} if given is None else {**HERE, "authorization": given}
    status, said = request(made, command, headers, type="customer.created")
    assert status == 401
    assert "whsec_desk" not in str(said)
    assert made.mark() == mark


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:12113", "", "[", "10.0.0.1"])
def test_another_host_is_refused_even_with_the_key(host: str) -> None:
    made = account()
    mark = made.mark()
    status, said = request(made, "trigger", {**HERE, "host": host}, type="customer.created")
    assert (status, made.mark()) == (403, mark), said


@pytest.mark.parametrize("host", ["localhost:12113", "[::1]:12113", "127.0.0.1"])
def test_this_machine_by_any_name_is_answered(host: str) -> None:
    assert request(account(), "print-secret", {**HERE, "host": host}) == (200, {"secret": "whsec_desk"})


@pytest.mark.parametrize(("command", "method"), [("charge", "POST"), ("pay", "GET"), ("", "POST")])
def test_what_is_no_command_is_not_found(command: str, method: str) -> None:
    assert request(account(), command, method=method)[0] == 404


WRONG = [
    ("pay", {}, "session"),
    ("pay", {"session": ["a"]}, "string"),
    ("state", {"limit": "ten"}, "ten"),
    ("state", {"limit": "0"}, "greater than or equal to 1"),
    ("state", {"kind": "custmer"}, 'Did you mean "customer"?'),
    ("events", {"of": "x"}, "of"),
    ("trigger", {"type": "customer.create"}, 'Did you mean "customer.created"?'),
    ("resend", {"event": "evt_1"}, "--forward-to"),
]


@pytest.mark.parametrize(("command", "params", "names"), WRONG)
def test_what_makes_no_sense_is_said(command: str, params: dict[str, Any], names: str) -> None:
    status, message = refused(account(), command, **params)
    assert status == 400
    assert names in message


def opened_session(made: Account, **more: Any) -> dict[str, Any]:
    lines = [{"price": MONTHLY, "quantity": 1}]
    said = {"mode": "subscription", "success_url": "https://x.test", "line_items": lines}
    return ask(made, "POST", "checkout", "sessions", **said, **more)


def test_a_session_is_paid_once() -> None:
    made = account()
    opened = opened_session(made)
    paid = done(made, "pay", session=opened["id"])
    assert (paid["object"]["id"], paid["object"]["status"]) == (opened["id"], "complete")
    assert paid["events"][-1]["type"] == "checkout.session.completed"
    assert not any(event["goes_out"] for event in paid["events"])
    status, message = refused(made, "pay", session=opened["id"])
    assert (status, message) == (
        409,
        f"Checkout session {opened['id']} is complete: only an open one can be paid.",
    )


def test_a_subscription_is_renewed_and_canceled() -> None:
    made = account()
    subscription = done(made, "trigger", type="customer.subscription.created")["object"]["id"]
    renewed = done(made, "renew", subscription=subscription)
    assert "invoice.paid" in [event["type"] for event in renewed["events"]]
    assert done(made, "cancel", subscription=subscription)["object"]["status"] == "canceled"
    assert refused(made, "renew", subscription=subscription)[0] == 409
    assert refused(made, "cancel", subscription="sub_none")[0] == 409


def test_a_renewal_fails_as_it_is_told_to() -> None:
    made = account()
    subscription = done(made, "trigger", type="customer.subscription.created")["object"]["id"]
    failed = done(made, "renew", subscription=subscription, decline="insufficient_funds")
    assert failed["object"]["status"] == "past_due"
    assert "invoice.payment_failed" in [event["type"] for event in failed["events"]]
    status, message = refused(made, "renew", subscription=subscription, decline="broke")
    assert (status, "insufficient_funds" in message) == (400, True)


def test_a_customer_pays_with_a_card_and_a_code_of_their_own() -> None:
    made = account()
    ask(made, "POST", "coupons", id="HALF", percent_off=50, duration="once")
    ask(made, "POST", "promotion_codes", promotion={"type": "coupon", "coupon": "HALF"}, code="LAUNCH")
    session = opened_session(made, allow_promotion_codes=True)["id"]
    for said in ({"card": "pm_card_chargeDeclined"}, {"card": "pm_card_none"}, {"promotion_code": "NONE"}):
        assert refused(made, "pay", session=session, **said)[0] == 409, said
    paid = done(made, "pay", session=session, promotion_code="LAUNCH")["object"]
    assert paid["amount_total"] * 2 == paid["amount_subtotal"]


def test_the_customer_answers_their_bank() -> None:
    made = account()
    asking = done(made, "trigger", type="payment_intent.requires_action")["object"]["id"]
    failed = done(made, "authenticate", intent=asking, fails="true")
    assert failed["object"]["status"] == "requires_payment_method"
    assert refused(made, "authenticate", intent=asking)[0] == 409
    saving = done(made, "trigger", type="setup_intent.requires_action")["object"]["id"]
    saved = done(made, "authenticate", intent=saving)
    assert [event["type"] for event in saved["events"]] == [
        "payment_method.attached",
        "setup_intent.succeeded",
    ]


def test_events_are_listed_newest_first_by_type() -> None:
    made = account()
    done(made, "trigger", type="customer.updated")
    listed = done(made, "events")["data"]
    assert [event["type"] for event in listed] == ["customer.updated", "customer.created"]
    assert len(done(made, "events", limit=1)["data"]) == 1
    created = done(made, "events", type="customer.created")["data"]
    assert [event["id"] for event in created] == [listed[1]["id"]]


def test_the_state_is_counted_and_shown() -> None:
    made = account()
    for event_type in ("customer.created", "customer.deleted", "checkout.session.expired"):
        done(made, "trigger", type=event_type)
    counts = done(made, "state")["counts"]
    assert (counts["customer"], counts["checkout.session"], counts["subscription"]) == (3, 1, 0)
    assert counts["event"] == len(done(made, "state", kind="event", limit=100)["data"])
    shown = done(made, "state", kind="customer", limit=2)
    assert shown["total"] == 3
    assert [customer.get("deleted") for customer in shown["data"]] == [None, True]
    assert done(made, "state", kind="subscription") == {"total": 0, "data": []}
