"""The Postgres plane: a proxy between the target and its database, which can hold what crosses it.

Each connection of the target has one of ours to the server behind it, and `deadheat.pgwire` reads
both directions of it. A *flight* (what a client sends up to the next point at which it waits) is
offered to a gate, which releases it at once or later; so is the answer to one whose result the gate
wants to hold. Flights of one connection are offered one after the other. Without a gate nothing is
read at all: bytes go through.

A side that goes away takes the other with it; what was held then is withdrawn, as if the disconnect
had come before it. A side that does not read stops the other one from being read.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from deadheat.errors import ProtocolError
from deadheat.pgwire import Cancel, Flight, Forward, Refuse, Session, Transaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from deadheat.pgwire import Result

CONNECT_SECONDS = 10.0
READ_BYTES_MAX = 1 << 16
EARLY_BYTES_MAX = 1 << 20  # what a client may send before its server is reached


class SqlGate(Protocol):
    """Says when a flight may go on, and hears what came of it."""

    def offered(self, connection: ControlledConnection, flight: Flight) -> None:
        """Take a flight; somebody calls ``connection.release()`` now or later."""

    def passed(self, connection: ControlledConnection, flight: Flight) -> None:
        """Hear of a flight that goes on at once."""

    def answered(
        self, connection: ControlledConnection, flight: Flight, result: Result, *, held: bool
    ) -> None:
        """Hear of a flight's answer; a held one waits for ``connection.release_result()``."""

    def closed(self, connection: ControlledConnection) -> None:
        """Hear that a connection is gone, and what was held of it."""


class OpenGate:
    """Lets every flight go."""

    def offered(self, connection: ControlledConnection, flight: Flight) -> None:
        """Release it at once."""
        connection.release()

    def passed(self, connection: ControlledConnection, flight: Flight) -> None:
        """Take no note."""

    def answered(
        self, connection: ControlledConnection, flight: Flight, result: Result, *, held: bool
    ) -> None:
        """Let an answer go that an earlier gate wanted to hold."""
        if held:
            connection.release_result()

    def closed(self, connection: ControlledConnection) -> None:
        """Take no note."""


class PostgresProxy:
    """Listens on a loopback port of its own for one server; ``gate`` None only forwards.

    ``address`` is a host and port, or the path of a Unix socket. A gate may be changed for another
    one at any time.
    """

    def __init__(self, address: tuple[str, int] | str, gate: SqlGate | None = None) -> None:
        self.address = address
        self.gate = gate
        self.connections: set[ProxyConnection] = set()
        self.refused = 0  # connections that were closed for what they sent
        self.port = 0
        self.numbers: Iterator[int] = itertools.count(1)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> PostgresProxy:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, "127.0.0.1", 0, backlog=256)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening and close every connection, both sides of it."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        for connection in tuple(self.connections):
            connection.close()
        if self._server is not None:
            await self._server.wait_closed()

    def pids(self) -> dict[int, ProxyConnection]:
        """Give the backends that serve the target, with their connections."""
        return {c.pid: c for c in self.connections if c.pid is not None}

    async def open_upstream(self, side: asyncio.Protocol) -> None:
        """Connect a side to the server; OSError or TimeoutError when it cannot be reached."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            if isinstance(self.address, str):
                await loop.create_unix_connection(lambda: side, self.address)
            else:
                await loop.create_connection(lambda: side, *self.address)

    def spawn(self, work: Any) -> None:
        """Run something for as long as the proxy stands."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _accept(self) -> _Side:
        connection = ProxyConnection(self) if self.gate is None else ControlledConnection(self)
        return connection.client


