"""The simulator's server: gates, lost answers, and clients that do not speak as they should."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import httpx
import pytest
import stripe
from stripe_stage import KEY, SDK_WARNING, client, closing_clients, stage

from deadheat.engine import stripe_connection
from deadheat.engine.stripe_connection import BODY_MAX, HEAD_MAX
from deadheat.engine.stripe_server import OpenGate, StripeServer
from deadheat.errors import SetupError
from deadheat.history import StepKind
from deadheat.stripe_sim import Account

if TYPE_CHECKING:
    from deadheat.stripe_sim import Call

pytestmark = pytest.mark.filterwarnings(SDK_WARNING)

AUTH = {"authorization": f"Bearer {KEY}"}


class HandGate:
    """A gate that opens by hand: each (kind, e-mail) waits until it is let go."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str]] = []
        self._open: dict[tuple[StepKind, str], asyncio.Event] = {}
        self.held: asyncio.Queue[tuple[StepKind, str]] = asyncio.Queue()

    async def hold(self, kind: StepKind, call: Call) -> None:
        name = (kind, str(call.params.get("email")))
        event = self._open[name] = asyncio.Event()
        self.held.put_nowait(name)
        await event.wait()

    def crossed(self, kind: StepKind, call: Call) -> None:
        self.log.append((kind.value, str(call.params.get("email"))))

    def abandoned(self, call: Call) -> None:
        pass

    def let_go(self, kind: StepKind, email: str) -> None:
        self._open[(kind, email)].set()

    async def until_held(self, kind: StepKind, email: str) -> None:
        while (await self.held.get()) != (kind, email):
            pass


@pytest.mark.fidelity("Concurrency: received, effect and response of calls come in any order")
def test_the_gate_orders_the_three_steps_of_two_calls() -> None:
    async def story() -> None:
        async with stage() as (account, server):
            gate = server.gate = HandGate()
            v1 = client(server).v1
            one = asyncio.create_task(v1.customers.create_async({"email": "one@a.b"}))
            await gate.until_held(StepKind.RECEIVED, "one@a.b")
            two = asyncio.create_task(v1.customers.create_async({"email": "two@a.b"}))
            await gate.until_held(StepKind.RECEIVED, "two@a.b")
            for kind, emails in (
                (StepKind.RECEIVED, ("two@a.b", "one@a.b")),
                (StepKind.EFFECT, ("one@a.b", "two@a.b")),
                (StepKind.RESPONSE, ("two@a.b", "one@a.b")),
            ):
                for email in emails:
                    gate.let_go(kind, email)
                    if kind is StepKind.RECEIVED:
                        await gate.until_held(StepKind.EFFECT, email)
                    elif kind is StepKind.EFFECT:
                        await gate.until_held(StepKind.RESPONSE, email)
                    else:
                        await (one if email == "one@a.b" else two)
            assert [e for kind, e in gate.log if kind == "effect"] == ["one@a.b", "two@a.b"]
            assert [c["email"] for c in account.made_since(0).customers] == ["one@a.b", "two@a.b"]
            assert gate.log[-2:] == [("response", "two@a.b"), ("response", "one@a.b")]

    asyncio.run(story())


@pytest.mark.fidelity("A key in use: 409 idempotency_key_in_use")
def test_a_key_is_in_use_while_its_call_is_held() -> None:
    async def story() -> None:
        async with stage() as (_, server):
            gate = server.gate = HandGate()
            v1 = client(server).v1
            first = asyncio.create_task(
                v1.customers.create_async({"email": "a@b.c"}, {"idempotency_key": "k"})
            )
            await gate.until_held(StepKind.RECEIVED, "a@b.c")
            gate.let_go(StepKind.RECEIVED, "a@b.c")
            await gate.until_held(StepKind.EFFECT, "a@b.c")
            server.gate = OpenGate()
            with pytest.raises(stripe.StripeError) as conflict:
                await v1.customers.create_async({"email": "a@b.c"}, {"idempotency_key": "k"})
            assert conflict.value.http_status == 409
            assert conflict.value.json_body is not None
            assert conflict.value.json_body["error"]["code"] == "idempotency_key_in_use"
            gate.let_go(StepKind.EFFECT, "a@b.c")
            await gate.until_held(StepKind.RESPONSE, "a@b.c")
            gate.let_go(StepKind.RESPONSE, "a@b.c")
            again = await first
            replayed = await v1.customers.create_async({"email": "a@b.c"}, {"idempotency_key": "k"})
            assert replayed.id == again.id

    asyncio.run(story())


