"""Strands: who can do something in a run, and how far each has come.

A strand is one operation of one actor (``A1``, ``A2``: a tab's first and second), or one delivery
(``C1/customer.created/1``, a duplicate of it with ``/b``). It opens when its request is released and
is answered once; a target may work on for it after that. Steps that nobody can be named for belong to
a strand of their own, ``?``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deadheat.engine.conduct.sequels import Done
from deadheat.program import DELIVERIES
from deadheat.schedule import Held, StepName, fault_name

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from deadheat.engine.cast import Part

UNATTRIBUTED = "?"
FAULT = "fault"  # the kind of a fault


@dataclass(frozen=True, slots=True)
class Variant:
    """What may go wrong in a held step's place: ``what`` in words, and what makes it happen.

    What ``apply`` gives is waited for before the next choice. ``stays``: the step itself is still to come.
    """

    what: str
    apply: Callable[[], Awaitable[None] | None]
    stays: bool = False


@dataclass(slots=True, eq=False)
class Hold:
    """A step that is held, or a fault in the place of ``instead_of``. ``release`` lets it go."""

    strand: Strand
    name: StepName
    kind: str
    release: Callable[[], Awaitable[None] | None]
    arrived: int
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    data: dict[str, Any] = field(default_factory=dict)
    variants: tuple[Variant, ...] = ()
    variant: Variant | None = None
    instead_of: Hold | None = None

    @property
    def begins(self) -> bool:
        """Whether its strand begins with it: the first request of an operation, or a delivery."""
        return self.kind in ("request", "delivery") and not self.strand.turns

    def fault(self, variant: Variant) -> Hold:
        """Give a fault that may go in the place of this step."""
        name = fault_name(self.name, variant.what)
        return Hold(self.strand, name, FAULT, variant.apply, self.arrived, variant=variant, instead_of=self)

    def shown(self) -> Held:
        """Give the step as a strategy sees it."""
        return Held(
            name=self.name,
            actor=self.strand.actor,
            kind=self.kind,
            reads=self.reads,
            writes=self.writes,
            fault=self.variant.what if self.variant else "",
        )


@dataclass(slots=True, eq=False)
class Strand:
    """One operation or delivery. ``order`` is its place in the default policy.

    ``is_open``: its request went and the answer has not come. ``executing`` and ``blocked`` count its
    flights at Postgres, ``calls`` its Stripe calls between two crossings. ``done`` is what it did.
    ``tail_until``: when to stop waiting for work after the answer. ``silent``: nothing came of it for
    the quiet period. ``owing``: work after its answer was waited for in vain, and may yet come: it may wait
    for somebody who is held. ``told``: values in rows and objects that it was given, ids that it may
    send next.
    ``call``: its request, which waits for an answer; cancelled, whoever made it has hung up.
    """

    name: str
    actor: str
    order: tuple[Any, ...]
    operation: str
    part: Part | None = None
    values: frozenset[str] = frozenset()
    is_open: bool = False
    executing: int = 0
    blocked: int = 0
    calls: int = 0
    done: Done = field(default_factory=Done)
    tail_until: float = 0.0
    silent: bool = False
    owing: bool = False
    told: set[str] = field(default_factory=set)
    call: asyncio.Future[Any] | None = None
    moved_at: float = 0.0
    turns: int = 0
    held: list[Hold] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)

    @property
    def is_delivery(self) -> bool:
        """Whether it is Stripe that waits for the answer, and no person."""
        return self.operation.startswith(f"{DELIVERIES} ")

    @property
    def is_live(self) -> bool:
        """Whether anything of it may still come."""
        return bool(self.is_open or self.held or self.executing or self.blocked or self.calls)

    @property
    def shows_nothing(self) -> bool:
        """Whether what is to come of it was waited for in vain."""
        return self.silent or self.owing

    @property
    def is_waiting(self) -> bool:
        """Whether it is held, or blocked in Postgres and nothing else."""
        return bool(self.held) or (self.blocked > 0 and not self.executing and not self.calls)

    def step(self, label: str) -> StepName:
        """Name its next step of that label."""
        self.labels[label] += 1
        return StepName(self.name, label, self.labels[label])
