"""Clients of the simulator that do not do their part: one that does not read, one that does not speak."""

from __future__ import annotations

import asyncio

import pytest
from proxy_stage import until
from stripe_stage import KEY, stage
from wire_peers import connected

from deadheat.engine import stripe_connection

ASKED = b"GET /v1/prices HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\n\r\n" % KEY.encode()
MEGABYTES_MAX = 64


@pytest.mark.slow
def test_a_client_that_does_not_read_its_answers_is_not_read_on() -> None:
    async def story() -> None:
        async with stage() as (_, server):
            peer = await connected(int(server.url.rpartition(":")[2]))
            peer.reader._transport.pause_reading()  # type: ignore[attr-defined]
            (connection,) = server._connections
            transport = connection._transport
            assert transport is not None
            for _ in range(MEGABYTES_MAX << 20):
                peer.send(ASKED)
                await asyncio.sleep(0)
                if not transport.is_reading():
                    break
            assert not transport.is_reading()
            await until(lambda: not connection._busy, "what was read is answered")
            assert transport.get_write_buffer_size() < 1 << 20
            peer.writer.transport.abort()

    asyncio.run(story())


def test_a_client_that_does_not_speak_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe_connection, "ARRIVAL_SECONDS", 0.05)

    async def story() -> None:
        async with stage() as (_, server):
            peer = await connected(int(server.url.rpartition(":")[2]))
            assert await peer.rest() == b""
            peer.close()

    asyncio.run(story())


def test_a_client_that_is_refused_and_stays_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe_connection, "LINGER_SECONDS", 0.05)

    async def story() -> None:
        async with stage() as (_, server):
            peer = await connected(int(server.url.rpartition(":")[2]))
            peer.send(b"NONSENSE\r\n\r\n")
            assert (await peer.rest()).startswith(b"HTTP/1.1 400")
            await until(lambda: not server._connections, "its socket is closed")
            peer.close()

    asyncio.run(story())
