"""The proxy between two ends that a test plays: what is held, in which order it goes on, how it ends."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from proxy_stage import ByHand, Hearing, Stage, stage, until
from wire_peers import (
    FLUSH,
    GREETING,
    READY,
    STARTUP,
    SYNC,
    TERMINATE,
    FakeServer,
    Peer,
    connected,
    done,
    failed,
    fake_server,
    message,
    query,
    started,
)

from deadheat.engine.postgres import proxy as proxy_module
from deadheat.engine.postgres import side as side_module
from deadheat.engine.postgres.proxy import UNANSWERED_MAX, WAITING_BYTES_MAX, ControlledConnection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from typing import Any

pytestmark = pytest.mark.slow

INSERT = query("insert into t values (1)")
COPY = query("copy t from stdin")
COPY_IN = message("G", b"\0\0\0")
STATES = ("idle", "flight held", "under way", "result held", "copy")


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 30))


@asynccontextmanager
async def ends(gate: Any = None, mode: str = "") -> AsyncIterator[tuple[Stage, FakeServer, Peer, Peer]]:
    """Give a client and the server's end of its connection, both past the start-up."""
    async with fake_server() as fake, stage(fake, mode, gate) as at:
        client, server = await started(at.proxy.port, fake)
        yield at, fake, client, server
        client.close()


async def brought(state: str, at: Stage, client: Peer, server: Peer) -> None:
    """Bring a connection into a state."""
    gate = at.gate
    gate.is_armed, gate.holds_results = True, state == "result held"
    if state == "idle":
        return
    client.send(COPY if state == "copy" else INSERT)
    connection, _ = await gate.flights.get()
    if state == "flight held":
        return
    connection.release()
    await server.reads(COPY if state == "copy" else INSERT)
    if state == "result held":
        server.send(done())
        await gate.answers.get()
    if state == "copy":
        server.send(COPY_IN)
        await client.reads(COPY_IN)
        client.send(message("d", b"1\n"))
        await server.reads(message("d", b"1\n"))


@pytest.mark.parametrize("state", STATES)
def test_a_client_that_goes_takes_the_server_with_it(state: str) -> None:
    async def story() -> None:
        async with ends(gate := ByHand()) as (at, _, client, server):
            await brought(state, at, client, server)
            client.close()
            assert await server.rest() == b""
            await until(lambda: gate.ended, "the gate hears of it")
            connection = gate.ended[0]
            connection.release()  # too late: nothing comes of it
            connection.release_result()

    run(story)


@pytest.mark.parametrize("state", STATES)
def test_a_server_that_goes_takes_the_client_with_it(state: str) -> None:
    async def story() -> None:
        async with ends(gate := ByHand()) as (at, _, client, server):
            await brought(state, at, client, server)
            server.close()
            assert await client.rest() == b"", "what was held is withdrawn"
            await until(lambda: gate.ended, "the gate hears of it")
            gate.ended[0].release()
            gate.ended[0].release_result()

    run(story)


@pytest.mark.parametrize("state", STATES)
def test_the_last_words_of_a_server_arrive(state: str) -> None:
    last = failed("57P01", "FATAL")

    async def story() -> None:
        async with ends(gate := ByHand()) as (at, _, client, server):
            await brought(state, at, client, server)
            server.send(last)
            server.close()
            expected = done() + last if state == "result held" else last
            assert await client.rest() in (expected, b"" if state == "result held" else expected)
            await until(lambda: gate.ended, "the gate hears of it")

    run(story)


def test_the_last_words_about_what_was_blocked_are_not_held() -> None:
    async def story() -> None:
        async with ends(gate := ByHand(holds_results=True)) as (_, _, client, server):
            gate.is_armed = True
            client.send(INSERT)
            connection, _ = await gate.flights.get()
            connection.release()
            await server.reads(INSERT)
            server.send(failed("57P01", "FATAL"))
            await gate.answers.get()
            server.close()
            assert await client.rest() == failed("57P01", "FATAL")

    run(story)


def test_a_held_flight_waits_and_those_behind_it_too() -> None:
    async def story() -> None:
        async with ends(gate := ByHand()) as (_, _, client, server):
            gate.is_armed = True
            second = query("begin")  # it passes, though not the one before it
            client.send(INSERT + second)
            connection, flight = await gate.flights.get()
            assert flight.label == "insert t"
            assert [flight.label for flight in gate.sent] == []
            connection.release()
            await server.reads(INSERT + second)
            server.send(done() + done("BEGIN"))
            await client.reads(done() + done("BEGIN"))
            assert [result.tags for result in gate.results] == [("INSERT 0 1",), ("BEGIN",)]

    run(story)


