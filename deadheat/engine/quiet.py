"""Quiet: when a target that has answered is really at rest.

Work may go on after an answer (a background task, a promise that nobody awaits). What of it we can
see is a Stripe call in flight, a step, and a session that runs a statement or holds a transaction
open. The target is at rest when none of these was seen for the quiet period.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deadheat.errors import Trouble

if TYPE_CHECKING:
    from deadheat.engine.gate import RunGate
    from deadheat.engine.tables import Database
    from deadheat.history import Recorder

QUIET_MS = 50
POLL_MS = 8
REST_SECONDS_MAX = 15.0


@dataclass(frozen=True, slots=True)
class Quiet:
    """Tells when the target of one run is at rest."""

    gate: RunGate
    recorder: Recorder
    database: Database | None

    async def reached(self) -> None:
        """Wait until the target is at rest; Trouble when it never is."""
        began = calm_since = time.perf_counter()
        steps = len(self.recorder)
        while True:
            busy = await self.database.busy() if self.database else 0
            now = time.perf_counter()
            if busy or self.gate.in_flight or len(self.recorder) != steps:
                calm_since, steps = now, len(self.recorder)
            elif (now - calm_since) * 1000 >= QUIET_MS:
                return
            if now - began > REST_SECONDS_MAX:
                raise Trouble(
                    f"the target did not come to rest within {REST_SECONDS_MAX:.0f} s: {busy} of its "
                    "database sessions are busy or hold a transaction open, and "
                    f"{self.gate.in_flight} Stripe calls are in flight"
                )
            await asyncio.sleep(POLL_MS / 1000)
