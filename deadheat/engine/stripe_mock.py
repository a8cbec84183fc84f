"""stripe-mock behind the simulator: it validates what we model and answers what we do not.

It is stateless, so it is never the state, and is asked about each form of a request once
(`stripe_mock_forms`). `StripeMock.open` starts the binary, on loopback ports that the system chooses, or
a container, or connects to one that runs; what it starts dies with us in every way (`watch.spawn`). What
it prints is swallowed but for the last lines, which error messages show.

An outage is told once, by ``notice``, and changes no result: without an objection a call goes on.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import re
import shutil
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from deadheat.engine.docker import Wanted, open_container
from deadheat.engine.stripe_mock_client import MockClient
from deadheat.engine.stripe_mock_forms import PassedForms
from deadheat.engine.watch import Watched, spawn
from deadheat.errors import Refused, StripeMockUnavailable
from deadheat.stripe_sim.api_error import Problem
from deadheat.stripe_sim.objection import Objection, objection
from deadheat.stripe_sim.wire import ApiRequest, ApiResponse, Call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

VARIABLE = "DEADHEAT_STRIPE_MOCK"
START_SECONDS = 30.0
IMAGE, IMAGE_VARIABLE = "stripe/stripe-mock:v0.197.0", "DEADHEAT_STRIPE_MOCK_IMAGE"
KEY = "sk_test_deadheat"  # stripe-mock wants exactly three parts
_LINES_KEPT = 20
_DROP_SECONDS, _PIPE_HALF_FULL = 0.02, 1 << 15
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MODULE = re.compile(rb"mod\tgithub\.com/stripe/stripe-mock\t(v[0-9][^\t\n]*)\t")
_SPECIFICATION = re.compile(rb'"title": "Stripe API",\s*"version": "([^"]{1,40})"')
_LISTENING = re.compile(r"Listening for HTTP at address: (\S+):(\d+)")


class StripeMock:
    """A stripe-mock that answers. ``version`` is its release, ``spec_version`` its API version.

    ``outage`` says why it did not answer a call, once it did not.

    Either may be unknown: ``"unknown"`` and None.
    """

    def __init__(
        self,
        client: MockClient,
        *,
        version: str,
        spec_version: str | None,
        notice: Callable[[str], None],
    ) -> None:
        self.version = version
        self.spec_version = spec_version
        self._client = client
        self._notice = notice
        self._passed = PassedForms()
        self.outage: str | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        setting: str = "auto",
        *,
        notice: Callable[[str], None] = lambda text: None,
        allow_hosts: tuple[str, ...] = (),
    ) -> AsyncIterator[StripeMock | None]:
        """Give the stripe-mock that ``setting`` asks for; None for "off" and when "auto" finds none.

        ``setting`` is "auto" (the variable DEADHEAT_STRIPE_MOCK, else a stripe-mock on the PATH),
        "off", "docker" (a container of the image that DEADHEAT_STRIPE_MOCK_IMAGE names, else `IMAGE`),
        a path or a URL. StripeMockUnavailable when one was asked for and is not there.
        """
        where = _find(setting)
        if where is None:
            if setting == "auto":
                notice(
                    f"stripe-mock is off: {VARIABLE} is not set and there is none on the PATH; only the "
                    "parameters of modelled routes are validated."
                )
            yield None
        elif where == "docker":
            async with _contained(notice) as mock:
                yield mock
        elif "://" in where:
            async with _connected(where, notice, allow_hosts) as mock:
                yield mock
        else:
            async with _started(Path(where), notice) as mock:
                yield mock

    def passes(self, call: Call) -> bool:
        """Say whether it need not be asked about a call, as it only validates POSTs and knows this form."""
        return call.matched is not None and (call.request.method != "POST" or self._passed.has(call))

    async def objection(self, call: Call) -> Objection | None:
        """Say what is wrong with the parameters of a POST of a modelled route; None for nothing."""
        answer = await self._ask(call.request)
        if answer is None:
            return None
        if answer.status < 400:
            await self._passed.learn(call, partial(self._admits, call.request))
            return None
        if answer.status != 400:
            self._tell_outage(f"it answered {answer.status} to {call.route}")
            return None
        return objection(_message(answer.body), call.params)

    async def answer(self, request: ApiRequest) -> ApiResponse | None:
        """Answer a call of a route that we do not model; None when stripe-mock does not answer."""
        answer = await self._ask(request)
        if answer is None or answer.status < 400:
            return answer
        problem = Problem(status=answer.status, message=_message(answer.body))
        if answer.status == 400:
            problem = objection(problem.message, {}).problem
        return ApiResponse(status=answer.status, headers=answer.headers, body=problem.body())

    async def _admits(self, request: ApiRequest, body: bytes) -> bool:
        """Say whether a request passes with another body."""
        answer = await self._ask(replace(request, body=body))
        return answer is not None and answer.status < 400

    async def _ask(self, request: ApiRequest) -> ApiResponse | None:
        try:
            return await self._client.exchange(request, key=KEY)
        except (OSError, TimeoutError) as error:
            self._tell_outage(str(error) or type(error).__name__)
            return None

    async def tell_its_end(self, child: Watched) -> None:
        """Tell of an outage when the process ends, asked or not."""
        self._tell_outage(f"it ended with exit code {await child.wait()}")

    def _tell_outage(self, why: str) -> None:
        if self.outage is None:
            self.outage = why
            self._notice(f"stripe-mock does not answer ({why}); calls go on without its validation.")


def _find(setting: str) -> str | None:
    """Resolve a setting to a path, a URL or None."""
    if setting == "off":
        return None
    if setting == "docker":
        return setting
    if setting == "auto":
        given = os.environ.get(VARIABLE)
        if not given:
            return shutil.which("stripe-mock")
        setting, said = given, f"{VARIABLE}={given}"
    else:
        said = f"--stripe-mock {setting}"
    if "://" in setting:
        return setting
    found = shutil.which(setting)
    if found is None:
        raise StripeMockUnavailable(
            f"{said}: there is no such program. Give the path of a stripe-mock binary, a URL, or off."
        )
    return found


@asynccontextmanager
async def _contained(notice: Callable[[str], None]) -> AsyncIterator[StripeMock]:
    """Start a container; its version is the tag of its image where stripe-mock does not tell its own."""
    image = os.environ.get(IMAGE_VARIABLE) or IMAGE
    wanted = Wanted(
        role="stripe-mock",
        image=image,
        variable=IMAGE_VARIABLE,
        port=12111,
        setting="--stripe-mock docker",
        instead="Without Docker: --stripe-mock with the path of a binary, a URL, or off.",
        unavailable=StripeMockUnavailable,
    )
    tag = image.rpartition(":")[2]
    async with open_container(wanted, notice) as port:
        url = f"http://127.0.0.1:{port}"
        async with _connected(url, notice, (), version=tag if tag.startswith("v") else "unknown") as mock:
            yield mock


@asynccontextmanager
async def _connected(
    url: str, notice: Callable[[str], None], allow_hosts: tuple[str, ...], version: str = "unknown"
) -> AsyncIterator[StripeMock]:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise StripeMockUnavailable(f"stripe-mock at {url}: only http://host:port is understood.")
    if parts.hostname not in (*_LOOPBACK, *allow_hosts):
        raise Refused(
            f"stripe-mock at {url} is not on this machine. Name {parts.hostname} in allow-hosts to permit it."
        )
    client = MockClient(parts.hostname, parts.port or 80)
    try:
        answer = await client.exchange(ApiRequest(method="GET", path="/v1/customers"), key=KEY)
    except (OSError, TimeoutError) as error:
        raise StripeMockUnavailable(f"No stripe-mock answers at {url}: {error}") from None
    try:
        said = answer.headers.get("stripe-mock-version", "")
        known = said if said.startswith("v") else version
        yield StripeMock(client, version=known, spec_version=None, notice=notice)
    finally:
        client.close()


@asynccontextmanager
async def _started(path: Path, notice: Callable[[str], None]) -> AsyncIterator[StripeMock]:
    version, spec_version = read_versions(path)
    argv = [str(path), "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0"]
    async with _printing() as (sink, printed):
        try:
            async with spawn(argv, env={"PATH": os.defpath}, output=sink) as child:
                os.close(printed.write_end)
                printed.write_end = -1
                port = await _port(printed, child.wait())
                client = MockClient("127.0.0.1", port)
                mock = StripeMock(client, version=version, spec_version=spec_version, notice=notice)
                ending = asyncio.ensure_future(mock.tell_its_end(child))
                try:
                    yield mock
                finally:
                    ending.cancel()
                    client.close()
        except OSError as error:
            raise StripeMockUnavailable(f"stripe-mock at {path} could not be started: {error}") from None


class _Printed(asyncio.Protocol):
    """What stripe-mock prints: the last lines, and a wake-up for each, until it listens.

    From then on it tells of each request, which nobody reads: that is looked at now and then, and dropped.
    """

    def __init__(self, write_end: int) -> None:
        self.write_end = write_end
        self.lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self.news = asyncio.Event()
        self.listens = False
        self._rest = b""
        self._transport: asyncio.ReadTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport."""
        self._transport = cast("asyncio.ReadTransport", transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        """Keep whole lines; a line without end is cut."""
        if self.listens:
            if len(data) < _PIPE_HALF_FULL and self._transport is not None:
                self._transport.pause_reading()
                asyncio.get_running_loop().call_later(_DROP_SECONDS, self._read_on)
            return
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-1000:]
        self.lines.extend(line.decode("utf-8", "replace") for line in lines)
        self.news.set()

    def _read_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()


