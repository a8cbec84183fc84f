"""Delay-bounded: a fixed order of who goes on, left at a few drawn moments.

Emmi, Qadeer, Rakamarić: "Delay-Bounded Scheduling", POPL 2011. The scheduler is deterministic: whoever
moved last goes on, and when they cannot, the next in the program's order does, round and round. A
*delay* passes over whom it would have let go. A schedule of d delays is one of k^d for k choices,
however many actors there are.

Here d goes round 1, 2, 3, run by run; the moments are drawn among k, the mean number of choices of
this strategy's earlier runs, as serial runs are too short to take it from. Where one alone can go nothing
can be passed over, so only choices between several count. What was drawn is not drawn again: when it comes
`REDRAWN_MAX` times running, there is one delay more.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import TYPE_CHECKING

from deadheat.schedule.pct import CHOICES_GUESSED, unit_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.schedule.strategy import Held

DELAYS_MAX = 3
REDRAWN_MAX = 10


class DelayBounded:
    """Goes round the actors, and passes over the next one at a few moments of a run."""

    name = "delay-bounded"
    controlled = True
    yields = False
    faults = 0

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._begun = 0
        self._runs = 0
        self._choices_total = 0
        self._choices = 0
        self._delays: Counter[int] = Counter()
        self._drawn: set[tuple[int, ...]] = set()
        self._current: str | None = None

    def begin(self, run: int) -> None:
        """Start a run: draw its delays; two may fall on one choice."""
        if self._choices:
            self._runs += 1
            self._choices_total += self._choices
        mean = self._choices_total / self._runs if self._runs else CHOICES_GUESSED
        rng = random.Random(f"{self.name}/{self._seed}/{run}")
        self._delays = Counter(self._draw(rng, max(round(mean), 1), 1 + self._begun % DELAYS_MAX))
        self._begun += 1
        self._choices = 0
        self._current = None

    def _draw(self, rng: random.Random, moments: int, delays: int) -> tuple[int, ...]:
        """Draw the moments of so many delays, or of more, that no earlier run had."""
        for tries in itertools.count():
            more = delays + tries // REDRAWN_MAX
            drawn = tuple(sorted(rng.randint(1, moments) for _ in range(more)))
            if drawn not in self._drawn:
                break
        self._drawn.add(drawn)
        return drawn

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        """Give the first held step of whose turn it is."""
        units = list(dict.fromkeys(unit_of(step) for step in held))
        turn = self._turn(held, units)
        if len(units) > 1:
            self._choices += 1
            turn += self._delays[self._choices]
        self._current = units[turn % len(units)]
        return (next(i for i, step in enumerate(held) if unit_of(step) == self._current),)

    def _turn(self, held: Sequence[Held], units: list[str]) -> int:
        """Say who of the held ones is next: who moved last, else who comes after them in the order."""
        if self._current is None:
            return 0
        if self._current in units:
            return units.index(self._current)
        after = (at for at, unit in enumerate(units) if _place(unit) > _place(self._current))
        return next(after, 0)


def _place(unit: str) -> tuple[int, str]:
    """Give the place of an actor or a delivery in the order of the program: A to Z, then AA."""
    actor = unit.rstrip("0123456789").partition("/")[0].rstrip("0123456789")
    return len(actor), unit
