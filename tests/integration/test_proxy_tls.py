"""Clients that speak TLS, before a server that does not: they are held all the same, or told why not."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import re
import shutil
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest
import uvloop
from proxy_stage import ByHand, Stage, a_server, stage, until
from wire_peers import GREETING, STARTUP, Peer, connected, fake_server, message, query

from deadheat.engine.postgres import proxy as proxy_module
from deadheat.engine.postgres.tls import ALPN, own_context

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from deadheat.engine.postgres.server import PostgresServer

pytestmark = pytest.mark.slow
MODES = ("open", "later")
HANGS_SECONDS = 150.0
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
SSL_REQUEST, GSS_REQUEST = bytes.fromhex("0000000804d2162f"), bytes.fromhex("0000000804d21630")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with a_server() as server:
        yield server


def run_to_its_end(play: Callable[[], Coroutine[Any, Any, None]], loop: str) -> None:
    """Run it; a client's thread that waits for ever ends the session, which would wait with it."""
    faulthandler.dump_traceback_later(HANGS_SECONDS, exit=True)
    try:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(play())
    finally:
        faulthandler.cancel_dump_traceback_later()


def on_tls(
    server: Any,
    story: Callable[[Stage], Awaitable[None]],
    *,
    mode: str = "later",
    gate: Any = None,
    loop: str = "asyncio",
) -> None:
    async def play() -> None:
        async with asyncio.timeout(60), stage(server, mode, gate, tls=own_context()) as at:
            await story(at)

    run_to_its_end(play, loop)


def over_tls(connection: psycopg.Connection[Any]) -> bool:
    """Whether the client's side is encrypted; the server's is not, and would say no."""
    return bool(connection.pgconn.ssl_in_use)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("mode", MODES)
def test_asyncpg(server: PostgresServer, mode: str, loop: str) -> None:
    async def story(at: Stage) -> None:
        async with asyncpg.create_pool(at.dsn, ssl="require", min_size=1, max_size=3) as pool:
            for n in range(3):
                assert await pool.fetchval("select $1::int + 1", n) == n + 1
            assert len(await pool.fetchval("select repeat('x', 3000000)")) == 3_000_000
            assert await pool.fetchval("select length($1::text)", "y" * 2_000_000) == 2_000_000
            async with pool.acquire() as connection:
                with pytest.raises(TimeoutError):
                    await connection.fetchval("select pg_sleep(60)", timeout=0.05)
                assert await connection.fetchval("select 1") == 1
            await asyncio.gather(*(pool.fetchval("select pg_sleep(0.01)") for _ in range(6)))
        assert all(connection.client.tls is not None for connection in at.gate.ended if connection.pid)
        assert "select" in {flight.label.split()[0] for flight in at.gate.sent}
        assert at.proxy.refused == 0

    on_tls(server, story, mode=mode, loop=loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", ["sslmode=require", "sslmode=require&sslnegotiation=direct"])
def test_psycopg(server: PostgresServer, mode: str, loop: str, options: str) -> None:
    def work(dsn: str) -> None:
        with closing(psycopg.connect(f"{dsn}?{options}", autocommit=True)) as connection:
            assert over_tls(connection)
            connection.execute("create temporary table t (n int)")
            with connection.cursor() as cursor, cursor.copy("copy t from stdin") as copy:
                for n in range(20_000):
                    copy.write_row((n,))
            with connection.cursor() as cursor, cursor.copy("copy t to stdout") as copy:
                assert sum(1 for _ in copy.rows()) == 20_000
            with pytest.raises(psycopg.errors.DivisionByZero):
                connection.execute("select 1 / 0")

    async def story(at: Stage) -> None:
        await asyncio.to_thread(work, at.dsn)
        assert {flight.label for flight in at.gate.sent} >= {"copy t"} or at.gate.sent

    on_tls(server, story, mode=mode, loop=loop)


def test_drivers_that_prefer_tls_get_it(server: PostgresServer) -> None:
    def work(dsn: str) -> None:
        with closing(psycopg.connect(dsn)) as connection:
            assert over_tls(connection)

    on_tls(server, lambda at: asyncio.to_thread(work, at.dsn))


@pytest.mark.parametrize("loop", LOOPS)
def test_a_flight_and_its_result_are_held(server: PostgresServer, loop: str) -> None:
    async def story(at: Stage) -> None:
        connection = await asyncpg.connect(at.dsn, ssl="require")
        await connection.execute("create temporary table t (n int)")
        at.gate.is_armed = True
        asked = asyncio.create_task(connection.execute("insert into t values (1)"))
        held, flight = await at.gate.flights.get()
        assert flight.label == "insert t"
        held.release()
        await at.gate.answers.get()
        assert not asked.done()
        held.release_result()
        assert await asked == "INSERT 0 1"
        at.gate.is_armed = False
        await connection.close()

    on_tls(server, story, gate=ByHand(holds_results=True), loop=loop)


async def _run(*argv: str, stdin: str = "", **env: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *argv,
        env={"PATH": os.environ["PATH"], **env},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate(stdin.encode())
    assert process.returncode == 0, out.decode()
    return out.decode()


@pytest.mark.skipif(not shutil.which("psql"), reason="no psql here: ours is built without TLS")
def test_psql(server: PostgresServer) -> None:
    async def story(at: Stage) -> None:
        dsn = f"{at.dsn}?sslmode=require&gssencmode=prefer"
        said = await _run(
            "psql", "-XAt", dsn, stdin="\\conninfo\nselect 1;\nselect n from generate_series(2, 3) n;\n"
        )
        assert re.search(r"SSL connection \(protocol: TLSv1.3", said), said
        assert said.split()[-3:] == ["1", "2", "3"]
        assert len(at.gate.sent) >= 2

    on_tls(server, story)


@pytest.mark.skipif(not shutil.which("pgbench"), reason="no pgbench here: ours is built without TLS")
@pytest.mark.parametrize("mode", MODES)
def test_pgbench(server: PostgresServer, mode: str) -> None:
    async def story(at: Stage) -> None:
        dsn = f"{at.dsn}?sslmode=require"
        await _run("pgbench", "-i", "-q", dsn)
        said = await _run("pgbench", "-c", "2", "-T", "1", dsn)
        done = re.search(r"transactions actually processed: (\d+)", said)
        assert done, said
        assert int(done[1]) > 10
        assert "number of failed transactions: 0" in said
        assert all(connection.client.tls is not None for connection in at.gate.ended)

    on_tls(server, story, mode=mode)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            "sslmode=require&channel_binding=require",
            "channel binding is required, but server did not offer an authentication method that supports "
            "channel binding",
        ),
        (
            "sslmode=disable&channel_binding=require",
            "channel binding required, but SSL not in use",
        ),
        ("sslmode=verify-full&sslrootcert={nowhere}", "root certificate file .* does not exist"),
        ("sslmode=verify-ca&sslrootcert={another}", "certificate verify failed"),
        ("sslmode=verify-full&sslrootcert={another}", "certificate verify failed"),
        ("sslmode=verify-full&sslrootcert=system", "certificate verify failed"),
    ],
)
def test_what_cannot_pass_is_named_by_the_client(
    server: PostgresServer, options: str, says: str, tmp_path: Any
) -> None:
    import trustme

    trustme.CA().cert_pem.write_to_path(str(tmp_path / "another.pem"))
    said = options.format(nowhere=tmp_path / "nowhere.pem", another=tmp_path / "another.pem")

    def work(dsn: str) -> None:
        with pytest.raises(psycopg.OperationalError, match=says):
            psycopg.connect(f"{dsn}?{said}")

    on_tls(server, lambda at: asyncio.to_thread(work, at.dsn))


