"""TLS on either side of the proxy: between two buffers, with a certificate of this run, or as a DSN asks.

`Tls` does no I/O: what the socket reads goes in and plain bytes come out, and the other way round. So a
side's socket stays the same, with its pauses and its end, and not a byte from before the handshake can
pass for one from within. The certificate is for this machine's loopback names, from an authority that is
forgotten with the process, and needs the package trustme (the extra ``tls``); without it there is no
context, and a client that asks for TLS is told ``N``. Source: PostgreSQL manual, "SSL Session Encryption"
(protocol) and "SSL Support" (libpq: what each sslmode verifies, and the files in ``~/.postgresql``).
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from deadheat.errors import PostgresUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

ALPN: Final = "postgresql"  # what a client must name that begins TLS without asking (PostgreSQL 17)
NAMES: Final = ("localhost", "127.0.0.1", "::1")
PACKAGE: Final = "trustme"
SSL_REQUEST: Final = bytes.fromhex("0000000804d2162f")
_READ_BYTES_MAX: Final = 1 << 16
_FILES: Final = {"sslrootcert": "root.crt", "sslcert": "postgresql.crt", "sslkey": "postgresql.key"}


class Tls:
    """One end of a TLS connection; the client's with the ``hostname`` of the server.

    ``direct``: it began without an SSLRequest, so both ends have to name Postgres's protocol.
    """

    def __init__(self, context: ssl.SSLContext, *, hostname: str | None = None, direct: bool = False) -> None:
        self.is_open = False  # the handshake is done
        self.is_over = False  # the peer has said that it sends no more
        self._direct = direct
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._in, self._out, server_side=hostname is None, server_hostname=hostname
        )

    def read(self, data: bytes = b"") -> bytes:
        """Take what the socket has read; gives what it holds. SSLError when it is not what it has to be."""
        self._in.write(data)
        pieces = []
        try:
            if not self.is_open:
                self._object.do_handshake()
                if self._direct and self._object.selected_alpn_protocol() != ALPN:
                    raise ssl.SSLError(f"the other end does not name the protocol {ALPN!r} (ALPN)")
                self.is_open = True
            while piece := self._object.read(_READ_BYTES_MAX):
                pieces.append(piece)
            self.is_over = True
        except ssl.SSLWantReadError:
            pass
        return b"".join(pieces)

    def write(self, data: bytes) -> None:
        """Take what the peer is to be sent; nothing can be before the handshake is done."""
        left = memoryview(data)
        while left and self.is_open:
            left = left[self._object.write(left) :]

    def end(self) -> None:
        """Tell the peer that nothing more comes."""
        if self.is_open:
            with suppress(ssl.SSLError):  # it wants to read the peer's own end, which nobody waits for
                self._object.unwrap()

    def taken(self) -> bytes:
        """Take what the socket has to write."""
        return self._out.read()


@cache
def own_context() -> ssl.SSLContext | None:
    """Give what clients are offered TLS with, the same as long as the process lives; None without trustme."""
    if find_spec(PACKAGE) is None:
        return None
    import trustme

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols([ALPN])
    trustme.CA().issue_cert(*NAMES).configure_cert(context)
    return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """How a server is reached by TLS; not ``required``: plain where it has none; ``direct``: unasked."""

    context: ssl.SSLContext = field(repr=False)
    hostname: str
    required: bool = True
    direct: bool = False

    async def reach(self, host: str, port: int) -> tuple[asyncio.Transport, Tls | None]:
        """Connect, with a transport that is paused; OSError, SSLError among them, when that cannot be."""
        loop = asyncio.get_running_loop()
        transport, reaching = await loop.create_connection(lambda: _Reaching(self), host, port)
        try:
            return transport, await reaching.done
        except BaseException:
            transport.abort()
            raise


class _Reaching(asyncio.Protocol):
    """Asks a server for TLS and shakes hands."""

    def __init__(self, demand: Demand) -> None:
        self.done: asyncio.Future[Tls | None] = asyncio.get_running_loop().create_future()
        self._demand = demand
        self._tls: Tls | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._demand.direct:
            self._begin()
        else:
            self._transport.write(SSL_REQUEST)

    def data_received(self, data: bytes) -> None:
        if self.done.done():
            return
        try:
            if self._tls is not None:
                self._shake(data)
            elif data == b"S":
                self._begin()
            elif data == b"N" and not self._demand.required:
                self._end(None)
            elif data == b"N":
                raise ConnectionError("it has no TLS, which its DSN demands (sslmode)")
            else:
                raise ConnectionError("it answers a request for TLS with what is neither S nor N")
        except OSError as error:
            self.done.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("it closed the connection when asked for TLS"))

    def _begin(self) -> None:
        demand = self._demand
        self._tls = Tls(demand.context, hostname=demand.hostname, direct=demand.direct)
        self._shake(b"")

    def _shake(self, data: bytes) -> None:
        assert self._tls is not None  # begun
        try:
            early = self._tls.read(data)
        finally:
            self._transport.write(self._tls.taken())
        if early:
            raise ConnectionError("it speaks before it was asked anything")
        if self._tls.is_open:
            self._end(self._tls)

    def _end(self, tls: Tls | None) -> None:
        self._transport.pause_reading()
        self.done.set_result(tls)


def context_of(parameters: Mapping[str, str]) -> ssl.SSLContext:
    """Give the client's context that a DSN's parameters ask for; PostgresUnavailable for a file that is not.

    As in libpq ``require`` verifies as ``verify-ca`` does where there is a root certificate, else nothing.
    """
    mode = parameters.get("sslmode", "prefer")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols([ALPN])
    root, certificate, key = (_file(parameters, name) for name in _FILES)
    system = root == "system"
    verifies = mode.startswith("verify-") or system or (mode == "require" and root is not None)
    context.check_hostname = mode == "verify-full" or system
    context.verify_mode = ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE
    try:
        if system:
            context.load_default_certs()
        elif verifies:
            context.load_verify_locations(root or Path.home() / ".postgresql" / _FILES["sslrootcert"])
        if certificate is not None:
            context.load_cert_chain(certificate, key, parameters.get("sslpassword", ""))
    except OSError as error:
        files = {"sslrootcert": root, "sslcert": certificate, "sslkey": key}
        named = ", ".join(f"{name}={file}" for name, file in files.items() if file is not None)
        if verifies and root is None:
            named = f"no sslrootcert; there is no {Path.home() / '.postgresql' / _FILES['sslrootcert']}"
        raise PostgresUnavailable(
            f"sslmode={mode} of the DSN cannot be done: {error.strerror or error} ({named}). "
            "Correct these in the DSN."
        ) from None
    return context


def _file(parameters: Mapping[str, str], name: str) -> str | None:
    """Give the file that a DSN names, else the one of libpq's if it is there."""
    if named := parameters.get(name):
        return named
    usual = Path.home() / ".postgresql" / _FILES[name]
    return str(usual) if usual.exists() else None
