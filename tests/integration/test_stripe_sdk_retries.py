"""The official Python SDK when calls fail: its classes of errors, its idempotency keys, its own retries.

The SDK waits half a second before a retry; here it does not wait. How often it asks and under which
key is what the server counted.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import stripe
from sdk_ways import BOTH_WAYS, FailFirst, sdk, staged
from stripe_stage import SDK_WARNING, checkout

from deadheat.engine.stripe_server import OpenGate
from deadheat.history import StepKind

if TYPE_CHECKING:
    from deadheat.stripe_sim import Call

pytestmark = pytest.mark.filterwarnings(SDK_WARNING)

ADA = {"email": "ada@example.test"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0)


@pytest.mark.fidelity("stripe-python raises its own classes of errors")
@BOTH_WAYS
@pytest.mark.parametrize(
    ("method", "arguments", "status", "code", "param"),
    [
        ("customers.create", ({"nonsense": "1"},), 400, "parameter_unknown", "nonsense"),
        ("customers.create", ({"balance": "ten"},), 400, "parameter_invalid_integer", "balance"),
        ("customers.search", ({},), 400, "parameter_missing", "query"),
        ("customers.retrieve", ("cus_no",), 404, "resource_missing", "id"),
        ("checkout.sessions.create", (checkout(customer="cus_no"),), 400, "resource_missing", "customer"),
        (
            "checkout.sessions.create",
            (checkout(line_items=[{"price": "price_no", "quantity": 1}]),),
            400,
            "resource_missing",
            "line_items[0][price]",
        ),
        ("subscriptions.cancel", ("sub_no",), 404, "resource_missing", "id"),
    ],
)
def test_invalid_requests(way: str, method: str, arguments: Any, status: int, code: str, param: str) -> None:
    async def story() -> None:
        async with staged(way) as (_, _server, called):
            with pytest.raises(stripe.InvalidRequestError) as refused:
                await called(method, *arguments)
            error = refused.value
            assert (error.http_status, error.code, error.param) == (status, code, param)
            assert error.user_message
            assert (error.request_id or "").startswith("req_")

    asyncio.run(story())


@pytest.mark.fidelity("stripe-python raises its own classes of errors")
@BOTH_WAYS
@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ({"status": 402, "when": "before"}, stripe.CardError, "card_declined"),
        ({"status": 429, "when": "before"}, stripe.RateLimitError, None),
        ({"status": 500, "when": "before"}, stripe.APIError, None),
        ({"when": "lost"}, stripe.APIConnectionError, None),
    ],
)
def test_classes_of_errors(
    way: str, fault: dict[str, Any], error: type[stripe.StripeError], code: str | None
) -> None:
    async def story() -> None:
        async with staged(way) as (account, server, called):
            server.gate = FailFirst(account, fault)
            with pytest.raises(error) as refused:
                await called("customers.create", ADA)
            assert type(refused.value) is error
            if code is not None:
                assert refused.value.code == code

    asyncio.run(story())


@pytest.mark.fidelity("stripe-python raises its own classes of errors")
@BOTH_WAYS
def test_a_wrong_key_and_a_key_used_for_something_else(way: str) -> None:
    async def story() -> None:
        async with staged(way) as (account, server, called):
            async with sdk(way, server, key="sk_test_of_somebody_else") as stranger:
                with pytest.raises(stripe.AuthenticationError):
                    await stranger("customers.create", ADA)
            await called("customers.create", ADA, {"idempotency_key": "k"})
            with pytest.raises(stripe.IdempotencyError):
                await called("customers.create", {"email": "eve@example.test"}, {"idempotency_key": "k"})
            assert len(account.made_since(0).customers) == 1

    asyncio.run(story())


@pytest.mark.fidelity("stripe-python retries under its own key")
@BOTH_WAYS
@pytest.mark.parametrize(
    "fault",
    [
        {"when": "lost"},
        {"status": 409, "when": "before"},
        {"status": 429, "when": "before", "code": "lock_timeout"},
    ],
    ids=["lost", "conflict", "lock_timeout"],
)
def test_what_the_sdk_tries_again(way: str, fault: dict[str, Any]) -> None:
    """Twice it fails, the third time it is answered; there is one customer and one key."""

    async def story() -> None:
        async with staged(way, retries=2) as (account, server, called):
            gate = server.gate = FailFirst(account, fault, fault)
            made = await called("customers.create", ADA)
            assert [one["id"] for one in account.made_since(0).customers] == [made.id]
            assert len(gate.calls) == 3
            assert len({call.key for call in gate.calls}) == 1
            replayed = made.last_response.headers.get("idempotent-replayed")
            assert replayed == ("true" if fault["when"] == "lost" else None)

    asyncio.run(story())


@pytest.mark.fidelity("stripe-python retries under its own key")
@BOTH_WAYS
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 500, "when": "after"}, stripe.APIError),
        ({"status": 429, "when": "before"}, stripe.RateLimitError),
        ({"status": 402, "when": "before"}, stripe.CardError),
    ],
    ids=["500", "429", "402"],
)
def test_what_it_does_not(way: str, fault: dict[str, Any], error: type[stripe.StripeError]) -> None:
    """A 500 under a key would only be replayed, and says so; a rate limit is the application's to bear."""

    async def story() -> None:
        async with staged(way, retries=2) as (account, server, called):
            gate = server.gate = FailFirst(account, fault)
            with pytest.raises(error):
                await called("customers.create", ADA)
            assert len(gate.calls) == 1

    asyncio.run(story())


