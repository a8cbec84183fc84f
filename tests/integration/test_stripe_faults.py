"""Faults as a client meets them on the wire: resets, time-outs, slow answers, locks and limits."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httpx
import pytest
import stripe
from stripe_stage import KEY, SDK_WARNING, client, stage

from deadheat.engine.gate import TimedGate
from deadheat.engine.stripe_server import OpenGate
from deadheat.history import StepKind
from deadheat.stripe_sim import FaultRule

if TYPE_CHECKING:
    from deadheat.stripe_sim import Call

pytestmark = pytest.mark.filterwarnings(SDK_WARNING)

CREATE = "POST /v1/customers"
ADA = {"email": "ada@example.test"}
AUTH = {"authorization": f"Bearer {KEY}", "idempotency-key": "k"}


class Bell(OpenGate):
    """Says when the first effect has happened."""

    def __init__(self) -> None:
        self.effect = asyncio.Event()

    def crossed(self, kind: StepKind, call: Call) -> None:
        if kind is StepKind.EFFECT:
            self.effect.set()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0)


@pytest.mark.fidelity("Faults by rule or by step: reset")
def test_a_reset_is_one_to_the_client_and_nothing_was_done() -> None:
    async def story() -> None:
        async with stage() as (account, server):
            account.faults.arm(FaultRule(route=CREATE, when="reset"))
            port = int(server.url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            head = f"POST /v1/customers HTTP/1.1\r\nauthorization: Bearer {KEY}\r\ncontent-length: 0\r\n\r\n"
            writer.write(head.encode())
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
            assert account.made_since(0).customers == ()
            await client(server).v1.customers.create_async(ADA)  # type: ignore[arg-type]

    asyncio.run(story())


@pytest.mark.fidelity("Faults by rule or by step: reset")
def test_the_sdk_tries_again_after_a_reset_and_makes_one() -> None:
    async def story() -> None:
        async with stage() as (account, server):
            account.faults.arm(FaultRule(route=CREATE, when="reset", times=2))
            made = await client(server, retries=2).v1.customers.create_async(ADA)  # type: ignore[arg-type]
            assert [customer["id"] for customer in account.made_since(0).customers] == [made.id]

    asyncio.run(story())


@pytest.mark.fidelity("Faults by rule or by step: time-out")
def test_a_client_s_own_time_out_ends_the_wait_and_the_key_replays() -> None:
    async def story() -> None:
        async with stage() as (account, server), httpx.AsyncClient(base_url=server.url) as http:
            account.faults.arm(FaultRule(route=CREATE, when="timeout", wait_ms=60_000))
            with pytest.raises(httpx.ReadTimeout):
                await http.post("/v1/customers", data=ADA, headers=AUTH, timeout=0.1)
            (made,) = account.made_since(0).customers
            again = await http.post("/v1/customers", data=ADA, headers=AUTH)
            assert again.headers["idempotent-replayed"] == "true"
            assert again.json()["id"] == made["id"]

    asyncio.run(story())


def test_a_more_patient_client_sees_the_connection_close() -> None:
    async def story() -> None:
        async with stage() as (account, server), httpx.AsyncClient(base_url=server.url) as http:
            account.faults.arm(FaultRule(route=CREATE, when="timeout", wait_ms=20))
            with pytest.raises(httpx.RemoteProtocolError):
                await http.post("/v1/customers", data=ADA, headers=AUTH)
            assert len(account.made_since(0).customers) == 1

    asyncio.run(story())


@pytest.mark.fidelity("Faults by rule or by step: slow")
def test_a_slow_call_comes_late_and_keeps_nobody_else_waiting() -> None:
    async def story() -> None:
        async with stage() as (account, server):
            account.faults.arm(FaultRule(route=CREATE, when="slow", wait_ms=150))
            gate = server.gate = Bell()
            v1 = client(server).v1
            began = time.perf_counter()
            slow = asyncio.create_task(v1.customers.create_async(ADA))  # type: ignore[arg-type]
            await gate.effect.wait()
            assert len((await v1.customers.list_async()).data) == 1
            assert not slow.done()
            assert (await slow).email == ADA["email"]
            assert time.perf_counter() - began >= 0.15

    asyncio.run(story())


@pytest.mark.fidelity("Concurrent writes to one object: 429 lock_timeout")
def test_the_sdk_tries_again_when_it_did_not_get_its_lock() -> None:
    class HoldFirst(OpenGate):
        """Holds the effect of the first update until the second has been refused."""

        def __init__(self) -> None:
            self.held, self.refused = asyncio.Event(), asyncio.Event()
            self.statuses: list[int] = []

        async def hold(self, kind: StepKind, call: Call) -> None:
            if kind is StepKind.EFFECT and call.params.get("name") == "first":
                self.held.set()
                await self.refused.wait()

        def crossed(self, kind: StepKind, call: Call) -> None:
            if kind is StepKind.RESPONSE and call.route == "POST /v1/customers/:id":
                assert call.response is not None
                self.statuses.append(call.response.status)
                self.refused.set()

    async def story() -> None:
        async with stage() as (account, server):
            customers = client(server, retries=2).v1.customers
            made = await customers.create_async(ADA)  # type: ignore[arg-type]
            account.faults.arm(FaultRule(when="locked"))
            gate = server.gate = HoldFirst()
            first = asyncio.create_task(customers.update_async(made.id, {"name": "first"}))
            await gate.held.wait()
            second = await customers.update_async(made.id, {"name": "second"})
            assert ((await first).name, second.name) == ("first", "second")
            assert sorted(gate.statuses) == [200, 200, 429]

    asyncio.run(story())


@pytest.mark.fidelity("A rate limit: 429 with its reason")
def test_the_sdk_does_not_try_again_when_a_limit_was_exceeded() -> None:
    async def story() -> None:
        async with stage() as (account, server):
            account.faults.arm(FaultRule(status=429, reason="endpoint-rate"))
            with pytest.raises(stripe.RateLimitError) as limited:
                await client(server, retries=2).v1.customers.create_async(ADA)  # type: ignore[arg-type]
            assert limited.value.headers is not None
            assert limited.value.headers["Stripe-Rate-Limited-Reason"] == "endpoint-rate"
            assert account.made_since(0).customers == ()

    asyncio.run(story())


@pytest.mark.fidelity("The latency of received, effect and response can be set")
def test_each_crossing_takes_the_time_that_it_is_given() -> None:
    times: dict[StepKind, float] = {}

    class Watched(TimedGate):
        def crossed(self, kind: StepKind, call: Call) -> None:
            times[kind] = time.perf_counter()

    async def story() -> None:
        async with stage() as (_, server):
            server.gate = Watched(received_ms=20, effect_ms=40, response_ms=60)
            began = time.perf_counter()
            await client(server).v1.customers.create_async(ADA)  # type: ignore[arg-type]
            assert times[StepKind.RECEIVED] - began >= 0.020
            assert times[StepKind.EFFECT] - times[StepKind.RECEIVED] >= 0.040
            assert times[StepKind.RESPONSE] - times[StepKind.EFFECT] >= 0.060

    asyncio.run(story())
