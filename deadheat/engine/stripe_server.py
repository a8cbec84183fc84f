"""The simulator's HTTP server: every call crosses received, effect and response, each held by a gate.

The account decides everything (`deadheat.stripe_sim`); this shell reads requests, asks stripe-mock
where there is one, and awaits the gate before each crossing. Between a crossing and the gate's
`crossed` nothing else runs, so a history has the effects in the order in which they happened.

stripe-mock is asked before `received`, as its objections are about the parameters only, and once about
each form of a request. They count ("enforce") when the request speaks the API version of stripe-mock's
own specification or names none; in any other version a parameter, or a word of an enumeration, that
stripe-mock does not know is a warning, and so is everything under mode "warn". A route that is not
modelled is stripe-mock's to answer; that a write there changed nothing is told once.
"""

from __future__ import annotations

import asyncio
import errno
import re
from typing import TYPE_CHECKING, Any, Literal, Protocol

from deadheat.engine.stripe_connection import Connection
from deadheat.errors import SetupError
from deadheat.history import StepKind
from deadheat.stripe_sim.access import LIVE, api_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from types import TracebackType

    from deadheat.engine.stripe_connection import Serving
    from deadheat.engine.stripe_mock import StripeMock
    from deadheat.stripe_sim import Account, ApiRequest, ApiResponse, Call
    from deadheat.stripe_sim.objection import Objection

_ID = re.compile(r"(?<!^)/[^/]*[0-9A-Z][^/]*")


class StripeGate(Protocol):
    """Says when a call may cross, and hears that it has."""

    def hold(self, kind: StepKind, call: Call) -> Awaitable[None] | None:
        """Give what to wait for until ``call`` may be received, have its effect, or be answered.

        None lets it cross at once.
        """

    def abandoned(self, call: Call) -> None:
        """Hear that a call that was held will not reach its response."""

    def crossed(self, kind: StepKind, call: Call) -> None:
        """Take note of a crossing, at once after it."""


class OpenGate:
    """Lets everything pass."""

    def hold(self, kind: StepKind, call: Call) -> Awaitable[None] | None:
        """Do not wait."""
        return None

    def abandoned(self, call: Call) -> None:
        """Hear that a call that was held will not reach its response."""

    def crossed(self, kind: StepKind, call: Call) -> None:
        """Take no note."""


class StripeServer:
    """A server for one account, on a loopback port of its own; ``gate`` may be changed at any time.

    ``failure`` is the first error of ours while serving a call; its connection was closed.
    """

    def __init__(
        self,
        account: Account,
        *,
        mock: StripeMock | None = None,
        mode: Literal["enforce", "warn"] = "enforce",
        gate: StripeGate | None = None,
        port: int = 0,
        notice: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.account = account
        self.gate: StripeGate = gate or OpenGate()
        self.failure: BaseException | None = None
        self._mock = mock
        self._mode = mode
        self._port = port
        self._notice = notice
        self._noticed: set[str] = set()
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> StripeServer:
        """Listen; SetupError when the port is taken."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._connection, "127.0.0.1", self._port, backlog=1024)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            why = "is taken" if error.errno == errno.EADDRINUSE else "may not be used by this account"
            raise SetupError(
                f"The Stripe simulator cannot listen on 127.0.0.1:{self._port}: the port {why}. "
                "Choose another one, or 0 for any."
            ) from None
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening, close all connections and drop the calls in progress."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.close()
        await asyncio.sleep(0)  # what begins now can be dropped; a task cancelled before could not tell
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"http://127.0.0.1:{self._port}"

    def _connection(self) -> Connection:
        return Connection(self._serve, self._spawn, self._connections)

    def _spawn(self, serving: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(serving)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _serve(self, request: ApiRequest) -> Serving:
        """Take one call through its three crossings, and give its answer; yields what it waits for.

        None closes the connection without an answer, ConnectionResetError resets it.
        """
        call = self.account.parse(request)
        gate = self.gate  # one and the same for the whole call, whatever begins meanwhile
        if call.objection is not None:
            self._watch_for_live_key(request)
        try:
            if held := gate.hold(StepKind.RECEIVED, call):
                yield held
            if self._mock is not None and call.objection is None and not self._mock.passes(call):
                yield self._ask_mock(self._mock, call)
            self.account.received(call)
            gate.crossed(StepKind.RECEIVED, call)
            if held := gate.hold(StepKind.EFFECT, call):
                yield held
            self.account.effect(call)
            gate.crossed(StepKind.EFFECT, call)
            if held := gate.hold(StepKind.RESPONSE, call):
                yield held
            response = self.account.response(call)
            gate.crossed(StepKind.RESPONSE, call)
        except (asyncio.CancelledError, GeneratorExit):
            self.account.abandon(call)
            gate.abandoned(call)
            raise
        except Exception as error:  # ours: the run that it belongs to cannot be judged
            self.account.abandon(call)
            gate.abandoned(call)
            self.failure = self.failure or error
            asyncio.get_running_loop().call_exception_handler(
                {
                    "message": f"the Stripe simulator failed on {call.route or request.path}",
                    "exception": error,
                }
            )
            return None
        if call.fault is None:
            return response
        if call.fault.when == "reset":
            raise ConnectionResetError
        yield asyncio.sleep(call.fault.delay_ms / 1000)
        return None if call.lost else response

    async def _ask_mock(self, mock: StripeMock, call: Call) -> None:
        """Let stripe-mock object to a call that we model, or answer one that we do not."""
        if call.matched is None:
            answer = await mock.answer(call.request)
            if answer is not None:
                self.account.borrow(call, answer)
                self._tell_borrowed(call.request, answer)
            return
        found = await mock.objection(call)
        if found is None:
            return
        if self._enforced(call, found, mock):
            self.account.object_to(call, found.problem)
        else:
            self._notice_once(f"stripe-mock would refuse {call.route}: {found.problem.message}")

    def _enforced(self, call: Call, found: Objection, mock: StripeMock) -> bool:
        if self._mode == "warn":
            return False
        version = call.request.headers.get("stripe-version")
        return version in (None, mock.spec_version) or not found.unknown

    def _watch_for_live_key(self, request: ApiRequest) -> None:
        key = api_key(request)
        if key is not None and key.startswith(LIVE):
            self._notice_once("The target sent a live Stripe key; the call was refused. Give it a test key.")

    def _tell_borrowed(self, request: ApiRequest, answer: ApiResponse) -> None:
        """Say that a write that was answered changed nothing, once for each route."""
        if request.method != "GET" and answer.status < 300:
            path = _ID.sub("/:id", request.path)
            self._notice_once(
                f"{request.method} {path} is not modelled: stripe-mock answered it, and nothing changed."
            )

    def _notice_once(self, text: str) -> None:
        if text not in self._noticed:
            self._noticed.add(text)
            self._notice(text)
