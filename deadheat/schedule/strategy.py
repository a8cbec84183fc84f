"""What a strategy is: the thing that makes the choices of a run.

A strategy under control is asked, again and again, which of the held steps comes next. Serial holds
only the starts of operations, so each runs to its end alone. A strategy that does not control
(barrage) lets everything go at once and only says how long each wire takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class StepName:
    """Names a step: who, what, and the how-manieth of that kind by that actor in the run."""

    actor: str
    kind: str
    ordinal: int


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a Stripe call takes on its way to its effect, and back, in milliseconds."""

    to_effect_ms: float = 0.0
    to_response_ms: float = 0.0


class Strategy(Protocol):
    """Three methods and two words: `begin` a run, `choose` among held steps, draw a `latency`."""

    name: str
    controlled: bool

    def begin(self, run: int) -> None:
        """Start a run: the same seed and run make the same choices."""

    def choose(self, held: Sequence[StepName]) -> int:
        """Give the index of the held step to release; only asked when ``controlled``."""

    def latency(self) -> Latency:
        """Draw the latency of the next Stripe call."""

    def delay_ms(self) -> float:
        """Draw how long the next delivery is on its way, in milliseconds."""
