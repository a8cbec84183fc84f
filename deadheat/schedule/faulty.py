"""Faulty: any strategy that lets one step go at a time, and now and then a fault in a step's place.

Beside the steps that are held stand their *faults*: the same step with something gone wrong (a lost
answer, a cut connection). The strategy within never sees them. It chooses a step as ever, and at a few
drawn moments of a run one of that step's faults goes instead.

Which: first a kind ("lost", "cut before") out of all that earlier runs had, each as likely as the next,
or a run of a hundred statements would hardly ever have anything but cuts; then a moment, uniform among
the choices that had that kind, whose mean number is taken from earlier runs (as `pct` takes its k). So
with K kinds, the fault of one kind at one of its n moments comes in 1 / (K * n) of the runs that get
there. The first run knows no kinds: any fault of any choice.

How many a run has goes round 1, 2, … up to ``faults``. Same seed, same number and the same runs before
it: the same choices.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from deadheat.schedule.pct import CHOICES_GUESSED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.schedule.strategy import Held, Strategy

ANY = ""  # the kind of a fault that may be any
FAULTABLE = ("serial", "random-walk", "pct", "yield", "delay-bounded")


class Faulty:
    """Chooses as ``inner`` does; at drawn moments a fault of the chosen step goes in its place."""

    controlled = True

    def __init__(self, inner: Strategy, seed: int, faults: int) -> None:
        self.name = inner.name
        self.yields = inner.yields
        self.faults = faults
        self._inner = inner
        self._seed = seed
        self._random = random.Random(seed)
        self._begun = 0
        self._runs = 0
        self._had: Counter[str] = Counter()  # choices of earlier runs that had a kind
        self._now: Counter[str] = Counter()  # those of this run, and in all of them: ANY
        self._drawn: set[tuple[str, int]] = set()

    def begin(self, run: int) -> None:
        """Start a run: draw its faults, each as a kind and the how-manieth choice that has it."""
        if self._now:
            self._runs += 1
            self._had.update(self._now)
        self._inner.begin(run)
        self._random = random.Random(f"faults/{self.name}/{self._seed}/{run}")
        self._now = Counter()
        kinds = sorted(self._had.keys() - {ANY}) or [ANY]
        self._drawn = set()
        for _ in range(1 + self._begun % self.faults):
            kind = self._random.choice(kinds)
            mean = self._had[kind] / self._runs if self._runs else CHOICES_GUESSED
            self._drawn.add((kind, self._random.randint(1, max(round(mean), 1))))
        self._begun += 1

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        """Give what the strategy within chooses of the steps, or a fault of it at its moment."""
        steps = [index for index, step in enumerate(held) if not step.fault]
        (chosen,) = (steps[index] for index in self._inner.choose([held[index] for index in steps]))
        faults = {step.fault: index for index, step in enumerate(held) if step.is_fault_of(held[chosen])}
        if not faults:
            return (chosen,)
        self._now.update((ANY, *faults))
        due = [kind for kind in faults if (kind, self._now[kind]) in self._drawn]
        if (ANY, self._now[ANY]) in self._drawn:
            due.append(self._random.choice(sorted(faults)))
        return (faults[due[0]],) if due else (chosen,)


def with_faults(strategy: Strategy, seed: int, faults: int) -> Strategy:
    """Let up to so many faults strike in a strategy's runs, where it lets one step go at a time."""
    return Faulty(strategy, seed, faults) if faults and strategy.name in FAULTABLE else strategy
