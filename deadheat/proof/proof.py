"""A proof in words, in the manner of Elle: which steps came in which order, and what that contradicts.

Kingsbury, Alvaro: "Elle: Inferring Isolation Anomalies from Experimental Observations", VLDB 2020: who
saw a relation without a row came before whoever wrote it. Where two strands each come before the other
in that way, no order of the two, one after the other, explains the run. That is what a check-then-act
race leaves behind, whatever it was about, and it needs no knowledge of the application.

Four more shapes are told: an event that came before its row, an older event that wrote over a newer
one, a fault that was taken for success, and an event that did its work again. What has none of these
shapes is told in order, and the proof says that it has found no pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deadheat.proof.accesses import accesses
from deadheat.proof.shapes import SHAPES, in_order

if TYPE_CHECKING:
    from deadheat.history import History
    from deadheat.invariants.settled import Violation
    from deadheat.proof.shape import Shape


UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Pair:
    """The two steps that collided, by number: what was looked at, and what made that untrue."""

    look: int
    act: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Why an invariant was broken: sentences, and the ``conclusion`` that is the broken promise.

    ``steps`` are those that they name, by number.

    ``shape`` is one word for the class of bug, "unknown" where none was recognised, and ``repairs`` are
    the kinds of repair that close the class.
    """

    shape: str
    says: tuple[str, ...]
    conclusion: str
    pair: Pair | None
    steps: tuple[int, ...]
    repairs: tuple[str, ...]


def prove(violation: Violation, history: History) -> Proof:
    """Prove from the steps of a run that an invariant had to break in it."""
    seen = accesses(history)
    named = frozenset(step for evidence in violation.evidence for step in evidence.steps)
    found: Shape | None = None
    for recognise in SHAPES:
        found = recognise(violation.invariant, seen, history, named)
        if found is not None:
            break
    shape = found or in_order(history, named)
    last = violation.evidence[0].says if violation.evidence else "nothing else was noted."
    return Proof(
        shape=shape.name,
        says=shape.sentences,
        conclusion=f"So {violation.invariant} is broken: {last}",
        pair=None if shape.pair is None else Pair(*shape.pair),
        steps=shape.steps,
        repairs=shape.repairs,
    )
