"""The Postgres plane: a proxy between the target and its database, which can hold what crosses it.

Each connection of the target has one of ours to the server behind it, and `deadheat.pgwire` reads
both directions of it. A *flight* (what a client sends up to the next point at which it waits) is
offered to a gate, which releases it at once or later; so is the answer to one whose result the gate
wants to hold. Flights of one connection are offered one after the other. Without a gate nothing is
read at all: bytes go through.

The server is reached when the client has said what it wants; until then the client is not read on.
Either side may speak TLS, one at a time: the client where a context to offer it is given, the server where
it demands that. Both at once are refused, since SCRAM's channel binding cannot pass.
A side that goes away takes the other with it; what was held then is withdrawn, as if the disconnect
had come before it. A side that does not read stops the other one from being read, and a client that
sends for ever without waiting is not read while more than `WAITING_BYTES_MAX` of it wait here.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from deadheat.engine.postgres.side import CONNECT_SECONDS, Side, fatal
from deadheat.engine.postgres.tls import Tls
from deadheat.errors import ProtocolError, SetupError
from deadheat.pgwire import Cancel, Flight, Forward, Refuse, Reply, Secure, Session

if TYPE_CHECKING:
    import ssl
    from collections.abc import Coroutine, Iterator
    from types import TracebackType

    from deadheat.engine.postgres.tls import Demand
    from deadheat.pgwire import Result, Transaction

ARRIVAL_SECONDS = 60.0  # for a client to say what it wants; Postgres's own authentication_timeout
READ_BYTES_MAX = 1 << 16  # of a client, before what they hold is sent on
WAITING_BYTES_MAX = 1 << 20  # of a client, kept here because a flight before them is held
UNANSWERED_MAX = 10_000  # flights; most of them are a few bytes to the kernel and a kilobyte to us
HELD_BYTES_MAX = 8 << 20  # of an answer whose end is held
REACHING = "the server is not reached yet"
FULL = "too much of the client waits here"
BOTH = (
    "Deadheat's proxy reaches the server by TLS and cannot speak TLS to its client as well: channel binding "
    "(SCRAM-SHA-256-PLUS) cannot pass. Set sslmode=disable in the client's database URL."
)


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
    """Listens on a loopback port for one server, 0 for any; ``gate`` None only forwards.

    ``address`` is a host and port, or the path of a Unix socket. A gate may be changed for another
    one at any time. ``refused`` counts the connections that were closed for what they sent. ``tls`` is
    what clients are offered TLS with, ``demand`` how the server is reached by it; one that only forwards
    leaves that to the two.
    """

    def __init__(
        self,
        address: tuple[str, int] | str,
        gate: SqlGate | None = None,
        *,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        demand: Demand | None = None,
    ) -> None:
        self.address = address
        self.gate = gate
        self.tls = tls
        self.demand = demand
        self.connections: set[ProxyConnection] = set()
        self.sides: set[Side] = set()  # the sockets that are open, of closed connections as well
        self.refused = 0
        self.port = port
        self.numbers: Iterator[int] = itertools.count(1)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> PostgresProxy:
        """Listen; SetupError when the port cannot be had."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._accept, "127.0.0.1", self.port, backlog=256)
        except OSError as error:
            raise SetupError(
                f"the Postgres proxy cannot listen on 127.0.0.1:{self.port}: {error.strerror}. "
                "Choose another port."
            ) from None
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
        for connection in tuple(self.connections):
            connection.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while self.sides:  # an aborted one is lost at one of the loop's next turns; one may just have come
            for side in tuple(self.sides):
                side.abort()
            await asyncio.sleep(0)
        if self._server is not None:
            await self._server.wait_closed()

    def pids(self) -> dict[int, ProxyConnection]:
        """Give the backends that serve the target, with their connections."""
        return {c.pid: c for c in self.connections if c.pid is not None}

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something for as long as the proxy stands."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _accept(self) -> Side:
        connection = ProxyConnection(self) if self.gate is None else ControlledConnection(self)
        return connection.client


