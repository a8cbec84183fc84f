"""The gate of one run: where a fault strikes, whom and how often, and what the history says of a call."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from deadheat import World
from deadheat.engine import gate as gate_module
from deadheat.engine.cast import Cast
from deadheat.engine.gate import NOBODY, RunGate
from deadheat.history import Plane, Recorder, StepKind
from deadheat.stripe_sim import MONTHLY, Account, ApiRequest
from deadheat.stripe_sim.form import encode

if TYPE_CHECKING:
    from deadheat.program import Fault, User
    from deadheat.stripe_sim import Call

KEY = "sk_test_gate"
CUSTOMERS = "POST /v1/customers"


class Stripe:
    """Ada and Bob, and an account behind a gate that calls cross as the simulator's server lets them."""

    def __init__(self) -> None:
        self.world = World("aa")
        self.ada, self.bob = self.world.user(), self.world.user()
        self.account = Account(seed=1, started_at=1_700_000_000, secret_key=KEY)
        self.recorder = Recorder(1)
        self.cast = Cast([self.ada, self.bob], MONTHLY)
        self.gate = RunGate(self.account, self.cast, self.recorder)

    def arm(self, **fault: Any) -> Fault:
        made = self.world.stripe_fails(self.ada, CUSTOMERS, **fault)
        self.gate.arm((made,))
        return made

    def call(self, user: User | None, key: str | None = None, path: str = "/v1/customers") -> Call:
        """Take a call through its three crossings."""
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/x-www-form-urlencoded"}
        if key is not None:
            headers["idempotency-key"] = key
        body = encode({"email": user.email if user else "nobody@example.test"}).encode()
        call = self.account.parse(ApiRequest(method="POST", path=path, headers=headers, body=body))
        asyncio.run(self._cross(call))
        return call

    async def _cross(self, call: Call) -> None:
        for kind, cross in (
            (StepKind.RECEIVED, self.account.received),
            (StepKind.EFFECT, self.account.effect),
            (StepKind.RESPONSE, self.account.response),
        ):
            await self.gate.hold(kind, call)
            cross(call)
            self.gate.crossed(kind, call)

    def customers(self) -> int:
        return len(self.account.made_since(0).customers)

    def faults(self) -> list[str]:
        return [step.label for step in self.recorder.history().of(Plane.FAULT)]

    def said(self) -> list[int | None]:
        """Give the statuses of the answers that arrived, as the history has them."""
        return [s.data["status"] for s in self.recorder.history().of(Plane.STRIPE, StepKind.RESPONSE)]


def status(call: Call) -> int:
    assert call.response is not None
    return call.response.status


def test_before_means_that_the_call_fails_and_nothing_was_made() -> None:
    stripe = Stripe()
    stripe.arm(when="before", status=503)
    call = stripe.call(stripe.ada)
    assert (status(call), call.lost, stripe.customers()) == (503, False, 0)
    assert stripe.said() == [503]
    assert stripe.faults() == ["before 503 POST /v1/customers"]


def test_after_means_that_the_call_fails_although_its_effect_happened() -> None:
    stripe = Stripe()
    stripe.arm(when="after", status=502)
    call = stripe.call(stripe.ada)
    assert (status(call), call.lost, stripe.customers()) == (502, False, 1)
    assert stripe.said() == [502]
    assert stripe.faults() == ["after 502 POST /v1/customers"]


def test_lost_means_that_the_effect_happened_and_no_answer_arrives() -> None:
    stripe = Stripe()
    stripe.arm(when="lost")
    call = stripe.call(stripe.ada, key="k")
    assert (call.lost, stripe.customers()) == (True, 1)
    assert stripe.said() == [None]
    replay = stripe.call(stripe.ada, key="k")  # the answer was kept under the key
    assert (status(replay), replay.lost, stripe.customers()) == (200, False, 1)
    assert stripe.faults() == ["lost 500 POST /v1/customers"]


def test_a_fault_strikes_as_often_as_it_says() -> None:
    stripe = Stripe()
    stripe.arm(times=2)
    assert [status(stripe.call(stripe.ada)) for _ in range(4)] == [500, 500, 200, 200]


def test_a_fault_waits_for_the_users_nth_call() -> None:
    stripe = Stripe()
    stripe.arm(nth=2, times=2)
    who = (stripe.bob, stripe.ada, stripe.bob, stripe.ada, stripe.ada, stripe.ada)
    assert [status(stripe.call(user)) for user in who] == [200, 200, 200, 500, 500, 200]


