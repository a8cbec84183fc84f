"""Clients of the simulator that do not do their part: that do not read or speak, drip, or never end."""

from __future__ import annotations

import asyncio
import json

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


HEAD = b"POST /v1/customers HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\n" % KEY.encode()


@pytest.mark.parametrize(
    "begun",
    [HEAD, HEAD + b"content-length: 1000000\r\n\r\n", HEAD + b"transfer-encoding: chunked\r\n\r\n"],
    ids=["head", "body", "chunks"],
)
def test_a_client_that_drips_is_dropped_however_often_it_drips(
    monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(stripe_connection, "ARRIVAL_SECONDS", 0.1)
    drip = b"1\r\nx\r\n" if begun.endswith(b"chunked\r\n\r\n") else b"x"

    async def story() -> None:
        async with stage() as (account, server):
            mark = account.mark()
            peer = await connected(int(server.url.rpartition(":")[2]))
            peer.send(begun)
            await until(lambda: len(server._connections) == 1, "it is let in")
            while server._connections:
                peer.send(drip)
                await asyncio.sleep(0.001)
            peer.close()
            assert account.mark() == mark

    asyncio.run(story())


@pytest.mark.parametrize("chunked", [False, True])
def test_ten_megabytes_are_refused_after_the_first(chunked: bool) -> None:
    piece = b"x" * (1 << 16)
    framing = b"transfer-encoding: chunked\r\n\r\n" if chunked else b"content-length: 10485760\r\n\r\n"

    async def story() -> None:
        async with stage() as (_, server):
            peer = await connected(int(server.url.rpartition(":")[2]))
            peer.send(HEAD + framing)
            await until(lambda: len(server._connections) == 1, "it is let in")
            (connection,) = server._connections
            for _ in range(160):
                peer.send(b"10000\r\n" + piece + b"\r\n" if chunked else piece)
                await peer.writer.drain()
                assert len(connection._body) <= stripe_connection.BODY_MAX
            answer = await peer.rest()
            assert answer.startswith(b"HTTP/1.1 400 ")
            error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
            assert error["type"] == "invalid_request_error"
            assert "too large" in error["message"]
            peer.close()

    asyncio.run(story())


def test_what_was_asked_before_nonsense_is_answered_before_it_is_refused() -> None:
    async def story() -> None:
        async with stage() as (_, server):
            peer = await connected(int(server.url.rpartition(":")[2]))
            peer.send(ASKED + b"NONSENSE\r\n\r\n")
            said = await peer.rest()
            assert said.startswith(b"HTTP/1.1 200 OK")
            assert b"}HTTP/1.1 400 Bad Request" in said
            peer.close()

    asyncio.run(story())