class ProxyConnection:
    """A client's connection and ours behind it; this one forwards bytes and reads none."""

    def __init__(self, proxy: PostgresProxy) -> None:
        self.number = next(proxy.numbers)
        self.client = Side(self, self.from_client, proxy.sides)
        self.server = Side(self, self.from_server, proxy.sides)
        self.client.other, self.server.other = self.server, self.client
        self.pid: int | None = None
        self._proxy = proxy
        self._open = True
        self._early: list[bytes] = []  # what the server is sent first
        self._reaching: asyncio.Task[None] | None = None
        self._clock: asyncio.TimerHandle | None = None

    def made(self, side: Side) -> None:
        """Take in a socket: the client's, and later the server's."""
        if side is self.client:
            self._proxy.connections.add(self)
            self._clock = asyncio.get_running_loop().call_later(ARRIVAL_SECONDS, self._came_to_nothing)
            return
        self._stop_clock()
        if not self._open:
            side.close()
            return
        for data in self._early:
            side.write(data)
        self._early.clear()
        self._reached()
        self.client.resume(REACHING)

    def from_client(self, data: bytes) -> None:
        """Hand bytes to the server."""
        self.to_server(data)

    def from_server(self, data: bytes) -> None:
        """Hand bytes to the client."""
        self.client.write(data)

    def to_server(self, data: bytes) -> None:
        """Write to the server; the first bytes have it reached."""
        if self.server.transport is not None:
            self.server.write(data)
        elif self._open:
            self._early.append(data)
            if self._reaching is None:
                self.client.pause(REACHING)
                self._reaching = self._proxy.spawn(self._reach())

    def lost(self, side: Side) -> None:
        """Close the other side when one is gone."""
        self.close()

    def close(self) -> None:
        """Close both sides; what was written to them still goes out."""
        self._end()
        self.client.close()
        self.server.close()

    def refuse(self, sqlstate: str, message: str) -> None:
        """Tell the client why it is not served, and close."""
        self.client.refuse(fatal(sqlstate, message))
        self._end()
        self.server.close()

    def _end(self) -> None:
        self._open = False
        self._proxy.connections.discard(self)
        self._stop_clock()
        self._early.clear()
        if self._reaching is not None and self.server.transport is None:
            self._reaching.cancel()

    def _reached(self) -> None:
        """Have bytes go from socket to socket from here on."""
        self.client.feeds(self.server)
        self.server.feeds(self.client)

    async def _reach(self) -> None:
        try:
            await self.server.connect(self._proxy.address, self._proxy.demand)
        except (OSError, TimeoutError) as error:
            why = str(error) or f"no answer within {CONNECT_SECONDS:.0f} s"
            self.refuse("08001", f"Deadheat's proxy does not reach the Postgres server: {why}")

    def _came_to_nothing(self) -> None:
        self._proxy.refused += 1
        self.refuse("08P01", f"No start-up packet has come within {ARRIVAL_SECONDS:.0f} s.")

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None