def test_a_held_result_keeps_all_that_comes_behind_it_in_order() -> None:
    told = message("A", (9).to_bytes(4, "big") + b"news\0x\0")

    async def story() -> None:
        async with ends(gate := ByHand(holds_results=True)) as (_, _, client, server):
            gate.is_armed = True
            client.send(INSERT + query("begin"))
            connection, _ = await gate.flights.get()
            connection.release()
            await server.reads(INSERT + query("begin"))
            server.send(told)
            await client.reads(told)  # it belongs to no answer, and none has begun
            server.send(done() + told + done("BEGIN"))
            await gate.answers.get()
            assert len(gate.results) == 1, "nobody is told of the second before the first is let go"
            connection.release_result()
            await client.reads(done() + told + done("BEGIN"))
            assert len(gate.results) == 2

    run(story)


def test_of_a_long_answer_the_end_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_module, "HELD_BYTES_MAX", 10_000)
    row = message("D", b"\0\1\0\0\3\xe8" + b"x" * 1000)

    async def story() -> None:
        async with ends(gate := ByHand(holds_results=True)) as (_, _, client, server):
            gate.is_armed = True
            client.send(query("select s from t"))
            connection, _ = await gate.flights.get()
            connection.release()
            await server.reads(query("select s from t"))
            for _ in range(50):
                server.send(row)
                await asyncio.sleep(0)
            server.send(done("SELECT 50"))
            await gate.answers.get()
            await client.reads(row)
            connection.release_result()
            await client.reads(row * 49 + done("SELECT 50"))

    run(story)


@pytest.mark.parametrize("gate", [Hearing, ByHand], ids=["open", "by hand"])
def test_what_the_server_never_answers_gets_its_result(gate: type[Hearing]) -> None:
    """A lone Flush; a CopyDone outside of a COPY, which is held though the server ignores it."""
    silent = FLUSH + message("c") + FLUSH

    async def story() -> None:
        async with ends(hearing := gate()) as (_, _, client, server):
            client.send(silent)
            await server.reads(silent)
            await until(lambda: len(hearing.results) == 3, "each has a result")
            client.send(INSERT)
            await server.reads(INSERT)

    run(story)


def test_many_that_are_never_answered_are_no_recursion() -> None:
    many = message("c") * 20_000

    async def story() -> None:
        async with ends(gate := Hearing()) as (at, _, client, server):
            client.send(many)
            await server.reads(many)
            await until(lambda: len(gate.results) == 20_000, "each has a result")
            assert at.proxy.refused == 0

    run(story)


def test_a_result_of_a_flight_that_is_held() -> None:
    """The server says its last words before it has got what is held."""

    async def story() -> None:
        async with ends(gate := ByHand()) as (at, _, client, server):
            gate.is_armed = True
            client.send(INSERT)
            connection, _ = await gate.flights.get()
            server.send(failed("57P01", "FATAL"))
            await client.reads(failed("57P01", "FATAL"))
            assert gate.results == []
            connection.release()
            await server.reads(INSERT)
            await until(lambda: gate.results, "the flight is over")
            assert gate.results[0].sqlstate == "57P01"
            assert not at.proxy.refused

    run(story)


def test_a_client_that_pipelines_for_ever_is_not_read_on() -> None:
    async def story() -> None:
        async with ends(gate := ByHand()) as (_, _, client, server):
            gate.is_armed = True
            client.writer.transport.set_write_buffer_limits(high=0)
            pieces = iter(range(4000))

            async def pipeline() -> None:
                for _ in pieces:
                    client.send(query(f"insert into t values ('{'x' * 10_000}')"))
                    await client.writer.drain()

            sending = asyncio.create_task(pipeline())
            connection, _ = await gate.flights.get()
            await until(lambda: "too much" in str(connection.client._pauses), "the client is not read")
            assert connection._waiting_bytes < WAITING_BYTES_MAX + 600_000
            assert next(pieces) < 3000, "what it sends is in its own hands"
            sending.cancel()
            gate.is_armed = False
            connection.release()
            client.close()
            while await server.reader.read(1 << 16):
                server.send(done())

    run(story)


def test_small_flights_for_ever_are_bounded_too() -> None:
    async def story() -> None:
        async with ends() as (at, _, client, server):
            (connection,) = at.proxy.connections
            assert isinstance(connection, ControlledConnection)
            client.send(SYNC * 200_000)
            await until(lambda: connection.client._pauses, "the client is not read")
            assert UNANSWERED_MAX < connection.session.under_way < 3 * UNANSWERED_MAX
            arrived = answered = 0
            while answered < 200_000:
                arrived += len(await server.reader.read(1 << 16))
                here = arrived // len(SYNC) - answered
                server.send(READY * here)
                answered += here
                await client.reads(READY * here)

    run(story)


def test_after_an_error_it_is_read_up_to_its_sync() -> None:
    """All Flushes up to a Sync are skipped: whoever waits for an answer to one waits for ever."""
    step = message("P", b"\0select 1\0\0\0") + FLUSH

    async def story() -> None:
        async with ends() as (at, _, client, server):
            client.send(step)
            await server.reads(step)
            server.send(failed())
            await client.reads(failed())
            many = step * (UNANSWERED_MAX + 5000) + SYNC
            client.send(many)
            await server.reads(many)
            server.send(READY)
            await client.reads(READY)
            (connection,) = at.proxy.connections
            assert isinstance(connection, ControlledConnection)
            assert connection.session.under_way == 0

    run(story)


