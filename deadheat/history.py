"""The history of a run: its steps in the order in which they happened, and what they carried.

A step is one crossing of a plane. It is named by (actor, plane and kind, label), never by its
position, and holds what it carried as plain JSON data, already redacted. A `Recorder` belongs to
one run; it numbers the steps, stamps them with microseconds since the run began, and hands each on
to a sink as it happens. Secrets never reach a step: whoever records one leaves them out, and
`redact` masks what has the shape of a key all the same.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

VERSION = 1


class Plane(StrEnum):
    """The wires that we own."""

    HTTP = "http"
    SQL = "sql"
    STRIPE = "stripe"
    WEBHOOK = "webhook"
    FAULT = "fault"


class StepKind(StrEnum):
    """What a step is, within its plane."""

    REQUEST = "request"
    FLIGHT = "flight"
    RESULT = "result"
    RECEIVED = "received"
    EFFECT = "effect"
    RESPONSE = "response"
    DELIVERY = "delivery"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One crossing of a plane."""

    run: int
    seq: int
    t_us: int
    actor: str
    plane: Plane
    kind: StepKind
    label: str
    conn: int | None = None
    attribution: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """Give the step as one line of ``history.ndjson``, without the newline."""
        record = {
            "v": VERSION,
            "run": self.run,
            "seq": self.seq,
            "t_us": self.t_us,
            "actor": self.actor,
            "plane": self.plane.value,
            "step": self.kind.value,
            "conn": self.conn,
            "attribution": self.attribution,
            "label": self.label,
            "data": self.data,
        }
        return redact(json.dumps(record, separators=(",", ":"), default=str))

    @classmethod
    def parse(cls, line: str) -> Step:
        """Read a step back from its line; ValueError for another version or a line of another kind."""
        record = json.loads(line)
        if record.get("v") != VERSION or "seq" not in record:
            raise ValueError(f"not a step of history version {VERSION}: {line[:80]}")
        return cls(
            run=record["run"],
            seq=record["seq"],
            t_us=record["t_us"],
            actor=record["actor"],
            plane=Plane(record["plane"]),
            kind=StepKind(record["step"]),
            label=record["label"],
            conn=record["conn"],
            attribution=record["attribution"],
            data=record["data"],
        )


@dataclass(frozen=True, slots=True)
class History:
    """The ordered steps of one run."""

    steps: tuple[Step, ...] = ()

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def of(self, plane: Plane, kind: StepKind | None = None) -> tuple[Step, ...]:
        """Give the steps of one plane, of one kind where it is named."""
        return tuple(s for s in self.steps if s.plane is plane and kind in (None, s.kind))


class Recorder:
    """Numbers the steps of one run and hands each to ``sink`` as it happens."""

    def __init__(self, run: int, sink: Callable[[Step], None] | None = None) -> None:
        self.run = run
        self._sink = sink
        self._steps: list[Step] = []
        self._began_ns = time.perf_counter_ns()

    def __len__(self) -> int:
        return len(self._steps)

    def record(
        self,
        *,
        actor: str,
        plane: Plane,
        kind: StepKind,
        label: str,
        conn: int | None = None,
        attribution: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Step:
        """Add a step; returns it, numbered and stamped."""
        step = Step(
            run=self.run,
            seq=len(self._steps) + 1,
            t_us=(time.perf_counter_ns() - self._began_ns) // 1000,
            actor=actor,
            plane=plane,
            kind=kind,
            label=label,
            conn=conn,
            attribution=attribution,
            data=data or {},
        )
        self._steps.append(step)
        if self._sink is not None:
            self._sink(step)
        return step

    def history(self) -> History:
        """Give what has happened so far."""
        return History(tuple(self._steps))


_SECRET = re.compile(r"\b((?:sk|rk|pk)_(?:test|live)_|whsec_)[A-Za-z0-9_]+")
_SIGNED = re.compile(r"\b(v1|v0)=[0-9a-f]{64}\b")
_PASSWORD = re.compile(r"(?<=://)([^/\s:@]+):([^@\s/]+)@")


def redact(text: str) -> str:
    """Mask API keys, webhook secrets, signatures and the passwords of URLs.

    >>> redact("key sk_test_abc123 at postgres://me:pw@localhost/db")
    'key sk_test_*** at postgres://me:***@localhost/db'
    """
    text = _SECRET.sub(r"\1***", text)
    text = _SIGNED.sub(r"\1=***", text)
    return _PASSWORD.sub(r"\1:***@", text)
