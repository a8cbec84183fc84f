"""The Postgres plane of one run: whose each flight is, what holds it, and what came of it.

A flight that executes something is held before it reaches the server. The answer of one that was
blocked is held as well, as a step of its own: otherwise a waiter that a COMMIT wakes would run beside
the committer. What opens a transaction binds its connection to its strand until the transaction ends.

In the place of a flight its connection may be cut: before, and the server never sees it, or after, and it
is executed while its answer never arrives. The next choice waits until the backend has taken note.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from deadheat.engine.conduct.attribution import CAUSE, TRANSACTION
from deadheat.engine.conduct.pace import POLLS_MS
from deadheat.engine.conduct.strands import Variant
from deadheat.history import Plane, StepKind
from deadheat.pgwire import Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from deadheat.engine.conduct.blocking import Blocking
    from deadheat.engine.conduct.conductor import Conductor
    from deadheat.engine.conduct.strands import Hold, Strand
    from deadheat.engine.postgres.parking import Parking
    from deadheat.engine.postgres.proxy import ControlledConnection, PostgresProxy
    from deadheat.history import Recorder
    from deadheat.pgwire import Described, Flight, Result

PARKS_MAX = 3  # of one flight: a statement that writes more rows is let through after that
CONNECT_SECONDS = 0.25  # to make another connection, and begin anew on it
VALUE_CHARS_MAX = 120
INTEGER_BYTES = (4, 8)  # a binary one begins with zeros: text has none
STATEMENT_CHARS_MAX = 1000


@dataclass(frozen=True, slots=True)
class _Sent:
    """A flight that went to the server. ``noted`` is False for one that is no step (BEGIN).

    ``firm``: more than cause says whose it is.
    """

    strand: Strand
    label: str
    noted: bool
    firm: bool


@dataclass(slots=True, eq=False)
class _Line:
    """A connection of the target as this run knows it."""

    connection: ControlledConnection
    bound: Strand | None = None  # whose transaction is open
    firm: bool = True  # whether more than cause says that it is theirs
    sent: dict[int, _Sent] = field(default_factory=dict)  # flights under way, by identity
    hold: Hold | None = None
    sent_at: float = 0.0
    polls: int = 0
    is_blocked: bool = False
    is_parked: bool = False
    leaves: int = 0  # how often the yield point is still to be shut behind it
    left: bool = True  # it was so when Postgres was last asked about it: an answer may come after that
    once_left: Callable[[], None] | None = None
    parks: int = 0
    behind: list[str] = field(default_factory=list)  # whom it has waited for
    cuts: bool = False  # it is cut when the answer is there

    @property
    def head(self) -> _Sent | None:
        """The flight that the server is at."""
        return next(iter(self.sent.values()), None)

    @property
    def in_use(self) -> bool:
        """Whether a strand has it: nobody else can send anything on it."""
        return bool(self.bound or self.sent or self.hold)

    def due(self) -> float:
        """Say when to ask about it next: at growing distances, then at the last one over and over."""
        beyond = max(0, self.polls + 1 - len(POLLS_MS))
        return self.sent_at + (sum(POLLS_MS[: self.polls + 1]) + beyond * POLLS_MS[-1]) / 1000


@dataclass(slots=True, eq=False)
class SqlPlane:
    """A gate of the proxy. ``recorder`` takes every step; ``parking`` is there while writes park."""

    conductor: Conductor
    recorder: Recorder
    proxy: PostgresProxy
    parking: Parking | None = None
    stuck: set[int] = field(default_factory=set)  # backends of the target that block, left by another run
    lines: dict[ControlledConnection, _Line] = field(default_factory=dict)

    # -- what the proxy tells -----------------------------------------------------------------------

    def offered(self, connection: ControlledConnection, flight: Flight) -> None:
        """Hold a flight that executes something."""
        line = self._line(connection)
        self._park_newcomer(line)
        strand, rung = self._attribute(line, flight)
        label = flight.label
        reads = frozenset().union(*(s.described.reads for s in flight.statements))
        writes = frozenset().union(*(_writes(s.described) for s in flight.statements))

        def release() -> None:
            line.hold = None
            self._record(StepKind.FLIGHT, line, strand, label, rung, _carried(flight))
            self._send(line, flight, strand, rung)
            if line.leaves:  # it may be through with its statement: the next one must find the point shut
                line.once_left = connection.release
            else:
                connection.release()

        def cut_before() -> None:
            line.hold = None
            self._cut(line, strand)

        def cut_after() -> None:
            line.cuts = connection.hold_result = True
            release()

        variants = (Variant("cut before", cut_before), Variant("cut after", cut_after))
        self._hold(line, strand, "flight", label, release, reads=reads, writes=writes, variants=variants)

    def passed(self, connection: ControlledConnection, flight: Flight) -> None:
        """Note a flight that goes on at once; one that opens a transaction binds its connection."""
        line = self._line(connection)
        if not flight.statements:
            return
        if any(statement.described.begins for statement in flight.statements):
            strand, rung = self._attribute(line, flight)
            line.bound, line.firm = strand, rung != CAUSE
            self._send(line, flight, strand, rung, noted=False)

    def answered(
        self, connection: ControlledConnection, flight: Flight, result: Result, *, held: bool
    ) -> None:
        """Note what came back; hold it where the flight had been blocked."""
        line = self._line(connection)
        sent = line.sent.pop(id(flight), None)
        if sent is None:
            if held:  # of an earlier run, or a flight that passes behind one that was blocked
                connection.release_result()
            return
        strand, behind = sent.strand, line.behind
        if line.parks >= PARKS_MAX:  # it went through for good: its next flight must find the point shut
            self._shut(line)
        self._leave(line, strand)
        self.conductor.pace.recheck = True
        if result.transaction in (Transaction.OPEN, Transaction.FAILED):
            if line.bound is None:
                line.bound, line.firm = strand, sent.firm
        elif result.transaction is Transaction.IDLE and not line.sent:
            line.bound, line.firm = None, True

        strand.told.update(value for row in result.sample for value in row if value != "NULL")

        def note() -> None:
            if sent.noted:
                self._record(StepKind.RESULT, line, strand, sent.label, None, _came_of(result, behind))

        if line.cuts or not held:
            note()
            self.conductor.rested(strand)
            if line.cuts:
                self._cut(line, strand)
            self._tell_of_room(line)
            return

        def release() -> None:
            line.hold = None
            note()
            connection.release_result()
            self.conductor.rested(strand)
            self._tell_of_room(line)

        self._hold(line, strand, "result", sent.label, release)

    def closed(self, connection: ControlledConnection) -> None:
        """Forget a connection, and what was held of it."""
        line = self.lines.pop(connection, None)
        if line is None:
            return
        line.once_left = None
        for sent in list(line.sent.values()):
            self._leave(line, sent.strand)
        if line.hold is not None:
            self.conductor.withdraw([line.hold])
        self.conductor.pace.recheck = True
        self.conductor.wake()

    # -- what the pace asks -------------------------------------------------------------------------

    def pids_under_way(self) -> list[int]:
        """Give the backends whose flight has not come back, to ask about them now."""
        asked = [line for line in self.lines.values() if line.sent]
        for line in asked:
            line.left = not line.leaves
        pids = {line.connection.pid for line in asked if line.connection.pid is not None}
        return [*pids, *(self.stuck - pids)]

    def left_over(self) -> set[int]:
        """Give the target's backends that block and have sent nothing in this run."""
        mine = {line.connection.pid for line in self.lines.values()}
        return self.stuck - mine

    def all_in_use(self, *, but: _Line | None = None) -> bool:
        """Whether the target has connections, and a strand has each of them, this one aside."""
        pids = self.proxy.pids().keys()
        used = {line.connection.pid for line in self.lines.values() if line.in_use or line is but}
        return bool(pids) and pids <= used

    def next_poll(self) -> float:
        """Say when to ask about flights under way, on the clock of `time.perf_counter`."""
        still = (line for line in self.lines.values() if not (line.is_blocked or line.is_parked))
        working = [line.due() for line in still if line.sent]
        return min(working, default=time.perf_counter() + 1.0)

    def is_due(self) -> bool:
        """Whether it is time to ask."""
        return self.next_poll() <= time.perf_counter()

    async def sort_out(self, blockers: Mapping[int, frozenset[int]]) -> set[int]:
        """Take in who waits for whom; gives the sessions that are neither the target's nor ours."""
        mine = {line.connection.pid: line for line in self.lines.values()}
        ours = self.proxy.pids()
        parker = self.parking.pid if self.parking is not None else None
        foreign: set[int] = set()
        now = time.perf_counter()
        self.stuck = {blocker for by in blockers.values() for blocker in by & ours.keys()}
        for pid, by in blockers.items():
            line = mine.get(pid)
            if line is None or not line.sent:
                foreign |= by - ours.keys() - {parker}
                continue
            if line.due() <= now:
                line.polls += 1
            if parker is not None and parker in by:
                if line.left and not line.leaves:
                    self._parked(line)
            elif by & ours.keys():
                self._block(line, [mine[blocker] for blocker in by if blocker in mine])
            elif by:
                foreign |= by
            elif line.is_blocked:
                self._unblock(line)
        return foreign

    # -- inside -------------------------------------------------------------------------------------

    def _line(self, connection: ControlledConnection) -> _Line:
        line = self.lines.get(connection)
        if line is None:
            line = self.lines[connection] = _Line(connection)
        return line

    def _attribute(self, line: _Line, flight: Flight) -> tuple[Strand, str]:
        label = f"flight {flight.label}"
        found = self.conductor.attribute(
            label,
            values=_values(flight),
            text=" ".join(s.sql for s in flight.statements if "traceparent" in s.sql),
            bound=line.bound,
            firm=line.firm,
        )
        assert found.strand is not None
        if self.conductor.pace.room_at:
            self.conductor.pace.room_at = 0.0
            found.strand.silent = found.strand.owing = False  # for this connection it waited: it is not late
        if line.bound is not None and not line.firm and found.rung != TRANSACTION:
            line.bound, line.firm = found.strand, True  # a value said more than cause
        self.conductor.moved(found.strand, label, learn=found.certain)
        return found.strand, found.rung

    def _tell_of_room(self, line: _Line) -> None:
        """Tell that a connection was given back, where no other is free: somebody may wait for it."""
        if not line.in_use and self.all_in_use(but=line):
            self.conductor.pace.room_at = time.perf_counter()

    def _send(self, line: _Line, flight: Flight, strand: Strand, rung: str, *, noted: bool = True) -> None:
        if not line.sent:
            line.sent_at, line.polls, line.behind = time.perf_counter(), 0, []
        line.sent[id(flight)] = _Sent(strand, flight.label, noted, rung != CAUSE)
        strand.executing += 1

    def _leave(self, line: _Line, strand: Strand) -> None:
        """Take a flight out of what is under way, however it stood."""
        if line.is_blocked or line.is_parked:
            strand.blocked -= 1
        else:
            strand.executing -= 1
        if line.is_parked and line.hold is not None:  # it parked, and gave up waiting
            self.conductor.withdraw([line.hold])
            line.hold = None
        line.is_blocked = line.is_parked = False
        line.parks, line.polls, line.sent_at = 0, 0, time.perf_counter()

    def _hold(
        self,
        line: _Line,
        strand: Strand,
        kind: str,
        label: str,
        release: Callable[[], None],
        **more: Any,
    ) -> None:
        before = len(strand.held)
        self.conductor.hold(strand, kind, label, release, **more)
        if len(strand.held) > before:
            line.hold = strand.held[-1]

    def _cut(self, line: _Line, strand: Strand) -> None:
        """Close a connection on both sides; whoever had it takes longer than usual to go on."""
        strand.moved_at = time.perf_counter() + CONNECT_SECONDS
        pid, blocking = line.connection.pid, self.conductor.pace.blocking
        line.connection.close()
        if pid is not None and blocking is not None:
            self.conductor.await_too(self._ended(pid, blocking))

    async def _ended(self, pid: int, blocking: Blocking) -> None:
        await blocking.ended(pid)
        self.conductor.pace.recheck = True

    def _block(self, line: _Line, behind: list[_Line]) -> None:
        strands = [other.head.strand if other.head else other.bound for other in behind]
        line.behind = sorted({s.name for s in strands if s is not None} | set(line.behind))
        head = line.head
        if line.is_blocked or line.is_parked or head is None:
            return
        line.is_blocked = True
        line.connection.hold_result = self.conductor.controls
        head.strand.executing -= 1
        head.strand.blocked += 1

    def _unblock(self, line: _Line) -> None:
        head = line.head
        assert head is not None  # it is blocked
        line.is_blocked, line.polls, line.sent_at = False, 0, time.perf_counter()
        head.strand.executing += 1
        head.strand.blocked -= 1

    def _parked(self, line: _Line) -> None:
        """Hold a backend that stands before a write, in the middle of its statement."""
        head, parking, pid = line.head, self.parking, line.connection.pid
        if line.is_parked or head is None or parking is None or pid is None:
            return
        if line.is_blocked:
            self._unblock(line)
        strand = head.strand
        line.is_parked = True
        line.parks += 1
        strand.executing -= 1
        strand.blocked += 1

        def release() -> None:
            line.hold = None
            line.is_parked = False
            line.sent_at, line.polls = time.perf_counter(), 0
            strand.executing += 1
            strand.blocked -= 1
            line.leaves += 1
            parking.let_through(pid, lambda: self._passed(line), for_good=line.parks >= PARKS_MAX)

        self._hold(line, strand, "park", head.label, release)

    def _park_newcomer(self, line: _Line) -> None:
        """Hold a connection made since the yield points went up at its writes, as all others are."""
        pid, parking = line.connection.pid, self.parking
        idle = not line.sent and not line.leaves
        if idle and parking is not None and pid is not None and not parking.holds(pid):
            self._shut(line)

    def _shut(self, line: _Line) -> None:
        pid = line.connection.pid
        if self.parking is not None and pid is not None:
            line.leaves += 1
            self.parking.shut(pid, lambda: self._passed(line))

    def _passed(self, line: _Line) -> None:
        """Take note that the yield point is shut again behind a backend, or open for the rest of it."""
        line.leaves -= 1
        if line.leaves:
            return
        once_left, line.once_left = line.once_left, None
        if once_left is not None:
            once_left()
        self.conductor.wake()

    def _record(
        self,
        kind: StepKind,
        line: _Line,
        strand: Strand,
        label: str,
        rung: str | None,
        data: dict[str, Any],
    ) -> None:
        self.recorder.record(
            actor=strand.actor,
            plane=Plane.SQL,
            kind=kind,
            label=label,
            conn=line.connection.number,
            attribution=rung,
            data={"strand": strand.name, **data},
        )


