"""Faulty: any strategy that lets one step go at a time, and now and then a fault in a step's place.

Beside the steps that are held stand their *faults*: the same step with something gone wrong (a lost
answer, a cut connection). The strategy within never sees them. It chooses a step as ever, and at a few
drawn moments of a run one of that step's faults goes instead.

Which: first a kind ("lost", "cut before") out of all that earlier runs had, each as likely as the next,
or a run of a hundred statements would hardly ever have anything but cuts; then a moment, uniform among
the choices that had that kind, whose mean number is taken from earlier runs (as `pct` takes its k). So
with K kinds, the fault of one kind at one of its n moments comes in 1 / (K * n) of the runs that get
there. As long as no run has ended there is no fault: the first one measures.

Once a run's faults are spent none is shown any more. What could have gone wrong is counted all the same,
by the labels of the steps: else a run with an early fault would look short, and faults would come ever
earlier.

How many a run has goes round 1, 2, … up to ``faults``. Same seed, same number and the same runs before
it: the same choices.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.schedule.strategy import Held, Strategy

FAULTABLE = ("serial", "random-walk", "pct", "yield", "delay-bounded")


@dataclass(slots=True)
class Faultable:
    """What could have gone wrong in the runs of a program so far; several strategies may share it."""

    runs: int = 0
    choices: Counter[str] = field(default_factory=Counter)  # that had a fault of a kind, in all runs
    kinds: dict[str, frozenset[str]] = field(default_factory=dict)  # of faults, by the label of a step

    def mean(self, kind: str) -> int:
        """Give how many choices of a run have a fault of that kind, one at least."""
        return max(round(self.choices[kind] / self.runs), 1)


class Faulty:
    """Chooses as ``inner`` does; at drawn moments a fault of the chosen step goes in its place."""

    controlled = True

    def __init__(
        self, inner: Strategy, seed: int, faults: int, *, faultable: Faultable | None = None
    ) -> None:
        self.name = inner.name
        self.yields = inner.yields
        self.faults = faults
        self._inner = inner
        self._seed = seed
        self._begun = 0
        self._seen = faultable or Faultable()
        self._now: Counter[str] = Counter()
        self._drawn: set[tuple[str, int]] = set()

    def begin(self, run: int) -> None:
        """Start a run: draw its faults, each as a kind and the how-manieth choice that has it."""
        self.ended()
        self._inner.begin(run)
        self._drawn = set()
        if not self._seen.runs:
            return
        draws = random.Random(f"faults/{self.name}/{self._seed}/{run}")
        for _ in range(1 + self._begun % self.faults if self._seen.choices else 0):
            kind = draws.choice(sorted(self._seen.choices))
            self._drawn.add((kind, draws.randint(1, self._seen.mean(kind))))
        self._begun += 1

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        """Give what the strategy within chooses of the steps, or a fault of it at its moment."""
        steps = [index for index, step in enumerate(held) if not step.fault]
        (chosen,) = (steps[index] for index in self._inner.choose([held[index] for index in steps]))
        label = held[chosen].name.label
        if len(steps) == len(held):  # spent
            self._now.update(self._seen.kinds.get(label, ()))
            return (chosen,)
        faults = {step.fault: index for index, step in enumerate(held) if step.is_fault_of(held[chosen])}
        self._count(label, frozenset(faults))
        return (next((faults[kind] for kind in faults if (kind, self._now[kind]) in self._drawn), chosen),)

    def ended(self) -> None:
        """Take in what the run had; asked for once more, or before any run, it does nothing."""
        if self._now:
            self._seen.runs += 1
            self._seen.choices.update(self._now)
            self._now = Counter()

    def _count(self, label: str, kinds: frozenset[str]) -> None:
        self._now.update(kinds)
        self._seen.kinds[label] = self._seen.kinds.get(label, frozenset()) | kinds


def with_faults(
    strategy: Strategy, seed: int, faults: int, *, faultable: Faultable | None = None
) -> Strategy:
    """Let up to so many faults strike in a strategy's runs, where it lets one step go at a time."""
    if not faults or strategy.name not in FAULTABLE:
        return strategy
    return Faulty(strategy, seed, faults, faultable=faultable)