@pytest.mark.parametrize("mode", ["forwarding", "open"])
def test_who_does_not_read_stops_the_other_side(mode: str) -> None:
    row = message("D", b"\0\1\0\0\x27\x10" + b"x" * 10_000)

    async def story() -> None:
        async with ends(mode=mode) as (_, _, client, server):
            client.send(query("select s from t"))
            await server.reads(query("select s from t"))
            sent = 0
            while True:
                server.send(row * 10)
                sent += 10
                try:
                    await asyncio.wait_for(server.writer.drain(), 0.3)
                except TimeoutError:
                    break
                assert sent < 10_000, "a hundred megabytes are on their way to nobody"
            server.send(done())
            await client.reads(row * sent + done())

    run(story)


@pytest.mark.parametrize("mode", ["forwarding", "open"])
def test_bytes_arrive_as_they_were_sent(mode: str) -> None:
    """In pieces of any size, in both directions at once."""

    async def story() -> None:
        rng = random.Random(7)
        asked = b"".join(query(f"select {n} -- {'x' * rng.randrange(3000)}") for n in range(300)) + TERMINATE
        told = b"".join(message("D", b"\0\1\0\0\0\3abc") * rng.randrange(40) + done() for _ in range(300))
        async with ends(mode=mode) as (_, _, client, server):
            await asyncio.gather(
                sent_in_pieces(client, asked, rng),
                sent_in_pieces(server, told, rng),
                server.reads(asked),
                client.reads(told),
            )

    run(story)


async def sent_in_pieces(peer: Peer, data: bytes, rng: random.Random) -> None:
    at = 0
    while at < len(data):
        size = rng.choice((1, 3, 5, 100, 4000, 70_000))
        peer.send(data[at : at + size])
        at += size
        await asyncio.sleep(0)


@pytest.mark.parametrize("mode", ["forwarding", "open"])
def test_a_cancel_request_arrives_though_its_client_has_gone(mode: str) -> None:
    cancel = bytes.fromhex("00000010 04d2162e 00001267") + b"key!"

    async def story() -> None:
        async with fake_server() as fake, stage(fake, mode) as at:
            client = await connected(at.proxy.port)
            client.send(cancel)
            client.close()
            server = await fake.accepted.get()
            assert await server.rest() == cancel

    run(story)


@pytest.mark.parametrize("mode", ["forwarding", "open"])
def test_what_comes_before_the_server_is_reached_is_kept(mode: str) -> None:
    async def story() -> None:
        async with fake_server() as fake, stage(fake, mode) as at:
            client = await connected(at.proxy.port)
            client.send(STARTUP + query("begin"))
            server = await fake.accepted.get()
            await server.reads(STARTUP + query("begin"))
            server.send(GREETING)
            await client.reads(GREETING)
            client.close()

    run(story)


@pytest.mark.parametrize("mode", ["forwarding", "open"])
def test_a_server_that_is_not_there_is_named(mode: str) -> None:
    async def story() -> None:
        async with fake_server() as gone:
            pass
        async with stage(gone, mode) as at:
            client = await connected(at.proxy.port)
            client.send(STARTUP)
            assert b"08001\0MDeadheat's proxy does not reach the Postgres server" in await client.rest()
            client.close()

    run(story)


@pytest.mark.parametrize("mode", ["forwarding", "open"])
def test_who_says_nothing_is_not_waited_for(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_module, "ARRIVAL_SECONDS", 0.05)

    async def story() -> None:
        async with fake_server() as fake, stage(fake, mode) as at:
            silent, drips = await connected(at.proxy.port), await connected(at.proxy.port)
            if mode == "open":
                drips.send(STARTUP[:5])
            assert b"No start-up packet" in await silent.rest()
            assert b"No start-up packet" in await drips.rest()
            silent.close()
            drips.close()
            assert fake.accepted.empty()

    run(story)


def test_who_is_refused_and_stays_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_module, "LINGER_SECONDS", 0.05)

    async def story() -> None:
        async with ends() as (at, _, client, server):
            client.send(message("?"))
            assert b"08P01" in await client.rest()
            assert await server.rest() == b""
            await until(lambda: not at.proxy.sides, "its socket is closed, though it did not close its own")

    run(story)


@pytest.mark.parametrize("state", STATES)
def test_the_end_of_the_proxy_is_the_end_of_all(state: str) -> None:
    async def story() -> None:
        async with fake_server() as fake:
            gate = ByHand()
            proxy = proxy_module.PostgresProxy(fake.address(), gate)
            async with proxy:
                client, server = await started(proxy.port, fake)
                await brought(state, Stage(fake, proxy, gate), client, server)
            assert not proxy.sides
            assert len(gate.ended) == 1
            assert await client.rest() == b""
            assert await server.rest() == b""
            client.close()

    run(story)
