"""The server's side of a connection: bytes to replies, and to the results of flights.

Messages go on as they come, whole; only what tells how far an answer has got is read. A row or a piece of
COPY data over a mebibyte goes on in parts, unread. Source: PostgreSQL manual, "Message Flow".
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from deadheat.errors import ProtocolError
from deadheat.pgwire import rows
from deadheat.pgwire.answers import DESCRIBE, EXECUTE, QUERY, Answers, Awaited
from deadheat.pgwire.events import Reply, Result, Transaction
from deadheat.pgwire.limits import MESSAGE_MAX, SERVER_SMALL_MESSAGE_MAX, SERVER_TEXT_MAX, STREAM_OVER
from deadheat.pgwire.prepared import Portal

if TYPE_CHECKING:
    from collections.abc import Callable

_HEADER: Final = Struct(">Bi")
SAMPLE_MAX: Final = 3
_MAX: Final = {**dict.fromkeys(b"DdV", MESSAGE_MAX), **dict.fromkeys(b"TENARK", SERVER_TEXT_MAX)}
_ROW, _NOTIFICATION, _ERROR, _READY, _AUTHENTICATION = b"DAEZR"
_ASIDE: Final = b"AEZ"  # may stand beside the answer that is due
_NOTICES: Final = b"ANS"
# What answers what, where the answer says no more than that it was done.
_DONE: Final = dict(zip(b"123n", (ord("P"), ord("B"), ord("C"), DESCRIBE), strict=True))


class Backend:
    """Reads a server's bytes, knowing from `Answers` what is awaited."""

    def __init__(self, answers: Answers) -> None:
        self.ready = False
        self.transaction = Transaction.IDLE
        self.backend_pid: int | None = None
        self._answers = answers
        self._tail = bytearray()
        self._need = 1
        self._unread = 0
        self._raw = False  # what comes is no protocol 3: hand it on as it is
        self._free = True  # whether the bytes since the last reply belong to no flight's answer
        self._over: list[tuple[Result, bool]] = []  # results not told yet; True for whose bytes these are
        self._readers: dict[int, Callable[[bytes, int, int], None]] = {
            ord("D"): self._row,
            ord("T"): self._columns,
            ord("C"): self._complete,
            ord("I"): self._complete_empty,
            ord("s"): self._suspended,
            ord("E"): self._error,
            ord("Z"): self._ready_for_query,
            ord("K"): self._key,
            ord("G"): self._copy_in,
            ord("W"): self._copy_in,
        }

    def feed(self, data: bytes) -> list[Reply]:
        """Read some bytes; gives what they complete, and flights that need no answer (any more)."""
        replies: list[Reply] = []
        if self._answers.under_way:
            self._settle()
            if self._over:
                self._tell(b"", replies)
        if self._raw:
            return [*replies, Reply(data=data, asynchronous=True)] if data else replies
        if self._tail:
            self._tail += data
            if len(self._tail) < self._need:
                return replies
            data = bytes(self._tail)
            self._tail.clear()
        if data:
            self._messages(data, replies)
        return replies

    def _messages(self, data: bytes, replies: list[Reply]) -> None:
        at, pos, end, need = 0, 0, len(data), _HEADER.size
        under_way, readers = self._answers.under_way, self._readers
        while True:
            if self._unread:
                step = min(self._unread, end - pos)
                self._unread -= step
                pos += step
            if end - pos < _HEADER.size:
                break
            kind, length = _HEADER.unpack_from(data, pos)
            after = pos + 1 + length
            if not 4 <= length <= _MAX.get(kind, SERVER_SMALL_MESSAGE_MAX):
                self._lost(kind, length)
                pos = end
                break
            head = under_way[0] if under_way else None
            free = (
                head is None
                or head.silent
                or not self.ready
                or (kind in _ASIDE and self._stands_aside(kind, head))
            )
            if free is not self._free:
                if pos > at:
                    replies.append(Reply(data=data[at:pos], asynchronous=self._free))
                    at = pos
                self._free = free
            if length > STREAM_OVER and kind in b"DdV":
                if kind == _ROW and head is not None and not free:
                    head.begun = True
                    head.rows += 1
                    if len(head.sample) < SAMPLE_MAX:
                        head.sample.append((f"<{length - 4} bytes>",))
                self._unread = after - pos
                continue
            if after > end:
                need = 1 + length
                break
            if head is not None and not free:
                head.begun = True
            if kind == _ROW and head is not None and (free or len(head.sample) >= SAMPLE_MAX):
                head.rows += 1
            elif (reader := readers.get(kind)) is not None:
                reader(data, pos + _HEADER.size, after)
            elif kind in _DONE:
                self._done(_DONE[kind])
            elif (
                kind == _AUTHENTICATION
                and not self.ready
                and (offer := rows.without_channel_binding(data[pos:after])) is not None
            ):
                replies.append(Reply(data=data[at:pos] + offer, asynchronous=True))
                at = after
            pos = after
            if self._over:
                self._tell(data[at:pos], replies)
                at = pos
        if pos > at:
            replies.append(Reply(data=data[at:pos], asynchronous=self._free))
        if pos < end:
            self._tail += memoryview(data)[pos:]
            self._need = need

    def _lost(self, kind: int, length: int) -> None:
        """Decide about a message whose length cannot be."""
        if self.ready or kind != _ERROR:
            raise ProtocolError(
                f"The server sent a message {bytes((kind,))!r} whose length says {length:,}; between 4 and "
                f"{_MAX.get(kind, SERVER_SMALL_MESSAGE_MAX):,} bytes are possible. It is no Postgres, or its "
                "bytes did not all come through here."
            )
        # A postmaster that cannot fork says so in protocol 2: E, text, zero byte (fe-connect.c).
        self._raw = True

    def _stands_aside(self, kind: int, head: Awaited) -> bool:
        """Say whether a message is none of the answer that is due."""
        if kind == _READY:
            return self._answers.owed
        if kind == _ERROR:
            return self._answers.copying == EXECUTE
        return not head.begun

    def _settle(self) -> None:
        """Note the flights that are over by themselves."""
        if over := self._answers.settled():
            self._finish(over, own=False)

    def _finish(self, flights: list[Awaited], *, own: bool, transaction: Transaction | None = None) -> None:
        """Note the results of flights; the last has these bytes (``own``) and the transaction's status."""
        for n, flight in enumerate(flights, start=1):
            last = n == len(flights)
            if not flight.silent:
                result = flight.result(transaction=transaction if last else None)
                self._over.append((result, own and last))

    def _tell(self, data: bytes, replies: list[Reply]) -> None:
        """Make replies of the results; the bytes go with the one that they end."""
        if data and not any(own for _, own in self._over):
            replies.append(Reply(data=data, asynchronous=self._free))
            data = b""
        for result, own in self._over:
            replies.append(Reply(data=data if own else b"", result=result))
        self._over.clear()

    def _done(self, code: int) -> None:
        """Take the message that is due as answered, if it is of that kind."""
        head = self._answers.head()
        if head is not None and head.next() == code:
            head.pop()
            self._end_of_answer()

    def _end_of_answer(self) -> None:
        """See whether the answer to the flight is complete; what follows it may need none."""
        if over := self._answers.settled():
            self._finish(over[:1], own=True)
            self._finish(over[1:], own=False)

    def _row(self, data: bytes, at: int, end: int) -> None:
        head = self._answers.head()
        if head is None:
            return
        head.rows += 1
        known, formats = _shape(head)
        head.sample.append(rows.row(data, at, end, known, formats))

    def _columns(self, data: bytes, at: int, end: int) -> None:
        head = self._answers.head()
        if head is None:
            return
        head.columns = rows.columns(data[at:end])
        if head.next() == DESCRIBE:
            subject = head.pop()
            if subject is not None:
                subject.columns = head.columns
            self._end_of_answer()

    def _complete(self, data: bytes, at: int, end: int) -> None:
        self._executed(data[at : end - 1].decode(errors="replace"))

    def _complete_empty(self, data: bytes, at: int, end: int) -> None:
        self._executed("")

    def _suspended(self, data: bytes, at: int, end: int) -> None:
        self._executed(None)

    def _executed(self, tag: str | None) -> None:
        head = self._answers.head()
        if head is None:
            return
        if tag is not None and not head.silent:
            head.tags.append(tag)
        if head.next() == EXECUTE:
            portal = head.subject()
            if isinstance(portal, Portal):
                head.columns = portal.columns or portal.prepared.columns or head.columns
            head.pop()
            self._end_of_answer()

    def _error(self, data: bytes, at: int, end: int) -> None:
        if not self.ready:
            return
        fields = rows.error(data[at:end])
        sqlstate, text = fields.get("C", ""), fields.get("M", "")
        head = self._answers.head()
        if head is not None and not self._free and head.sqlstate is None:
            head.sqlstate, head.message = sqlstate, text
        if fields.get("V") in ("FATAL", "PANIC"):
            # Nothing else will come.
            if head is not None and not self._free:
                self._finish([self._answers.under_way.popleft()], own=True)
            return
        self._finish(self._answers.failed(sqlstate, text), own=True)
        self._settle()

    def _ready_for_query(self, data: bytes, at: int, end: int) -> None:
        try:
            self.transaction = Transaction(data[at:end].decode())
        except ValueError:
            raise ProtocolError(f"The server is ready with an unknown status, {data[at:end]!r}.") from None
        if not self.ready:
            self.ready = True
            return
        self._finish(self._answers.ready(), own=True, transaction=self.transaction)
        self._settle()

    def _key(self, data: bytes, at: int, end: int) -> None:
        if end - at < 4:
            raise rows.broken("BackendKeyData")
        self.backend_pid = int.from_bytes(data[at : at + 4], "big")

    def _copy_in(self, data: bytes, at: int, end: int) -> None:
        """Note that the server waits for CopyData: the answer is done, unless the flight brought it along."""
        head = self._answers.head()
        if head is None or (code := head.next()) not in (QUERY, EXECUTE):
            return
        head.pop()
        self._answers.copying, self._answers.failure = code, None
        over = self._answers.settled()
        for n, flight in enumerate(over):
            if not flight.silent:
                self._over.append((flight.result(copying=n == 0), n == 0))


def _shape(head: Awaited) -> tuple[tuple[tuple[str, int, int], ...], tuple[int, ...]]:
    """Give the columns of the rows that come, and the formats that a Bind has asked for."""
    if head.next() == EXECUTE:
        portal = head.subject()
        if isinstance(portal, Portal):
            return portal.columns or portal.prepared.columns or head.columns or (), portal.formats
    return head.columns or (), ()
