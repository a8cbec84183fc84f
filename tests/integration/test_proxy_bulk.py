"""A hundred megabytes in and fifty out, through a proxy in a process of its own that stays small."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from proxy_stage import DATABASE, MODES, a_server, stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from deadheat.engine.postgres.server import PostgresServer

pytestmark = pytest.mark.slow

GROWTH_MAX = 48 << 20
PROXY = """
import asyncio, resource, sys
sys.path.insert(0, sys.argv[1])
from proxy_stage import stage

class Server:
    def address(self):
        return "127.0.0.1", int(sys.argv[2])

def rss():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

async def main():
    async with stage(Server(), sys.argv[3]) as at:
        print(at.proxy.port, rss(), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        print(rss(), flush=True)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with a_server() as server:
        yield server


@contextmanager
def a_small_proxy(server: PostgresServer, mode: str) -> Iterator[str]:
    """Give a URL through a proxy, which may not have grown by much in the end."""
    address: Any = server.address()
    argv = [sys.executable, "-c", PROXY, str(Path(__file__).parent), str(address[1]), mode]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port, before = map(int, process.stdout.readline().split())
            yield server.dsn_through(port, DATABASE)
            process.stdin.close()
            grown = int(process.stdout.readline()) - before
            assert grown < GROWTH_MAX, f"it grew by {grown >> 20} MiB"
            assert process.wait(20) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("mode", MODES)
def test_a_copy_of_a_hundred_megabytes(server: PostgresServer, mode: str) -> None:
    rows = (b"x" * 1000 + b"\n") * 1000
    with a_small_proxy(server, mode) as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create temporary table t (s text)")
        with connection.cursor() as cursor, cursor.copy("copy t from stdin") as copy:
            for _ in range(100):
                copy.write(rows)
        assert connection.execute("select count(*) from t").fetchone() == (100_000,)


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_of_fifty_megabytes(server: PostgresServer, mode: str) -> None:
    """Where its end is held, no more than `HELD_BYTES_MAX` of it are kept."""
    with a_small_proxy(server, mode) as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        with connection.cursor() as cursor:
            cursor.execute("select repeat('x', 1000) from generate_series(1, 50000)")
            assert sum(len(row[0]) for row in cursor) == 50_000_000
        with connection.cursor() as cursor:  # one value, longer than what is read whole
            value = cursor.execute("select repeat('y', 50000000)").fetchone()
            assert value is not None
            assert len(value[0]) == 50_000_000


def test_a_statement_of_eighty_megabytes_goes_by_unheld(server: PostgresServer) -> None:
    """More than a flight may have; the ones around it are held as ever."""

    async def story() -> None:
        async with stage(server, "later") as at:
            async with await psycopg.AsyncConnection.connect(at.dsn, autocommit=True) as connection:
                await connection.execute("create temporary table t (s text)")
                await connection.execute("insert into t values (%s)", ("x" * 80_000_000,))
                cursor = await connection.execute("select sum(length(s)) from t")
                assert await cursor.fetchone() == (80_000_000,)
            said = [flight.label for flight in at.gate.sent]
            assert said[0].startswith("create")
            assert said[-1] == "select t"

    asyncio.run(story())
