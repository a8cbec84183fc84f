"""One of the two sockets of a proxied connection: reading that can pause, and an end that comes.

A side that does not take what is written to it keeps the other one from being read. After `close` what
was written still goes out, but not for longer than `LINGER_SECONDS`. After `refuse` the peer is not
listened to any more, yet is read for as long: a socket that is closed with bytes unread is reset by the
kernel, and the peer might never see what it was told. A side that has been secured speaks TLS: what is
handed on and written is plain, what the socket sees is not.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.engine.postgres.tls import Demand, Tls

CONNECT_SECONDS = 10.0
LINGER_SECONDS = 2.0
UNWRITABLE = "the other side does not read"


class Ends(Protocol):
    """What a side tells of itself."""

    def made(self, side: Side) -> None:
        """Hear that the socket is there."""

    def lost(self, side: Side) -> None:
        """Hear that it is gone."""


class Side(asyncio.Protocol):
    """A socket of ``ends``; ``take`` is given what it reads. ``kept`` are all sides that are open."""

    def __init__(self, ends: Ends, take: Callable[[bytes], None], kept: set[Side]) -> None:
        self.other: Side | None = None
        self.transport: asyncio.Transport | None = None
        self.tls: Tls | None = None
        self._take = take
        self._ends = ends
        self._kept = kept
        self._pauses: set[str] = set()
        self._clock: asyncio.TimerHandle | None = None

    async def connect(self, address: tuple[str, int] | str, demand: Demand | None) -> None:
        """Connect to a server, in TLS as it demands; OSError or TimeoutError when it cannot be reached."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            if isinstance(address, str):
                await loop.create_unix_connection(lambda: self, address)
            elif demand is None:
                await loop.create_connection(lambda: self, *address)
            else:
                transport, self.tls = await demand.reach(*address)
                transport.set_protocol(self)
                self.connection_made(transport)
                transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._kept.add(self)
        self._ends.made(self)

    def data_received(self, data: bytes) -> None:
        """Hand on what has come."""
        if self.tls is not None:
            data = self._opened(self.tls, data)
        if data:
            self._take(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the transport."""
        self.transport = None
        self._kept.discard(self)
        if self._clock is not None:
            self._clock.cancel()
        self._ends.lost(self)

    def pause_writing(self) -> None:
        """Keep the other side from being read."""
        if self.other is not None:
            self.other.pause(UNWRITABLE)

    def resume_writing(self) -> None:
        """Have the other side read again."""
        if self.other is not None:
            self.other.resume(UNWRITABLE)

    def pause(self, why: str) -> None:
        """Do not read, until each cause has been resumed."""
        if not self._pauses and self._is_open():
            self._transport().pause_reading()
        self._pauses.add(why)

    def resume(self, why: str) -> None:
        """Take back a cause of not reading."""
        if why not in self._pauses:
            return
        self._pauses.discard(why)
        if not self._pauses and self._is_open():
            self._transport().resume_reading()

    def feeds(self, other: Side) -> None:
        """Write what is read here to the other side at once, from now on."""
        self._take = other.write

    def secure(self, tls: Tls, data: bytes = b"") -> None:
        """Speak TLS from now on; ``data`` are bytes of the handshake that have been read already."""
        self.tls = tls
        self.data_received(data)

    def write(self, data: bytes) -> None:
        """Write, if there is anybody to write to."""
        transport = self.transport
        if transport is not None and not transport.is_closing():
            if self.tls is not None:
                self.tls.write(data)
                data = self.tls.taken()
            transport.write(data)

    def close(self) -> None:
        """Close; what was written still goes out for a while."""
        if self._is_open():
            self._end_tls()
            self._transport().close()
            if self._transport().get_write_buffer_size():
                self._end_later()

    def refuse(self, last: bytes) -> None:
        """Write some last words, and close when the peer does."""
        if not self._is_open():
            return
        self._take = _ignore
        for why in tuple(self._pauses):
            self.resume(why)
        self.write(last)
        if self._transport().get_write_buffer_size():
            self.close()
            return
        try:
            self._end_tls()
            self.tls = None  # not a word goes out after this
            self._transport().write_eof()
        except OSError:  # it has gone, and nobody has read that yet
            self.abort()
        self._end_later()

    def abort(self) -> None:
        """Close at once."""
        if self.transport is not None:
            self.transport.abort()

    def _opened(self, tls: Tls, data: bytes) -> bytes:
        """Give what TLS holds; what is none, or its end, closes."""
        try:
            plain = tls.read(data)
        except ssl.SSLError:
            plain, tls.is_over = b"", True
        if self._is_open():
            self._transport().write(tls.taken())
        if tls.is_over:
            self.close()
        return plain

    def _end_tls(self) -> None:
        if self.tls is not None:
            self.tls.end()
            self._transport().write(self.tls.taken())

    def _is_open(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    def _transport(self) -> asyncio.Transport:
        assert self.transport is not None
        return self.transport

    def _end_later(self) -> None:
        if self._clock is None:
            self._clock = asyncio.get_running_loop().call_later(LINGER_SECONDS, self.abort)


def fatal(sqlstate: str, message: str) -> bytes:
    """Give an ErrorResponse that ends a connection."""
    text = message.encode("utf-8", "replace").replace(b"\0", b"?")
    fields = b"SFATAL\0VFATAL\0C" + sqlstate.encode() + b"\0M" + text + b"\0\0"
    return b"E" + (len(fields) + 4).to_bytes(4, "big") + fields


def _ignore(data: bytes) -> None:
    """Take no note of what comes."""
