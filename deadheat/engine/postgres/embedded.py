"""The embedded server: a cluster of its own on a loopback port, gone when the block ends.

Everything lives in one temporary folder under a keeper (see `deadheat.engine.watch`): the cluster,
its logs, and the programs if they had to be copied. The server is told to forget about durability,
since nothing outlives the run; ``deadlock_timeout`` is short because deadlocks are found on purpose
and waited for. There is no Unix socket, so the length of the folder's path does not matter, and no
POSIX shared memory, so nothing stays in /dev/shm. The superuser's password is random.

The port is picked free and may be taken before Postgres binds it: then another is tried.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from deadheat.engine.loopback import free_port
from deadheat.engine.postgres.binaries import Binaries, ordinary_account, provide, reachable_parent
from deadheat.engine.postgres.dsn import Dsn
from deadheat.engine.postgres.server import PostgresServer
from deadheat.engine.watch import Account, TemporaryFolder, Watched, last_words, spawn, temporary_folder
from deadheat.errors import PostgresUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

SUPERUSER = "postgres"
PORTS_TRIED = 5
START_SECONDS = 60.0
POLL_SECONDS = 0.005
STOP_SECONDS = 8.0  # the postmaster itself kills backends that linger after 5

_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
RACING = {  # how every server of ours is set, wherever it runs
    "max_connections": "200",
    "deadlock_timeout": "20ms",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "log_checkpoints": "off",
}
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "dynamic_shared_memory_type": "mmap",
    **RACING,
}


@asynccontextmanager
async def open_embedded(
    temporary: Path | None, notice: Callable[[str], None]
) -> AsyncIterator[PostgresServer]:
    """Make a cluster, start it, and give the server; PostgresUnavailable when that fails."""
    account = ordinary_account()
    parent = await asyncio.to_thread(reachable_parent, temporary, account)
    async with temporary_folder(parent, prefix="deadheat-pg-") as folder:
        if account is not None:
            os.chmod(folder.path, 0o711)  # ours, and new: the account may pass through it
        binaries = await asyncio.to_thread(provide, folder.path, account, notice)
        password = secrets.token_hex(16)
        data = await _make_cluster(binaries, folder, account, password)
        async with _running(binaries, folder, account, data) as port:
            dsn = Dsn(user=SUPERUSER, password=password, host="127.0.0.1", port=port)
            yield PostgresServer(dsn, version=binaries.version, provisioned=True)


async def _make_cluster(
    binaries: Binaries, folder: TemporaryFolder, account: Account | None, password: str
) -> Path:
    data, password_file, log = (folder.path / name for name in ("data", "password", "initdb.log"))
    data.mkdir(mode=0o700)
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if account is not None:
        for path in (data, password_file):
            os.chown(path, account.uid, account.gid)
    argv = [str(binaries.folder / "initdb"), f"--pgdata={data}", f"--pwfile={password_file}"]
    argv += [f"--username={SUPERUSER}", "--auth=scram-sha-256", "--locale=C", "--encoding=UTF8"]
    argv += ["--no-sync", "--no-instructions"]
    async with spawn(argv, env=_ENVIRONMENT, cwd=data, output=log, account=account, folder=folder) as initdb:
        code = await initdb.wait()
    password_file.unlink()
    if code != 0:
        raise PostgresUnavailable(f"initdb failed with exit code {code} in {folder.path}:{last_words(log)}")
    return data


@asynccontextmanager
async def _running(
    binaries: Binaries, folder: TemporaryFolder, account: Account | None, data: Path
) -> AsyncIterator[int]:
    """Run the server for as long as the block lasts and give its port."""
    for _ in range(PORTS_TRIED):
        port = free_port()
        log = folder.path / f"postgres-{port}.log"
        argv = [str(binaries.folder / "postgres"), "-D", str(data), "-p", str(port)]
        argv += [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        async with spawn(
            argv,
            env=_ENVIRONMENT,
            cwd=data,
            output=log,
            stop_signal=signal.SIGQUIT,
            grace_s=STOP_SECONDS,
            account=account,
            folder=folder,
        ) as postgres:
            if await _ready(postgres, data):
                yield port
                return
        said = last_words(log)
        if "could not bind" not in said and "could not create any TCP" not in said:
            raise PostgresUnavailable(f"the embedded Postgres did not start:{said}")
    raise PostgresUnavailable(f"the embedded Postgres found no free port in {PORTS_TRIED} attempts")


async def _ready(postgres: Watched, data: Path) -> bool:
    """Wait until the server takes connections; False when it ended, or took too long.

    The postmaster writes its state into the eighth line of postmaster.pid; pg_ctl waits for the same.
    """
    try:
        async with asyncio.timeout(START_SECONDS):
            while postgres.alive():
                if _state(data / "postmaster.pid") == "ready":
                    return True
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        return False
    return False


def _state(pid_file: Path) -> str:
    try:
        lines = pid_file.read_text().splitlines()
    except FileNotFoundError:
        return ""
    return lines[7].strip() if len(lines) > 7 else ""
