"""The client's side of a connection: bytes to flights.

Messages are scanned where they lie, by their headers; what is whole of an unfinished flight is kept in
pieces and joined once, at its end. What is decided by size is decided by what a header says, never by
how the bytes happened to be split, so any split gives the same flights. Source: PostgreSQL manual,
"Message Formats" and "Message Flow"; limits in `limits`.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from deadheat.errors import ProtocolError
from deadheat.pgwire.answers import Answers, Awaited
from deadheat.pgwire.describe import statements
from deadheat.pgwire.events import Cancel, Flight, Forward, Refuse, Secure, Statement, Transaction
from deadheat.pgwire.labels import flight_label
from deadheat.pgwire.limits import (
    AUTH_MAX,
    FLIGHT_MAX,
    FLIGHT_MESSAGES_MAX,
    MESSAGE_MAX,
    SMALL_MESSAGE_MAX,
    STARTUP_MAX,
    STREAM_OVER,
)
from deadheat.pgwire.prepared import Prepares

if TYPE_CHECKING:
    from collections.abc import Callable

Event = Flight | Forward | Refuse | Secure | Cancel

_HEADER: Final = Struct(">Bi")
_STARTUP: Final = Struct(">II")
_CANCEL: Final = 80877102
_REFUSED: Final = {80877103: "ssl", 80877104: "gss"}

_MAX: Final = {
    **dict.fromkeys(b"QPBFd", MESSAGE_MAX),
    **dict.fromkeys(b"CDEHSXcf", SMALL_MESSAGE_MAX),
    ord("p"): AUTH_MAX,
}
_ENDS: Final = {
    ord("S"): "sync",
    ord("Q"): "query",
    ord("H"): "flush",
    ord("c"): "copy-done",
    ord("f"): "copy-fail",
    ord("F"): "function-call",
}
# What a message is awaited as; Flush and CopyData have no answer, CopyFail's is CopyDone's.
_AWAITED: Final = {code: code for code in b"QPBDECSFc"} | {ord("f"): ord("c")}
_COPY_DATA, _AUTH, _TERMINATE = b"dpX"
_CHOICES: Final = ("copy-done", "copy-fail", "function-call")  # ends that are choices in themselves
_TLS_HANDSHAKE: Final = 0x16
_PLUS: Final = b"SCRAM-SHA-256-PLUS\0"


class Frontend:
    """Reads a client's bytes; `Answers` is told what the server will be asked."""

    def __init__(self, answers: Answers) -> None:
        self.parameters: dict[str, str] = {}
        self.ready = False
        self.offers_tls = False
        self.transaction = Transaction.IDLE
        self.holds_advisory_lock = False
        self._answers = answers
        self._prepares = Prepares()
        self._is_new = True  # nothing has been read yet
        self._started = False
        self._over = ""  # what was the last that a client may send
        self._refused: set[str] = set()
        self._tail = bytearray()  # less than one message
        self._need = 1  # with how many bytes the tail is worth looking at
        self._unread = 0  # bytes still to come of a message that goes by unread
        self._ending = 0  # the kind of that message, if it ends the flight
        self._copy_data = False  # what goes by is CopyData outside of a flight
        self._held: list[bytes] = []  # whole messages of the flight that has not ended, in pieces
        self._kinds: set[int] = set()
        self._statements: list[Statement] = []
        self._uncommitted = False  # a Flush has had something executed that the next Sync commits
        self._readers: dict[int, Callable[[bytes, int, int], None]] = {
            ord("P"): self._prepares.parse,
            ord("B"): self._prepares.bind,
            ord("C"): self._prepares.close,
            ord("D"): self._describe,
            ord("E"): self._execute,
            ord("Q"): self._query,
        }
        self._begin()

    def feed(self, data: bytes) -> list[Event]:
        """Read some bytes; gives what they complete."""
        if self._tail:
            self._tail += data
            if len(self._tail) < self._need:
                return []
            data = bytes(self._tail)
            self._tail.clear()
        events: list[Event] = []
        at = 0
        while at < len(data) and not self._started:
            if self._is_new and self.offers_tls and data[0] == _TLS_HANDSHAKE:
                self.offers_tls = self._is_new = False
                return [Secure(data=data)]
            size = self._start(data, at, events)
            if not size:
                self._keep(data, at)
                return events
            self._is_new = False
            at += size
            if isinstance(events[-1], Secure) and at < len(data):
                raise ProtocolError(
                    "The client sent more right behind its SSLRequest, which anybody may have put there "
                    "(CVE-2021-23222): it has to wait for the answer."
                )
        if at < len(data):
            self._messages(data, at, events)
        return events

    def _keep(self, data: bytes, at: int, need: int = 1) -> None:
        if at < len(data):
            self._tail += memoryview(data)[at:]
            self._need = need

    def _start(self, data: bytes, at: int, events: list[Event]) -> int:
        """Read a packet before the session; gives its length, 0 if there is too little of it."""
        self._check_over()
        if len(data) - at < 4:
            return 0
        length = int.from_bytes(data[at : at + 4], "big")
        if not _STARTUP.size <= length <= STARTUP_MAX:
            hint = ""
            if data[at] == _TLS_HANDSHAKE:
                hint = " It looks like TLS, not offered here: set sslnegotiation=postgres, sslmode=disable."
            raise ProtocolError(
                f"The client's first packet says that it is {length:,} bytes long; Postgres takes "
                f"{_STARTUP.size} to {STARTUP_MAX:,}.{hint}"
            )
        if len(data) - at < length:
            return 0
        events.append(self._started_by(data[at : at + length]))
        return length

    def _started_by(self, packet: bytes) -> Event:
        length, code = _STARTUP.unpack_from(packet)
        if what := _REFUSED.get(code):
            if what in self._refused or length != _STARTUP.size:
                raise ProtocolError(f"The client asks for {what} twice, or in a packet with more in it.")
            self._refused.add(what)
            if what == "ssl" and self.offers_tls:
                self.offers_tls = False
                return Secure()
            return Refuse(what=what)
        if code == _CANCEL:
            self._over = "CancelRequest"
            return Cancel(data=packet)
        if code >> 16 != 3:
            raise ProtocolError(
                f"The client speaks protocol {code >> 16}.{code & 0xFFFF}; only version 3 is understood."
            )
        self._started = True
        words = packet[_STARTUP.size :].decode(errors="replace").split("\0")
        self.parameters = {k: v for k, v in zip(words[::2], words[1::2], strict=False) if k}
        return Forward(data=packet, kind="startup")

    def _messages(self, data: bytes, at: int, events: list[Event]) -> None:
        """Read messages; ``at`` stays where the bytes begin that are neither handed on nor held."""
        pos, end, need = at, len(data), _HEADER.size
        self._check_over()
        while True:
            if self._unread:
                step = min(self._unread, end - pos)
                self._unread -= step
                pos += step
                if self._unread:
                    break
                if self._ending:
                    at = self._end(data, at, pos, self._ending, events)
            if end - pos < _HEADER.size:
                break
            kind, length = _HEADER.unpack_from(data, pos)
            after = pos + 1 + length
            self._check(kind, length)
            if kind == _COPY_DATA and not self._count:
                self._copy_data, self._unread = True, after - pos
                continue
            if self._copy_data:
                self._copy_data = False
                events.append(Forward(data=data[at:pos], kind="copy-data"))
                at = pos
            if not self._large and (
                self._held_size + after - at > FLIGHT_MAX or self._count >= FLIGHT_MESSAGES_MAX
            ):
                self._let_go()
            if self._large and length > STREAM_OVER:
                self._note(kind)
                self._unread, self._ending = after - pos, kind if kind in _ENDS else 0
                continue
            if after > end:
                need = 1 + length
                break
            if (reader := self._readers.get(kind)) is not None:
                reader(data, pos + _HEADER.size, after)
            self._note(kind)
            pos = after
            if kind in _ENDS:
                at = self._end(data, at, pos, kind, events)
            elif kind in (_AUTH, _TERMINATE):
                at = self._alone(data, at, pos, kind, events)
                if self._over and pos < end:
                    self._check_over()
        self._put_by(data, at, pos, events)
        self._keep(data, pos, need)

    def _put_by(self, data: bytes, at: int, pos: int, events: list[Event]) -> None:
        """Hold or hand on what is left of a piece of data."""
        if at == pos:
            return
        if self._copy_data:
            events.append(Forward(data=data[at:pos], kind="copy-data"))
            self._copy_data = self._unread > 0
            return
        self._held.append(data[at:pos])
        self._held_size += pos - at
        if self._large:
            events.append(Forward(data=self._taken(), kind="too-large"))

    def _taken(self) -> bytes:
        """Take what is held."""
        taken = b"".join(self._held)
        self._held.clear()
        self._held_size = 0
        return taken

    def _check(self, kind: int, length: int) -> None:
        most = _MAX.get(kind)
        if most is None:
            raise ProtocolError(
                f"The client sent a message of type {bytes((kind,))!r}, which Postgres does not know."
            )
        if not 4 <= length <= most:
            raise ProtocolError(
                f"The client sent a message {chr(kind)} whose length says {length:,}; "
                f"Postgres takes 4 to {most:,} bytes."
            )
        if kind == _AUTH and (self.ready or self._count):
            raise ProtocolError("The client sent a password message that nobody had asked for.")

    def _check_over(self) -> None:
        if self._over:
            raise ProtocolError(f"The client sent more after its {self._over}, which ends what it may send.")

    def _begin(self) -> None:
        """Begin a flight."""
        self._held.clear()
        self._held_size = self._count = 0
        self._awaited = Awaited()
        self._kinds = set()
        self._statements = []
        self._large = False
        self._held_lock = self.holds_advisory_lock

    def _note(self, kind: int) -> None:
        """Count a message of the flight, and await its answer."""
        self._count += 1
        self._kinds.add(kind)
        if kind in _AWAITED:
            self._awaited.codes.append(_AWAITED[kind])

    def _let_go(self) -> None:
        """Hold the flight no longer: from here on it goes by, and its answer is nobody's result."""
        self._large = True
        self._statements.clear()
        self._awaited.open = self._awaited.silent = True
        self._answers.add(self._awaited)

    def _end(self, data: bytes, at: int, pos: int, kind: int, events: list[Event]) -> int:
        """End the flight; gives where the next begins."""
        self._ending = 0
        last = data[at:pos]
        joined = b"".join((*self._held, last)) if self._held else last
        if self._large:
            self._awaited.open = False
            events.append(Forward(data=joined, kind="too-large"))
        else:
            self._answers.add(self._awaited)
            events.append(self._flight(joined, _ENDS[kind]))
        self._begin()
        return pos

    def _flight(self, data: bytes, end: str) -> Flight:
        chosen = tuple(self._statements)
        waits = not all(statement.described.passes for statement in chosen)
        passes = not waits and end not in _CHOICES
        if self._held_lock and any(statement.described.resets for statement in chosen):
            passes = False  # it gives the application's lock back
        if end == "flush":
            self._uncommitted |= waits and self.transaction is Transaction.IDLE
        elif end == "copy-done":
            self._uncommitted = self.transaction is Transaction.IDLE
        else:
            passes = passes and not (self._uncommitted and end == "sync")
            self._uncommitted = False
        label = flight_label(chosen, self._kinds, end)
        return Flight(data=data, statements=chosen, passes=passes, label=label, end=end)

    def _alone(self, data: bytes, at: int, pos: int, kind: int, events: list[Event]) -> int:
        """Hand on a message that is no part of a flight, with what stands before it."""
        joined = b"".join((*self._held, data[at:pos]))
        if kind == _TERMINATE:
            self._over = "Terminate"
        elif joined.startswith(_PLUS, _HEADER.size) and len(joined) > _HEADER.size + len(_PLUS):
            raise ProtocolError(
                "The client chose SCRAM-SHA-256-PLUS: channel binding ties it to the server's certificate "
                "and cannot pass Deadheat's proxy. Set channel_binding=prefer in its database URL."
            )
        events.append(Forward(data=joined, kind="terminate" if kind == _TERMINATE else "auth"))
        self._begin()
        return pos

    def _describe(self, data: bytes, at: int, end: int) -> None:
        self._awaited.subjects.append(self._prepares.describe(data, at, end))

    def _execute(self, data: bytes, at: int, end: int) -> None:
        portal = self._prepares.execute(data, at, end)
        self._awaited.subjects.append(portal)
        self._take(portal.statements)

    def _query(self, data: bytes, at: int, end: int) -> None:
        text = data[at : max(at, data.find(b"\0", at, end))].decode(errors="replace")
        if data[end - 1 : end] != b"\0" or end == at:
            raise ProtocolError("The client's Query message does not end with a zero byte.")
        self._take(tuple(Statement(sql=sql, described=described) for sql, described in statements(text)))

    def _take(self, executed: tuple[Statement, ...]) -> None:
        """Take statements into the flight."""
        for statement in executed:
            if statement.described.advisory_lock:
                self.holds_advisory_lock = True
            elif statement.described.resets:
                self.holds_advisory_lock = False
        if not self._large:
            self._statements += executed
