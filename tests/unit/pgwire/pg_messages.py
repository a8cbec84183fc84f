"""Protocol messages to write tests with, and sessions at the point where a test begins."""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING

from deadheat.pgwire import Flight, Forward, Reply, Result, Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deadheat.pgwire.frontend import Event


def message(kind: str, body: bytes = b"") -> bytes:
    return kind.encode() + pack(">i", len(body) + 4) + body


def startup(*, version: int = 0x30000, **parameters: str) -> bytes:
    body = b"".join(f"{k}\0{v}\0".encode() for k, v in parameters.items()) + b"\0"
    return pack(">II", len(body) + 8, version) + body


def query(sql: str) -> bytes:
    return message("Q", sql.encode() + b"\0")


def parse(sql: str, name: str = "") -> bytes:
    return message("P", f"{name}\0{sql}\0".encode() + pack(">h", 0))


def bind(
    *values: bytes | None,
    name: str = "",
    portal: str = "",
    formats: tuple[int, ...] = (),
    results: tuple[int, ...] = (),
) -> bytes:
    body = f"{portal}\0{name}\0".encode()
    body += pack(f">h{len(formats)}h", len(formats), *formats) + pack(">H", len(values))
    body += b"".join(pack(">i", -1) if v is None else pack(">i", len(v)) + v for v in values)
    return message("B", body + pack(f">h{len(results)}h", len(results), *results))


def describe_statement(name: str = "") -> bytes:
    return message("D", b"S" + name.encode() + b"\0")


def describe_portal(name: str = "") -> bytes:
    return message("D", b"P" + name.encode() + b"\0")


def execute(portal: str = "") -> bytes:
    return message("E", portal.encode() + b"\0" + pack(">i", 0))


SYNC = message("S")
FLUSH = message("H")
COPY_DONE = message("c")
COPY_FAIL = message("f", b"no\0")
TERMINATE = message("X")

PARSED = message("1")
BOUND = message("2")
CLOSED = message("3")
NO_DATA = message("n")
SUSPENDED = message("s")
EMPTY = message("I")
TYPES = message("t", pack(">h", 0))
COPY_IN = message("G", b"\0" + pack(">h", 0))
COPY_OUT = message("H", b"\0" + pack(">h", 0))
COPY_BOTH = message("W", b"\0" + pack(">h", 0))
NOTICE = message("N", b"SNOTICE\0C00000\0Mhello\0\0")
NOTIFICATION = message("A", pack(">i", 7) + b"channel\0payload\0")
STATUS = message("S", b"TimeZone\0UTC\0")


def ready(status: str = "I") -> bytes:
    return message("Z", status.encode())


def complete(tag: str) -> bytes:
    return message("C", tag.encode() + b"\0")


def error(sqlstate: str, text: str = "no", severity: str = "ERROR") -> bytes:
    return message("E", f"S{severity}\0V{severity}\0C{sqlstate}\0M{text}\0\0".encode())


def columns(*known: tuple[str, int, int]) -> bytes:
    body = pack(">h", len(known))
    for name, oid, code in known:
        body += name.encode() + b"\0" + pack(">IhIhih", 0, 0, oid, -1, -1, code)
    return message("T", body)


def row(*values: bytes | None) -> bytes:
    body = pack(">h", len(values))
    body += b"".join(pack(">i", -1) if v is None else pack(">i", len(v)) + v for v in values)
    return message("D", body)


GREETING = message("R", pack(">i", 0)) + STATUS + message("K", pack(">ii", 4711, 99)) + ready()


def started() -> Session:
    """Give a session that is ready for its first query."""
    session = Session()
    session.client(startup(user="ada", database="app"))
    session.server(GREETING)
    return session


def flights(events: Iterable[Event]) -> list[Flight]:
    return [event for event in events if isinstance(event, Flight)]


def flight(session: Session, data: bytes) -> Flight:
    """Send what is exactly one flight."""
    (event,) = session.client(data)
    assert isinstance(event, Flight)
    assert event.data == data
    return event


def forward(session: Session, data: bytes) -> Forward:
    """Send what is exactly one forward."""
    (event,) = session.client(data)
    assert isinstance(event, Forward)
    return event


def results(replies: Iterable[Reply]) -> list[Result]:
    return [reply.result for reply in replies if reply.result is not None]


def result(session: Session, data: bytes) -> Result:
    """Have the server answer with what ends exactly one flight, with its last byte."""
    replies = session.server(data)
    assert b"".join(reply.data for reply in replies) == data
    assert replies[-1].result is not None
    (found,) = results(replies)
    return found
