"""One HTTP connection to the simulator: bytes to requests, one after the other, and answers back.

Requests of a connection are answered in order; the next is begun when the last one is answered. A call
is a generator of what it waits for: one that waits for nothing is answered as soon as it is read, and
only one that does gets a task.
Everything is bounded: the head, the body, the requests that wait, the time that a request may take to
arrive, and the answers that a client does not read. What is not HTTP, or too much, gets a Stripe-shaped
400 and the connection closes.
A client that goes away does not stop its call: Stripe would not know either.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import httptools

from deadheat.stripe_sim.api_error import Problem
from deadheat.stripe_sim.wire import ApiRequest, ApiResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

    Serving = Generator[Awaitable[Any], Any, ApiResponse | None]

BODY_MAX = 1 << 20
HEAD_MAX = 1 << 16
WAITING_MAX = 16
ARRIVAL_SECONDS = 30.0
LINGER_SECONDS = 2.0  # for a client to read the last answer, and to see that nobody listens any more


class TooMuch(ValueError):
    """A request beyond a bound; the message is meant for the client."""


class Connection(asyncio.Protocol):
    """Feeds requests to ``serve``, which yields what it waits for and returns an answer.

    It is sent what that gave. None closes the connection without one, and ConnectionResetError resets it.
    """

    def __init__(
        self,
        serve: Callable[[ApiRequest], Serving],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        connections: set[Connection],
    ) -> None:
        self._serve = serve
        self._spawn = spawn
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[ApiRequest, bool]] = deque()
        self._busy = False
        self._is_refused = False
        self._is_arriving = False
        self._deadline_s: float | None = None  # by the loop's clock
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._clear()

    def _clear(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._head_size = 0
        self._body = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._connections.add(self)
        self._start_clock(ARRIVAL_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection; a call in progress goes on."""
        self._transport = None
        self._connections.discard(self)
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def close(self) -> None:
        """Close; what was answered still goes out for a while."""
        self._deadline_s = None
        if self._transport is not None:
            self._transport.close()
            if self._transport.get_write_buffer_size():
                self._start_clock(LINGER_SECONDS)

    def pause_writing(self) -> None:
        """Read no more requests from a client that does not read its answers."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Read on; whatever is not HTTP ends the connection."""
        if self._is_refused:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            cause = error.__context__
            known = isinstance(cause, TooMuch)
            self._serve_waiting()
            self._refuse(
                str(cause) if known else "Invalid request: this is not HTTP that the API understands."
            )
            return
        self._serve_waiting()
        if self._is_arriving and self._deadline_s is None:
            self._start_clock(ARRIVAL_SECONDS)

    def on_message_begin(self) -> None:
        """Note that a request has begun to arrive."""
        self._is_arriving = True

    def on_url(self, url: bytes) -> None:
        """Keep the target, which may come in parts."""
        self._target += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._count_head(len(name) + len(value))
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body, up to the limit."""
        if len(self._body) + len(body) > BODY_MAX:
            raise TooMuch(f"Request body too large: at most {BODY_MAX} bytes are read.")
        self._body += body

    def on_message_complete(self) -> None:
        """Queue the request, to be served when its turn comes."""
        self._deadline_s = None
        self._is_arriving = False
        path, _, query = self._target.decode("latin-1").partition("?")
        request = ApiRequest(
            method=self._parser.get_method().decode("latin-1"),
            path=path,
            query=query.partition("#")[0],
            headers=self._headers,
            body=bytes(self._body),
        )
        self._clear()
        # to HEAD a client expects no body, and would take ours for the next answer
        keep_alive = self._parser.should_keep_alive() and request.method != "HEAD"
        self._waiting.append((request, keep_alive))
        if len(self._waiting) > WAITING_MAX:
            raise TooMuch("Too many requests wait on one connection.")

    def _count_head(self, size: int) -> None:
        self._head_size += size
        if self._head_size > HEAD_MAX:
            raise TooMuch(f"Request head too large: at most {HEAD_MAX} bytes are read.")

    def _start_clock(self, seconds: float) -> None:
        """Abort in so many seconds, unless the deadline is taken back or moved before."""
        self._deadline_s = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._deadline_s:
            self._set_timer(self._deadline_s)

    def _set_timer(self, when_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when_s, self._look_at_clock)

    def _look_at_clock(self) -> None:
        """Abort if the deadline is over; there is one timer for as many requests as come in its time."""
        self._timer = None
        if self._deadline_s is None or self._transport is None:
            return
        if self._loop.time() >= self._deadline_s:
            self._transport.abort()
        else:
            self._set_timer(self._deadline_s)

    def _serve_waiting(self) -> None:
        """Serve what waits, one after the other; a call that has to wait goes on in a task."""
        while self._waiting and not self._busy:
            request, keep_alive = self._waiting.popleft()
            serving = self._serve(request)
            try:
                awaited = next(serving)
            except StopIteration as end:
                self._answer(end.value, keep_alive=keep_alive)
            except ConnectionResetError:
                self._reset()
            else:
                self._busy = True
                self._spawn(self._go_on(serving, awaited, keep_alive=keep_alive))

    async def _go_on(self, serving: Serving, awaited: Awaitable[Any], *, keep_alive: bool) -> None:
        """Take a call that waits to its end, then serve what came meanwhile."""
        try:
            while True:
                try:
                    given = await awaited
                except BaseException as error:
                    awaited = serving.throw(error)
                else:
                    awaited = serving.send(given)
        except StopIteration as end:
            self._answer(end.value, keep_alive=keep_alive)
        except ConnectionResetError:
            self._reset()
        self._busy = False
        self._serve_waiting()

    def _answer(self, answer: ApiResponse | None, *, keep_alive: bool) -> None:
        """Send an answer to whoever is still there."""
        if self._transport is None:
            return
        if answer is not None:
            self._transport.write(_encoded(answer, keep_alive=keep_alive))
        if answer is None or not keep_alive:
            self._waiting.clear()
            self.close()

    def _reset(self) -> None:
        """End the connection as if the network had: what the client gets is a reset, not an end."""
        self._waiting.clear()
        if self._transport is not None:
            ending: socket.socket = self._transport.get_extra_info("socket")
            ending.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()

    def _refuse(self, message: str) -> None:
        """Answer 400 and close when the client does; if something else is being answered, close at once.

        A socket that is closed with bytes unread is reset, and the client might not see the answer.
        """
        self._waiting.clear()
        if self._busy or self._transport is None or self._transport.is_closing():
            self.close()
            return
        self._is_refused = True
        problem = Problem(status=400, message=message)
        headers = {"content-type": "application/json"}
        answer = ApiResponse(status=400, headers=headers, body=problem.body())
        self._transport.write(_encoded(answer, keep_alive=False))
        if self._transport.get_write_buffer_size():
            self.close()
            return
        self._start_clock(LINGER_SECONDS)
        try:
            self._transport.write_eof()
        except OSError:  # it has gone, and nobody has read that yet
            self._transport.abort()


_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in HTTPStatus}


def _encoded(answer: ApiResponse, *, keep_alive: bool) -> bytes:
    head = [_STATUS_LINES.get(answer.status) or f"HTTP/1.1 {answer.status} Status"]
    head += [f"{name}: {value}" for name, value in answer.headers.items()]
    head += [f"content-length: {len(answer.body)}", f"connection: {'keep-alive' if keep_alive else 'close'}"]
    return "\r\n".join(head).encode("latin-1", "replace") + b"\r\n\r\n" + answer.body
