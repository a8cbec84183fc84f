"""Containers for a run: a Postgres or a stripe-mock of Docker, on a loopback port, gone when the block ends.

A process of its own holds each (`docker_keeper.py`): testcontainers blocks, and in there it blocks
nobody. The keeper lives under a watcher (see `deadheat.engine.watch`), so the container goes when the
block is left, on Ctrl-C, and when we are killed by SIGKILL. Where even the watcher and the keeper are
killed (a machine that loses its power, a job that is ended as a whole) it is left behind, and the next
start of any container here removes it: its label names the file that its run kept locked.

The images are the `postgres` and `stripe/stripe-mock` of Docker Hub, pulled when they are not here;
DEADHEAT_POSTGRES_IMAGE and DEADHEAT_STRIPE_MOCK_IMAGE name others.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
import signal
import sys
import tempfile
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deadheat.engine import docker_keeper
from deadheat.engine.watch import spawn
from deadheat.history import redact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from deadheat.errors import SetupError

START_SECONDS = 900.0  # a first start pulls an image of 150 MB
STOP_SECONDS = 30.0
SAID_SECONDS = 2.0
INSTALL = 'pip install "deadheat[docker]"'

_KEEPER = str(Path(docker_keeper.__file__).resolve())
_ENVIRONMENT = {
    "TESTCONTAINERS_RYUK_DISABLED": "true",  # a container that stops containers; our watcher does
    "TESTCONTAINERS_HOST_OVERRIDE": "127.0.0.1",
    "TESTCONTAINERS_CONNECTION_MODE": "docker_host",
    "TC_POOLING_INTERVAL": "0.1",
    "TC_MAX_TRIES": "600",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A container to start: its role (``postgres`` or ``stripe-mock``), image and port inside.

    ``variable`` is what names its image. A message begins with ``setting``, as the person gave it,
    and ends with ``instead``, what else would do; it is raised as ``unavailable``.
    """

    role: str
    image: str
    variable: str
    port: int
    setting: str
    instead: str
    unavailable: type[SetupError]
    command: tuple[str, ...] = ()
    password: str = field(default="", repr=False)


@asynccontextmanager
async def open_container(
    wanted: Wanted, notice: Callable[[str], None], environ: Mapping[str, str] = os.environ
) -> AsyncIterator[int]:
    """Give the port on 127.0.0.1 of a container that answers, for as long as the block lasts.

    ``wanted.unavailable`` when there is none: no testcontainers, no engine, no image, no answer.
    ``notice`` is told of a pull, of what dead runs had left, and of a container that would not go.
    """
    env = {**environ, **_ENVIRONMENT}
    left = False
    with _order(wanted) as order:
        argv = [sys.executable, "-P", "-W", "ignore", _KEEPER, str(order)]
        try:
            async with (
                _hearing(notice) as heard,
                spawn(argv, env=env, output=heard.sink, grace_s=STOP_SECONDS) as keeper,
            ):
                heard.close_sink()
                try:
                    yield await heard.port(wanted)
                finally:
                    await keeper.stop()
                    left = keeper.returncode not in (0, -signal.SIGTERM)  # the latter: it had not begun
        finally:
            if not left:
                order.unlink(missing_ok=True)


@contextmanager
def _order(wanted: Wanted) -> Iterator[Path]:
    """Write an order that is locked while the block, or we, last; it stays when a container is left."""
    descriptor, path = tempfile.mkstemp(prefix=docker_keeper.PREFIX, suffix=".json")
    with os.fdopen(descriptor, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump(
            {
                "name": f"deadheat-{wanted.role}-{secrets.token_hex(4)}",
                "role": wanted.role,
                "image": wanted.image,
                "variable": wanted.variable,
                "port": wanted.port,
                "command": wanted.command,
                "password": wanted.password,
                "installed": INSTALL,
            },
            file,
        )
        file.flush()
        yield Path(path)


class _Heard:
    """What a keeper says: notices are passed on, the rest is for whoever waits."""

    def __init__(self, reader: asyncio.StreamReader, write_end: int, notice: Callable[[str], None]) -> None:
        self.sink = Path(f"/dev/fd/{write_end}")
        self._reader = reader
        self._write_end = write_end
        self._notice = notice

    def close_sink(self) -> None:
        """Let the keeper be the only one who can speak."""
        if self._write_end >= 0:
            os.close(self._write_end)
            self._write_end = -1

    async def port(self, wanted: Wanted) -> int:
        """Wait for the container's port; ``wanted.unavailable`` if there will be none."""
        try:
            async with asyncio.timeout(START_SECONDS):
                problem = "the process that starts it ended without a word."
                async for told in self._told():
                    if "port" in told:
                        return int(told["port"])
                    problem = str(told.get("problem", problem))
        except TimeoutError:
            problem = f"there is no container after {START_SECONDS:.0f} s."
        gap = "\n" if "\n" in problem else " "
        raise wanted.unavailable(redact(f"{wanted.setting}: {problem}{gap}{wanted.instead}"))

    async def last_words(self) -> None:
        """Hear a keeper that has ended to its end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SAID_SECONDS):
                async for _ in self._told():
                    pass

    async def _told(self) -> AsyncIterator[dict[str, Any]]:
        while line := await self._reader.readline():
            try:
                told = json.loads(line)
            except ValueError:  # a library's
                continue
            if "notice" in told:
                self._notice(told["notice"])
            else:
                yield told


@asynccontextmanager
async def _hearing(notice: Callable[[str], None]) -> AsyncIterator[_Heard]:
    """Make a pipe for a keeper to speak into."""
    read, write = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read, "rb", 0)
    )
    heard = _Heard(reader, write, notice)
    try:
        yield heard
    finally:
        heard.close_sink()
        await heard.last_words()
        transport.close()
