"""Forwarding to a webhook endpoint of this test: what is sent again, and what that changes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from deadheat.engine.forward import Answered, Forwarder, Sent
from deadheat.engine.stripe_trigger import ask
from deadheat.errors import ActRefused
from deadheat.stripe_sim import Account, Endpoint, Outbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from deadheat.engine.events import Notice


@dataclass
class Hook:
    """An endpoint that answers the first requests with ``statuses``, all later ones with 200."""

    statuses: list[int]
    answered: asyncio.Queue[Answered] = field(default_factory=asyncio.Queue)
    notices: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def tell(self, told: Sent | Answered | Notice) -> None:
        """Hear what the forwarder tells."""
        if isinstance(told, Answered):
            self.answered.put_nowait(told)
        elif not isinstance(told, Sent):
            self.notices.append(told.text)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        self.bodies.append(await reader.readexactly(length))
        status = self.statuses.pop(0) if self.statuses else 200
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def answers(self, count: int) -> list[tuple[int, int | None]]:
        """Wait for so many answers; gives attempts and statuses, sorted."""
        told = [await self.answered.get() for _ in range(count)]
        return sorted((answered.attempt, answered.status) for answered in told)


@asynccontextmanager
async def forwarding(hook: Hook, *retry_seconds: float) -> AsyncIterator[tuple[Account, Forwarder]]:
    """Forward the events of an account to a hook while the block runs."""
    account = Account(seed=1, started_at=1_700_000_000, secret_key="sk_" + "test_forward")
    server = await asyncio.start_server(hook.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    outbox = Outbox(account, Endpoint(url=url, secret="whsec_forward"))
    forwarder = Forwarder(account=account, own=outbox, tell=hook.tell, retry_seconds=retry_seconds)
    task = asyncio.create_task(forwarder.forward())
    yield account, forwarder
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    server.close()
    await server.wait_closed()


def emit(account: Account, forwarder: Forwarder) -> str:
    mark = account.mark()
    account.make_product("Something new")
    forwarder.news.set()
    (event_id,) = {id for outbox in forwarder.outboxes() for id in outbox.emitted_since(mark)}
    return event_id


def run(test: Any) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


def test_the_first_answer_is_waited_for() -> None:
    async def test() -> None:
        hook = Hook([500])
        async with forwarding(hook, 60.0) as (account, forwarder):
            refused, taken = emit(account, forwarder), emit(account, forwarder)
            answers = await forwarder.first_answers([refused, taken])
            assert [a.event_id for a in answers] == [refused, taken]
            assert sorted(str(a.status) for a in answers) == ["200", "500"]
            assert {a.url for a in answers} == {forwarder.own.endpoint.url}

    run(test())


def test_what_was_taken_is_sent_again_beside_its_attempts() -> None:
    async def test() -> None:
        hook = Hook([])
        async with forwarding(hook) as (account, forwarder):
            event_id = emit(account, forwarder)
            await forwarder.first_answers([event_id])
            (again,) = await forwarder.resend(event_id)
            assert (again.attempt, again.status, again.retry_s) == (0, 200, None)
            assert await hook.answers(2) == [(0, 200), (1, 200)]

    run(test())


@pytest.mark.fidelity("an event sent again by hand leaves the retries that are due as they are")
def test_sending_again_does_not_call_off_a_retry() -> None:
    async def test() -> None:
        hook = Hook([500])
        async with forwarding(hook, 0.1) as (account, forwarder):
            event_id = emit(account, forwarder)
            await forwarder.first_answers([event_id])
            assert [a.status for a in await forwarder.resend(event_id)] == [200]
            assert await hook.answers(3) == [(0, 200), (1, 500), (2, 200)]
            assert forwarder.own.pending() == ()

    run(test())


def test_what_was_given_up_is_no_longer_due_once_it_is_taken() -> None:
    async def test() -> None:
        hook = Hook([500, 503])
        async with forwarding(hook) as (account, forwarder):
            event_id = emit(account, forwarder)
            await forwarder.first_answers([event_id])
            assert [a.status for a in await forwarder.resend(event_id)] == [503]
            assert account.event_json(event_id)["pending_webhooks"] == 1
            assert [a.status for a in await forwarder.resend(event_id)] == [200]
            assert account.event_json(event_id)["pending_webhooks"] == 0

    run(test())


def test_an_event_may_be_sent_again_before_it_was_brought() -> None:
    async def test() -> None:
        hook = Hook([])
        async with forwarding(hook) as (account, forwarder):
            event_id = emit(account, forwarder)
            await asyncio.gather(forwarder.resend(event_id), forwarder.first_answers([event_id]))
            assert await hook.answers(2) == [(0, 200), (1, 200)]

    run(test())


def test_an_event_that_nobody_knows_is_refused() -> None:
    async def test() -> None:
        async with forwarding(Hook([])) as (_, forwarder):
            with pytest.raises(ActRefused, match="evt_none"):
                await forwarder.resend("evt_none")

    run(test())


def test_endpoints_made_through_the_api_are_brought_what_they_ask_for() -> None:
    async def test() -> None:
        own, theirs = Hook([]), Hook([])
        async with forwarding(own) as (account, forwarder), forwarding(theirs) as (_, other):
            assert other.own is not None
            url = other.own.endpoint.url
            ask(account, "POST", "webhook_endpoints", url=url, enabled_events=["customer.created"])
            product = emit(account, forwarder)
            customer = account.make_customer(email="ada@example.test", name="Ada")
            forwarder.news.set()
            created = account.ids_since(0)[-1][1]
            answers = await forwarder.first_answers([product, created])
            assert sorted((a.event_id, a.url == url) for a in answers) == sorted(
                [(product, False), (created, False), (created, True)]
            )
            (body,) = theirs.bodies
            assert customer["id"] in body.decode()
            assert len(await forwarder.resend(created)) == 2

    run(test())


def test_an_endpoint_elsewhere_is_told_once_and_left_alone() -> None:
    async def test() -> None:
        hook = Hook([])
        async with forwarding(hook) as (account, forwarder):
            url = "https://app.example.com/hook"
            ask(account, "POST", "webhook_endpoints", url=url, enabled_events=["*"])
            event_id = emit(account, forwarder)
            (answered,) = await forwarder.first_answers([event_id])
            assert forwarder.own is not None
            assert answered.url == forwarder.own.endpoint.url
            assert hook.notices == [f"Nothing is brought to {url}: it is not on this machine."]

    run(test())


def test_an_endpoint_that_is_deleted_is_brought_nothing_more() -> None:
    async def test() -> None:
        hook = Hook([500])
        async with forwarding(Hook([]), 0.0) as (account, forwarder), forwarding(hook) as (_, other):
            assert other.own is not None
            endpoint = ask(
                account, "POST", "webhook_endpoints", url=other.own.endpoint.url, enabled_events=["*"]
            )
            event_id = emit(account, forwarder)
            ask(account, "DELETE", "webhook_endpoints", endpoint["id"])
            await forwarder.first_answers([event_id])
            assert len(await forwarder.resend(event_id)) == 1
            assert hook.bodies == []

    run(test())
