"""PCT: strict priorities that change at a few drawn moments, for races that need long stretches.

Burckhardt, Kothari, Musuvathi, Nagarakatte: "A Randomized Scheduler with Probabilistic Guarantees
of Finding Bugs", ASPLOS 2010. Each of n actors gets a random priority and the highest that can move
moves; at d - 1 drawn of k choices the actor about to move falls below all others. A bug of depth d
(one that d - 1 preemptions at the right moments bring about) shows with a probability of at least
1 / (n * k^(d-1)) a run.

Here d goes round 1, 2, 3, 4 with the run's number, and k is the mean number of choices of this
strategy's earlier runs: lengths of serial runs are too short, since they wait and retry less. So a
run's choices are the same for the same seed, number *and* lengths of the runs before it.

Several deliveries of one actor can be in the air at once. Each has a priority within its actor, and
falls there too.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.schedule.strategy import Held

DEPTH_MAX = 4
CHOICES_GUESSED = 30


class PCT:
    """Moves the actor of the highest priority; a few times a run, the one on top falls."""

    name = "pct"
    controlled = True
    yields = False

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._runs = 0
        self._choices_total = 0
        self._choices = 0
        self._falls: dict[int, float] = {}
        self._priorities: dict[str, float] = {}

    def begin(self, run: int) -> None:
        """Start a run: draw its moments of change."""
        if self._choices:
            self._runs += 1
            self._choices_total += self._choices
        mean = self._choices_total / self._runs if self._runs else CHOICES_GUESSED
        self._random = random.Random(f"{self.name}/{self._seed}/{run}")
        self._choices = 0
        self._priorities = {}
        depth = 1 + (run - 1) % DEPTH_MAX
        moments = range(1, max(round(mean), depth) + 1)
        # Drawn without order, so that the one who falls later may still be above the earlier one.
        fallen = self._random.sample(moments, depth - 1)
        self._falls = {moment: -float(level) for level, moment in enumerate(fallen, start=1)}

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        """Give the first held step of the highest priority; at a moment of change, let it fall first."""
        self._choices += 1
        for step in held:
            for one in (step.actor, step.name.strand):
                if one not in self._priorities:
                    self._priorities[one] = self._random.random()
        top = self._top(held)
        if self._choices in self._falls:
            self._priorities[held[top].actor] = self._falls[self._choices]
            self._priorities[held[top].name.strand] = self._falls[self._choices]
            top = self._top(held)
        return (top,)

    def _top(self, held: Sequence[Held]) -> int:
        """Give the index of the step that goes next; the first of a strand's."""
        ranks = [(self._priorities[s.actor], self._priorities[s.name.strand]) for s in held]
        return ranks.index(max(ranks))
