"""Which answers are awaited: the server's side of a session is told from this queue alone.

Each message of a client is answered by fixed server messages, in order (manual, "Message Flow"), so a
flight is awaited as the codes of its messages. The three cases in which the server stays silent:

- after an error in an extended-query message it skips everything up to the next Sync (``skipping``);
- while it takes in COPY data it ignores Sync and Flush; CopyDone or CopyFail then resume the Query or
  Execute that began the COPY (``copying`` holds its code);
- outside of a COPY it ignores CopyData, CopyDone and CopyFail.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from deadheat.errors import ProtocolError
from deadheat.pgwire.events import Result
from deadheat.pgwire.limits import UNDER_WAY_MAX

if TYPE_CHECKING:
    from deadheat.pgwire.events import Transaction
    from deadheat.pgwire.prepared import Column, Portal, Prepared

SYNC: Final = ord("S")
QUERY: Final = ord("Q")
CALL: Final = ord("F")
EXECUTE: Final = ord("E")
DESCRIBE: Final = ord("D")
COPY_END: Final = ord("c")  # CopyDone and CopyFail alike
_READY: Final = (SYNC, QUERY, CALL)  # answered with a ReadyForQuery
_COMPACT_AT: Final = 4096


class Awaited:
    """One flight under way: the codes of its messages not yet answered, and what the answer says so far.

    ``open``: the flight goes by unheld and its end has not come by yet. ``silent``: nobody was given it as
    a flight, so nobody is given its result.
    """

    __slots__ = (
        "_at", "begun", "codes", "columns", "message", "open", "rows", "sample", "silent",
        "sqlstate", "subjects", "tags",
    )  # fmt: skip

    def __init__(self) -> None:
        self.codes = bytearray()
        self._at = 0
        self.subjects: deque[Prepared | Portal] = deque()  # one for each Describe and Execute
        self.open = self.silent = self.begun = False
        self.tags: list[str] = []
        self.rows = 0
        self.sample: list[tuple[str, ...]] = []
        self.columns: tuple[Column, ...] | None = None
        self.sqlstate: str | None = None
        self.message: str | None = None

    def next(self) -> int:
        """Give the code of the message whose answer is due, 0 when all are answered."""
        return self.codes[self._at] if self._at < len(self.codes) else 0

    def resume(self, code: int) -> None:
        """Have the message that is due stand for another."""
        self.codes[self._at] = code

    def pop(self) -> Prepared | Portal | None:
        """Take the message that is due as answered; gives what it was about."""
        code = self.codes[self._at]
        self._at += 1
        if self._at >= _COMPACT_AT:
            del self.codes[: self._at]
            self._at = 0
        return self.subjects.popleft() if code in (DESCRIBE, EXECUTE) and self.subjects else None

    def subject(self) -> Prepared | Portal | None:
        """Give what the message that is due is about."""
        return self.subjects[0] if self.subjects else None

    def skip(self) -> bool:
        """Skip to the Sync as the server does; says whether there is one."""
        while self.next() not in (0, SYNC):
            self.pop()
        return self.next() == SYNC

    def ready(self) -> bool:
        """Skip to what a ReadyForQuery answers, and past it; says whether there was any."""
        while (code := self.next()) and code not in _READY:
            self.pop()
        if code:
            self.pop()
        return bool(code)

    def result(self, *, transaction: Transaction | None = None, copying: bool = False) -> Result:
        """Give the answer as a value."""
        return Result(
            tags=tuple(self.tags),
            rows=self.rows,
            sample=tuple(self.sample),
            columns=tuple(name for name, _, _ in self.columns or ()),
            sqlstate=self.sqlstate,
            message=self.message,
            transaction=transaction,
            copying=copying,
        )


class Answers:
    """The flights under way, oldest first, and the server's state between them."""

    def __init__(self) -> None:
        self.under_way: deque[Awaited] = deque()
        self.skipping = False
        self.copying = 0
        self.failure: tuple[str, str] | None = None  # of a COPY that failed while its data came
        self.owed = False  # a ReadyForQuery is due that belongs to no flight: a COPY failed between two

    def add(self, awaited: Awaited) -> None:
        """Await the answer to one more flight."""
        if len(self.under_way) >= UNDER_WAY_MAX:
            raise ProtocolError(
                f"The client has sent {UNDER_WAY_MAX:,} flights without waiting for an answer; "
                "no more are kept."
            )
        self.under_way.append(awaited)

    def head(self) -> Awaited | None:
        """Give the flight whose answer is due."""
        return self.under_way[0] if self.under_way else None

    def settled(self) -> list[Awaited]:
        """Take off the flights that are answered, or that the server has nothing to say to."""
        settled: list[Awaited] = []
        while self.under_way and not self.skipping:
            head = self.under_way[0]
            self._ignore(head)
            if head.next() or head.open:
                break
            settled.append(self.under_way.popleft())
        return settled

    def failed(self, sqlstate: str, message: str) -> list[Awaited]:
        """Note that the server has sent an ErrorResponse; gives the flight that this ends, if it does."""
        head = self.head()
        if self.copying:
            self.failure = (sqlstate, message)
            self.skipping = self.copying == EXECUTE
            self.owed = self.copying == QUERY and head is None
            self.copying = 0
            return []
        if head is None or head.next() in (0, *_READY):
            return []  # a ReadyForQuery follows
        self.skipping = not head.skip()
        return [self.under_way.popleft()] if self.skipping and not head.open else []

    def ready(self) -> list[Awaited]:
        """Note that the server has sent a ReadyForQuery; gives the flights that are over, the last by it."""
        self.copying = 0
        if self.owed:
            self.owed = False
            return []
        over: list[Awaited] = []
        while self.under_way:
            head = self.under_way[0]
            self._blame(head)
            reached = (head.skip() and head.ready()) if self.skipping else head.ready()
            if not reached and head.open:
                return over
            over.append(self.under_way.popleft())
            if reached:
                break
        self.skipping = False
        return over

    def _blame(self, head: Awaited) -> None:
        """Have the CopyDone of a COPY that has failed before tell of the failure."""
        if self.failure is not None and head.next() == COPY_END:
            head.sqlstate, head.message = self.failure
            self.failure = None

    def _ignore(self, head: Awaited) -> None:
        """Take off the messages of a flight that the server ignores in the state that it is in."""
        while code := head.next():
            if self.copying and code == SYNC:
                head.pop()
            elif code == COPY_END and self.copying:
                head.resume(self.copying)
                self.copying = 0
            elif code == COPY_END:
                self._blame(head)
                head.pop()
            else:
                return
