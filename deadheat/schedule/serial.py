"""Serial: one operation at a time, actor by actor. What breaks here is no race."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.schedule.strategy import Latency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.schedule.strategy import StepName


class Serial:
    """Always releases the first held step, so that an actor ends before the next begins."""

    name = "serial"
    controlled = True

    def __init__(self, seed: int) -> None:
        del seed  # there is nothing to draw

    def begin(self, run: int) -> None:
        """Start a run; every run is the same."""

    def choose(self, held: Sequence[StepName]) -> int:
        """Give the first: steps are held in the order of their actors."""
        return 0

    def latency(self) -> Latency:
        """Give no latency."""
        return Latency()

    def delay_ms(self) -> float:
        """Give no delay."""
        return 0.0
