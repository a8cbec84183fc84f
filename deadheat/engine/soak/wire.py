"""What a load process and the desk say to each other: one JSON object a line, over loopback.

A load process is one that runs locust; the desk (`deadheat.engine.soak.desk`) is ours. The process
shows its pass, the desk answers with a `Stage`, and from then on only the process speaks: who came
(`Joined`), which id the target gave them (`Named`), what they were answered (`Answered`), what they
did at Stripe (`Acted`). `Left` says that all of it was told; `Load` comes last, from the one process
that has the statistics.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from deadheat.settings import OperationSettings, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

DESK = "DEADHEAT_SOAK_DESK"
"""The environment variable that names the desk: ``HOST:PORT/PASS``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A load process shows that it is ours. ``plays`` is false for one that only counts."""

    word: str
    plays: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where a load process plays: the target's operations, and the marker its people carry.

    ``url`` is where the target listens. ``seconds`` is how long new visits may begin, None where locust
    decides; ``people_max`` bounds how many people the process may make in that time.
    """

    marker: str
    price: str
    url: str = ""
    people_max: int
    seconds: float | None = None
    operations: Mapping[str, OperationSettings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A new person; sent before anything is done for them."""

    id: str
    email: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The target knows a person, by their first id ``person``, as ``user_id``."""

    person: str
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An operation of a person is over. ``person`` is their first id, ``user_id`` the one known by now.

    The rest is as in `deadheat.invariants.settled.Answer`; ``body`` is the beginning of an answer
    that was no success.
    """

    person: str
    tab: str
    operation: str
    user_id: str
    status: int | None
    success: bool
    refused: bool = False
    promises_customer: bool = False
    customer: str | None = None
    session: bool = False
    in_race: bool = True
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """A person did something at Stripe itself; ``session`` is the checkout session to pay."""

    person: str
    tab: str
    act: Literal["pay", "cancel", "refund"]
    session: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Locust's statistics: counts, requests per second, milliseconds by percentile; by operation too."""

    requests: int
    failures: int
    per_s: float
    p50_ms: float
    p95_ms: float
    operations: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A load process has played, and told all of it; ``cut`` are people with an operation dropped."""

    cut: tuple[str, ...] = ()


Said = Pass | Joined | Named | Answered | Acted | Load | Left
_KINDS: Mapping[str, type[Any]] = {
    kind.__name__.lower(): kind for kind in (Pass, Stage, Joined, Named, Answered, Acted, Load, Left)
}


def line(said: Said | Stage) -> bytes:
    """Give a line, with its newline."""
    return json.dumps({"kind": type(said).__name__.lower(), **asdict(said)}).encode() + b"\n"


def read(text: bytes) -> Said | Stage:
    """Read a line; ValueError for one that nobody here says."""
    record = json.loads(text)
    kind = _KINDS.get(record.pop("kind", "")) if isinstance(record, dict) else None
    if kind is None:
        raise ValueError(f"not a line of a soak: {text[:80]!r}")
    if kind is Left:
        record["cut"] = tuple(record["cut"])
    if kind is Stage:
        record["operations"] = {name: _operation(made) for name, made in record["operations"].items()}
    try:
        said: Said | Stage = kind(**record)
    except TypeError as error:
        raise ValueError(f"not a line of a soak: {error}") from None
    return said


def _operation(record: dict[str, Any]) -> OperationSettings:
    calls = tuple(Request(**{**call, "success": tuple(call["success"])}) for call in record.pop("calls"))
    listed = {key: tuple(record[key]) for key in ("refusals", "keeps")}
    return OperationSettings(**{**record, **listed, "calls": calls})
