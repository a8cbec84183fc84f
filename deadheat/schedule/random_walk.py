"""Random walk: at every choice any actor that can move may. The best sampler of short programs.

Every second run or so has inertia: whoever moved last goes on with a probability that is drawn for the run,
from one half up. A window that somebody must stay in while another does ten steps is out of reach of
a walk that turns at every one of them.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.schedule.strategy import Held


INERTIAS = (0.5, 0.75, 0.9, 0.95)


class RandomWalk:
    """Draws an actor, then one of its held steps, each as likely as the next."""

    name = "random-walk"
    controlled = True
    yields = False
    faults = 0

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._is_first = True  # never inert: a small budget must have a race in it
        self._inertia = 0.0
        self._last: str | None = None

    def begin(self, run: int) -> None:
        """Start a run with draws of its own."""
        self._random = random.Random(f"{self.name}/{self._seed}/{run}")
        inert = self._random.random() < 0.5 and not self._is_first
        self._inertia = self._random.choice(INERTIAS) if inert else 0.0
        self._is_first = False
        self._last = None

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        """Draw one step."""
        chosen = None
        if self._inertia and self._random.random() < self._inertia:
            chosen = next((i for i, step in enumerate(held) if step.name.strand == self._last), None)
        if chosen is None:
            chosen = walk(self._random, held)
        self._last = held[chosen].name.strand
        return (chosen,)


def walk(draws: random.Random, held: Sequence[Held]) -> int:
    """Draw an actor that has held steps, then one of them.

    The actor first: otherwise one with ten deliveries in the air would move ten times as often as
    the sign-up that it races.
    """
    actor = draws.choice(list(dict.fromkeys(step.actor for step in held)))
    return draws.choice([index for index, step in enumerate(held) if step.actor == actor])
