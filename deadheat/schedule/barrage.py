"""Barrage: everything at once, released by a barrier, against a Stripe that takes its time.

There is no control and so no replay: the seed fixes what is drawn, not what the machine makes of
it. A call takes 5 to 50 ms where nothing else is asked for, the range of a near and a far Stripe; its
effect falls anywhere within that time, since an effect early in a long call is what lets a webhook
overtake the response. Actors may begin one after the other, as two clicks of one finger do.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

CALL_MS = (5.0, 50.0)
DELIVERY_MS = (0.0, 20.0)
AT_ONCE_MS = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a Stripe call takes on its way to its effect, and back, in milliseconds."""

    to_effect_ms: float = 0.0
    to_response_ms: float = 0.0


class Barrage:
    """Draws latencies from a seed. Not a `Strategy`: it is never asked to choose.

    ``apart_ms`` is between how long an actor begins after the one before it, in milliseconds.
    """

    name = "barrage"
    controlled = False
    yields = False

    def __init__(self, seed: int, apart_ms: tuple[float, float] = AT_ONCE_MS) -> None:
        self._seed = seed
        self._apart_ms = apart_ms
        self._random = random.Random(seed)

    def begin(self, run: int) -> None:
        """Start a run with draws of its own."""
        self._random = random.Random(f"{self._seed}/{run}")

    def latency(self, call_ms: tuple[float, float] = CALL_MS) -> Latency:
        """Draw a call that takes between these two, in milliseconds, its effect anywhere within."""
        total = self._random.uniform(*call_ms)
        to_effect = self._random.uniform(0.0, total)
        return Latency(to_effect, total - to_effect)

    def delay_ms(self) -> float:
        """Draw a delivery's way of 0 to 20 ms."""
        return self._random.uniform(*DELIVERY_MS)

    def starts_ms(self, count: int) -> list[float]:
        """Draw when each of so many actors begins, in a drawn order, the first of them at 0."""
        if self._apart_ms == AT_ONCE_MS:
            return [0.0] * count
        gaps = [self._random.uniform(*self._apart_ms) for _ in range(count - 1)]
        starts = list(itertools.accumulate(gaps, initial=0.0))[:count]
        self._random.shuffle(starts)
        return starts
