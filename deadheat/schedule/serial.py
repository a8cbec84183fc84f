"""Serial: the default policy and nothing else. What breaks here is no race."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.schedule.strategy import default_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.schedule.strategy import Held


class Serial:
    """Goes on with what moved last, so that an operation ends before the next begins."""

    name = "serial"
    controlled = True
    yields = False
    faults = 0

    def __init__(self, seed: int = 0) -> None:
        del seed  # there is nothing to draw
        self._last: str | None = None

    def begin(self, run: int) -> None:
        """Start a run; every run is the same."""
        self._last = None

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        """Give what the default policy gives."""
        chosen = default_choice(held, self._last)
        self._last = held[chosen].name.strand
        return (chosen,)
