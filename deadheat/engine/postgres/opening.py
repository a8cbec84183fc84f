"""From the setting ``postgres`` to a server: embedded, in a container, or the one that a DSN names."""

from __future__ import annotations

import os
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from deadheat.engine.docker import Wanted, open_container
from deadheat.engine.postgres.dsn import SOURCE, Dsn
from deadheat.engine.postgres.embedded import RACING, SUPERUSER, open_embedded
from deadheat.engine.postgres.server import PREFIX, PostgresServer
from deadheat.errors import PostgresUnavailable, SettingsError, closest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    Notice = Callable[[str], None]

IMAGE, IMAGE_VARIABLE = "postgres:17", "DEADHEAT_POSTGRES_IMAGE"
OLDEST = 130000  # the first version that can drop a database which has connections
_STANDING = """
select current_setting('server_version') as version,
       current_setting('server_version_num')::int as number,
       pg_is_in_recovery() as standby,
       (select rolcreatedb or rolsuper from pg_roles where rolname = current_user) as may_create,
       array(select datname::text from pg_database where starts_with(datname, $1) order by 1) as others
"""


def _say_nothing(text: str) -> None:
    """Drop a notice."""


@asynccontextmanager
async def open_postgres(
    setting: str,
    *,
    temporary: Path | None = None,
    notice: Notice = _say_nothing,
    allow_hosts: Collection[str] = (),
) -> AsyncIterator[PostgresServer]:
    """Give a server for as long as the block lasts.

    ``setting``: ``auto`` or ``embedded`` (an own server, in a folder of its own below ``temporary``
    where its account can get there), ``docker`` (an own server in a container of the image that
    DEADHEAT_POSTGRES_IMAGE names, else `IMAGE`), or a ``postgresql://`` URL whose host is this machine or in
    ``allow_hosts`` and whose role may create databases. ``notice`` is told what a person should know.
    PostgresUnavailable, Refused or SettingsError when there is none to be had.
    """
    async with _opening(setting, temporary, notice, allow_hosts) as server:
        yield server


def _opening(
    setting: str, temporary: Path | None, notice: Notice, allow_hosts: Collection[str]
) -> AbstractAsyncContextManager[PostgresServer]:
    if setting in ("auto", "embedded"):
        return open_embedded(temporary, notice)
    if setting == "docker":
        return _open_docker(notice)
    if "://" not in setting:
        known = ("auto", "embedded", "docker")
        raise SettingsError(
            f"{SOURCE}: {setting!r} is neither auto, embedded, docker nor a DSN "
            f"(postgresql://user:password@host:port/database).{closest(setting, known)}"
        )
    return _open_foreign(Dsn.parse(setting, allow_hosts=allow_hosts), notice)


@asynccontextmanager
async def _open_docker(notice: Notice) -> AsyncIterator[PostgresServer]:
    password = secrets.token_hex(16)
    wanted = Wanted(
        role="postgres",
        image=os.environ.get(IMAGE_VARIABLE) or IMAGE,
        variable=IMAGE_VARIABLE,
        port=5432,
        setting="--postgres docker",
        instead="Without Docker: --postgres embedded, or the DSN of a server.",
        unavailable=PostgresUnavailable,
        command=("postgres", *(word for name, value in RACING.items() for word in ("-c", f"{name}={value}"))),
        password=password,
    )
    async with open_container(wanted, notice) as port:
        dsn = Dsn(user=SUPERUSER, password=password, host="127.0.0.1", port=port)
        version = await _standing(dsn, notice)
        yield PostgresServer(dsn, version=version, provisioned=True, origin="docker")


@asynccontextmanager
async def _open_foreign(dsn: Dsn, notice: Notice) -> AsyncIterator[PostgresServer]:
    server = PostgresServer(dsn, version=await _standing(dsn, notice), provisioned=False)
    try:
        yield server
    finally:
        await server.drop_made(notice)


async def _standing(dsn: Dsn, notice: Notice) -> str:
    """Give the version of a server on which we can work; PostgresUnavailable says why we cannot."""
    connection = await dsn.connect()
    try:
        found = await connection.fetchrow(_STANDING, PREFIX)
    finally:
        await connection.close()
    version = str(found["version"]).split(" ")[0]
    if found["number"] < OLDEST:
        raise PostgresUnavailable(f"Postgres at {dsn.where} is {version}: Deadheat needs 13 or newer.")
    if found["standby"]:
        raise PostgresUnavailable(f"Postgres at {dsn.where} is a standby: name its primary in {SOURCE}.")
    if not found["may_create"]:
        raise PostgresUnavailable(
            f"the role {dsn.user!r} may not create databases at {dsn.where}. "
            f"Let it (alter role … createdb), or name another in {SOURCE}."
        )
    if found["others"]:
        names = ", ".join(found["others"])
        notice(f"at {dsn.where} are databases of another run, or of one that was killed: {names}")
    return version