class _Side(asyncio.Protocol):
    """One of the two sockets of a connection."""

    def __init__(self, connection: ProxyConnection, *, is_client: bool) -> None:
        self._connection = connection
        self._is_client = is_client
        self.other: _Side | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._connection.made(self, is_client=self._is_client)

    def data_received(self, data: bytes) -> None:
        if self._is_client:
            self._connection.from_client(data)
        else:
            self._connection.from_server(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._connection.lost(self, is_client=self._is_client)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


class ProxyConnection:
    """A client's connection and ours behind it; this one forwards bytes and reads none."""

    def __init__(self, proxy: PostgresProxy) -> None:
        self.number = next(proxy.numbers)
        self.client = _Side(self, is_client=True)
        self.server = _Side(self, is_client=False)
        self.client.other, self.server.other = self.server, self.client
        self.pid: int | None = None
        self._proxy = proxy
        self._early = bytearray()
        self._open = True

    def made(self, side: _Side, *, is_client: bool) -> None:
        """Take in a socket: the client's opens the server's, which is then sent what came before."""
        if is_client:
            self._proxy.connections.add(self)
            self._proxy.spawn(self._reach())
            return
        if self._early:
            self.server.write(bytes(self._early))
            self._early.clear()
        if not self._open:  # a cancel request's client does not wait
            side.close()

    def from_client(self, data: bytes) -> None:
        """Hand bytes to the server."""
        self.to_server(data)

    def from_server(self, data: bytes) -> None:
        """Hand bytes to the client."""
        self.client.write(data)

    def to_server(self, data: bytes) -> None:
        """Write to the server, or keep it until there is one."""
        if self.server.transport is not None:
            self.server.transport.write(data)
        elif len(self._early) + len(data) > EARLY_BYTES_MAX:
            self.close()
        else:
            self._early += data

    def lost(self, side: _Side, *, is_client: bool) -> None:
        """Close the other side when one is gone."""
        self.close()

    def close(self) -> None:
        """Close both sides; what was written to them still goes out."""
        self._open = False
        self._proxy.connections.discard(self)
        self.client.close()
        self.server.close()

    async def _reach(self) -> None:
        try:
            await self._proxy.open_upstream(self.server)
        except (OSError, TimeoutError):
            self.close()


class ControlledConnection(ProxyConnection):
    """A connection whose flights cross a gate, one after the other."""

    def __init__(self, proxy: PostgresProxy) -> None:
        super().__init__(proxy)
        self.session = Session()
        self.hold_result = False  # hold the answer to what is under way, once it is complete
        self.under_way: deque[Flight] = deque()  # sent, not yet answered
        self._waiting: deque[Flight | Forward] = deque()
        self._is_offered = False
        self._answer: list[bytes] = []

    @property
    def _gate(self) -> SqlGate:
        assert self._proxy.gate is not None  # a connection is made controlled only where there is one
        return self._proxy.gate

    @property
    def transaction(self) -> Transaction:
        """The state of the transaction, as of the last answer."""
        return self.session.transaction

    def from_client(self, data: bytes) -> None:
        """Take in bytes of the client; what is no protocol ends the connection."""
        try:
            items = self.session.client(data)
        except ProtocolError as error:
            self._refuse(error)
            return
        for item in items:
            if isinstance(item, Refuse):
                self.client.write(b"N")
            elif isinstance(item, Cancel):
                self.to_server(item.data)  # on a connection of its own, as the protocol wants it
            else:
                self._waiting.append(item)
        self._pump()

    def from_server(self, data: bytes) -> None:
        """Take in bytes of the server; what is no protocol ends the connection."""
        try:
            replies = self.session.server(data)
        except ProtocolError as error:
            self._refuse(error)
            return
        if self.pid is None:
            self.pid = self.session.backend_pid
        for reply in replies:
            if self.hold_result and not reply.asynchronous:
                self._answer.append(reply.data)
            else:
                self.client.write(reply.data)
            if reply.result is not None and self.under_way:
                flight = self.under_way.popleft()
                self._gate.answered(self, flight, reply.result, held=self.hold_result)
        self._pump()

    def release(self) -> None:
        """Let the offered flight go on."""
        if not self._is_offered or not self._waiting:
            return
        self._is_offered = False
        flight = self._waiting.popleft()
        assert isinstance(flight, Flight)
        self._send(flight)
        self._pump()

    def release_result(self) -> None:
        """Let the held answer go on."""
        self.hold_result = False
        for data in self._answer:
            self.client.write(data)
        self._answer.clear()
        self._pump()

    def close(self) -> None:
        """Close both sides; the gate hears of it once."""
        was_open = self._open
        super().close()
        if was_open:
            self._waiting.clear()
            self.under_way.clear()
            self._gate.closed(self)

    def _pump(self) -> None:
        """Send what may go on; offer the next flight when the one before it is answered."""
        while self._waiting and not self._is_offered and self._open:
            item = self._waiting[0]
            if isinstance(item, Flight) and not item.passes:
                if self.under_way or self._answer:
                    return
                self._is_offered = True
                self._gate.offered(self, item)
                continue
            self._waiting.popleft()
            if isinstance(item, Flight):
                self._gate.passed(self, item)
                self._send(item)
            else:
                self.to_server(item.data)

    def _send(self, flight: Flight) -> None:
        self.under_way.append(flight)
        self.to_server(flight.data)

    def _refuse(self, error: ProtocolError) -> None:
        """Tell the client what is wrong with what it sent, and close."""
        self._proxy.refused += 1
        message = str(error).encode("utf-8", "replace").replace(b"\0", b"?")
        fields = b"SFATAL\0VFATAL\0C08P01\0M" + message + b"\0\0"
        self.client.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        self.close()
