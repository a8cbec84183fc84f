"""Every port that Deadheat opens, hostile inputs for each, and clients that behave meanwhile.

Each kind of proxy stands before the real server, and once more before one that says yes to everybody:
so damage gets past the start-up, and a real backend need not be forked for each of a million inputs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import socket
import struct
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
from hostile_inputs import Input, Manner, make_input
from hostile_requests import make_stripe_input
from proxy_stage import DATABASE
from wire_peers import GREETING, READY, SYNC, message, query

from deadheat.engine.postgres import open_postgres
from deadheat.engine.postgres.proxy import OpenGate, PostgresProxy
from deadheat.engine.stripe_server import StripeServer
from deadheat.stripe_sim import Account

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

KEY = "sk_test_hostile"
SIDE_BY_SIDE = 32
MOMENT_S = 0.02
ANSWER_SECONDS = 15.0
STAYING_MAX = 40
ACCOUNT_EVERY = 5_000  # inputs: damaged requests make customers, too
OURS_PAUSE_S = 0.01  # between what a client that behaves asks
STARTUP = b"\x00\x03\x00\x00user\0postgres\0database\0" + DATABASE.encode() + b"\0\0"
STARTUP = (len(STARTUP) + 4).to_bytes(4, "big") + STARTUP
HEAD = f"host: x\r\nauthorization: Bearer {KEY}\r\n".encode()
FORM = b"email=a%40b.test&metadata[user]=1&name=Ada"


def _parse(sql: str, name: bytes = b"") -> bytes:
    return message("P", name + b"\0" + sql.encode() + b"\0\0\0")


def _bind(*values: bytes, name: bytes = b"") -> bytes:
    counted = b"".join(len(value).to_bytes(4, "big") + value for value in values)
    return message("B", b"\0" + name + b"\0\0\0" + len(values).to_bytes(2, "big") + counted + b"\0\0")


EXECUTE = message("E", b"\0\0\0\0\0")
DESCRIBE = message("D", b"P\0")
# As psql, asyncpg and psycopg send them; what a client says between two answers is in one piece here.
POSTGRES_STREAMS = (
    STARTUP + query("select 1") + message("X"),
    (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big") + STARTUP + query("begin") + query("commit"),
    STARTUP + _parse("select $1::int", b"s1") + message("D", b"Ss1\0") + SYNC
    + _bind(b"1", name=b"s1") + EXECUTE + SYNC + message("C", b"Ss1\0") + SYNC,
    STARTUP + query("begin") + _parse("insert into t values ($1)") + _bind(b"7") + DESCRIBE + EXECUTE
    + message("H") + SYNC + query("commit") + message("X"),
    STARTUP + query("copy t from stdin") + message("d", b"1\t2\n" * 20) + message("c") + query("select 1"),
    STARTUP + query("copy t from stdin") + message("f", b"no\0") + SYNC,
    STARTUP + b"".join(_parse(f"select {n}") + _bind() + EXECUTE for n in range(20)) + SYNC,
    (16).to_bytes(4, "big") + (80877102).to_bytes(4, "big") + bytes(8),
)  # fmt: skip
STRIPE_STREAMS = (
    b"GET /v1/customers?limit=3 HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"POST /v1/customers HTTP/1.1\r\n" + HEAD + b"content-type: application/x-www-form-urlencoded\r\n"
    b"idempotency-key: k1\r\ncontent-length: %d\r\n\r\n" % len(FORM) + FORM,
    b"POST /v1/customers HTTP/1.1\r\n" + HEAD + b"transfer-encoding: chunked\r\n\r\n"
    b"5\r\nemail\r\n8\r\n=a@b.tes\r\n1\r\nt\r\n0\r\n\r\n",
    (b"GET /v1/prices HTTP/1.1\r\n" + HEAD + b"\r\n") * 4,
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Port:
    """One port, how large a share of the inputs it gets, and what its answers must look like."""

    name: str
    number: int
    share: int
    streams: Sequence[bytes]
    check: Callable[[Input, bytes], str]
    make: Callable[[int, int, Sequence[bytes]], Input] = make_input
    outcomes: Counter[str] = field(default_factory=Counter)
    limit: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SIDE_BY_SIDE))


@dataclass(slots=True, kw_only=True)
class Ports:
    """All ports, with what runs behind them."""

    ports: list[Port]
    proxies: list[PostgresProxy]
    stripe: StripeServer
    ours: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    open_most: int = 0
    problems: list[str] = field(default_factory=list)  # what the event loop was told of
    rss_before: int = field(default_factory=lambda: peak_rss())

    def sockets(self) -> int:
        return sum(len(proxy.sides) for proxy in self.proxies) + len(self.stripe._connections)

    def figures(self) -> str:
        """Say what has come of it."""
        lines = [f"{port.name}: " + ", ".join(f"{n:,} {what}" for what, n in port.outcomes.most_common())
                 for port in self.ports]  # fmt: skip
        asked = ", ".join(f"{n:,} {who}" for who, n in self.ours.items())
        lines.append(f"clients that behave: {asked}; all answered, the slowest in {self.slowest_s:.2f} s")
        lines.append(
            f"at most {self.open_most} sockets open; memory grew by {self.grown_mib()} MiB at its peak"
        )
        return "\n".join(lines)

    def grown_mib(self) -> int:
        return (peak_rss() - self.rss_before) >> 20


def peak_rss() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def check_forwarded(sent: Input, answer: bytes) -> str:
    return "answered" if answer else "closed"


def check_controlled(sent: Input, answer: bytes) -> str:
    """Nonsense that can be told as such is refused in so many words."""
    if b"C08P01\0" in answer:
        return "refused with 08P01"
    data = b"".join(sent.pieces)
    if sent.nonsense and len(data) >= 4:
        length = int.from_bytes(data[:4], "big")
        assert 8 <= length <= 10_000, f"nonsense that was not refused: {data!r} got {answer!r}"
    return "answered" if answer.strip(b"N") else "closed"


def check_stripe(sent: Input, answer: bytes) -> str:
    """Whatever comes is HTTP; a refusal has Stripe's shape."""
    if not answer:
        return "closed"
    assert answer.startswith(b"HTTP/1.1 "), answer
    last = answer.rpartition(b"HTTP/1.1 ")[2]
    status = last[:3].decode()
    if status.startswith("4"):
        body = last.partition(b"\r\n\r\n")[2]
        assert json.loads(body)["error"]["type"] in ("invalid_request_error", "idempotency_error"), body
    assert status[0] in "24", answer
    return f"answered {status}"


