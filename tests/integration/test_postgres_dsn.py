"""A server that a DSN names: what is made there, what is dropped, and what is said when it cannot be."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deadheat.engine.postgres import Dsn, open_postgres
from deadheat.errors import PostgresUnavailable, Refused

if TYPE_CHECKING:
    from deadheat.engine.postgres import PostgresServer

PASSWORD = "p@ss/w:rd? ö"


def named(server: PostgresServer, role: str = "ada", password: str | None = PASSWORD) -> str:
    """Give a DSN of a server of ours as somebody would write it."""
    ours = Dsn.parse(server.dsn_for("postgres"))
    return Dsn(user=role, password=password, host=ours.host, port=ours.port).url("postgres")


async def execute(server: PostgresServer, *statements: str) -> None:
    connection = await server.connect("postgres")
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def databases(server: PostgresServer) -> set[str]:
    connection = await server.connect("postgres")
    rows = await connection.fetch("select datname from pg_database where datname like 'deadheat%'")
    await connection.close()
    return {row["datname"] for row in rows}


async def opened(dsn: str, **options: Any) -> None:
    async with open_postgres(dsn, **options):
        raise AssertionError("there cannot be a server")


def test_databases_are_made_and_dropped_and_nobody_elses_touched() -> None:
    notices: list[str] = []

    async def run() -> None:
        async with open_postgres("embedded") as owner:
            await execute(owner, f"create role ada login createdb password '{PASSWORD}'")
            await owner.create_database("deadheat_of_another_run")
            async with open_postgres(named(owner), notice=notices.append) as server:
                assert not server.provisioned
                assert server.describe == f"18.4 at 127.0.0.1:{Dsn.parse(named(owner)).port}"
                await server.create_database("deadheat_a")
                await server.create_database("deadheat_b", template="deadheat_a")
                await server.drop_database("deadheat_a")
                with pytest.raises(ValueError, match="is called deadheat_"):
                    await server.create_database("shop")
                with pytest.raises(ValueError, match="not a database that we made"):
                    await server.drop_database("deadheat_of_another_run")
                held = await asyncpg.connect(server.dsn_for("deadheat_b"), ssl=False)
                assert await held.fetchval("select current_user") == "ada"
            assert await databases(owner) == {"deadheat_of_another_run"}
            await held.close()

    asyncio.run(run())
    assert len(notices) == 1
    assert "deadheat_of_another_run" in notices[0]


@pytest.mark.slow
def test_they_are_dropped_after_an_exception_and_what_cannot_be_is_named() -> None:
    notices: list[str] = []

    async def fail_midway(owner: PostgresServer) -> None:
        async with open_postgres(named(owner), notice=notices.append) as server:
            await server.create_database("deadheat_a")
            await server.create_database("deadheat_b")
            await execute(owner, "alter database deadheat_a owner to postgres")
            raise LookupError

    async def run() -> None:
        async with open_postgres("embedded") as owner:
            await execute(owner, f"create role ada login createdb password '{PASSWORD}'")
            with pytest.raises(LookupError):
                await fail_midway(owner)
            assert await databases(owner) == {"deadheat_a"}

    asyncio.run(run())
    assert ["deadheat_a" in notice and "left behind" in notice for notice in notices] == [True]


@pytest.mark.slow
def test_what_is_wrong_with_a_server_is_said_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)

    async def said(dsn: str) -> str:
        with pytest.raises(PostgresUnavailable) as caught:
            await opened(dsn)
        text = str(caught.value)
        assert PASSWORD not in text
        assert "p%40ss" not in text
        assert "\n" not in text
        return text

    async def run() -> None:
        async with open_postgres("embedded") as owner:
            await execute(
                owner,
                f"create role ada login password '{PASSWORD}'",
                f"create role eve login createdb password '{PASSWORD}'",
            )
            text = await said(named(owner))
            assert "the role 'ada' may not create databases at 127.0.0.1:" in text
            assert "createdb" in text
            text = await said(named(owner, password="guess"))
            assert "does not let 'ada' in (password authentication failed" in text
            text = await said(named(owner, password=None))
            assert "the DSN has no password, and PGPASSWORD and .pgpass are not read" in text
            assert "does not let 'bob' in" in await said(named(owner, "bob"))
            text = await said(named(owner, "eve").replace("/postgres", "/shop"))
            assert "there is no database 'shop' at 127.0.0.1:" in text
            await execute(owner, "alter role eve connection limit 0")
            assert "too many connections" in await said(named(owner, "eve"))

    asyncio.run(run())


def test_a_server_that_is_not_there_is_said_to_be_not_there() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        with pytest.raises(PostgresUnavailable) as caught:
            asyncio.run(opened(f"postgresql://ada:secret@127.0.0.1:{port}/shop"))
    text = str(caught.value)
    assert text.startswith(f"no Postgres answers at 127.0.0.1:{port} (")
    assert "Start it, correct --postgres (DEADHEAT_POSTGRES), or use --postgres embedded" in text
    assert "secret" not in text


def test_something_else_on_the_port_is_not_taken_for_postgres() -> None:
    async def run() -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(8)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        web = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with web:
            port = web.sockets[0].getsockname()[1]
            with pytest.raises(PostgresUnavailable) as caught:
                await opened(f"postgresql://ada:secret@127.0.0.1:{port}/shop")
            return str(caught.value)

    assert "Postgres" in asyncio.run(run())


@pytest.mark.parametrize(
    "dsn", ["postgresql://ada:secret@db.example/shop", "postgres:///shop?host=10.0.0.1&password=secret"]
)
def test_a_server_elsewhere_is_refused_until_it_is_allowed(dsn: str) -> None:
    with pytest.raises(Refused) as caught:
        asyncio.run(opened(dsn))
    assert "secret" not in str(caught.value)
    assert "allow-hosts" in str(caught.value)
    assert Dsn.parse(dsn, allow_hosts=["db.example", "10.0.0.1"]).database == "shop"


def test_a_variable_does_not_make_a_server_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a host in it the DSN means this machine, whatever PGHOST says."""
    monkeypatch.setenv("PGHOST", "db.example")
    assert Dsn.parse("postgresql:///shop").host == "localhost"


