"""Servers that demand TLS, behind the proxy: plain clients are ordered there, and TLS on both sides refused.

A front before our own server shows it everywhere; this machine's Postgres, where it has one, that a real
server's offer of channel binding is dealt with.
"""

from __future__ import annotations

import asyncio
import shutil
import ssl
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import pytest
import trustme
import uvloop
from proxy_stage import DATABASE, ByHand, Later, Stage, a_server, stage, until
from tls_servers import demanding, real_server, system_postgres, tls_front
from wire_peers import STARTUP, connected, fake_server

from deadheat.engine.postgres import Dsn, open_postgres
from deadheat.engine.postgres.server import PostgresServer
from deadheat.engine.postgres.tls import own_context
from deadheat.errors import PostgresUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from tls_servers import Front

pytestmark = pytest.mark.slow
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with a_server() as server:
        yield server


@asynccontextmanager
async def fronted(
    server: PostgresServer, sslmode: str = "require", gate: Any = None, **more: str
) -> AsyncIterator[tuple[Stage, Front]]:
    """Put a front before a server and a proxy before that."""
    async with asyncio.timeout(60), tls_front(server) as front:
        dsn = demanding(server.dsn_for(DATABASE), front.port, sslmode, **more)
        behind = PostgresServer(dsn, version="18.4", provisioned=False)
        async with stage(behind, "", gate or Later(), tls=own_context(), demand=dsn.demand()) as at:
            yield at, front


def run(story: Callable[[], Awaitable[None]], loop: str = "asyncio") -> None:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(story())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_plain_client_is_held_before_it(server: PostgresServer, loop: str) -> None:
    async def story() -> None:
        async with fronted(server, gate=ByHand(holds_results=True)) as (at, front):
            connection = await asyncpg.connect(at.dsn, ssl="disable")
            await connection.execute("create temporary table t (n int)")
            at.gate.is_armed = True
            asked = asyncio.create_task(connection.execute("insert into t values (1)"))
            held, flight = await at.gate.flights.get()
            assert flight.label == "insert t"
            held.release()
            await at.gate.answers.get()
            held.release_result()
            assert await asked == "INSERT 0 1"
            at.gate.is_armed = False
            text = await connection.fetchval("select repeat('x', 3000000) || $1", "y" * 2_000_000)
            assert len(text) == 5_000_000
            await connection.close()
            assert front.begun == ["tls"]

    run(story, loop)


def test_drivers_that_prefer_tls_go_on_without(server: PostgresServer) -> None:
    """They are refused within TLS, and try again as libpq and asyncpg do."""

    def work(dsn: str) -> None:
        with closing(psycopg.connect(dsn)) as connection:
            assert not connection.pgconn.ssl_in_use
            assert connection.execute("select 1").fetchone() == (1,)

    async def story() -> None:
        async with fronted(server) as (at, _):
            await asyncio.to_thread(work, at.dsn)
            connection = await asyncpg.connect(at.dsn)
            assert await connection.fetchval("select 1") == 1
            await connection.close()

    run(story)


def test_tls_on_both_sides_is_refused_with_the_reason(server: PostgresServer) -> None:
    async def story() -> None:
        async with fronted(server) as (at, front):
            with pytest.raises(psycopg.OperationalError, match=r"channel binding .* Set sslmode=disable"):
                await asyncio.to_thread(psycopg.connect, f"{at.dsn}?sslmode=require")
            with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="sslmode=disable"):
                await asyncpg.connect(at.dsn, ssl="require")
            assert front.begun == []

    run(story)


def test_a_query_is_cancelled_behind_tls(server: PostgresServer) -> None:
    async def story() -> None:
        async with fronted(server) as (at, front):
            connection = await asyncpg.connect(at.dsn, ssl="disable")
            with pytest.raises(TimeoutError):
                await connection.fetchval("select pg_sleep(60)", timeout=0.05)
            assert await connection.fetchval("select 1") == 1
            await connection.close()
            assert front.begun == ["tls", "tls"]

    run(story)


@pytest.mark.parametrize(
    ("sslmode", "host", "says"),
    [
        ("verify-ca", "localhost", None),
        ("verify-full", "localhost", None),
        ("verify-ca", "127.0.0.1", None),
        ("verify-full", "127.0.0.1", "IP address mismatch"),
    ],
)
def test_the_certificate_is_verified_as_the_dsn_asks(
    server: PostgresServer, sslmode: str, host: str, says: str | None, tmp_path: Path
) -> None:
    async def story() -> None:
        async with asyncio.timeout(60), tls_front(server) as front:
            front.ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
            url = demanding(
                server.dsn_for(DATABASE), front.port, sslmode, sslrootcert=str(tmp_path / "ca.pem")
            ).url(DATABASE)
            dsn = Dsn.parse(url.replace("localhost", host))
            behind = PostgresServer(dsn, version="18.4", provisioned=False)
            async with stage(behind, demand=dsn.demand()) as at:
                if says is None:
                    await _selects(at.dsn)
                    own = await dsn.connect()
                    assert await own.fetchval("select 1") == 1
                    await own.close()
                else:
                    with pytest.raises(asyncpg.PostgresError, match=f"does not reach .*{says}"):
                        await _selects(at.dsn)
                    with pytest.raises(PostgresUnavailable, match=says):
                        await dsn.connect()

    run(story)


async def _selects(dsn: str) -> None:
    connection = await asyncpg.connect(dsn, ssl="disable")
    assert await connection.fetchval("select 1") == 1
    await connection.close()