def test_a_lost_answer_closes_the_connection_after_the_effect() -> None:
    class Lose(OpenGate):
        def crossed(self, kind: StepKind, call: Call) -> None:
            if kind is StepKind.RECEIVED:
                account.fail(call, when="lost")

    async def story() -> None:
        nonlocal account
        async with stage() as (account, server):
            server.gate = Lose()
            with pytest.raises(stripe.APIConnectionError):
                await client(server).v1.customers.create_async({"email": "a@b.c"})
            assert len(account.made_since(0).customers) == 1

    account: Account
    asyncio.run(story())


@pytest.mark.fidelity("A client that goes away does not stop its call")
def test_a_client_that_goes_away_does_not_stop_its_call() -> None:
    async def story() -> None:
        async with stage() as (account, server):
            gate = server.gate = HandGate()
            call = asyncio.create_task(client(server).v1.customers.create_async({"email": "a@b.c"}))
            await gate.until_held(StepKind.RECEIVED, "a@b.c")
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            for kind in (StepKind.RECEIVED, StepKind.EFFECT, StepKind.RESPONSE):
                gate.let_go(kind, "a@b.c")
                if kind is not StepKind.RESPONSE:
                    await gate.held.get()
            assert len(account.made_since(0).customers) == 1

    asyncio.run(story())


def test_closing_drops_held_calls_and_frees_their_keys() -> None:
    async def story() -> None:
        account = Account(seed=1, started_at=1, secret_key=KEY)
        async with closing_clients(), StripeServer(account) as server:
            gate = server.gate = HandGate()
            options = {"idempotency_key": "k"}
            held = asyncio.create_task(
                client(server).v1.customers.create_async({"email": "a@b.c"}, options)  # type: ignore[arg-type]
            )
            await gate.until_held(StepKind.RECEIVED, "a@b.c")
            gate.let_go(StepKind.RECEIVED, "a@b.c")
            await gate.until_held(StepKind.EFFECT, "a@b.c")
        with pytest.raises(stripe.APIConnectionError):
            await held
        async with closing_clients(), StripeServer(account) as server:
            await client(server).v1.customers.create_async({"email": "a@b.c"}, {"idempotency_key": "k"})
        assert len(account.made_since(0).customers) == 1

    asyncio.run(story())


def test_an_error_of_ours_is_kept_and_the_connection_closed() -> None:
    class Broken(OpenGate):
        async def hold(self, kind: StepKind, call: Call) -> None:
            raise RuntimeError("a bug of ours")

    async def story() -> None:
        said: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["message"]))
        account = Account(seed=1, started_at=1, secret_key=KEY)
        async with closing_clients(), StripeServer(account, gate=Broken()) as server:
            with pytest.raises(stripe.APIConnectionError):
                await client(server).v1.customers.create_async({"email": "a@b.c"})
            assert str(server.failure) == "a bug of ours"
            assert said == ["the Stripe simulator failed on POST /v1/customers"]

    asyncio.run(story())


def test_a_taken_port_is_a_setup_error() -> None:
    async def story() -> None:
        async with stage() as (account, server):
            port = int(server.url.rpartition(":")[2])
            with pytest.raises(SetupError, match=f"127.0.0.1:{port}: the port is taken"):
                async with StripeServer(account, port=port):
                    pass

    asyncio.run(story())


