"""The history of a run: its steps in the order in which they happened, and what they carried.

A step is one crossing of a plane. It is named by (actor, plane and kind, label), never by its
position, and holds what it carried as plain JSON data, already redacted. A `Recorder` belongs to
one run; it numbers the steps, stamps them with microseconds since the run began, and hands each on
to a sink as it happens. Secrets never reach a step: whoever records one leaves them out, and the
recorder masks what has the shape of a key all the same. Masking works on each text by itself, never
on a line of JSON: an escape before a key would hide it, and a mask across quotes break the line. The
line only tells, in one search, whether there may be anything to mask: mostly there is not.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
        line = _written(record)
        return line if line is not None else json.dumps(redacted(record), separators=(",", ":"))

    @classmethod
    def parse(cls, line: str) -> Step:
        """Read a step back from its line; ValueError for another version or a line of another kind."""
        record = json.loads(line)
        if not isinstance(record, dict) or record.get("v") != VERSION or "seq" not in record:
            raise ValueError(f"not a step of history version {VERSION}: {line[:80]}")
        try:
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
        except KeyError as missing:
            raise ValueError(f"a step without {missing}: {line[:80]}") from None


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
        """Add a step; returns it, numbered and stamped, with what it carried as it was then."""
        step = Step(
            run=self.run,
            seq=len(self._steps) + 1,
            t_us=(time.perf_counter_ns() - self._began_ns) // 1000,
            actor=actor,
            plane=plane,
            kind=kind,
            label=redact(label),
            conn=conn,
            attribution=attribution,
            data=_copied(data or {}),
        )
        self._steps.append(step)
        if self._sink is not None:
            self._sink(step)
        return step

    def history(self) -> History:
        """Give what has happened so far."""
        return History(tuple(self._steps))


_KEY = re.compile(r"(?<![A-Za-z])((?:sk|rk|pk)_(?:test|live)_|whsec_)[A-Za-z0-9_+/=]+")
_CLIENT_SECRET = re.compile(r"(?<=_secret_)[A-Za-z0-9]{8,}")
_SIGNED = re.compile(r"\b(v[01])=[0-9a-fA-F]{16,}")
_BEARER = re.compile(r"\b(Bearer|Basic) +[A-Za-z0-9._~+/=-]{12,}", re.IGNORECASE)
_PASSWORD = re.compile(r"""(?<=://)([^/\s:@"']*):[^\s/"']+@""")
_SETTING = re.compile(r"""\b((?:ssl)?password|passwd|pwd)=(?:'[^']*'|[^\s&"']+)""", re.IGNORECASE)
# What each of the patterns above needs to stand somewhere, in small letters; most texts hold none of it.
_SUSPECT = ("_test_", "_live_", "whsec_", "_secret_", "v0=", "v1=", "bearer", "basic", "passw", "pwd=")


def _is_suspect(text: str) -> bool:
    """Say whether a text may hold a secret; also of a line of JSON, where escapes stand between words."""
    small = text.lower()
    for word in _SUSPECT:
        if word in small:
            return True
    return "://" in text and _PASSWORD.search(text) is not None


def redact(text: str) -> str:
    """Mask API keys, webhook and client secrets, signatures, bearer tokens and passwords of URLs.

    >>> redact("key sk_test_abc123 at postgres://me:pw@localhost/db")
    'key sk_test_*** at postgres://me:***@localhost/db'
    """
    if not _is_suspect(text):
        return text
    text = _CLIENT_SECRET.sub("***", text)
    text = _SIGNED.sub(r"\1=***", text)
    text = _BEARER.sub(r"\1 ***", text)
    text = _SETTING.sub(r"\1=***", text)
    text = _PASSWORD.sub(r"\1:***@", text)
    return _KEY.sub(r"\1***", text)


def redacted(value: Any) -> Any:
    """Give a value as plain JSON data with each of its texts masked; what JSON lacks becomes text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {redact(str(key)): redacted(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(inner) for inner in value]
    return redact(str(value))


def _copied(value: Mapping[str, Any]) -> Any:
    """Do as `redacted` does, faster where there is nothing to mask."""
    line = _written(value)
    return redacted(value) if line is None else json.loads(line)


def _written(value: Any) -> str | None:
    """Write plain data as a line of JSON; None where it may hold a secret, or is not plain."""
    try:
        line = _encode(value)
    except (TypeError, ValueError):
        return None
    return None if _is_suspect(line) else line


_encode = json.JSONEncoder(separators=(",", ":")).encode
