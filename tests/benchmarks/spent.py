"""Where a run's time goes: the processor's, by whose process it is, and waits in which nothing came.

The processes are ours, the target's and Postgres's, as Linux counts them (proc(5), /proc/PID/stat, fields
14 to 17: their own time, and that of the children that they have waited for).
"""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from deadheat.engine.conduct import Conductor

if TYPE_CHECKING:
    from collections.abc import Iterator

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
WHOSE = ("Deadheat", "target", "Postgres")


@dataclass(slots=True)
class Spent:
    """Seconds, summed over runs: ``wall``, of the processor by whose process, ``idle`` where nothing came."""

    target_pid: int
    runs: int = 0
    wall: float = 0.0
    idle: float = 0.0
    waits: int = 0
    by: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def over(self, runs: int = 1) -> Iterator[None]:
        """Count what the block takes; waits are those of the conductor for a sign of life."""
        pause, began, before = Conductor.pause, time.perf_counter(), processor_s(self.target_pid)

        async def timed(conductor: Conductor, seconds: float) -> bool:
            since = time.perf_counter()
            came = await pause(conductor, seconds)
            if not came:
                self.idle += time.perf_counter() - since
                self.waits += 1
            return came

        Conductor.pause = timed  # type: ignore[method-assign]
        try:
            yield
        finally:
            Conductor.pause = pause  # type: ignore[method-assign]
        self.runs += runs
        self.wall += time.perf_counter() - began
        self.by += Counter({whose: s - before[whose] for whose, s in processor_s(self.target_pid).items()})

    def row(self) -> tuple[str, ...]:
        """Give milliseconds a run: wall, each process's, and the time in which nothing came."""
        values = (self.wall, *(self.by[whose] for whose in WHOSE), self.idle)
        return tuple(f"{1000 * value / self.runs:.1f}" for value in values)


def processor_s(target_pid: int) -> Counter[str]:
    """Give the seconds of the processor that each has had so far."""
    spent: Counter[str] = Counter()
    todo = [(os.getpid(), "Deadheat")]
    while todo:
        pid, whose = todo.pop()
        try:
            name, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")
            threads = list(Path(f"/proc/{pid}/task").iterdir())
            children = [int(p) for thread in threads for p in (thread / "children").read_text().split()]
        except OSError:  # it has just ended
            continue
        whose = "target" if pid == target_pid else "Postgres" if name.endswith("(postgres") else whose
        spent[whose] += sum(map(int, rest.split()[11:15])) * TICK_S
        todo += ((child, whose) for child in children)
    return spent
