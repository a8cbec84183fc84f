"""Overlap: a random walk that now and then lets two flights go together.

A flight is not atomic because it is one flight: a function that checks and then inserts made no
duplicate in 300 runs when flights went one by one, and 33 when two overlapped. What happens within
the overlap is chance, so its replays are counted and never called exact.
"""

from __future__ import annotations

import random
from itertools import combinations
from typing import TYPE_CHECKING

from deadheat.schedule.random_walk import walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.schedule.strategy import Held

TOGETHER = 0.5  # how often a pair goes together where there is one
CONFLICT_WEIGHT = 8  # how much likelier a pair that conflicts is drawn than one that does not


class Overlap:
    """Draws a pair of flights of different actors at every second choice that has one, else one step."""

    name = "overlap"
    controlled = True
    yields = False
    faults = 0

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)

    def begin(self, run: int) -> None:
        """Start a run with draws of its own."""
        self._random = random.Random(f"{self.name}/{self._seed}/{run}")

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        """Draw one step, or two flights in the order in which they set off."""
        flights = [index for index, step in enumerate(held) if step.kind == "flight"]
        pairs = [(a, b) for a, b in combinations(flights, 2) if held[a].actor != held[b].actor]
        if not pairs or self._random.random() >= TOGETHER:
            return (walk(self._random, held),)
        # What a statement touches ranks the pairs and rules none out: a trigger's table is not named.
        weights = [CONFLICT_WEIGHT if held[a].conflicts(held[b]) else 1 for a, b in pairs]
        pair = self._random.choices(pairs, weights)[0]
        return pair if self._random.random() < 0.5 else pair[::-1]