def _values(flight: Flight) -> Iterator[str]:
    """Give the parameters of a flight as texts: text as it is, binary as the UUID or integer it may be."""
    for statement in flight.statements:
        for parameter in statement.parameters:
            if parameter is None:
                continue
            if len(parameter) == 16:
                yield str(UUID(bytes=parameter))
            elif len(parameter) in INTEGER_BYTES and b"\0" in parameter:
                yield str(int.from_bytes(parameter, signed=True))
            try:
                yield parameter.decode()
            except UnicodeDecodeError:
                continue
        if not statement.parameters and "'" in statement.sql:
            yield from statement.sql.split("'")[1::2]


def _writes(described: Described) -> frozenset[str]:
    """Give what a statement writes; a function that it calls may write anything: its own name stands."""
    return described.writes or (frozenset({described.label}) if described.verb == "call" else frozenset())


def _carried(flight: Flight) -> dict[str, Any]:
    """Give what a flight carries, for the history."""
    return {
        "sql": [statement.sql[:STATEMENT_CHARS_MAX] for statement in flight.statements],
        "parameters": [value[:VALUE_CHARS_MAX] for value in _values(flight) if value.isprintable()],
    }


def _came_of(result: Result, behind: list[str]) -> dict[str, Any]:
    data: dict[str, Any] = {"tags": list(result.tags), "rows": result.rows}
    if result.sample:
        data["sample"] = [list(row) for row in result.sample]
        data["columns"] = list(result.columns)
    if result.sqlstate is not None:
        data["sqlstate"], data["message"] = result.sqlstate, result.message
    if behind:
        data["waited_for"] = behind
    return data
