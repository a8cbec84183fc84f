"""Quiet: when a target that has answered is really at rest.

Work may go on after an answer (a background task, a promise that nobody awaits). What of it we can
see is a Stripe call in flight, a step, and a session that runs a statement or holds a transaction
open. The target is at rest when none of these was seen for the quiet period, and it does not want the
processor: on a busy machine its work may only not have begun.

Most targets do nothing after they have answered, and waiting for it would be most of a run. So each
deployment is watched: when nothing was ever seen in its first `LEARNING` waits, later ones are brief;
the first work that is seen after all makes them long again, for good.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deadheat.errors import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.engine.gate import RunGate
    from deadheat.engine.tables import Database
    from deadheat.history import Recorder

QUIET_MS = 50
BRIEF_MS = 10
POLL_MS = 5
STARVED_MS_MAX = 500  # who wants the processor for so long and shows nothing does something else with it
LEARNING = 20
REST_SECONDS_MAX = 15.0


@dataclass(slots=True)
class Habits:
    """What a target has been seen to do once it had answered, over all runs at a deployment."""

    waits: int = 0
    works_on: bool = False

    def quiet_ms(self) -> float:
        """Give how long to wait for more, in milliseconds."""
        return QUIET_MS if self.works_on or self.waits < LEARNING else BRIEF_MS


@dataclass(frozen=True, slots=True)
class Quiet:
    """Tells when the target of one run is at rest."""

    gate: RunGate
    recorder: Recorder
    database: Database | None
    habits: Habits = field(default_factory=Habits)
    wants_processor: Callable[[], bool] = lambda: False

    async def reached(self) -> None:
        """Wait until the target is at rest; Trouble when it never is."""
        began = calm_since = time.perf_counter()
        steps = len(self.recorder)
        while True:
            busy = await self.database.busy() if self.database else 0
            now = time.perf_counter()
            if busy or self.gate.in_flight or len(self.recorder) != steps:
                self.habits.works_on = True
                calm_since, steps = now, len(self.recorder)
            elif self._is_quiet((now - calm_since) * 1000):
                self.habits.waits += 1
                return
            if now - began > REST_SECONDS_MAX:
                raise Trouble(
                    f"the target did not come to rest within {REST_SECONDS_MAX:.0f} s: {busy} of its "
                    "database sessions are busy or hold a transaction open, and "
                    f"{self.gate.in_flight} Stripe calls are in flight"
                )
            await asyncio.sleep(POLL_MS / 1000)

    def _is_quiet(self, calm_ms: float) -> bool:
        """Say whether it is at rest after so many milliseconds in which nothing was seen."""
        if calm_ms < self.habits.quiet_ms():
            return False
        return calm_ms >= STARVED_MS_MAX or not self.wants_processor()
