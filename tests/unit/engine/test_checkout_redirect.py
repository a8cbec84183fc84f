"""The page of a checkout session under ``deadheat serve``: when it sends on who has paid."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from deadheat.engine import serve
from deadheat.engine.forward import Forwarder
from deadheat.engine.serve import Bell, ServedStripe
from deadheat.engine.stripe_desk import Desk
from deadheat.stripe_sim import MONTHLY, Account, Endpoint, Outbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

KEY = "sk_" + "test_redirect"
COMPLETED = "checkout.session.completed"
SESSION = {
    "mode": "subscription",
    "success_url": "https://app.test/done",
    "line_items[0][price]": MONTHLY,
    "line_items[0][quantity]": "1",
}


@asynccontextmanager
async def served(
    hook: Callable[[str], Awaitable[int]], *types: str
) -> AsyncIterator[Callable[[], Awaitable[httpx.Response]]]:
    """Serve an account whose events go to ``hook``, by type; gives how to open a session and pay it."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        status = await hook(json.loads(await reader.readexactly(length))["type"])
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    account = Account(seed=1, started_at=1_700_000_000, secret_key=KEY)
    endpoint = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{endpoint.sockets[0].getsockname()[1]}/hook"
    own = Outbox(account, Endpoint(url=url, secret="whsec_x", types=types))
    forwarder = Forwarder(account=account, own=own, tell=lambda told: None, retry_seconds=())
    desk = Desk(account=account, secret="whsec_x", forwarder=forwarder)
    async with endpoint, ServedStripe(account, desk=desk, gate=Bell(forwarder.news)) as server:
        forward = asyncio.create_task(forwarder.forward())
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as browser:

            async def pay() -> httpx.Response:
                headers = {"authorization": f"Bearer {KEY}"}
                made = await browser.post("/v1/checkout/sessions", data=SESSION, headers=headers)
                data = {"act": "pay", "email": "ada@example.test"}
                return await browser.post(f"/c/pay/{made.json()['id']}", data=data)

            yield pay
        forward.cancel()


@pytest.mark.fidelity("The redirect waits for checkout.session.completed to be answered")
def test_the_page_sends_on_when_the_endpoint_has_answered() -> None:
    """While the endpoint considers its answer, others are sent on after theirs: this one waits."""
    held: asyncio.Event = asyncio.Event()
    heard: asyncio.Event = asyncio.Event()
    first = True

    async def hook(event_type: str) -> int:
        nonlocal first
        if event_type == COMPLETED and first:
            first = False
            heard.set()
            await held.wait()
        return 200

    async def play() -> tuple[bool, httpx.Response]:
        async with served(hook) as pay:
            paying = asyncio.create_task(pay())  # type: ignore[arg-type]
            await heard.wait()
            assert (await pay()).status_code == 303
            waited = not paying.done()
            held.set()
            return waited, await paying

    waited, answer = asyncio.run(play())
    assert (waited, answer.status_code) == (True, 303)
    assert answer.headers["location"] == "https://app.test/done"


def test_it_waits_no_longer_than_so_long_for_a_2xx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "REDIRECT_SECONDS_MAX", 0.1)
    refused: list[str] = []

    async def hook(event_type: str) -> int:
        refused.append(event_type)
        return 500

    async def play() -> int:
        async with served(hook, COMPLETED) as pay:
            return (await pay()).status_code

    assert asyncio.run(play()) == 303
    assert refused == [COMPLETED]


def test_an_endpoint_that_does_not_ask_for_the_event_is_not_waited_for() -> None:
    async def hook(event_type: str) -> int:
        await asyncio.Event().wait()
        return 200

    async def play() -> int:
        async with asyncio.timeout(5), served(hook, "product.created") as pay:
            return (await pay()).status_code

    assert asyncio.run(play()) == 303
