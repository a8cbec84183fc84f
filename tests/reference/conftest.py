"""A Postgres for the tests of the reference, and a database of its own for each test."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from deadheat.engine.postgres import PostgresServer, open_postgres
from reference_impl.migrate import migrate, migrations

if TYPE_CHECKING:
    from collections.abc import Iterator


# The Stripe SDK (16.1) hands httpx raw bytes by the old name, once for each POST.
SDK_WARNING = "ignore:Use 'content=<...>' to upload raw bytes/text content:DeprecationWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(SDK_WARNING))


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A server of our own for the session, or the one that DEADHEAT_POSTGRES names."""
    with asyncio.Runner() as runner:
        opening = open_postgres(os.environ.get("DEADHEAT_POSTGRES", "auto"))
        yield runner.run(opening.__aenter__())
        runner.run(opening.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def template(server: PostgresServer) -> str:
    """The name of a migrated database to clone."""
    name = fresh_name()
    asyncio.run(server.create_database(name))
    asyncio.run(migrate(server.dsn_for(name), migrations()))
    return name


@pytest.fixture
def empty_dsn(server: PostgresServer) -> Iterator[str]:
    """A fresh database without a table."""
    yield from database(server, "template0")


@pytest.fixture
def dsn(server: PostgresServer, template: str) -> Iterator[str]:
    """A fresh database with every migration."""
    yield from database(server, template)


def database(server: PostgresServer, template: str) -> Iterator[str]:
    name = fresh_name()
    asyncio.run(server.create_database(name, template))
    yield server.dsn_for(name)
    asyncio.run(server.drop_database(name))


def fresh_name() -> str:
    return f"deadheat_reference_{uuid4().hex[:12]}"
