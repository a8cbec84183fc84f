"""Random walk: at every choice any actor that can move may. The best sampler of short programs."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.schedule.strategy import Held


class RandomWalk:
    """Draws an actor, then one of its held steps, each as likely as the next."""

    name = "random-walk"
    controlled = True
    yields = False

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)

    def begin(self, run: int) -> None:
        """Start a run with draws of its own."""
        self._random = random.Random(f"{self.name}/{self._seed}/{run}")

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        """Draw one step."""
        return (walk(self._random, held),)


def walk(draws: random.Random, held: Sequence[Held]) -> int:
    """Draw an actor that has held steps, then one of them.

    The actor first: otherwise one with ten deliveries in the air would move ten times as often as
    the sign-up that it races.
    """
    actor = draws.choice(list(dict.fromkeys(step.actor for step in held)))
    return draws.choice([index for index, step in enumerate(held) if step.actor == actor])