def test_keep_alive_and_pipelining() -> None:
    async def story() -> None:
        async with stage() as (_, server):
            asked = (
                b"GET /v1/customers HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\n\r\n" % KEY.encode()
            )
            reader, writer = await connect(server)
            writer.write(asked * 3 + asked.replace(b"host: x", b"connection: close"))
            answer = await reader.read()
            writer.close()
            assert answer.count(b"HTTP/1.1 200 OK") == 4

    asyncio.run(story())


def test_who_asks_for_a_head_is_not_given_a_body_for_the_next_answer() -> None:
    async def story() -> None:
        headers = {"authorization": f"Bearer {KEY}"}
        async with stage() as (_, server), httpx.AsyncClient(base_url=server.url, headers=headers) as http:
            assert (await http.head("/v1/customers")).status_code == 404
            assert (await http.get("/v1/customers")).json()["data"] == []

    asyncio.run(story())


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "HTTP"),
        (b"NONSENSE\r\n\r\n", "HTTP"),
        (b"GET /v1/customers HTTP/9.9\r\n\r\n", "HTTP"),
        (b"POST /v1/customers HTTP/1.1\r\ncontent-length: x\r\n\r\n", "HTTP"),
        (b"GET /v1/customers HTTP/1.1\r\nx: " + b"a" * (HEAD_MAX + 1) + b"\r\n\r\n", "too large"),
        (
            b"POST /v1/customers HTTP/1.1\r\ncontent-length: 10000000\r\n\r\n" + b"a" * (BODY_MAX + 1),
            "too large",
        ),
    ],
)
def test_what_is_not_a_request_gets_a_400_and_a_closed_connection(sent: bytes, says: str) -> None:
    async def story() -> None:
        async with stage() as (_, server):
            reader, writer = await connect(server)
            writer.write(sent)
            answer = await reader.read()
            writer.close()
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 Bad Request")
            error = json.loads(body)["error"]
            assert error["type"] == "invalid_request_error"
            assert says in error["message"]
            assert (await client(server).v1.customers.list_async()).data == []

    asyncio.run(story())


@pytest.mark.fidelity("Errors: a malformed form is a 400 in Stripe's shape")
@pytest.mark.parametrize(
    "body",
    [
        b"a=1&a[b]=2",
        b"email=%ff",
        b"[=1",
        b"x" + b"[y]" * 500 + b"=1",
        b"&".join([b"k=v"] * 5000),
        b"\x00=\x00",
    ],
)
def test_a_malformed_form_gets_a_stripe_shaped_400(body: bytes) -> None:
    async def story() -> None:
        async with stage() as (account, server), httpx.AsyncClient(base_url=server.url) as http:
            headers = {**AUTH, "content-type": "application/x-www-form-urlencoded"}
            answer = await http.post("/v1/customers", content=body, headers=headers)
            assert answer.status_code == 400
            assert answer.json()["error"]["type"] == "invalid_request_error"
            assert answer.headers["request-id"].startswith("req_")
            assert account.made_since(0).customers == ()

    asyncio.run(story())


def test_a_request_that_never_ends_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe_connection, "ARRIVAL_SECONDS", 0.05)

    async def story() -> None:
        async with stage() as (_, server):
            reader, writer = await connect(server)
            writer.write(b"POST /v1/customers HTTP/1.1\r\ncontent-length: 100\r\n\r\nemail=")
            assert await reader.read() == b""
            writer.close()

    asyncio.run(story())


def test_a_live_key_is_refused_and_told_once() -> None:
    async def story() -> None:
        told: list[str] = []
        async with stage(notice=told.append) as (_, server):
            live = client(server, key="sk_live_x")
            for _ in range(2):
                with pytest.raises(stripe.AuthenticationError, match="refuses live keys"):
                    await live.v1.customers.list_async()
        assert len(told) == 1
        assert "live" in told[0]

    asyncio.run(story())


async def connect(server: StripeServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
