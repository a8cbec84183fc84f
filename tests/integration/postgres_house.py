"""A real server for the tests of a file: one loop, one database, and sessions as they are asked for."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from deadheat.engine.postgres import open_postgres

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from deadheat.engine.postgres import PostgresServer

DATABASE = "deadheat_house"
WAITS = "select count(*) from pg_locks where pid = any($1::int[]) and not granted"


class House:
    """Runs tests on one server; ``schema`` is there anew for each of them."""

    def __init__(self, runner: asyncio.Runner, server: PostgresServer, schema: str) -> None:
        self.runner = runner
        self.server = server
        self.schema = schema
        self.sessions: list[Any] = []

    async def session(self) -> Any:
        """Give one more session in the database, closed when the test is over."""
        made = await self.server.connect(DATABASE)
        self.sessions.append(made)
        return made

    def run(self, test: Callable[[House], Awaitable[None]]) -> None:
        self.runner.run(self._run(test))

    async def until_waiting(self, watcher: Any, *sessions: Any) -> None:
        """Wait until each of these sessions waits for a lock: Postgres says so."""
        pids = [session.get_server_pid() for session in sessions]
        while await watcher.fetchval(WAITS, pids) < len(pids):
            pass

    async def _run(self, test: Callable[[House], Awaitable[None]]) -> None:
        await self.server.create_database(DATABASE)
        try:
            await (await self.session()).execute(self.schema)
            async with asyncio.timeout(20):
                await test(self)
        finally:
            for session in self.sessions:
                session.terminate()
            self.sessions.clear()
            await self.server.drop_database(DATABASE)


@contextmanager
def open_house(schema: str) -> Iterator[House]:
    """Start a server of our own."""
    with asyncio.Runner() as runner:
        opening = open_postgres("embedded")
        server = runner.run(opening.__aenter__())
        try:
            yield House(runner, server, schema)
        finally:
            runner.run(opening.__aexit__(None, None, None))
