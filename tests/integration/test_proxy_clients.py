"""Real clients through the proxy: forwarding, with a gate that is open, and with one that holds all."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import psycopg
import psycopg_pool
import pytest
from proxy_stage import DATABASE, MODES, a_server, stage
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from deadheat.engine.postgres import binaries

sys.path.insert(0, str(Path(__file__).parent.parent / "foreign"))
from foreign_stage import settings_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from deadheat.engine.postgres.server import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("mode", MODES)]
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with a_server() as server:
        yield server


def through(server: PostgresServer, mode: str, story: Callable[[str], Awaitable[None]]) -> None:
    """Play a story with a client; what it sent must have been seen by the gate, and nothing stay."""

    async def play() -> None:
        async with asyncio.timeout(60), stage(server, mode) as at:
            await story(at.dsn)
            if at.gate is not None:
                assert at.gate.sent
                assert len(at.gate.results) <= len(at.gate.sent)
            assert at.proxy.refused == 0

    asyncio.run(play())


def test_asyncpg(server: PostgresServer, mode: str) -> None:
    async def story(dsn: str) -> None:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=3) as pool:
            for n in range(3):  # each time with the pool's reset in between
                assert await pool.fetchval("select $1::int + 1", n) == n + 1
            async with pool.acquire() as connection:
                await connection.execute("create temporary table t (n int, s text)")
                await connection.executemany(
                    "insert into t values ($1, $2)", [(i, str(i)) for i in range(99)]
                )
                prepared = await connection.prepare("select s from t where n = $1")
                assert [await prepared.fetchval(n) for n in (5, 6)] == ["5", "6"]
                async with connection.transaction():
                    seen = [row["n"] async for row in connection.cursor("select n from t", prefetch=7)]
                assert seen == list(range(99))
                with pytest.raises(asyncpg.DivisionByZeroError):
                    await connection.fetchval("select 1 / $1::int", 0)
                await connection.copy_records_to_table("t", records=[(n, "x") for n in range(1000)])
                assert await connection.fetchval("select count(*) from t") == 1099
                taken: list[bytes] = []
                await connection.copy_from_query("select n from t", output=lambda data: _take(taken, data))
                assert b"".join(taken).count(b"\n") == 1099
            await asyncio.gather(*(pool.fetchval("select pg_sleep(0.01)") for _ in range(6)))

    through(server, mode, story)


async def _take(taken: list[bytes], data: bytes) -> None:
    taken.append(bytes(data))


def test_asyncpg_is_told_and_can_give_up(server: PostgresServer, mode: str) -> None:
    async def story(dsn: str) -> None:
        listening, telling = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
        told: asyncio.Queue[str] = asyncio.Queue()
        await listening.add_listener("news", lambda *what: told.put_nowait(what[3]))
        await telling.execute("select pg_notify('news', 'one'); select pg_notify('news', 'two')")
        assert [await told.get(), await told.get()] == ["one", "two"]
        with pytest.raises(TimeoutError):
            await listening.fetchval("select pg_sleep(60)", timeout=0.05)
        assert await listening.fetchval("select 1") == 1
        await listening.close()
        await telling.close()

    through(server, mode, story)


def test_psycopg(server: PostgresServer, mode: str) -> None:
    async def story(dsn: str) -> None:
        await asyncio.to_thread(_psycopg, dsn)

    through(server, mode, story)


def _psycopg(dsn: str) -> None:
    with psycopg.connect(dsn, prepare_threshold=2) as connection:
        connection.execute("create temporary table t (n int primary key)")
        with connection.pipeline(), connection.cursor() as cursor:
            cursor.executemany("insert into t values (%s)", [(n,) for n in range(200)])
            sums = [connection.execute("select sum(n) + %s from t", (n,)) for n in range(5)]
        assert [s.fetchone() for s in sums] == [(19900 + n,) for n in range(5)]
        connection.commit()
        with connection.cursor("named") as cursor:
            cursor.itersize = 30
            cursor.execute("select n from t order by n")
            assert [row[0] for row in cursor] == list(range(200))
        with connection.cursor() as cursor, cursor.copy("copy t from stdin") as copy:
            for n in range(200, 2000):
                copy.write_row((n,))
        with connection.cursor() as cursor, cursor.copy("copy t to stdout") as copy:
            assert sum(1 for _ in copy.rows()) == 2000
        connection.commit()
        with pytest.raises(psycopg.errors.UniqueViolation), connection.pipeline():
            connection.execute("insert into t values (1)")
        connection.rollback()
        with (
            pytest.raises(psycopg.errors.BadCopyFileFormat),
            connection.cursor() as cursor,
            cursor.copy("copy t (n) from stdin") as copy,
        ):
            copy.write("1\t2\t3\n")
        connection.rollback()
        with (
            pytest.raises(ZeroDivisionError),
            connection.cursor() as cursor,
            cursor.copy("copy t from stdin"),
        ):
            raise ZeroDivisionError  # a CopyFail
        connection.rollback()
        connection.execute("listen news")
        connection.commit()
        connection.execute("select pg_notify('news', 'x')")
        connection.commit()
        assert [told.payload for told in connection.notifies(timeout=5, stop_after=1)] == ["x"]


def test_psycopg_async(server: PostgresServer, mode: str) -> None:
    async def story(dsn: str) -> None:
        async with psycopg_pool.AsyncConnectionPool(dsn, min_size=1, max_size=2, open=False) as pool:
            for _ in range(3):
                async with pool.connection() as connection:
                    cursor = await connection.execute("select 1")
                    assert await cursor.fetchone() == (1,)
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            sleeping = asyncio.create_task(connection.execute("select pg_sleep(60)"))
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as watching:
                await _sleeps(watching, connection.info.backend_pid)
            await connection.cancel_safe(timeout=5)
            with pytest.raises(psycopg.errors.QueryCanceled):
                await sleeping

    through(server, mode, story)


async def _sleeps(watching: psycopg.AsyncConnection[Any], pid: int) -> None:
    while True:
        cursor = await watching.execute("select wait_event from pg_stat_activity where pid = %s", (pid,))
        if await cursor.fetchone() == ("PgSleep",):
            return


def test_sqlalchemy(server: PostgresServer, mode: str) -> None:
    async def story(dsn: str) -> None:
        engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://"))
        async with engine.begin() as connection:
            await connection.execute(text("create temporary table t (n int)"))
            await connection.execute(text("insert into t values (:n)"), [{"n": n} for n in range(50)])
            assert (await connection.execute(text("select sum(n) from t"))).scalar() == 1225
        await engine.dispose()

    through(server, mode, story)


def test_psql(server: PostgresServer, mode: str) -> None:
    psql = binaries._package() / binaries.INSTALL / "bin" / "psql"

    async def story(dsn: str) -> None:
        script = (
            "create temp table t (n int);\n\\copy t from stdin\n1\n2\n\\.\nselect sum(n) from t;select 1;\n"
        )
        assert (await _run([str(psql), "-XAt", dsn], script)).split() == [
            "CREATE",
            "TABLE",
            "COPY",
            "2",
            "3",
            "1",
        ]
        multiple = await _run([str(psql), "-XAt", dsn, "-c", "select 1; select 2"])
        assert multiple.split() == ["1", "2"]

    through(server, mode, story)


def test_node_pg(server: PostgresServer, mode: str) -> None:
    folder = settings_of("node_pg").parent

    async def story(dsn: str) -> None:
        said = await _run(["node", str(HERE / "proxy_client.mjs"), str(folder / "node_modules"), dsn])
        assert json.loads(said) == {
            "sum": "55",
            "error": "22012",
            "told": "hello",
            "many": 3,
            "named": [1, 2],
        }

    through(server, mode, story)


async def _run(argv: list[str], stdin: str = "") -> str:
    process = await asyncio.create_subprocess_exec(
        *argv,
        env={"PATH": os.environ["PATH"]},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(stdin.encode())
    assert process.returncode == 0, err.decode()
    return out.decode()


def test_encryption_is_declined(server: PostgresServer, mode: str) -> None:
    async def story(dsn: str) -> None:
        for options in ("sslmode=prefer", "sslmode=prefer&gssencmode=prefer", "sslmode=allow"):
            await asyncio.to_thread(_select, f"{dsn}?{options}")
        with pytest.raises(psycopg.OperationalError, match="does not support SSL"):
            await asyncio.to_thread(_select, f"{dsn}?sslmode=require")
        with pytest.raises(ConnectionError, match="rejected SSL upgrade"):
            await asyncpg.connect(dsn, ssl="require")

    through(server, mode, story)


def test_the_newer_protocol_is_spoken(server: PostgresServer, mode: str) -> None:
    """3.2, with its longer keys to cancel by."""

    async def story(dsn: str) -> None:
        await asyncio.to_thread(_newer, f"{dsn}?min_protocol_version=3.2&max_protocol_version=3.2")

    through(server, mode, story)


def _newer(dsn: str) -> None:
    with closing(psycopg.connect(dsn, autocommit=True)) as connection:
        assert connection.pgconn.full_protocol_version == 30002
        connection.execute("select 1")
        connection.cancel_safe(timeout=5)


def _select(dsn: str) -> None:
    with closing(psycopg.connect(dsn)) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_what_the_server_refuses_it_refuses_itself(server: PostgresServer, mode: str) -> None:
    async def story(dsn: str) -> None:
        await asyncio.to_thread(_select, dsn)
        password = dsn.split("@")[0].rpartition(":")[2]
        with pytest.raises(asyncpg.InvalidPasswordError, match="password authentication failed"):
            await asyncpg.connect(dsn.replace(password, "guess"))
        with pytest.raises(asyncpg.InvalidCatalogNameError, match='"nowhere" does not exist'):
            await asyncpg.connect(dsn.replace(DATABASE, "nowhere"))

    through(server, mode, story)
