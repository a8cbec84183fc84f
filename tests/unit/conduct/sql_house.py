"""A house for the Postgres plane: two people, two wires of the target, and what Postgres would say."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from conduct_stage import People, Postgres, Wire, Yard, go

from deadheat.engine.conduct.sql_plane import SqlPlane
from deadheat.history import Plane, Recorder, Step, StepKind
from deadheat.pgwire import Transaction

INSERT = "insert into profiles values ($1)"
UPDATE = "update profiles set name = $1"


class House:
    """A plane under control with two wires; Postgres says who waits for whom."""

    def __init__(self, *, controls: bool = True) -> None:
        self.people = People()
        self.conductor = self.people.conductor
        self.recorder = Recorder(1)
        self.pids: dict[int, object] = {}
        proxy = SimpleNamespace(pids=lambda: self.pids)
        self.plane = SqlPlane(self.conductor, self.recorder, proxy)  # type: ignore[arg-type]
        self.postgres = Postgres()
        self.conductor.pace.sql = self.plane
        self.conductor.pace.blocking = self.postgres  # type: ignore[assignment]
        self.conductor.controls = controls
        self.a = self.people.strand("A1", self.people.ada)
        self.b = self.people.strand("B1", self.people.bob)
        self.one, self.two = self.wire(101), self.wire(102)

    def wire(self, pid: int) -> Wire:
        made = Wire(self.plane, pid, number=pid - 100)
        self.pids[pid] = made
        return made

    def look(self) -> None:
        asyncio.run(self.conductor.pace.look())

    def sent(self, wire: Wire, sql: str, user: str) -> None:
        """Send a flight of a person's and let it go."""
        wire.send(sql, user.encode())
        go(next(s for s in (self.a, self.b) if s.part and s.part.id == user))

    def blocked(self) -> None:
        """Let A's transaction hold a row, and B wait for it."""
        self.sent(self.one, UPDATE, self.people.ada.id)
        self.one.comes_back(Transaction.OPEN)
        self.sent(self.two, UPDATE, self.people.bob.id)
        self.postgres.waits[102] = {101}
        self.look()

    def parked(self) -> Yard:
        """Let B's insert stand before its write."""
        self.plane.parking = yard = Yard()  # type: ignore[assignment]
        self.sent(self.two, INSERT, self.people.bob.id)
        self.postgres.waits[102] = {yard.pid}
        self.look()
        return yard  # type: ignore[return-value]

    def nothing_left(self) -> bool:
        strands = self.conductor.strands.values()
        return not any(s.held or s.executing or s.blocked or s.calls for s in strands)

    def steps(self, kind: StepKind) -> tuple[Step, ...]:
        return self.recorder.history().of(Plane.SQL, kind)
