"""A small HTTP client for stripe-mock: pooled keep-alive connections, one request at a time on each.

Validation stands in the way of every POST, so it has to be quick: a raw asyncio protocol with
httptools takes a fifth of the time that a general client does. stripe-mock keeps no state, so a
request that meets a connection closed meanwhile is simply sent again on a new one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import httptools

from deadheat.stripe_sim.wire import ApiResponse

if TYPE_CHECKING:
    from deadheat.stripe_sim.wire import ApiRequest

ANSWER_SECONDS = 10.0


class MockClient:
    """Connections to one stripe-mock."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._idle: list[_Connection] = []

    async def exchange(self, request: ApiRequest, *, key: str) -> ApiResponse:
        """Send a request with ``key`` in place of its own; OSError or TimeoutError if that fails."""
        message = self._message(request, key)
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                try:
                    return await self._on(connection, message)
                except ConnectionError:
                    continue
        async with asyncio.timeout(ANSWER_SECONDS):
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(_Connection, self._host, self._port)
        return await self._on(connection, message)

    def close(self) -> None:
        """Close all connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _on(self, connection: _Connection, message: bytes) -> ApiResponse:
        try:
            answer = await connection.ask(message)
        except BaseException:
            connection.close()
            raise
        if connection.open:
            self._idle.append(connection)
        return answer

    def _message(self, request: ApiRequest, key: str) -> bytes:
        target = f"{request.path}?{request.query}" if request.query else request.path
        lines = [
            f"{request.method} {target} HTTP/1.1",
            f"host: {self._host}:{self._port}",
            f"authorization: Bearer {key}",
        ]
        if request.method == "POST":
            lines.append("content-type: application/x-www-form-urlencoded")
        if request.body or request.method == "POST":
            lines.append(f"content-length: {len(request.body)}")
        return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + request.body


class _Connection(asyncio.Protocol):
    """One connection; ``open`` until either side ends it."""

    def __init__(self) -> None:
        self.open = False
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[ApiResponse] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    async def ask(self, message: bytes) -> ApiResponse:
        """Send a request and wait for its answer; ConnectionError or TimeoutError if there will be none."""
        if self._transport is None or not self.open:
            raise ConnectionResetError("the connection is closed")
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        self._transport.write(message)
        timer = loop.call_later(ANSWER_SECONDS, self._fail, TimeoutError())
        try:
            return await self._answer
        finally:
            timer.cancel()

    def close(self) -> None:
        """End the connection."""
        self.open = False
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport."""
        transport = cast("asyncio.Transport", transport)  # uvloop\'s is no subclass of it
        self._transport = transport
        self.open = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits that there will be no answer."""
        self._fail(exc or ConnectionResetError("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        """Read on."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"not HTTP: {error}"))
            self.close()

    def on_message_begin(self) -> None:
        """Start a new answer."""
        self._headers = {}
        self._body = bytearray()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._headers[name.lower().decode("latin-1")] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Hand the answer over."""
        status = self._parser.get_status_code()
        self.open = self.open and self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            answer = ApiResponse(status=status, headers=self._headers, body=bytes(self._body))
            self._answer.set_result(answer)
        if not self.open:
            self.close()

    def _fail(self, error: Exception) -> None:
        self.open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error if isinstance(error, OSError) else ConnectionError(str(error)))