@pytest.mark.fidelity("stripe-python retries under its own key")
@BOTH_WAYS
def test_a_get_is_tried_again_after_a_500(way: str) -> None:
    async def story() -> None:
        async with staged(way, retries=1) as (account, server, called):
            gate = server.gate = FailFirst(account, {"status": 500, "when": "before"})
            assert (await called("customers.list")).data == []
            assert [call.key for call in gate.calls] == [None, None]

    asyncio.run(story())


@pytest.mark.fidelity("stripe-python retries under its own key")
@BOTH_WAYS
def test_it_gives_up_after_its_retries(way: str) -> None:
    async def story() -> None:
        async with staged(way, retries=2) as (account, server, called):
            gate = server.gate = FailFirst(account, *[{"when": "lost"}] * 9)
            with pytest.raises(stripe.APIConnectionError):
                await called("customers.create", ADA)
            assert len(gate.calls) == 3
            assert len(account.made_since(0).customers) == 1

    asyncio.run(story())


@pytest.mark.fidelity("A 500 is stored")
@BOTH_WAYS
def test_the_application_s_own_key_gets_the_stored_500(way: str) -> None:
    async def story() -> None:
        async with staged(way) as (account, server, called):
            server.gate = FailFirst(account, {"status": 500, "when": "after"})
            for _ in range(2):
                with pytest.raises(stripe.APIError) as failed:
                    await called("customers.create", ADA, {"idempotency_key": "k"})
            assert failed.value.headers is not None
            assert failed.value.headers["idempotent-replayed"] == "true"
            assert len(account.made_since(0).customers) == 1
            assert (await called("customers.create", ADA, {"idempotency_key": "k2"})).email == ADA["email"]

    asyncio.run(story())


class HoldEffect(OpenGate):
    """Holds the effect of the first call until it is told."""

    def __init__(self) -> None:
        self.held = asyncio.Event()
        self.go = asyncio.Event()

    async def hold(self, kind: StepKind, call: Call) -> None:
        if kind is StepKind.EFFECT and not self.held.is_set():
            self.held.set()
            await self.go.wait()


@pytest.mark.fidelity("A key in use: 409 idempotency_key_in_use")
@BOTH_WAYS
def test_two_at_once_under_one_key(way: str) -> None:
    """The second finds the key in use; asked again when the first is done, it gets the first's answer."""

    async def story() -> None:
        async with staged(way) as (account, server, called), sdk(way, server) as other:
            gate = server.gate = HoldEffect()
            options = {"idempotency_key": "k"}
            first = asyncio.create_task(called("customers.create", ADA, options))
            await gate.held.wait()
            with pytest.raises(stripe.StripeError) as conflict:
                await other("customers.create", ADA, options)
            assert conflict.value.http_status == 409
            assert conflict.value.error is not None
            assert conflict.value.error.code == "idempotency_key_in_use"
            gate.go.set()
            made = await first
            assert (await other("customers.create", ADA, options)).id == made.id
            assert len(account.made_since(0).customers) == 1

    asyncio.run(story())