@asynccontextmanager
async def _printing() -> AsyncIterator[tuple[Path, _Printed]]:
    """Make a pipe that is read all the time; gives a path to its write end."""
    read, write = os.pipe()
    printed = _Printed(write)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: printed, os.fdopen(read, "rb", 0))
    try:
        yield Path(f"/dev/fd/{write}"), printed
    finally:
        transport.close()
        if printed.write_end >= 0:
            os.close(printed.write_end)


async def _port(printed: _Printed, ended: object) -> int:
    """Wait until stripe-mock says where it listens; StripeMockUnavailable if it never does."""
    exit_task = asyncio.ensure_future(ended)  # type: ignore[call-overload]
    try:
        async with asyncio.timeout(START_SECONDS):
            while True:
                for line in printed.lines:
                    if found := _LISTENING.search(line):
                        printed.listens = True
                        return int(found[2])
                news = asyncio.ensure_future(printed.news.wait())
                await asyncio.wait({news, exit_task}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
                printed.news.clear()
                if exit_task.done():
                    raise StripeMockUnavailable(
                        f"stripe-mock ended with exit code {exit_task.result()} before it listened:\n"
                        + "\n".join(printed.lines)
                    )
    except TimeoutError:
        raise StripeMockUnavailable(
            f"stripe-mock did not listen within {START_SECONDS:.0f} s; it printed:\n"
            + "\n".join(printed.lines)
        ) from None
    finally:
        exit_task.cancel()


def read_versions(path: Path) -> tuple[str, str | None]:
    """Read a binary's release from its Go build info, and the API version of the specification in it.

    Gives ``("unknown", None)`` for a file that says neither (a wrapper script, say).
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return "unknown", None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            module = _MODULE.search(content)
            specification = _SPECIFICATION.search(content)
            return (
                module[1].decode() if module else "unknown",
                specification[1].decode() if specification else None,
            )


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode("utf-8", "replace")
