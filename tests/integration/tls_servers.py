"""Servers that demand TLS: a front before one of ours that has none, and this machine's own Postgres."""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trustme

from deadheat.engine.postgres import Dsn, embedded
from deadheat.engine.postgres.binaries import Binaries, ordinary_account, reachable_parent
from deadheat.engine.postgres.server import PostgresServer
from deadheat.engine.postgres.side import fatal
from deadheat.engine.postgres.tls import ALPN
from deadheat.engine.watch import temporary_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SSL_REQUEST = bytes.fromhex("0000000804d2162f")
HOSTSSL = "hostssl all all all scram-sha-256\n"


def demanding(url: str, port: int, sslmode: str, **more: str) -> Dsn:
    """Give the DSN of a server that is reached by TLS at a port."""
    said = "".join(f"&{name}={value}" for name, value in more.items())
    dsn = Dsn.parse(url)
    return Dsn.parse(
        f"postgresql://{dsn.user}:{dsn.password}@localhost:{port}/{dsn.database}?sslmode={sslmode}{said}"
    )


class Front:
    """Takes TLS alone, and hands on to a server that is plain; ``begun`` counts what began how."""

    def __init__(self, ca: trustme.CA, behind: tuple[str, int]) -> None:
        self.port = 0
        self.begun: list[str] = []
        self.ca = ca
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_alpn_protocols([ALPN])
        ca.issue_cert("localhost").configure_cert(self.context)
        self._behind = behind
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await reader.readexactly(8) != SSL_REQUEST:
                self.begun.append("plain")
                writer.write(fatal("28000", "no entry for a connection without encryption"))
                return
            writer.write(b"S")
            await writer.start_tls(self.context)
            self.begun.append("tls")
            behind_reader, behind = await asyncio.open_connection(*self._behind)
            await asyncio.gather(_carry(reader, behind), _carry(behind_reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            self.begun.append("nothing")
        finally:
            writer.close()

    async def settle(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def tls_front(server: PostgresServer) -> AsyncIterator[Front]:
    """Put a front up; its certificate is for localhost, from an authority of its own."""
    behind = server.address()
    assert isinstance(behind, tuple)
    front = Front(trustme.CA(), behind)
    listening = await asyncio.start_server(front.accept, "127.0.0.1", 0)
    front.port = listening.sockets[0].getsockname()[1]
    try:
        yield front
    finally:
        listening.close()
        await front.settle()


def system_postgres() -> Path | None:
    """Find a Postgres of this machine that can do TLS (ours is built without)."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


@asynccontextmanager
async def real_server(folder: Path, ca: trustme.CA) -> AsyncIterator[PostgresServer]:
    """Start such a Postgres, which takes nobody without TLS."""
    account = ordinary_account()
    parent = reachable_parent(None, account)
    async with temporary_folder(parent, prefix="deadheat-tls-") as temporary:
        if account is not None:
            os.chmod(temporary.path, 0o711)
        binaries = Binaries(folder, folder.parent.name)
        data = await embedded._make_cluster(binaries, temporary, account, "secret")
        issued = ca.issue_cert("localhost")
        issued.private_key_pem.write_to_path(str(data / "server.key"))
        issued.cert_chain_pems[0].write_to_path(str(data / "server.crt"))
        (data / "server.key").chmod(0o600)
        if account is not None:
            for name in ("server.key", "server.crt"):
                os.chown(data / name, account.uid, account.gid)
        (data / "pg_hba.conf").write_text(HOSTSSL)
        with (data / "postgresql.conf").open("a") as settings:
            settings.write("ssl = on\n")
        async with embedded._running(binaries, temporary, account, data) as port:
            dsn = Dsn.parse(f"postgresql://postgres:secret@localhost:{port}/postgres?sslmode=require")
            yield PostgresServer(dsn, version=binaries.version, provisioned=True)