def test_channel_binding_that_is_preferred_does_without(server: PostgresServer) -> None:
    def work(dsn: str) -> None:
        with closing(psycopg.connect(f"{dsn}?sslmode=require&channel_binding=prefer")) as connection:
            assert over_tls(connection)

    on_tls(server, lambda at: asyncio.to_thread(work, at.dsn))


def test_a_query_is_cancelled_over_tls_by_a_long_key(server: PostgresServer) -> None:
    asked = "select wait_event from pg_stat_activity where pid = %s"

    def cancel(dsn: str, sleeping: psycopg.Connection[Any]) -> None:
        with closing(psycopg.connect(dsn, autocommit=True)) as watching:
            while watching.execute(asked, (sleeping.info.backend_pid,)).fetchone() != ("PgSleep",):
                pass
        sleeping.cancel_safe(timeout=5)

    def work(dsn: str) -> None:
        options = "sslmode=require&min_protocol_version=3.2&max_protocol_version=3.2"
        with (
            closing(psycopg.connect(f"{dsn}?{options}", autocommit=True)) as sleeping,
            ThreadPoolExecutor(1) as elsewhere,
        ):
            assert sleeping.pgconn.full_protocol_version == 30002
            cancelling = elsewhere.submit(cancel, dsn, sleeping)
            with pytest.raises(psycopg.errors.QueryCanceled):
                sleeping.execute("select pg_sleep(60)")
            cancelling.result()

    on_tls(server, lambda at: asyncio.to_thread(work, at.dsn))


def test_gss_is_declined_and_tls_follows(server: PostgresServer) -> None:
    async def story(at: Stage) -> None:
        client = await connected(at.proxy.port)
        client.send(GSS_REQUEST)
        await client.reads(b"N")
        client.send(SSL_REQUEST)
        await client.reads(b"S")
        await client.writer.start_tls(_unverified())
        client.send(STARTUP)
        assert (await client.reader.readexactly(1)) == b"R", "the server asks for a password"
        client.close()

    on_tls(server, story)


