"""A Postgres server that answers: databases on it, and connections to them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import asyncpg

from deadheat.errors import PostgresUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.engine.postgres.dsn import Dsn
    from deadheat.engine.postgres.tls import Demand

PREFIX = "deadheat_"
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class PostgresServer:
    """A server to create databases on.

    ``describe`` says for people which one ("18.4 embedded", "17.2 docker", "16.2 at 127.0.0.1:5432");
    ``provisioned`` that it is ours alone, and ``origin`` how we came by it. On a server that is not
    ours, every database that we make is called ``deadheat_…`` and no other is ever dropped.
    """

    def __init__(self, dsn: Dsn, *, version: str, provisioned: bool, origin: str = "embedded") -> None:
        self.version = version
        self.provisioned = provisioned
        self.describe = f"{version} {origin}" if provisioned else f"{version} at {dsn.where}"
        self._dsn = dsn
        self._made: dict[str, None] = {}

    def dsn_for(self, database: str) -> str:
        """Give the URL of a database here: ``postgresql://user:password@host:port/database``."""
        return self._dsn.url(database)

    def address(self) -> tuple[str, int] | str:
        """Give where the server is reached: host and port, or a socket's path."""
        return self._dsn.address()

    def demand(self) -> Demand | None:
        """Say how it is reached by TLS, if it is."""
        return self._dsn.demand()

    def dsn_through(self, port: int, database: str) -> str:
        """Give the URL of a database here through a proxy that listens on a loopback port."""
        return self._dsn.through(port).url(database)

    async def connect(self, database: str) -> Any:
        """Open an asyncpg connection that no PG… variable bends; PostgresUnavailable if there is none."""
        return await self._dsn.connect(database)

    async def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database, as a copy of ``template`` where one is named.

        Nobody may be connected to a template. ValueError for a name that is not plain lower case
        (on a server that is not ours: ``deadheat_…``); PostgresUnavailable when the server objects.
        """
        self._check(name)
        copy = f" template {_quoted(template)}" if template else ""
        await self._execute(f"create database {_quoted(name)}{copy}", f"create the database {name}")
        self._made[name] = None

    async def drop_database(self, name: str) -> None:
        """Drop a database that `create_database` made, whoever is connected to it."""
        if name not in self._made:
            raise ValueError(f"{name!r} is not a database that we made here")
        await self._execute(f"drop database if exists {_quoted(name)} with (force)", f"drop {name}")
        del self._made[name]

    async def drop_made(self, notice: Callable[[str], None]) -> None:
        """Drop what is left of the databases that we made; what cannot be dropped is named."""
        for name in tuple(self._made):
            try:
                await self.drop_database(name)
            except PostgresUnavailable as error:
                notice(f"{error} The database {name} is left behind.")

    async def _execute(self, statement: str, purpose: str) -> None:
        connection = await self._dsn.connect()
        try:
            await connection.execute(statement)
        except asyncpg.PostgresError as error:
            raise PostgresUnavailable(f"cannot {purpose} at {self._dsn.where}: {error}.") from None
        finally:
            await connection.close()

    def _check(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a plain database name: {name!r}")
        if not self.provisioned and not name.startswith(PREFIX):
            raise ValueError(f"on a server that is not ours a database is called {PREFIX}…, not {name!r}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