def test_a_certificate_of_another_authority_is_not_taken(server: PostgresServer, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))

    async def story() -> None:
        async with fronted(server, "verify-ca", sslrootcert=str(tmp_path / "other.pem")) as (at, front):
            with pytest.raises(asyncpg.PostgresError, match=r"does not reach .*certificate verify failed"):
                await _selects(at.dsn)
            await until(lambda: front.begun == ["nothing"], "the front hears of it")

    run(story)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"N", "it has no TLS, which its DSN demands"),
        (b"S" + bytes(40), "neither S nor N"),  # bytes behind it, CVE-2021-23222 the other way round
        (b"E\0\0\0\x08no\0\0", "neither S nor N"),
        (b"", "closed the connection when asked for TLS"),
    ],
)
@pytest.mark.parametrize("loop", LOOPS)
def test_a_server_that_has_none_is_not_spoken_to(answer: bytes, says: str, loop: str) -> None:
    demand = Dsn.parse("postgresql://a@localhost/a?sslmode=require").demand()

    async def story() -> None:
        async with asyncio.timeout(20), fake_server() as fake, stage(fake, demand=demand) as at:
            client = await connected(at.proxy.port)
            client.send(STARTUP)
            behind = await fake.accepted.get()
            await behind.reads(bytes.fromhex("0000000804d2162f"))
            behind.send(answer)
            if not answer:
                behind.close()
            assert says.encode() in await client.rest()
            assert await behind.rest() == b"", "not a word of the session"
            client.close()

    run(story, loop)


def test_a_server_elsewhere_gets_what_it_has(server: PostgresServer) -> None:
    """Without an sslmode: TLS where there is some, else plain."""
    demand = Dsn.parse("postgresql://a@db.example/a", allow_hosts=["db.example"]).demand()

    async def story() -> None:
        async with asyncio.timeout(20), stage(server, demand=demand) as at:
            await _selects(at.dsn)  # ours has none
        async with asyncio.timeout(20), tls_front(server) as front:
            dsn = demanding(server.dsn_for(DATABASE), front.port, "require")
            behind = PostgresServer(dsn, version="18.4", provisioned=False)
            async with stage(behind, demand=demand) as at:
                await _selects(at.dsn)
            assert front.begun == ["tls"]

    run(story)


@pytest.mark.skipif(system_postgres() is None, reason="no Postgres with TLS here: ours is built without")
@pytest.mark.parametrize("loop", LOOPS)
def test_a_real_server_that_offers_channel_binding(loop: str, tmp_path: Path) -> None:
    folder = system_postgres()
    assert folder is not None
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def work(dsn: str) -> None:
        with closing(psycopg.connect(dsn, autocommit=True)) as connection:
            assert not connection.pgconn.ssl_in_use
            asked = "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"
            assert connection.execute(asked).fetchone() == (True, "TLSv1.3")
            connection.execute("create temporary table t (n int)")
            with connection.cursor() as cursor, cursor.copy("copy t from stdin") as copy:
                for n in range(20_000):
                    copy.write_row((n,))
            assert connection.execute("select count(*) from t").fetchone() == (20_000,)

    async def story() -> None:
        async with asyncio.timeout(60), real_server(folder, ca) as real:
            plain = Dsn.parse(real.dsn_for("postgres")).address()
            direct = psycopg.connect(real.dsn_for("postgres") + "&channel_binding=require")
            direct.close()  # it does offer it
            where = demanding(
                real.dsn_for("postgres"),
                plain[1],
                "verify-full",
                sslrootcert=str(tmp_path / "ca.pem"),
            )
            async with open_postgres(where.url("postgres")) as found:
                await found.create_database(DATABASE)
                async with stage(found, "", Later(), tls=own_context(), demand=found.demand()) as at:
                    await asyncio.to_thread(work, f"{at.dsn}?sslmode=disable")
                    await asyncio.to_thread(work, at.dsn)  # refused within TLS, it goes on without
                    connection = await asyncpg.connect(at.dsn, ssl="disable")
                    assert await connection.fetchval("select $1::int", 7) == 7
                    await connection.close()
                    with pytest.raises(psycopg.OperationalError, match="channel binding required, but SSL"):
                        await asyncio.to_thread(
                            psycopg.connect, f"{at.dsn}?sslmode=disable&channel_binding=require"
                        )
                    if shutil.which("pgbench"):
                        await _pgbench(f"{at.dsn}?sslmode=disable")

    run(story, loop)


async def _pgbench(dsn: str) -> None:
    for arguments in (("-i", "-q"), ("-c", "2", "-T", "1")):
        process = await asyncio.create_subprocess_exec(
            "pgbench", *arguments, dsn, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
    assert b"number of failed transactions: 0" in said


def test_a_server_begun_with_directly(server: PostgresServer) -> None:
    """PostgreSQL 17's sslnegotiation=direct, before a TLS socket that knows no SSLRequest."""

    async def story() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["postgresql"])
        trustme.CA().issue_cert("localhost").configure_cert(context)
        first: list[bytes] = []

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            first.append(await reader.readexactly(len(STARTUP)))
            writer.close()

        listening = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
        port = listening.sockets[0].getsockname()[1]
        dsn = demanding(server.dsn_for(DATABASE), port, "require", sslnegotiation="direct")
        behind = PostgresServer(dsn, version="17", provisioned=False)
        async with asyncio.timeout(20), stage(behind, demand=dsn.demand()) as at:
            client = await connected(at.proxy.port)
            client.send(STARTUP)
            assert await client.rest() == b""
            client.close()
        assert first == [STARTUP]
        listening.close()

    run(story)
