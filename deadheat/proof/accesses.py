"""What each strand of a run looked at, wrote and was answered, read off its history.

An access is a flight with its result, or a Stripe call with its effect. It happened somewhere between
``sent`` and ``done``, its first and last step: one that was done before another was sent came before
it for certain.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deadheat.history import Plane, Step, StepKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadheat.history import History

WRITES = ("insert", "update", "delete", "merge")
READS = ("select",)
VALUE_CHARS_MIN = 6  # a shorter one may be a number, a status, a limit: it says nothing of whose row it is


@dataclass(slots=True, kw_only=True)
class Access:
    """One thing that a strand did to a relation or at Stripe. ``rows`` is None where nobody said.

    ``relations`` are those that a statement names, ``values`` its parameters; a call has neither.
    ``made`` are the Stripe objects that a call touched, ``error`` is the SQLSTATE or status that it ended in.
    """

    strand: str
    actor: str
    label: str
    sent: int
    done: int
    relations: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    reads: bool = False
    writes: bool = False
    at_stripe: bool = False
    rows: int | None = None
    made: tuple[str, ...] = ()
    error: str | None = None

    @property
    def found_nothing(self) -> bool:
        """Whether it looked for rows and there were none."""
        return self.reads and self.rows == 0 and self.error is None

    def shares_rows(self, other: Access) -> bool:
        """Whether both name a relation, and a value in it where both are given values."""
        told = self.values and other.values
        return bool(self.relations & other.relations) and (not told or bool(self.values & other.values))

    @property
    def wrote(self) -> bool:
        """Whether it changed something for certain."""
        return self.writes and self.error is None and self.rows != 0


@dataclass(slots=True)
class _Reading:
    """What is known while the steps go by."""

    found: list[Access] = field(default_factory=list)
    flights: dict[int | None, Access] = field(default_factory=dict)
    calls: dict[tuple[str, str], Access] = field(default_factory=dict)


def accesses(history: History) -> list[Access]:
    """Give what was looked at and written in a run, in the order in which it was sent."""
    reading = _Reading()
    for step in history:
        if step.plane is Plane.SQL:
            _take_sql(reading, step)
        elif step.plane is Plane.STRIPE and step.kind in (
            StepKind.RECEIVED,
            StepKind.EFFECT,
            StepKind.RESPONSE,
        ):
            _take_call(reading, step)
    return reading.found


def _take_sql(reading: _Reading, step: Step) -> None:
    if step.kind is StepKind.FLIGHT:
        made = _flight(step)
        reading.flights[step.conn] = made
        reading.found.append(made)
    elif step.kind is StepKind.RESULT and (sent := reading.flights.pop(step.conn, None)) is not None:
        sent.done = step.seq
        sent.error = step.data.get("sqlstate")
        sent.rows = _rows(step)


def _flight(step: Step) -> Access:
    words = dict(_verbs(step.label))
    return Access(
        strand=_strand(step),
        actor=step.actor,
        label=step.label,
        sent=step.seq,
        done=step.seq,
        relations=frozenset().union(*words.values()) if words else frozenset(),
        values=frozenset(v for v in map(str, step.data.get("parameters") or ()) if len(v) >= VALUE_CHARS_MIN),
        reads=any(verb in READS for verb in words),
        writes=any(verb in WRITES for verb in words),
    )


def _verbs(label: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Give each statement of a label, "select profiles, users for update", as its verb and relations."""
    for part in label.split(";"):
        verb, _, rest = part.strip().partition(" ")
        named = rest.partition(" for ")[0]
        yield verb.lower(), frozenset(word.strip() for word in named.split(",") if word.strip())


def _rows(step: Step) -> int | None:
    """Say how many rows a flight gave or changed, by the rows that came or the last command tag."""
    if step.data.get("rows"):
        return int(step.data["rows"])
    tags = [str(tag) for tag in step.data.get("tags") or ()]
    numbers = [tag.split()[-1] for tag in tags if tag.split() and tag.split()[-1].isdigit()]
    return int(numbers[-1]) if numbers else None


def _take_call(reading: _Reading, step: Step) -> None:
    if "notes" in step.data:  # an act of a person or of Stripe's own
        made = tuple(map(str, step.data["notes"] or ()))
        reading.found.append(_call(step, made=made, writes=True))
        return
    key = _strand(step), step.label
    if step.kind is StepKind.RECEIVED or key not in reading.calls:
        reading.calls[key] = _call(step, writes=not step.label.startswith("GET "))
        reading.found.append(reading.calls[key])
    call = reading.calls[key]
    if step.kind is StepKind.EFFECT:
        call.done, call.made = step.seq, tuple(map(str, step.data.get("objects") or ()))
    elif step.kind is StepKind.RESPONSE:
        status = step.data.get("status")
        call.error = "no answer" if status is None else str(status) if status >= 400 else None
        del reading.calls[key]


def _call(step: Step, *, made: tuple[str, ...] = (), writes: bool) -> Access:
    return Access(
        strand=_strand(step),
        actor=step.actor,
        label=step.label,
        sent=step.seq,
        done=step.seq,
        reads=not writes,
        writes=writes,
        at_stripe=True,
        made=made,
    )


def _strand(step: Step) -> str:
    return str(step.data.get("strand") or step.actor)
