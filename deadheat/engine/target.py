"""The target's process: migrated, started on a port of ours, watched until it answers, and stopped.

`open_target` runs ``migrate`` to its end, then ``start`` in a session of its own under a watcher
(`deadheat.engine.watch`), both from the target's folder with the environment that
`deadheat.engine.command` builds. It is ready when its ready path answers with less than 500. What it
prints goes to a log file, whose last lines stand in every message about it. A target that is only a
URL is asked whether it is ready, and nothing more.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import httpx

from deadheat.engine.command import command, environment, placeholders
from deadheat.engine.loopback import LOOPBACK, free_port, is_taken
from deadheat.engine.runnable import wants_processor
from deadheat.engine.watch import Watched, last_words, spawn
from deadheat.errors import SettingsError, TargetNotReady
from deadheat.safety import check_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from deadheat.settings import TargetSettings

MIGRATE_SECONDS = 300.0
POLL_SECONDS = 0.02
ANSWER_SECONDS = 5.0
STOP_SECONDS = 5.0
PORTS_TRIED = 3
LINES_SHOWN = 20

_IN_USE = re.compile(r"address already in use|EADDRINUSE|connection in use|port \S+ is in use", re.IGNORECASE)


class Target:
    """A target that has answered its ready path.

    ``again`` starts another process like the first and waits until it is ready.
    """

    def __init__(
        self,
        base_url: str,
        *,
        process: Watched | None = None,
        log: Path | None = None,
        again: Callable[[], Awaitable[Watched]] | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._process = process
        self._log = log
        self._again = again
        self._is_coming_back = False

    @property
    def pid(self) -> int | None:
        """The leader of its process group; None for a URL."""
        return self._process.pid if self._process else None

    @property
    def is_ours(self) -> bool:
        """Whether we started it, so that it may be killed and started again."""
        return self._again is not None

    def alive(self) -> bool:
        """Tell whether the process runs; of a target that we did not start nothing else is known."""
        return self._process is None or self._process.alive() or self._is_coming_back

    def wants_processor(self) -> bool:
        """Tell whether any of its processes runs or is ready to; of a URL, and where nobody knows, not."""
        return self._process is not None and wants_processor(self._process.pid)

    async def ends_within(self, seconds: float) -> bool:
        """Wait so long for the process to end by itself; says whether it has."""
        if self._process is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), seconds)
        return not self.alive()

    async def kill(self) -> None:
        """End all its processes by SIGKILL; `start_again` is to follow."""
        process = self._process
        assert process is not None  # it is ours
        self._is_coming_back = True
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop all its processes by SIGSTOP while the block lasts; they go on afterwards, however it ends."""
        process = self._process
        assert process is not None  # it is ours
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)

    async def start_again(self) -> None:
        """Start it where it was, and wait until it is ready; TargetNotReady when it is not."""
        assert self._again is not None  # it is ours
        try:
            self._process = await self._again()
        finally:
            self._is_coming_back = False

    def log_tail(self) -> str:
        """Give the last lines that the target printed, secrets masked."""
        return last_words(self._log, LINES_SHOWN).lstrip("\n") if self._log else ""

    async def stop(self) -> None:
        """Stop the process group: SIGTERM, then SIGKILL after a grace time. A URL is left alone."""
        if self._process is not None:
            await self._process.stop()


@asynccontextmanager
async def open_target(
    settings: TargetSettings,
    *,
    values: Mapping[str, str],
    log: Path,
    allow_hosts: Collection[str] = (),
    migrated: bool = False,
) -> AsyncIterator[Target]:
    """Give the target, ready, for as long as the block lasts; ``migrated`` leaves migrate out.

    ``values`` fill the placeholders of start, migrate and env (``postgres.url`` and so on; python,
    port and workers are added). SettingsError for one that nothing fills, TargetNotReady when a
    command fails or the ready path does not answer within ``ready_seconds``, Refused for a URL that
    is neither this machine nor in ``allow_hosts``.
    """
    if settings.start is None:
        yield await _called(settings, allow_hosts)
        return
    fixed = _fixed_port(settings, allow_hosts)
    if fixed is None:
        _check_port_is_given(settings)
    for attempt in range(1, PORTS_TRIED + 1):
        port = fixed or free_port()
        own = {"python": sys.executable, "port": str(port), "workers": str(settings.workers)}
        launch = _Launch(settings, {**values, **own}, log)
        if attempt == 1 and not migrated:
            await launch.migrate()
        base_url = settings.base_url or f"http://{LOOPBACK}:{port}"
        async with AsyncExitStack() as stack:
            process = await stack.enter_async_context(launch.started())
            problem = await _until_ready(base_url, settings, process)
            if problem is None:
                again = partial(_again, stack, launch, base_url, settings)
                yield Target(base_url, process=process, log=log, again=again)
                return
        if fixed or attempt == PORTS_TRIED or not (launch.says_port_taken() and is_taken(port)):
            raise launch.not_ready(problem)


async def _again(stack: AsyncExitStack, launch: _Launch, base_url: str, settings: TargetSettings) -> Watched:
    """Start the target once more, on the same port."""
    process = await stack.enter_async_context(launch.started())
    problem = await _until_ready(base_url, settings, process)
    if problem is not None:
        raise launch.not_ready(f"it was killed by a fault of ours, and did not come back: {problem}")
    return process


