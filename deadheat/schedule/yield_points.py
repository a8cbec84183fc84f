"""Yield: a random walk in runs whose writes park inside their statement.

A database that we provisioned holds a write between its snapshot and its effect; that moment is a
held step of kind ``park`` like any other, so that a check-then-insert inside one function can be
split. Each park costs about 2 ms, hence a strategy of its own instead of all of them.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from deadheat.schedule.random_walk import walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.schedule.strategy import Held


class Yield:
    """Draws as the random walk does, from more steps."""

    name = "yield"
    controlled = True
    yields = True

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)

    def begin(self, run: int) -> None:
        """Start a run with draws of its own."""
        self._random = random.Random(f"{self.name}/{self._seed}/{run}")

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        """Draw one step."""
        return (walk(self._random, held),)
