"""Reading what a server tells: columns, rows as short text, errors, and how it authenticates.

Source: PostgreSQL manual, "Message Formats" (RowDescription, DataRow, ErrorResponse); binary formats by
the types' send functions (uuid.c, int.c, bool.c, jsonb.c).
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct, unpack_from
from struct import error as StructError
from typing import TYPE_CHECKING, Final
from uuid import UUID

from deadheat.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.pgwire.prepared import Column

VALUE_MAX: Final = 60
_FIELD: Final = Struct(">IhIhiH")  # table, attribute, type, its size, its modifier, format
_UTF8_MAX: Final = 4  # bytes of one character
_SASL: Final = (10).to_bytes(4, "big")  # the code of an AuthenticationSASL
_PLUS: Final = b"SCRAM-SHA-256-PLUS"


def columns(body: bytes) -> tuple[Column, ...]:
    """Read a RowDescription's body."""
    try:
        return _columns(body) if len(body) <= 4096 else _columns.__wrapped__(body)
    except (StructError, IndexError):
        raise broken("RowDescription") from None


@lru_cache(maxsize=1024)
def _columns(body: bytes) -> tuple[Column, ...]:
    (count,) = unpack_from(">H", body)
    at, found = 2, []
    for _ in range(count):
        stop = body.find(b"\0", at)
        if stop < 0:
            raise IndexError
        _, _, oid, _, _, code = _FIELD.unpack_from(body, stop + 1)
        found.append((body[at:stop].decode(errors="replace"), oid, code))
        at = stop + 1 + _FIELD.size
    return tuple(found)


def row(
    data: bytes, at: int, end: int, known: tuple[Column, ...], formats: tuple[int, ...]
) -> tuple[str, ...]:
    """Read a DataRow as short text; ``formats`` are a Bind's, and hold over the columns' own."""
    shown = []
    try:
        (count,) = unpack_from(">H", data, at)
        at += 2
        for n in range(count):
            (length,) = unpack_from(">i", data, at)
            at += 4
            if length < 0:
                shown.append("NULL")
                continue
            if length > end - at:
                raise broken("DataRow")
            _, oid, code = known[n] if n < len(known) else ("", 0, 0)
            if formats:
                code = formats[0] if len(formats) == 1 else formats[n] if n < len(formats) else 0
            shown.append(value(data, at, length, oid, code))
            at += length
    except StructError:
        raise broken("DataRow") from None
    return tuple(shown)


def value(data: bytes, at: int, length: int, oid: int, code: int) -> str:
    """Show one value of a row; ``oid`` is its type's, ``code`` its format."""
    if not code:
        return _text(data, at, length)
    read = _BINARY.get((oid, length))
    if read is not None:
        return read(data[at : at + length])
    if oid in _TEXTS:
        return _text(data, at, length)
    if oid == _JSONB and length:
        return _text(data, at + 1, length - 1)
    return f"<{length} bytes>"


def error(body: bytes) -> dict[str, str]:
    """Read an ErrorResponse's fields by their codes: V severity, C SQLSTATE, M message."""
    return {
        part[:1].decode(errors="replace"): part[1:].decode(errors="replace")
        for part in body.split(b"\0")
        if part
    }


def without_channel_binding(message: bytes) -> bytes | None:
    """Give an AuthenticationSASL without its offer of SCRAM-SHA-256-PLUS, which binds to a certificate.

    None for an authentication request that offers none. Source: PostgreSQL manual, "SASL Authentication".
    """
    head, code, offered = message[:1], message[5:9], message[9:]
    if code != _SASL or _PLUS not in (names := offered.split(b"\0")):
        return None
    names.remove(_PLUS)
    if not any(names):
        raise ProtocolError(
            "The server offers SCRAM-SHA-256-PLUS alone: channel binding cannot pass Deadheat's proxy. "
            "Have it offer SCRAM-SHA-256 as well, or race without control of its statements."
        )
    body = code + b"\0".join(names)
    return head + (len(body) + 4).to_bytes(4, "big") + body


def broken(message: str) -> ProtocolError:
    """Give the error for a server message that is not what its own lengths say."""
    return ProtocolError(f"The server's {message} message does not hold what its own lengths promise.")


def _text(data: bytes, at: int, length: int) -> str:
    cut = data[at : at + min(length, VALUE_MAX * _UTF8_MAX)]
    text = cut.decode(errors="replace")
    if len(text) > VALUE_MAX or length > len(cut):
        text = f"{text[: VALUE_MAX - 1]}…"
    return text


def _int(raw: bytes) -> str:
    return str(int.from_bytes(raw, "big", signed=True))


_JSONB: Final = 3802
# text, varchar, bpchar, json, name, unknown, void
_TEXTS: Final = frozenset({25, 1043, 1042, 114, 19, 705, 2278})
_BINARY: Final[dict[tuple[int, int], Callable[[bytes], str]]] = {
    (2950, 16): lambda raw: str(UUID(bytes=raw)),
    (21, 2): _int,
    (23, 4): _int,
    (20, 8): _int,
    (26, 4): lambda raw: str(int.from_bytes(raw, "big")),  # oid
    (16, 1): lambda raw: "t" if raw != b"\0" else "f",  # as in text format
}
