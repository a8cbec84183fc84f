"""Any interleaving of received, effect and response of any mix of calls keeps what Stripe keeps.

Ids are unique, a key has one effect, every event stands behind the effect that made it, and money adds
up: what was charged is what invoices say was paid, less refunds, credit and what the balance bore.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, get_args

import pytest
from billing_calls import ACTS, BILLING, MORE, act, billed, named
from hypothesis import given, settings
from hypothesis import strategies as st
from money_adds_up import money_adds_up
from sim_client import begin, new_account

from deadheat.errors import ActRefused
from deadheat.stripe_sim import MONTHLY, Account, Call
from deadheat.stripe_sim.faults import When

INLINE = {"price", "product"}
"""What a call makes of its ``price_data`` before it is refused for something else."""
KEYS = st.sampled_from([None, "k1", "k2", "k3"])
EMAILS = st.sampled_from(["ada@example.test", "bob@example.test"])


@st.composite
def asked(draw: st.DrawFn) -> tuple[str, str, dict[str, Any], str | None, str | None]:
    """A call: method, path, parameters, key, and a fault."""
    fault = draw(st.sampled_from([*[None] * 7, *get_args(When)]))
    if draw(st.booleans()):
        return (*draw(BILLING | MORE), draw(KEYS), fault)
    kind = draw(st.sampled_from(["create", "create", "session", "cancel", "delete", "update"]))
    if kind == "create":
        return "POST", "/v1/customers", {"email": draw(EMAILS)}, draw(KEYS), fault
    if kind == "session":
        items = [{"price": MONTHLY, "quantity": draw(st.integers(1, 3))}]
        params = {"mode": "subscription", "success_url": "https://a.test", "line_items": items}
        return "POST", "/v1/checkout/sessions", params, draw(KEYS), fault
    if kind == "cancel":
        return "DELETE", "/v1/subscriptions/SUBSCRIPTION", {}, None, fault
    if kind == "delete":
        return "DELETE", "/v1/customers/CUSTOMER", {}, None, fault
    return "POST", "/v1/customers/CUSTOMER", {"name": draw(EMAILS)}, draw(KEYS), fault


@pytest.mark.fidelity("Any interleaving keeps ids unique, one effect per key, money adding up")
@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    st.lists(asked(), min_size=1, max_size=8),
    st.lists(ACTS, max_size=4, unique=True),
    st.randoms(use_true_random=False),
    st.booleans(),
)
def test_any_interleaving(calls: list[Any], acts: list[str], chance: Any, pay: bool) -> None:
    account = new_account()
    names = billed(account)
    mark = account.mark()
    live: list[Call] = []
    done: list[Call] = []
    effects: Counter[str] = Counter()
    for method, path, params, key, fault in calls:
        live.append(begin(account, method, *named(names, path, params), key=key))
        if fault and not live[-1].decided:
            account.fail(live[-1], status=500, when=fault)
        while live and chance.random() < 0.5:
            _advance(account, chance.choice(live), live, done, effects)
        if acts and chance.random() < 0.5:
            act(account, acts.pop(), names)
    while live:
        _advance(account, chance.choice(live), live, done, effects)
    if pay:
        _pay_all(account, mark)
    _check(account, done, effects)


def _advance(account: Account, call: Call, live: list[Call], done: list[Call], effects: Counter[str]) -> None:
    if call.response is None or (call.decided and call.stage.name == "RECEIVED"):
        before = account.mark()
        account.effect(call)
        made = account.ledger.made[before:]
        events = [account.ledger.event(event_id) for kind, event_id in made if kind == "event"]
        told = {event.type.partition(".")[0] for event in events if event is not None}
        assert all(event is not None and event.request_id == call.id for event in events)
        assert all(event is not None and event.now["id"] in call.object_ids for event in events)
        assert call.response is not None  # from the effect on
        if call.decided or call.response.status in (400, 404) or "preview" in call.request.path:
            assert {kind for kind, _ in made if kind != "event"} | told <= INLINE
        elif call.key and made:
            effects[call.key] += 1
    else:
        account.response(call)
        live.remove(call)
        done.append(call)


def _pay_all(account: Account, mark: int) -> None:
    for session in account.made_since(mark).sessions:
        if session["status"] != "open":
            continue
        before = account.mark()
        try:
            account.complete_session(session["id"])
        except ActRefused:  # its discount is used up, or its customer gone
            assert account.mark() == before
            continue
        try:
            account.complete_session(session["id"])
        except ActRefused:
            continue
        raise AssertionError("a session was paid twice")


def _check(account: Account, done: list[Call], effects: Counter[str]) -> None:
    ids = [object_id for _, object_id in account.ledger.made]
    assert len(ids) == len(set(ids))
    assert all(count == 1 for count in effects.values())
    assert len({call.id for call in done}) == len(done)
    money_adds_up(account)
    for key in {call.key for call in done if call.key}:
        kept = [
            c.response for c in done if c.key == key and c.response and c.response.status in (200, 402, 500)
        ]
        assert len({response.body for response in kept}) <= 1