class ControlledConnection(ProxyConnection):
    """A connection whose flights cross a gate, one after the other.

    All that comes is put into two queues, which `_pump` works off: so a gate may call back at any time.
    """

    def __init__(self, proxy: PostgresProxy) -> None:
        super().__init__(proxy)
        self.session = Session(offers_tls=proxy.tls is not None)
        self.hold_result = False  # hold the answer to what is under way, once it is complete
        self.under_way: deque[Flight] = deque()  # sent, not yet answered
        self._unread: deque[bytes] = deque()  # of the client, while too much waits
        self._waiting: deque[Flight | Forward] = deque()  # not sent yet
        self._waiting_bytes = 0
        self._unsent = 0  # flights among what waits
        self._is_offered = False  # the first that waits is the gate's
        self._replies: deque[Reply] = deque()  # not handed on yet
        self._answer: list[bytes] = []  # what is held of an answer
        self._answer_bytes = 0
        self._is_answered = False  # what is held is complete and the gate's
        self._foreseen: deque[Result] = deque()  # answers to flights that wait: the server is through
        self._is_skipping = False  # the server says nothing up to the next Sync
        self._is_pumping = False

    @property
    def _gate(self) -> SqlGate:
        return self._proxy.gate or _OPEN

    @property
    def transaction(self) -> Transaction:
        """The state of the transaction, as of the last answer."""
        return self.session.transaction

    def from_client(self, data: bytes) -> None:
        """Take in bytes of the client; what is no protocol ends the connection."""
        if len(data) <= READ_BYTES_MAX:
            self._unread.append(data)
        else:
            self._unread += (data[i : i + READ_BYTES_MAX] for i in range(0, len(data), READ_BYTES_MAX))
        self._pump()

    def from_server(self, data: bytes) -> None:
        """Take in bytes of the server; what is no protocol ends the connection."""
        self._answered(data)
        self._pump()

    def release(self) -> None:
        """Let the offered flight go on."""
        if self._is_offered:
            self._is_offered = False
            flight = self._waiting.popleft()
            assert isinstance(flight, Flight)
            self._send(flight)
            self._pump()

    def release_result(self) -> None:
        """Let the held answer go on."""
        self.hold_result = self._is_answered = False
        self._let_go(self._answer)
        self._pump()

    def lost(self, side: Side) -> None:
        """Close the other side when one is gone; its last words as it died were no answer to hold."""
        if side is self.server and self._answer and b"\0VFATAL\0" in self._answer[-1]:
            self._let_go(self._answer)
        super().lost(side)

    def _end(self) -> None:
        """End; the gate hears of it once."""
        was_open = self._open
        super()._end()
        if was_open:
            self._is_offered = False
            for queue in (self._unread, self._waiting, self.under_way, self._replies, self._answer):
                queue.clear()
            self._gate.closed(self)

    def _reached(self) -> None:
        """Go on reading: both sides' bytes come by here."""

    def _pump(self) -> None:
        """Hand on what may go on; read the client while there is room for what it sends."""
        if self._is_pumping:
            return  # it goes on below, in whoever called the gate
        self._is_pumping = True
        try:
            while self._open and (self._reply_next() or self._send_next() or self._read_next()):
                pass
        finally:
            self._is_pumping = False
        if not self._open:
            return
        if self._unread or self._is_full():
            self.client.pause(FULL)
        else:
            self.client.resume(FULL)

    def _is_full(self) -> bool:
        if self._waiting_bytes > WAITING_BYTES_MAX:
            return True
        return self.session.under_way > UNANSWERED_MAX and not self._is_skipping

    def _read_next(self) -> bool:
        """Read some bytes of the client."""
        if not self._unread or self._is_full():
            return False
        try:
            items = self.session.client(self._unread.popleft())
        except ProtocolError as error:
            self._break(error)
            return False
        for item in items:
            if isinstance(item, Refuse):
                self.client.write(b"N")
            elif isinstance(item, Secure):
                self._secure(item.data)
            elif self._cannot_be_secure():
                return False
            elif isinstance(item, Cancel):
                self.to_server(item.data)  # on a connection of its own, as the protocol wants it
            else:
                self._waiting.append(item)
                self._waiting_bytes += len(item.data)
                self._unsent += isinstance(item, Flight)
        return True

    def _secure(self, begun: bytes) -> None:
        """Begin TLS with the client, who has asked for it or has sent the first bytes of it."""
        assert self._proxy.tls is not None  # it was offered
        if begun:
            begun += b"".join(self._unread)
            self._unread.clear()
        else:
            self.client.write(b"S")
        self.client.secure(Tls(self._proxy.tls, direct=bool(begun)), begun)

    def _cannot_be_secure(self) -> bool:
        """Refuse TLS on both sides at once."""
        if self.client.tls is None or self._proxy.demand is None:
            return False
        self.refuse("28000", BOTH)
        return True

    def _send_next(self) -> bool:
        """Send what is next; a flight that is a choice is offered once the one before it is answered."""
        if not self._waiting or self._is_offered:
            return False
        item = self._waiting[0]
        if isinstance(item, Flight) and not item.passes:
            if self._is_busy():
                return False
            self._is_offered = True
            self._gate.offered(self, item)
            return True
        self._waiting.popleft()
        if isinstance(item, Flight):
            self._gate.passed(self, item)
            self._send(item)
        else:
            self._waiting_bytes -= len(item.data)
            self.to_server(item.data)
        return True

    def _is_busy(self) -> bool:
        """Whether an answer is still to come, or to be handed on; one that nobody is told of as well."""
        if self.under_way or self._replies or self._answer:
            return True
        return self.session.under_way > self._unsent - len(self._foreseen)

    def _send(self, flight: Flight) -> None:
        self._waiting_bytes -= len(flight.data)
        self._unsent -= 1
        self.under_way.append(flight)
        self.to_server(flight.data)
        if self._foreseen:
            self._replies.appendleft(Reply(data=b"", result=self._foreseen.popleft()))
        else:
            self._answered(b"")  # the server may have nothing to say to it

    def _answered(self, data: bytes) -> None:
        try:
            self._replies += self.session.server(data)
        except ProtocolError as error:
            self._break(error)
        if self.pid is None:
            self.pid = self.session.backend_pid

    def _reply_next(self) -> bool:
        """Hand on the next reply; the gate hears of the flight that it ends."""
        if not self._replies or self._is_answered:
            return False
        reply = self._replies.popleft()
        if self.hold_result and (self._answer or not reply.asynchronous):
            self._keep(reply.data)
        else:
            self.client.write(reply.data)
        result = reply.result
        if result is None:
            return True
        self._is_skipping = result.sqlstate is not None and result.transaction is None
        if self.under_way:
            self._is_answered = self.hold_result
            flight = self.under_way.popleft()
            self._gate.answered(self, flight, result, held=self._is_answered)
        else:
            self._foreseen.append(result)
        return True

    def _keep(self, data: bytes) -> None:
        """Hold a part of an answer. Of a long one all but the last parts go on: its end is what counts."""
        self._answer.append(data)
        self._answer_bytes += len(data)
        if self._answer_bytes > HELD_BYTES_MAX:
            last = self._answer.pop()
            self._let_go(self._answer)
            self._answer.append(last)
            self._answer_bytes = len(last)

    def _let_go(self, answer: list[bytes]) -> None:
        for data in answer:
            self.client.write(data)
        answer.clear()
        self._answer_bytes = 0

    def _break(self, error: ProtocolError) -> None:
        self._proxy.refused += 1
        self.refuse("08P01", str(error))


_OPEN = OpenGate()
