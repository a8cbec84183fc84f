"""Yield: a random walk in runs whose writes park inside their statement.

A database that we provisioned holds a write between its snapshot and its effect; that moment is a
held step of kind ``park`` like any other, so that a check-then-insert inside one function can be
split. Each park costs about 2 ms, hence a strategy of its own instead of all of them.

Who stands there usually stays while others can move, and longest who stands there longest: two must
have looked before one of them writes, and the second may have a long way to it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from deadheat.schedule.random_walk import walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.schedule.strategy import Held


PARK = "park"
STAYS = (0.8, 0.97, 1.0)  # the probability that who stands before a write stays, drawn for a run


class Yield:
    """Draws as the random walk does, mostly from the steps that are no parks."""

    name = "yield"
    controlled = True
    yields = True
    faults = 0

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._stays = STAYS[0]
        self._parked: dict[str, int] = {}  # since when a step stands, as a number

    def begin(self, run: int) -> None:
        """Start a run with draws of its own."""
        self._random = random.Random(f"{self.name}/{self._seed}/{run}")
        self._stays = self._random.choice(STAYS)
        self._parked = {}

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        """Draw one step."""
        for step in held:
            if step.kind == PARK:
                self._parked.setdefault(step.name.key, len(self._parked))
        if self._random.random() >= self._stays:
            return (walk(self._random, held),)
        moving = [index for index, step in enumerate(held) if step.kind != PARK]
        if moving:
            return (moving[walk(self._random, [held[index] for index in moving])],)
        return (max(range(len(held)), key=lambda index: self._parked[held[index].name.key]),)