async def migrate_target(settings: TargetSettings, *, values: Mapping[str, str], log: Path) -> None:
    """Run migrate alone, with ``values`` as for `open_target`; TargetNotReady unless it ends well."""
    own = {"python": sys.executable, "port": str(free_port()), "workers": str(settings.workers)}
    await _Launch(settings, {**values, **own}, log).migrate()


def _fixed_port(settings: TargetSettings, allow_hosts: Collection[str]) -> int | None:
    """Give the port of ``base-url`` for a target that has one of its own; TargetNotReady if it is taken."""
    if settings.base_url is None:
        return None
    check_url(settings.base_url, where="[target] base-url", allow=allow_hosts)
    url = httpx.URL(settings.base_url)
    port = url.port or {"https": 443}.get(url.scheme, 80)
    if is_taken(port):
        raise TargetNotReady(
            f"[target] base-url: port {port} is taken, so start would not get it. End whoever has it, or "
            "put {port} into start and leave base-url out: Deadheat then finds a free one."
        )
    return port


async def _called(settings: TargetSettings, allow_hosts: Collection[str]) -> Target:
    if settings.base_url is None:
        raise SettingsError("[target] needs either start (a command) or base-url (where it runs already).")
    check_url(settings.base_url, where="[target] base-url", allow=allow_hosts)
    target = Target(settings.base_url)
    problem = await _until_ready(target.base_url, settings, None)
    if problem is not None:
        raise TargetNotReady(f"the target at {target.base_url} is not ready: {problem}.")
    return target


def _check_port_is_given(settings: TargetSettings) -> None:
    texts = (settings.start or "", *settings.env.values())
    if not any("port" in placeholders(text) for text in texts):
        raise SettingsError(
            "[target] start: the target must listen on the port that Deadheat gives it. "
            "Put {port} into start or into a variable of [target.env], say PORT; or, if it listens on a "
            "port of its own, say where with base-url."
        )


class _Launch:
    """The commands of one attempt to start a target, filled, and what is said when they fail."""

    def __init__(self, settings: TargetSettings, values: Mapping[str, str], log: Path) -> None:
        self._folder = settings.folder
        self._log = log
        self._env = environment(settings.env, values)
        self._start = command(settings.start or "", values, where="[target] start")
        self._migrate = (
            command(settings.migrate, values, where="[target] migrate") if settings.migrate else None
        )

    async def migrate(self) -> None:
        """Run migrate to its end; TargetNotReady unless it ends well and in time."""
        if self._migrate is None:
            return
        async with self._running(self._migrate) as process:
            try:
                code = await asyncio.wait_for(process.wait(), MIGRATE_SECONDS)
            except TimeoutError:
                raise self._failed("migrate", f"it did not end within {MIGRATE_SECONDS:.0f} s") from None
        if code != 0:
            raise self._failed("migrate", ending(code))

    def started(self) -> AbstractAsyncContextManager[Watched]:
        """Run start for as long as the block lasts."""
        return self._running(self._start)

    def says_port_taken(self) -> bool:
        """Tell whether the end of the log says that an address is in use."""
        return _IN_USE.search(last_words(self._log, LINES_SHOWN)) is not None

    def not_ready(self, problem: str | None) -> TargetNotReady:
        """Say why the target is not ready."""
        if self.says_port_taken():
            problem = (
                f"{problem}. A port that it wants is taken: end whoever has it, and let the target listen "
                "on {port} only"
            )
        return self._failed("start", f"the target is not ready: {problem}")

    @asynccontextmanager
    async def _running(self, argv: list[str]) -> AsyncIterator[Watched]:
        child = spawn(argv, env=self._env, cwd=self._folder, output=self._log, grace_s=STOP_SECONDS)
        async with AsyncExitStack() as stack:
            try:
                process = await stack.enter_async_context(child)
            except OSError as error:
                raise TargetNotReady(
                    f"[target] cannot run {argv[0]!r} from {self._folder}: {error.strerror}. "
                    f"It was looked for on PATH={self._env['PATH']}"
                ) from None
            yield process

    def _failed(self, key: str, problem: str) -> TargetNotReady:
        said = last_words(self._log, LINES_SHOWN)
        return TargetNotReady(f"[target] {key}: {problem}. The last lines of {self._log}:{said}")


async def _until_ready(base_url: str, settings: TargetSettings, process: Watched | None) -> str | None:
    """Ask until the answer is less than 500; None then, else what is wrong."""
    asking = asyncio.create_task(_ask(base_url + settings.ready, settings.ready_seconds))
    if process is None:
        return await asking
    ended = asyncio.create_task(process.wait())
    try:
        await asyncio.wait({asking, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not process.alive():
            return f"it ended ({ending(await ended)})"
        return await asking
    finally:
        asking.cancel()
        ended.cancel()
        await asyncio.gather(asking, ended, return_exceptions=True)


async def _ask(url: str, seconds: float) -> str | None:
    problem = "no answer"
    try:
        async with asyncio.timeout(seconds), httpx.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    answer = await client.request("GET", url, timeout=ANSWER_SECONDS)
                    if answer.status_code < 500:
                        return None
                    problem = f"it answers {answer.status_code}"
                except httpx.TransportError as error:
                    problem = str(error) or type(error).__name__
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        return f"GET {url} had no good answer within {seconds:g} s (last: {problem})"


def ending(code: int) -> str:
    """Say how a process ended: ``exit code 3``, or ``killed by SIGKILL``."""
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
