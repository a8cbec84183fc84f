"""Both ends of the proxy by hand: a client that sends bytes, and a server that a test answers for."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STARTUP = b"\x00\x03\x00\x00user\x00u\x00\x00"
STARTUP = (len(STARTUP) + 4).to_bytes(4, "big") + STARTUP


def message(kind: str, body: bytes = b"") -> bytes:
    return kind.encode() + (len(body) + 4).to_bytes(4, "big") + body


READY = message("Z", b"I")
GREETING = message("R", bytes(4)) + message("K", (4711).to_bytes(4, "big") + b"key!") + READY
SYNC = message("S")
FLUSH = message("H")
TERMINATE = message("X")


def query(sql: str) -> bytes:
    return message("Q", sql.encode() + b"\0")


def done(tag: str = "INSERT 0 1") -> bytes:
    return message("C", tag.encode() + b"\0") + READY


def failed(sqlstate: str = "22012", severity: str = "ERROR") -> bytes:
    return message("E", f"S{severity}\0V{severity}\0C{sqlstate}\0Mno\0\0".encode())


class Peer:
    """One end of a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def reads(self, expected: bytes) -> None:
        """Read just that."""
        assert await self.reader.readexactly(len(expected)) == expected

    async def rest(self) -> bytes:
        """Read until the other end closes; a reset is an end as well."""
        data = bytearray()
        try:
            while piece := await self.reader.read(1 << 16):
                data += piece
        except ConnectionError:
            pass
        return bytes(data)

    def close(self) -> None:
        self.writer.close()


class FakeServer:
    """A server whose connections a test takes one by one, and answers on."""

    def __init__(self) -> None:
        self.port = 0
        self.accepted: asyncio.Queue[Peer] = asyncio.Queue()

    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    async def started(self) -> Peer:
        """Take the next connection, its start-up read and answered."""
        peer = await self.accepted.get()
        await peer.reads(STARTUP)
        peer.send(GREETING)
        return peer


@asynccontextmanager
async def fake_server() -> AsyncIterator[FakeServer]:
    fake = FakeServer()
    peers: list[Peer] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(Peer(reader, writer))
        fake.accepted.put_nowait(peers[-1])

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    fake.port = listening.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        listening.close()
        for peer in peers:
            peer.close()


async def connected(port: int) -> Peer:
    return Peer(*await asyncio.open_connection("127.0.0.1", port))


async def started(port: int, fake: FakeServer) -> tuple[Peer, Peer]:
    """Connect a client through the proxy; gives it and the server's end."""
    client = await connected(port)
    client.send(STARTUP)
    server = await fake.started()
    await client.reads(GREETING)
    return client, server
