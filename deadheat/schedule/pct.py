"""PCT: strict priorities that change at a few drawn moments, for races that need long stretches.

Burckhardt, Kothari, Musuvathi, Nagarakatte: "A Randomized Scheduler with Probabilistic Guarantees
of Finding Bugs", ASPLOS 2010. Each of n actors gets a random priority and the highest that can move
moves; at d - 1 drawn of k choices the actor about to move falls below all others. A bug of depth d
(one that d - 1 preemptions at the right moments bring about) shows with a probability of at least
1 / (n * k^(d-1)) a run.

Here d goes round 1, 2, 3, 4, run by run, with 1 left out of two rounds in three: a run of depth 1 is just
an order of whole actors, and those are soon seen. And k is the mean number of choices of this
strategy's earlier runs: lengths of serial runs are too short, since they wait and retry less. So a
run's choices are the same for the same seed, number *and* runs before it.

What has a priority is what can be in the air beside others: an actor, or each delivery by itself.

Every second round the moments are drawn among the choices in which the one on top is about
to write. A check-then-act bug wants its preemption just there, and these are a small part of all k.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.schedule.strategy import Held

DEPTH_MAX = 4
# The rounds, each gone through with moments among all choices and then among writes; over and over.
ROUNDS = (range(1, DEPTH_MAX + 1), range(2, DEPTH_MAX + 1), range(2, DEPTH_MAX + 1))
PLAN = [(depth, at_writes) for depths in ROUNDS for at_writes in (False, True) for depth in depths]
CHOICES_GUESSED = 30


class PCT:
    """Moves the actor of the highest priority; a few times a run, the one on top falls."""

    name = "pct"
    controlled = True
    yields = False
    faults = 0

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._begun = 0
        self._runs = 0
        self._choices_total = 0
        self._choices = 0
        self._writes_total = 0
        self._writes = 0
        self._at_writes = False
        self._falls: dict[int, float] = {}
        self._priorities: dict[str, float] = {}

    def begin(self, run: int) -> None:
        """Start a run: draw its moments of change."""
        if self._choices:
            self._runs += 1
            self._choices_total += self._choices
            self._writes_total += self._writes
        self._random = random.Random(f"{self.name}/{self._seed}/{run}")
        depth, self._at_writes = PLAN[self._begun % len(PLAN)]
        total = self._writes_total if self._at_writes else self._choices_total
        mean = total / self._runs if self._runs else CHOICES_GUESSED
        self._choices = self._writes = 0
        self._priorities = {}
        self._begun += 1
        moments = range(1, max(round(mean), depth) + 1)
        # Drawn without order, so that the one who falls later may still be above the earlier one.
        fallen = self._random.sample(moments, depth - 1)
        self._falls = {moment: -float(level) for level, moment in enumerate(fallen, start=1)}

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        """Give the first held step of the highest priority; at a moment of change, let it fall first."""
        for step in held:
            self._priorities.setdefault(unit_of(step), self._random.random())
        top = self._top(held)
        self._choices += 1
        self._writes += bool(held[top].writes)
        moment = self._writes if self._at_writes else self._choices
        if moment in self._falls and (held[top].writes or not self._at_writes):
            self._priorities[unit_of(held[top])] = self._falls.pop(moment)
            top = self._top(held)
        return (top,)

    def _top(self, held: Sequence[Held]) -> int:
        """Give the index of the step that goes next; the first of its unit's."""
        ranks = [self._priorities[unit_of(step)] for step in held]
        return ranks.index(max(ranks))


def unit_of(step: Held) -> str:
    """Give what a step has its priority by: its delivery, else its actor."""
    return step.name.strand if "/" in step.name.strand else step.actor