@pytest.mark.parametrize(
    ("when", "made", "told"),
    [
        ("reset", 0, "reset POST /v1/customers"),
        ("timeout", 1, "timeout POST /v1/customers"),
    ],
)
def test_a_reset_and_a_time_out_are_told_without_a_status(when: str, made: int, told: str) -> None:
    stripe = Stripe()
    stripe.arm(when=when)
    assert stripe.call(stripe.ada).lost
    assert (stripe.customers(), stripe.said(), stripe.faults()) == (made, [None], [told])


def test_locked_strikes_only_while_another_call_writes_the_object() -> None:
    stripe = Stripe()
    path = f"/v1/customers/{json.loads(stripe.call(stripe.ada).response.body)['id']}"  # type: ignore[union-attr]
    stripe.gate.arm((stripe.world.stripe_fails(stripe.ada, "POST /v1/customers/:id", when="locked"),))
    assert status(stripe.call(stripe.ada, path=path)) == 200
    headers = {"authorization": f"Bearer {KEY}"}
    stripe.account.received(stripe.account.parse(ApiRequest(method="DELETE", path=path, headers=headers)))
    assert status(stripe.call(stripe.ada, path=path)) == 429
    assert stripe.faults() == ["locked POST /v1/customers/:id"]


def test_a_fault_spares_other_users_and_calls_of_nobody() -> None:
    stripe = Stripe()
    stripe.arm()
    assert [status(stripe.call(who)) for who in (stripe.bob, None, stripe.ada)] == [200, 200, 500]


def test_a_fault_spares_other_routes() -> None:
    stripe = Stripe()
    customer = json.loads(stripe.call(stripe.ada).response.body)["id"]  # type: ignore[union-attr]
    stripe.arm()
    assert status(stripe.call(stripe.ada, path=f"/v1/customers/{customer}")) == 200
    assert status(stripe.call(stripe.ada)) == 500


def test_what_was_decided_on_receipt_uses_no_fault_up() -> None:
    stripe = Stripe()
    stripe.call(stripe.ada, key="k")
    stripe.arm()
    assert status(stripe.call(stripe.ada, key="k")) == 200, "a replay, decided by its key"
    assert status(stripe.call(stripe.ada)) == 500


def test_a_gate_that_is_not_armed_lets_everything_pass() -> None:
    stripe = Stripe()
    stripe.arm()
    stripe.gate.armed = False
    assert status(stripe.call(stripe.ada)) == 200
    assert stripe.faults() == []


def test_an_effect_is_told_and_what_it_made_is_its_users() -> None:
    stripe = Stripe()
    told: list[int] = []
    stripe.gate.on_effect = lambda: told.append(stripe.customers())
    call = stripe.call(stripe.ada)
    assert told == [1]
    assert {stripe.cast.owner[made] for made in call.object_ids} == {stripe.ada.id}


@pytest.mark.parametrize(
    ("live", "named"), [((), "Ada"), (("B",), "B"), (("A", "B"), "Ada")], ids=["none", "one", "two"]
)
def test_a_call_is_its_one_live_actors_else_its_users(live: tuple[str, ...], named: str) -> None:
    stripe = Stripe()
    stripe.gate.actors[stripe.ada.id] = set(live)
    stripe.call(stripe.ada)
    assert {step.actor for step in stripe.recorder.history()} == {named}


def test_a_call_of_nobody_is_unattributed() -> None:
    stripe = Stripe()
    stripe.call(None)
    assert {(step.actor, step.attribution) for step in stripe.recorder.history()} == {(NOBODY, NOBODY)}


def test_a_call_is_in_flight_from_its_receipt_to_its_response_or_its_end() -> None:
    stripe = Stripe()
    seen: list[int] = []
    stripe.gate.on_effect = lambda: seen.append(stripe.gate.in_flight)
    call = stripe.call(stripe.ada)
    assert (seen, stripe.gate.in_flight) == ([1], 0)
    asyncio.run(stripe.gate.hold(StepKind.RECEIVED, call))
    stripe.gate.abandoned(call)
    assert stripe.gate.in_flight == 0


def test_a_timed_call_takes_the_time_that_barrage_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds * 1000, 6))

    monkeypatch.setattr(gate_module, "asyncio", SimpleNamespace(sleep=sleep))
    stripe = Stripe()
    latency = SimpleNamespace(to_effect_ms=30.0, to_response_ms=12.0)
    stripe.call(stripe.ada)
    assert slept == []
    asked: list[tuple[float, float]] = []
    drawing = SimpleNamespace(latency=lambda call_ms: asked.append(call_ms) or latency)  # type: ignore[func-returns-value]
    stripe.gate.barrage, stripe.gate.call_ms = drawing, (10.0, 60.0)  # type: ignore[assignment]
    stripe.call(stripe.ada)
    assert slept == [30.0, 12.0]
    assert asked == [(10.0, 60.0)]
