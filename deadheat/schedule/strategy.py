"""What a strategy is: the thing that makes the choices of a run.

Under control every step of a run is held. A strategy is asked, again and again, which of the held
steps goes next, and knows nothing of wires: it sees `Held` values, always in default order (actors
as in the program, strands in order within, then by arrival), and answers with indices.

The default policy, `default_choice`, is what a schedule is written against: go on with the strand
that moved last, as long as it can move. A schedule says only where a run left it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from deadheat.schedule.names import StepName, actor_of

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A held step as a strategy sees it.

    ``reads`` and ``writes`` name relations and Stripe objects. They only rank choices: triggers,
    foreign keys and caches touch what no statement names. ``fault`` is what goes wrong, of a fault that
    may go in a held step's place: its kind.
    """

    name: StepName
    actor: str
    kind: str
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    fault: str = ""

    def is_fault_of(self, step: Held) -> bool:
        """Say whether this goes wrong in that step's place."""
        return bool(self.fault) and self.name == fault_name(step.name, self.fault)

    def conflicts(self, other: Held) -> bool:
        """Say whether one of the two writes what the other reads or writes."""
        return bool(self.writes & (other.reads | other.writes) or other.writes & (self.reads | self.writes))


class Strategy(Protocol):
    """Two methods, `begin` a run and `choose` among held steps, and four words about itself."""

    name: str
    controlled: bool
    yields: bool
    """Whether writes park inside their statement in this strategy's runs."""
    faults: int
    """How many faults it may let strike in a run; with none left it is shown none."""

    def begin(self, run: int) -> None:
        """Start a run: the same seed and run make the same choices of the same held steps."""

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        """Give the indices of the steps to release; ``held`` is not empty and in default order.

        Faults stand behind all steps, and never go by default.

        One index is the rule. Two, of flights of different actors, release both together. None
        means: wait, the step that is needed is not held yet. Only `Replay` waits.
        """


def fault_name(step: StepName, fault: str) -> StepName:
    """Name a fault after the step in whose place it goes."""
    return StepName(step.strand, f"fault {fault} {step.label}", step.nth)


def default_choice(held: Sequence[Held], last: str | None) -> int:
    """Choose without preempting: the strand that moved last, else its actor, else the first."""
    if last is None:
        return 0
    same_strand = (i for i, step in enumerate(held) if step.name.strand == last)
    same_actor = (i for i, step in enumerate(held) if actor_of(step.name.strand) == actor_of(last))
    return next(same_strand, next(same_actor, 0))
