"""What a session makes of the bytes of a connection, as values.

From the client come flights, bytes that go on at once, and the two things that are asked before a
session begins; from the server come replies. All are in order of the wire: nothing may overtake what
stands before it in the same direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deadheat.pgwire.describe import Described


class Transaction(StrEnum):
    """The transaction status of a ReadyForQuery."""

    IDLE = "I"
    OPEN = "T"
    FAILED = "E"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of a flight that will be executed.

    ``sql`` is the text as sent, or its part of a text of several statements. ``parameters`` are raw
    as bound, NULL is None; ``formats`` has one code for each, 0 text or 1 binary.
    """

    sql: str
    parameters: tuple[bytes | None, ...] = ()
    formats: tuple[int, ...] = ()
    described: Described


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """Frontend bytes up to and including what makes the server work off or send all it has.

    ``end`` is "sync", "query", "flush", "copy-done", "copy-fail" or "function-call". ``passes`` says that
    the flight may go on at once and is no choice. Each flight gets one `Result`, in order.
    """

    data: bytes
    statements: tuple[Statement, ...]
    passes: bool
    label: str
    end: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Client bytes that go on at once (behind what came before) and are no flight.

    ``kind`` is "startup", "auth", "copy-data", "terminate" or "too-large" (a flight over `FLIGHT_MAX`,
    in parts; its answer carries no `Result`).
    """

    data: bytes
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """The client asks for encryption, ``what`` is "ssl" or "gss": answer ``N``, forward nothing."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Secure:
    """The client begins TLS, which was offered: what follows of it is encrypted.

    ``data`` are the first bytes of its handshake where it began without asking (PostgreSQL 17's
    sslnegotiation=direct); empty where it asked and waits for ``S``.
    """

    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """A CancelRequest; the connection carries nothing else."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The complete answer to the oldest flight under way.

    ``tags`` are the command tags, "" for an empty query. ``sample`` shows the first three rows as short
    text. ``transaction`` is None when no ReadyForQuery ended the answer. ``copying``: the server waits
    for CopyData, and the answer is done for now; if the COPY then fails before the client ends it, the
    result of the CopyDone tells why. A flight that the server skipped after an error, or has nothing to say
    to, has an empty result.
    """

    tags: tuple[str, ...] = ()
    rows: int = 0
    sample: tuple[tuple[str, ...], ...] = ()
    columns: tuple[str, ...] = ()
    sqlstate: str | None = None
    message: str | None = None
    transaction: Transaction | None = None
    copying: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Server bytes to hand on; a message over a mebibyte comes in parts, all others whole.

    ``result`` is set when these bytes end the answer to the oldest flight under way; ``data`` may then
    be empty. ``asynchronous``: the bytes belong to no answer of a flight (start-up, a notification
    before the answer has begun, a flight that was too large to hold) and are never to be held back.
    """

    data: bytes
    result: Result | None = None
    asynchronous: bool = False