@asynccontextmanager
async def open_ports() -> AsyncIterator[Ports]:
    """Put up every port, with clients that behave on those that stand before the real things."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(open_postgres("embedded"))
        await server.create_database(DATABASE)
        easy = await asyncio.start_server(_say_yes, "127.0.0.1", 0)
        stack.callback(easy.close)
        real, fake = server.address(), ("127.0.0.1", easy.sockets[0].getsockname()[1])
        assert real is not None
        proxies = [
            await stack.enter_async_context(PostgresProxy(address, gate))
            for address, gate in ((real, None), (real, OpenGate()), (fake, None), (fake, OpenGate()))
        ]
        stripe = await stack.enter_async_context(StripeServer(account(), notice=lambda text: None))
        kinds = (("forwarding", 2, check_forwarded), ("controlled", 2, check_controlled),
                 ("forwarding, past the start-up", 20, check_forwarded),
                 ("controlled, past the start-up", 45, check_controlled))  # fmt: skip
        ports = [
            Port(name=name, number=proxy.port, share=share, streams=POSTGRES_STREAMS, check=check)
            for proxy, (name, share, check) in zip(proxies, kinds, strict=True)
        ]
        for port in ports[:2]:
            port.limit = asyncio.Semaphore(4)  # a backend each, until Postgres sees that nobody is there
        number = int(stripe.url.rpartition(":")[2])
        ports.append(
            Port(
                name="stripe",
                number=number,
                share=31,
                streams=STRIPE_STREAMS,
                check=check_stripe,
                make=make_stripe_input,
            )
        )
        found = Ports(ports=ports, proxies=proxies, stripe=stripe)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: found.problems.append(repr(context)))
        async with asyncio.TaskGroup() as group:
            stop = asyncio.Event()
            for proxy in proxies[:2]:
                name = "queries" if proxy.gate else "queries, forwarded"
                url = server.dsn_through(proxy.port, DATABASE)
                group.create_task(_query(found, name, url, stop))
            group.create_task(_call(found, stop))
            try:
                yield found
            finally:
                stop.set()


def account() -> Account:
    return Account(seed=1, started_at=1_700_000_000, secret_key=KEY)


async def bombard(ports: Ports, *, seed: int, numbers: range, until: float | None = None) -> int:
    """Send inputs, many at a time; gives how many. AssertionError for one that was not treated well."""
    left = iter(numbers)
    staying: list[_Hostile] = []
    by_share = [port for port in ports.ports for _ in range(port.share)]
    sent = 0

    async def work() -> None:
        nonlocal sent
        for number in left:
            if until is not None and time.monotonic() >= until:
                return
            port = by_share[number * 7919 % len(by_share)]
            given = port.make(seed, number, port.streams)
            async with port.limit:
                port.outcomes[await _send(port, given, staying)] += 1
            sent += 1
            ports.open_most = max(ports.open_most, ports.sockets())
            if number % ACCOUNT_EVERY == 0:
                ports.stripe.account = account()
            while len(staying) > STAYING_MAX:
                staying.pop(0).close()

    async with asyncio.TaskGroup() as group:
        for _ in range(SIDE_BY_SIDE):
            group.create_task(work())
    for hostile in staying:
        hostile.close()
    assert ports.stripe.failure is None
    assert not ports.problems
    return sent


class _Hostile(asyncio.Protocol):
    """A client that sends one input."""

    def __init__(self) -> None:
        self.answer = bytearray()
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.answer += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def close(self) -> None:
        self.transport.close()


async def _send(port: Port, given: Input, staying: list[_Hostile]) -> str:
    loop = asyncio.get_running_loop()
    transport, hostile = await loop.create_connection(_Hostile, "127.0.0.1", port.number)
    for piece in given.pieces:
        if transport.is_closing():
            break
        transport.write(piece)
        if given.manner is Manner.DRIPS:
            await asyncio.sleep(0)
    if given.manner is Manner.STAYS:
        staying.append(hostile)
        return "left open"
    if given.manner is Manner.LEAVES:
        transport.close()
        return "left"
    if given.manner is Manner.RESETS:
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
        return "reset"
    if given.manner is Manner.LISTENS:
        await asyncio.wait((hostile.over,), timeout=MOMENT_S)
    if not transport.is_closing():
        with contextlib.suppress(OSError):  # the other end has closed already
            transport.write_eof()
    try:
        await asyncio.wait_for(hostile.over, ANSWER_SECONDS)
    except TimeoutError:
        raise AssertionError(f"input {given.number} keeps {port.name} open: {given}") from None
    try:
        return port.check(given, bytes(hostile.answer))
    except AssertionError as error:
        raise AssertionError(f"input {given.number} on {port.name}: {error}") from None


async def _query(ports: Ports, name: str, url: str, stop: asyncio.Event) -> None:
    """Be a client that behaves: a new connection now and then, a few queries on each."""
    while not stop.is_set():
        async with _timed(ports):
            connection = await asyncpg.connect(url)
        try:
            for n in range(20):
                async with _timed(ports):
                    assert await connection.fetchval("select $1::int + 1", n) == n + 1
                ports.ours[name] += 1
                await asyncio.sleep(OURS_PAUSE_S)
        finally:
            await connection.close()


async def _call(ports: Ports, stop: asyncio.Event) -> None:
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {KEY}"}) as client:
        while not stop.is_set():
            async with _timed(ports):
                answer = await client.get(f"{ports.stripe.url}/v1/prices")
            assert answer.status_code == 200
            ports.ours["calls"] += 1
            await asyncio.sleep(OURS_PAUSE_S)


@asynccontextmanager
async def _timed(ports: Ports) -> AsyncIterator[None]:
    began = time.monotonic()
    async with asyncio.timeout(ANSWER_SECONDS):
        yield
    ports.slowest_s = max(ports.slowest_s, time.monotonic() - began)


_DONE = {ord("P"): message("1"), ord("B"): message("2"), ord("C"): message("3"), ord("D"): message("n"),
         ord("E"): message("C", b"SELECT 1\0"), ord("S"): READY, ord("c"): message("C", b"COPY 1\0"),
         ord("f"): message("E", b"SERROR\0VERROR\0C57014\0Mno\0\0")}  # fmt: skip


async def _say_yes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be a server that lets everybody in, and says to each message that it was done."""
    try:
        length = int.from_bytes(await reader.readexactly(4), "big")
        if int.from_bytes(await reader.readexactly(4), "big") >> 16 != 3 or length > 10_000:
            return
        await reader.readexactly(length - 8)
        writer.write(GREETING)
        while True:
            kind, *size = await reader.readexactly(5)
            length = int.from_bytes(bytes(size), "big")
            if not 4 <= length <= 1 << 20:
                return
            body = await reader.readexactly(length - 4)
            if kind == ord("Q"):
                copies = b"stdin" in body
                writer.write(message("G", b"\0\0\0") if copies else message("C", b"SELECT 1\0") + READY)
            elif kind in _DONE:
                writer.write(_DONE[kind])
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        pass
    finally:
        writer.close()
