"""Any interleaving of received, effect and response of any mix of calls keeps what Stripe keeps.

Ids are unique, a key has one effect, every event stands behind the effect that made it, and refunds
never add up to more than the charge.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_client import begin, new_account, send, subscribed

from deadheat.errors import ActRefused
from deadheat.stripe_sim import MONTHLY, Account, Call
from deadheat.stripe_sim.faults import When

KEYS = st.sampled_from([None, "k1", "k2", "k3"])
EMAILS = st.sampled_from(["ada@example.test", "bob@example.test"])


@st.composite
def asked(draw: st.DrawFn) -> tuple[str, str, dict[str, Any], str | None, str | None]:
    """A call: method, path, parameters, key, and a fault."""
    fault = draw(st.sampled_from([*[None] * 7, *get_args(When)]))
    kind = draw(st.sampled_from(["create", "create", "session", "refund", "cancel", "update"]))
    if kind == "create":
        return "POST", "/v1/customers", {"email": draw(EMAILS)}, draw(KEYS), fault
    if kind == "session":
        items = [{"price": MONTHLY, "quantity": draw(st.integers(1, 3))}]
        params = {"mode": "subscription", "success_url": "https://a.test", "line_items": items}
        return "POST", "/v1/checkout/sessions", params, draw(KEYS), fault
    if kind == "refund":
        amount = draw(st.sampled_from([500, 900, 2000]))
        return "POST", "/v1/refunds", {"charge": "CHARGE", "amount": amount}, draw(KEYS), fault
    if kind == "cancel":
        return "DELETE", "/v1/subscriptions/SUBSCRIPTION", {}, None, fault
    return "POST", "/v1/customers/CUSTOMER", {"name": draw(EMAILS)}, draw(KEYS), fault


@pytest.mark.fidelity("Any interleaving keeps ids unique, one effect per key, money adding up")
@settings(max_examples=150, deadline=None)
@given(st.lists(asked(), min_size=1, max_size=8), st.randoms(use_true_random=False), st.booleans())
def test_any_interleaving(calls: list[Any], chance: Any, pay: bool) -> None:
    account = new_account()
    session = subscribed(account)
    charge = send(account, "GET", "/v1/charges").json["data"][0]
    names = {
        "CHARGE": charge["id"],
        "SUBSCRIPTION": session["subscription"],
        "CUSTOMER": session["customer"],
    }
    mark = account.mark()
    live: list[Call] = []
    done: list[Call] = []
    effects: Counter[str] = Counter()
    for method, path, params, key, fault in calls:
        path = path.replace(
            path.rpartition("/")[2], names.get(path.rpartition("/")[2], path.rpartition("/")[2])
        )
        params = {
            name: names.get(value, value) if isinstance(value, str) else value
            for name, value in params.items()
        }
        live.append(begin(account, method, path, params, key=key))
        if fault and not live[-1].decided:
            account.fail(live[-1], status=500, when=fault)
        while live and chance.random() < 0.5:
            _advance(account, chance.choice(live), live, done, effects)
    while live:
        _advance(account, chance.choice(live), live, done, effects)
    if pay:
        _pay_all(account, mark)
    _check(account, done, effects, charge["id"])


def _advance(account: Account, call: Call, live: list[Call], done: list[Call], effects: Counter[str]) -> None:
    if call.response is None or (call.decided and call.stage.name == "RECEIVED"):
        before = account.mark()
        account.effect(call)
        made = account.ledger.made[before:]
        events = [account.ledger.event(event_id) for kind, event_id in made if kind == "event"]
        assert all(event is not None and event.request_id == call.id for event in events)
        assert all(event is not None and event.now["id"] in call.object_ids for event in events)
        if call.decided:
            assert not made
        elif call.key and made:
            effects[call.key] += 1
    else:
        account.response(call)
        live.remove(call)
        done.append(call)


def _pay_all(account: Account, mark: int) -> None:
    for session in account.made_since(mark).sessions:
        account.complete_session(session["id"])
        try:
            account.complete_session(session["id"])
        except ActRefused:
            continue
        raise AssertionError("a session was paid twice")


def _check(account: Account, done: list[Call], effects: Counter[str], charge_id: str) -> None:
    made = account.made_since(0)
    ids = [object_id for _, object_id in account.ledger.made]
    assert len(ids) == len(set(ids))
    assert all(count == 1 for count in effects.values())
    assert len({call.id for call in done}) == len(done)
    refunds = [r["amount"] for r in made.refunds if r["charge"] == charge_id]
    charge = account.object("charge", charge_id)
    assert charge is not None
    assert sum(refunds) == charge["amount_refunded"] <= charge["amount"]
    for invoice in made.invoices:
        paid = account.object("charge", _charge_of(account, invoice))
        assert paid is not None
        assert paid["amount"] == invoice["total"] == invoice["amount_paid"]
    for key in {call.key for call in done if call.key}:
        kept = [c.response for c in done if c.key == key and c.response and c.response.status in (200, 500)]
        assert len({response.body for response in kept}) <= 1


def _charge_of(account: Account, invoice: dict[str, Any]) -> str:
    intent = account.object("payment_intent", invoice["payments"]["data"][0]["payment"]["payment_intent"])
    assert intent is not None
    return str(intent["latest_charge"])