@pytest.mark.parametrize(
    ("dsn", "says"),
    [
        ("postgresql://localhost,127.0.0.1/shop", "several hosts"),
        ("postgresql://localhost:port/shop", "port cannot be read"),
        ("postgresql://localhost/shop?port=x", "port cannot be read"),
        ("postgresql+asyncpg://localhost/shop", "its scheme is 'postgresql+asyncpg'"),
    ],
)
def test_a_dsn_that_cannot_be_used_is_explained(dsn: str, says: str) -> None:
    with pytest.raises(PostgresUnavailable) as caught:
        asyncio.run(opened(dsn))
    assert says in str(caught.value)
    assert "postgresql://user:password@host:port/database" in str(caught.value)


TEXT = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20)


@given(user=TEXT, password=st.none() | TEXT, database=TEXT, port=st.integers(1, 65535))
def test_a_url_reads_back_as_what_it_was_written_from(
    user: str, password: str | None, database: str, port: int
) -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        dsn = Dsn(user=user, password=password, host=host, port=port, database=database, query="a=b%20c")
        assert Dsn.parse(dsn.url(database)) == dsn


def test_parameters_cannot_lead_a_url_to_another_place() -> None:
    """libpq lets ``dbname`` in the parameters overrule the path: then no database of ours would be used."""
    dsn = Dsn.parse(
        "postgresql://a:b@localhost:1/c?dbname=shop&user=ada&password=x&port=2&host=127.0.0.1&sslmode=disable"
    )
    assert (dsn.user, dsn.password, dsn.host, dsn.port, dsn.database) == ("ada", "x", "127.0.0.1", 2, "shop")
    assert dsn.url("deadheat_a") == "postgresql://ada:x@127.0.0.1:2/deadheat_a?sslmode=disable"


def test_a_socket_folder_and_parameters_are_kept() -> None:
    dsn = Dsn.parse("postgresql://ada@/shop?host=/run/pg&port=6543&options=-c%20a%3Db")
    assert (dsn.host, dsn.port, dsn.user, dsn.database) == ("/run/pg", 6543, "ada", "shop")
    assert Dsn.parse(dsn.url("other")) == Dsn.parse(
        "postgresql://ada@/other?host=/run/pg&port=6543&options=-c%20a%3Db"
    )


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Dsn.parse("postgresql://ada:secret@localhost/shop?password=secret"))