def test_a_newer_protocol_is_negotiated_by_the_server(server: PostgresServer) -> None:
    """Whoever asks for 3.9 is told 3.2 by PostgreSQL 18, and which options it does not know."""
    body = (0x30009).to_bytes(4, "big") + b"user\0postgres\0_pq_.later\0on\0\0"

    async def story(at: Stage) -> None:
        client = await _secured(at)
        client.send((len(body) + 4).to_bytes(4, "big") + body)
        told = b"\x00\x03\x00\x02" + (1).to_bytes(4, "big") + b"_pq_.later\0"
        await client.reads(message("v", told))
        assert await client.reader.readexactly(1) == b"R"
        client.close()

    on_tls(server, story)


def _unverified(*, alpn: bool = True) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols([ALPN])
    return context


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("data", "begins"),
    [
        (SSL_REQUEST + STARTUP, b"E"),  # a start-up that was put behind it unencrypted
        (GSS_REQUEST + SSL_REQUEST + b"\x16\x03\x01", b"E"),
        (SSL_REQUEST + SSL_REQUEST, b"E"),
        (b"\x16\x03\x01\x00\x05hello", b"\x15"),  # no handshake: a TLS alert
    ],
)
def test_what_is_no_beginning_never_reaches_the_server(data: bytes, begins: bytes, loop: str) -> None:
    async def story(at: Stage) -> None:
        client = await connected(at.proxy.port)
        client.send(data)
        said = await client.rest()
        assert said.startswith(begins)
        assert (b"CVE-2021-23222" in said) is (begins == b"E")
        client.close()
        await until(lambda: at.gate.ended, "the connection ends")
        assert at.server.accepted.empty()

    async def play() -> None:
        async with asyncio.timeout(20), fake_server() as fake, stage(fake, tls=own_context()) as at:
            await story(at)

    run_to_its_end(play, loop)


def test_plain_bytes_after_the_answer_are_no_start_up() -> None:
    async def play() -> None:
        async with asyncio.timeout(20), fake_server() as fake, stage(fake, tls=own_context()) as at:
            client = await connected(at.proxy.port)
            client.send(SSL_REQUEST)
            await client.reads(b"S")
            client.send(STARTUP)
            assert (await client.rest())[:1] in (b"", b"\x15"), "an alert at most"
            client.close()
            await until(lambda: at.gate.ended, "the connection ends")
            assert fake.accepted.empty()

    asyncio.run(play())


def test_a_direct_handshake_without_the_protocols_name_is_dropped(server: PostgresServer) -> None:
    async def story(at: Stage) -> None:
        for alpn, answers in ((True, b"R"), (False, b"")):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", at.proxy.port, ssl=_unverified(alpn=alpn)
            )
            writer.write(STARTUP)
            try:
                assert await reader.read(1) == answers
            except ConnectionError:
                assert not alpn
            writer.close()

    on_tls(server, story)


async def _secured(at: Stage) -> Peer:
    client = await connected(at.proxy.port)
    client.send(SSL_REQUEST)
    await client.reads(b"S")
    await client.writer.start_tls(_unverified())
    return client


@pytest.mark.parametrize("loop", LOOPS)
def test_either_end_takes_the_other_with_it(loop: str) -> None:
    async def play() -> None:
        async with asyncio.timeout(20), fake_server() as fake, stage(fake, tls=own_context()) as at:
            for goes in ("client", "server", "server's last words"):
                client = await _secured(at)
                client.send(STARTUP)
                behind = await fake.started()
                await client.reads(GREETING)
                if goes == "client":
                    client.close()
                    assert await behind.rest() == b""
                else:
                    last = message("E", b"SFATAL\0VFATAL\0C57P01\0Mno\0\0") if goes != "server" else b""
                    behind.send(last)
                    behind.close()
                    assert await client.rest() == last, "and no reset, but the end that TLS has"
                    client.close()

    run_to_its_end(play, loop)


def test_what_the_client_does_wrong_it_is_told_within(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_module, "ARRIVAL_SECONDS", 0.2)

    async def play() -> None:
        async with asyncio.timeout(20), fake_server() as fake, stage(fake, tls=own_context()) as at:
            client = await _secured(at)
            client.send(query("select 1"))  # no start-up
            assert b"first packet" in await client.rest()
            client.close()
            silent = await _secured(at)
            assert b"No start-up packet" in await silent.rest()
            silent.close()
            shaking = await connected(at.proxy.port)
            shaking.send(SSL_REQUEST)
            assert await shaking.rest() == b"S", "in the middle of a handshake there is nothing to say"
            shaking.close()

    asyncio.run(play())


def test_without_a_certificate_tls_is_declined(server: PostgresServer) -> None:
    async def play() -> None:
        async with asyncio.timeout(20), stage(server) as at:
            with pytest.raises(psycopg.OperationalError, match="does not support SSL"):
                await asyncio.to_thread(psycopg.connect, f"{at.dsn}?sslmode=require")
            with pytest.raises(psycopg.OperationalError, match=r"sslnegotiation=postgres|SSL error"):
                await asyncio.to_thread(psycopg.connect, f"{at.dsn}?sslmode=require&sslnegotiation=direct")

    asyncio.run(play())
