"""A proxy before the embedded server, with gates that hold; and what is left of it afterwards."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deadheat.engine.postgres import open_postgres
from deadheat.engine.postgres.proxy import ControlledConnection, OpenGate, PostgresProxy

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Iterator

    from deadheat.engine.postgres.proxy import SqlGate
    from deadheat.engine.postgres.server import PostgresServer
    from deadheat.engine.postgres.tls import Demand
    from deadheat.pgwire import Flight, Result

DATABASE = "deadheat_proxied"
MODES = ("forwarding", "open", "later")
DEADLINE_S = 20.0


class Hearing(OpenGate):
    """An open gate that keeps what it hears."""

    def __init__(self) -> None:
        self.sent: list[Flight] = []
        self.results: list[Result] = []
        self.ended: list[ControlledConnection] = []

    def offered(self, connection: ControlledConnection, flight: Flight) -> None:
        self.sent.append(flight)
        super().offered(connection, flight)

    def passed(self, connection: ControlledConnection, flight: Flight) -> None:
        self.sent.append(flight)

    def answered(
        self, connection: ControlledConnection, flight: Flight, result: Result, *, held: bool
    ) -> None:
        self.results.append(result)
        super().answered(connection, flight, result, held=held)

    def closed(self, connection: ControlledConnection) -> None:
        assert connection not in self.ended, "the gate hears of an end once"
        self.ended.append(connection)


class Later(Hearing):
    """Holds each flight and each answer for a turn of the loop."""

    def offered(self, connection: ControlledConnection, flight: Flight) -> None:
        self.sent.append(flight)
        connection.hold_result = True
        asyncio.get_running_loop().call_soon(connection.release)

    def answered(
        self, connection: ControlledConnection, flight: Flight, result: Result, *, held: bool
    ) -> None:
        self.results.append(result)
        if held:
            asyncio.get_running_loop().call_soon(connection.release_result)


class ByHand(Hearing):
    """Holds flights, and answers where ``holds_results``, until a test lets them go."""

    def __init__(self, *, holds_results: bool = False) -> None:
        super().__init__()
        self.is_armed = False
        self.holds_results = holds_results
        self.flights: asyncio.Queue[tuple[ControlledConnection, Flight]] = asyncio.Queue()
        self.answers: asyncio.Queue[tuple[ControlledConnection, Result]] = asyncio.Queue()

    def offered(self, connection: ControlledConnection, flight: Flight) -> None:
        if not self.is_armed:
            super().offered(connection, flight)
            return
        connection.hold_result = self.holds_results
        self.flights.put_nowait((connection, flight))

    def answered(
        self, connection: ControlledConnection, flight: Flight, result: Result, *, held: bool
    ) -> None:
        self.results.append(result)
        if held:
            self.answers.put_nowait((connection, result))


@dataclass(frozen=True, slots=True)
class Stage:
    """A proxy with its gate, and the URL of a database behind it."""

    server: Any
    proxy: PostgresProxy
    gate: Any

    @property
    def dsn(self) -> str:
        """The URL of the database, through the proxy."""
        url: str = self.server.dsn_through(self.proxy.port, DATABASE)
        return url


@contextmanager
def a_server() -> Iterator[PostgresServer]:
    """Start a server with a database, for the tests of a file: each has a loop of its own."""
    with asyncio.Runner() as runner:
        opening = open_postgres("embedded")
        server = runner.run(opening.__aenter__())
        try:
            runner.run(server.create_database(DATABASE))
            yield server
        finally:
            runner.run(opening.__aexit__(None, None, None))


@asynccontextmanager
async def stage(
    server: Any,
    mode: str = "",
    gate: SqlGate | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    demand: Demand | None = None,
) -> AsyncIterator[Stage]:
    """Put up a proxy before a real server or a fake one; when its clients have gone nothing may be left."""
    chosen = gate or {"": Hearing, "forwarding": lambda: None, "open": Hearing, "later": Later}[mode]()
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    async with PostgresProxy(server.address(), chosen, tls=tls, demand=demand) as proxy:
        yield Stage(server, proxy, chosen)
        await until(lambda: not proxy.sides, "all sockets are closed")
        assert not proxy.connections
        assert not proxy._tasks
    assert not problems


async def until(holds: Callable[[], object], what: str) -> None:
    """Return as soon as ``holds``; fail when it does not within the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:.0f} s: {what}"
        await asyncio.sleep(0.002)
