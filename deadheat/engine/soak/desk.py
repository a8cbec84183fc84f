"""The desk: a loopback server that load processes tell everything to.

Each process opens one connection, shows its pass and is given its `Stage`, with a marker of its own.
Lines of a connection are taken in order. When every process that plays has `Left` the load is over;
one that is gone without it was cut, and the soak is then inconclusive: what was not told cannot be
judged.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from deadheat.engine.loopback import LOOPBACK
from deadheat.engine.soak.wire import Left, Load, Pass, Stage, line, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from deadheat.engine.soak.wire import Said

ARRIVAL_SECONDS = 10.0


class Desk:
    """Listens for as long as its block lasts; hands on what is said to ``hear``.

    ``failure`` is the first line that made no sense, or the first error of ``hear``.
    """

    def __init__(self, stage: Stage, hear: Callable[[Said], None], *, processes: int = 1) -> None:
        self._stage = stage
        self._processes = processes
        self._hear = hear
        self._word = secrets.token_urlsafe(16)
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self.playing = 0  # processes that came to play
        self.left = 0  # and those of them that have told everything
        self.over = asyncio.Event()  # all have left
        self.load: Load | None = None
        self.failure: Exception | None = None

    async def __aenter__(self) -> Desk:
        """Listen on a port of 127.0.0.1."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening and drop whoever still speaks."""
        assert self._server is not None
        self._server.close()
        for task in tuple(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def where(self) -> str:
        """Where the desk is, as `deadheat.engine.soak.wire.DESK` says it."""
        assert self._server is not None
        return f"{LOOPBACK}:{self._server.sockets[0].getsockname()[1]}/{self._word}"

    async def heard_out(self, seconds: float) -> None:
        """Wait until every connection has ended, for at most so long."""
        if self._serving:
            await asyncio.wait(set(self._serving), timeout=seconds)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            shown = await self._admit(reader, writer)
            if shown is not None:
                await self._listen(reader, shown)
        except (ConnectionError, TimeoutError):
            pass  # cut: it never left
        except Exception as error:
            self.failure = self.failure or error
        finally:
            self._serving.discard(task)
            writer.close()

    async def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Pass | None:
        """Give a stage to whoever shows the pass; None for anybody else on this machine."""
        shown = read(await asyncio.wait_for(reader.readline(), ARRIVAL_SECONDS))
        if not isinstance(shown, Pass) or not secrets.compare_digest(shown.word, self._word):
            return None
        marker = self._stage.marker
        if shown.plays:
            self.playing += 1
            marker = f"{marker}{self.playing:x}"
        writer.write(line(replace(self._stage, marker=f"{marker}-")))
        await writer.drain()
        return shown

    async def _listen(self, reader: asyncio.StreamReader, shown: Pass) -> None:
        async for text in reader:
            said = read(text)
            if isinstance(said, Left):
                self._count(said, shown)
            elif isinstance(said, Load):
                self.load = said
            elif not isinstance(said, Stage):
                self._hear(said)

    def _count(self, said: Left, shown: Pass) -> None:
        self.left += shown.plays
        self._hear(said)
        if self.left >= self._processes:
            self.over.set()
