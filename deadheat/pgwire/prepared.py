"""What a connection has prepared and bound: from a name in an Execute back to text and parameters.

Postgres keeps a named statement until it is closed and a portal until its transaction ends (manual,
"Extended Query"). Here a name keeps its last meaning, since a name that the server no longer knows is an
error there and needs no text here. Bounded in number and bytes; the oldest is forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from struct import error as StructError
from struct import unpack_from
from typing import Final, Generic, TypeVar

from deadheat.errors import ProtocolError
from deadheat.pgwire.describe import UNKNOWN, Described, statements
from deadheat.pgwire.events import Statement
from deadheat.pgwire.limits import REMEMBERED_BYTES_MAX, REMEMBERED_MAX

Column = tuple[str, int, int]  # name, type's oid, format code


@dataclass(slots=True)
class Prepared:
    """A prepared statement; ``columns`` are known once it was described."""

    sql: str
    found: tuple[tuple[str, Described], ...]
    columns: tuple[Column, ...] = ()


@dataclass(slots=True)
class Portal:
    """A bound statement: what an Execute of it executes, and in which formats its rows come."""

    prepared: Prepared
    statements: tuple[Statement, ...] = ()
    formats: tuple[int, ...] = ()
    columns: tuple[Column, ...] = ()


UNKNOWN_STATEMENT: Final = Prepared("", (("", UNKNOWN),))
_UNKNOWN_PORTAL: Final = Portal(UNKNOWN_STATEMENT, (Statement(sql="", described=UNKNOWN),))

Kept = TypeVar("Kept")


class Names(Generic[Kept]):
    """What is known by name, within the bounds."""

    def __init__(self, unknown: Kept) -> None:
        self._known: OrderedDict[bytes, tuple[Kept, int]] = OrderedDict()
        self._unknown = unknown
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._known)

    def keep(self, name: bytes, kept: Kept, size: int) -> None:
        """Give a name its meaning; ``size`` is what it weighs, in bytes."""
        self.forget(name)
        self._known[name] = (kept, size)
        self._bytes += size
        while len(self._known) > REMEMBERED_MAX or (
            self._bytes > REMEMBERED_BYTES_MAX and len(self._known) > 1
        ):
            _, (_, weight) = self._known.popitem(last=False)
            self._bytes -= weight

    def get(self, name: bytes) -> Kept:
        """Give what a name means, or what stands for the unknown."""
        known = self._known.get(name)
        return known[0] if known is not None else self._unknown

    def forget(self, name: bytes) -> None:
        """Take a name's meaning away, if it has one."""
        known = self._known.pop(name, None)
        if known is not None:
            self._bytes -= known[1]


class Prepares:
    """The statements and portals of one connection; reads Parse, Bind, Describe, Execute and Close.

    Each takes the message with the place of its body, which is whole; a body that is cut short or has no
    terminator is a ProtocolError. Source: manual, "Message Formats".
    """

    def __init__(self) -> None:
        self.statements: Names[Prepared] = Names(UNKNOWN_STATEMENT)
        self.portals: Names[Portal] = Names(_UNKNOWN_PORTAL)

    def parse(self, data: bytes, at: int, end: int) -> None:
        """Remember the text of a Parse."""
        name, at = _string(data, at, end, "Parse")
        text, _ = _string(data, at, end, "Parse")
        sql = text.decode(errors="replace")
        self.statements.keep(name, Prepared(sql, statements(sql)), end - at)

    def bind(self, data: bytes, at: int, end: int) -> None:
        """Remember the parameters of a Bind."""
        start = at
        portal, at = _string(data, at, end, "Bind")
        name, at = _string(data, at, end, "Bind")
        try:
            codes, at = _codes(data, at)
            values, at = _values(data, at, end)
            results, at = _codes(data, at)
        except StructError:
            raise _short("Bind") from None
        if at > end:
            raise _short("Bind")
        prepared = self.statements.get(name)
        if len(codes) != len(values):
            codes = (codes * len(values) if len(codes) == 1 else codes + (0,) * len(values))[: len(values)]
        bound = tuple(
            Statement(sql=sql, parameters=values, formats=codes, described=described)
            for sql, described in prepared.found
        )
        self.portals.keep(portal, Portal(prepared, bound, results), end - start)

    def describe(self, data: bytes, at: int, end: int) -> Prepared | Portal:
        """Find what a Describe asks about; what its name does not mean is described in vain."""
        kind, name = _target(data, at, end, "Describe")
        return self.statements.get(name) if kind == "S" else self.portals.get(name)

    def execute(self, data: bytes, at: int, end: int) -> Portal:
        """Find what an Execute executes."""
        name, at = _string(data, at, end, "Execute")
        if end - at != 4:
            raise _short("Execute")
        return self.portals.get(name)

    def close(self, data: bytes, at: int, end: int) -> None:
        """Forget what a Close closes."""
        kind, name = _target(data, at, end, "Close")
        (self.statements if kind == "S" else self.portals).forget(name)


def _string(data: bytes, at: int, end: int, message: str) -> tuple[bytes, int]:
    """Read up to a zero byte; gives what is before it and where the next field begins."""
    stop = data.find(b"\0", at, end)
    if stop < 0:
        raise _short(message)
    return data[at:stop], stop + 1


def _target(data: bytes, at: int, end: int, message: str) -> tuple[str, bytes]:
    kind = data[at : at + 1] if at < end else b""
    if kind not in (b"S", b"P"):
        raise ProtocolError(
            f"The client's {message} asks for {kind!r}, which is neither statement nor portal."
        )
    return kind.decode(), _string(data, at + 1, end, message)[0]


def _codes(data: bytes, at: int) -> tuple[tuple[int, ...], int]:
    (count,) = unpack_from(">H", data, at)
    if not count:
        return (), at + 2
    return unpack_from(f">{count}h", data, at + 2), at + 2 + 2 * count


def _values(data: bytes, at: int, end: int) -> tuple[tuple[bytes | None, ...], int]:
    (count,) = unpack_from(">H", data, at)
    at += 2
    values: list[bytes | None] = []
    for _ in range(count):
        (length,) = unpack_from(">i", data, at)
        at += 4
        if length < 0:
            values.append(None)
            continue
        if length > end - at:
            raise _short("Bind")
        values.append(data[at : at + length])
        at += length
    return tuple(values), at


def _short(message: str) -> ProtocolError:
    return ProtocolError(f"The client's {message} message does not hold what its own lengths promise.")
