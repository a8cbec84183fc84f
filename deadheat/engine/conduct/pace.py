"""The pace of a run: when nothing moves any more, so that the next step can be chosen.

It is told by the wires. Only two things are asked for: whether a flight that does not come back is
blocked (Postgres knows, and is asked 1, 2, 4, 8, 16, 32 ms after its release), and whether a strand
that shows nothing is done (the quiet period, or what its operation was seen to need). While the target
wants the processor, it is not: on a busy machine it may only not have got any.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deadheat.engine.conduct.sequels import QUIET_MS
from deadheat.errors import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.engine.conduct.blocking import Blocking
    from deadheat.engine.conduct.conductor import Conductor
    from deadheat.engine.conduct.sql_plane import SqlPlane
    from deadheat.engine.conduct.strands import Strand

PATIENCE_MS = 5_000.0
SLOW_MS = 500.0  # what a process does for the first time takes longer
AGAIN_MS = 2.0  # who shows nothing is looked at once more: we may have been late ourselves
POLLS_MS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
FOREIGN_SECONDS_MAX = 1.0  # how long a session that is not the target's may block it
LEFT_SECONDS_MAX = 3.0  # how long an idle session of the target's that an earlier run left may
STUCK_SECONDS_MAX = 35.0  # longer than an HTTP call waits for its answer
REST_SECONDS_MAX = 35.0


@dataclass(slots=True)
class Silence:
    """How long a run has waited for those who showed nothing, in seconds, and in how many periods on end."""

    seconds: float = 0.0
    periods: int = 0
    _until: float = 0.0

    def lasted(self, since: float, now: float) -> None:
        """Count a time in which nothing was shown; what was counted before is not counted again."""
        if now > self._until:
            self.periods += since > self._until
            self.seconds += now - max(since, self._until)
            self._until = now


@dataclass(slots=True, eq=False)
class Pace:
    """Watches the strands of one conductor. ``in_air`` is the strand released last."""

    conductor: Conductor
    blocking: Blocking | None = None
    sql: SqlPlane | None = None
    in_air: Strand | None = None
    patient: bool = False  # who is silent is waited for: nobody else may begin meanwhile
    slow: bool = False  # the target has just been started again, or no step may be missed
    recheck: bool = False  # something has come back since blocked flights were last asked about
    foreign_since: dict[int, float] = field(default_factory=dict)
    left_since: dict[int, float] = field(default_factory=dict)
    silence: Silence = field(default_factory=Silence)
    worked_at: float = 0.0  # when something was last known to be at work
    wants_processor: Callable[[], bool] = lambda: False  # the target's processes
    room_at: float = 0.0  # when the only connection that is free was given back; 0 once it is taken
    looked_at: dict[str, float] = field(default_factory=dict)  # by strand: when it had moved last

    async def quiet(self, *, to_rest: bool = False) -> None:
        """Wait until nothing moves; Trouble when that never comes."""
        began = time.perf_counter()
        while True:
            if self.recheck:
                await self.look()
            now = time.perf_counter()
            wait_s = self._wait_s(now, to_rest)
            if wait_s is None:
                return
            if now - began > REST_SECONDS_MAX:
                raise Trouble(f"no rest within {REST_SECONDS_MAX:.0f} s: {self.situation()}")
            moved = await self.pause(wait_s, self.silent_since(to_rest=to_rest))
            if not moved and self.sql is not None and self.sql.is_due():
                await self.look()

    async def pause(self, seconds: float, silent_since: float | None) -> bool:
        """Wait for a sign of life, so long at the most, and count it where only silent ones were waited for.

        A time shorter than the quiet period is none: a target needs a moment for everything.
        """
        moved = await self.conductor.pause(seconds)
        now = time.perf_counter()
        if silent_since is None:
            self.worked_at = now
        elif now - silent_since >= QUIET_MS / 1000:
            self.silence.lasted(silent_since, now)
        return moved

    def silent_since(self, *, to_rest: bool = True) -> float | None:
        """Say since when nothing has been shown by anybody waited for; None where something is at work.

        In a race nobody waits for who was found silent, unless nothing else is left.
        """
        moved_at = 0.0
        for strand in self.conductor.strands.values():
            if strand.executing or strand.calls:
                return None
            shows_nothing = strand.is_open and not (strand.held or strand.blocked)
            if shows_nothing and (to_rest or not strand.silent):
                moved_at = max(moved_at, strand.moved_at)
        return max(moved_at, self.worked_at) if moved_at else None

    def is_busy(self, strand: Strand) -> bool:
        """Whether a step of this strand may come by itself, soon."""
        if strand.executing or strand.calls:
            return True
        if strand.held or strand.blocked:
            return False
        return (strand.is_open and not strand.silent) or strand.tail_until > time.perf_counter()

    def _wait_s(self, now: float, to_rest: bool) -> float | None:
        """Give how long to wait until the next look, in seconds; None when nothing moves."""
        between = self.conductor.between and self.conductor.controls
        wait: float | None = 1.0 if between or self.conductor.meanwhile else None
        if self._room_is_awaited(now):
            wait = AGAIN_MS / 1000
        for strand in self.conductor.strands.values():
            due = self._due(strand, now, to_rest)
            if due is not None and (wait is None or due - now < wait):
                wait = max(due - now, 0.0)
        return wait

    def _due(self, strand: Strand, now: float, to_rest: bool) -> float | None:
        """Say when to look at a strand next; None when nothing is awaited of it."""
        if strand.executing:
            return self.sql.next_poll() if self.sql is not None else now + 1.0
        if strand.calls:
            return now + 1.0
        if strand.held:
            return None
        if strand.blocked:
            return now + POLLS_MS[-1] / 1000 if to_rest else None
        if strand.is_open and not strand.silent:
            until = strand.moved_at + self._quiet_ms() / 1000
            if until > now or to_rest:
                return max(until, now + 0.001)
            if self._may_come(strand, now):
                return now + AGAIN_MS / 1000
            strand.silent = True
        elif strand.tail_until > 0:
            if strand.tail_until > now:
                return strand.tail_until
            if now - strand.tail_until < QUIET_MS / 1000 and self.wants_processor():
                return now + AGAIN_MS / 1000
            strand.tail_until = 0.0
            if not strand.is_open:
                self._ended(strand)
        return None

    def _ended(self, strand: Strand) -> None:
        """Note that nothing came after an answer; while others are held it may only be kept back."""
        sequels = self.conductor.sequels
        others = self.conductor.controls and any(s.is_live for s in self.conductor.strands.values())
        more, over = (said(strand.operation, strand.done) for said in (sequels.goes_on, sequels.is_over))
        if others and (more or (not over and self.is_full())):
            strand.owing = True
        elif self.conductor.learns:
            sequels.ended(strand.operation, strand.done)

    def is_full(self) -> bool:
        """Whether every connection of the target is in use: who needs one waits for somebody else."""
        return self.conductor.controls and self.sql is not None and self.sql.all_in_use()

    def is_crowded(self) -> bool:
        """Whether somebody may be waiting for a connection: who begins now would only wait with them."""
        return self._somebody_waits() and self.is_full()

    def _somebody_waits(self) -> bool:
        goes_on = self.conductor.sequels.goes_on
        return any(
            (s.silent and s.is_open) or (s.owing and goes_on(s.operation, s.done))
            for s in self.conductor.strands.values()
        )

    def _room_is_awaited(self, now: float) -> bool:
        """Whether somebody who waits may be about to take the connection that was given back last."""
        if not self.room_at or not self.conductor.controls:
            return False
        for_ms = SLOW_MS if self.wants_processor() else QUIET_MS
        if now - self.room_at > for_ms / 1000 or not self._somebody_waits():
            self.room_at = 0.0
        return self.room_at > 0

    def _may_come(self, strand: Strand, now: float) -> bool:
        """Say whether what a strand shows may only be slow to come: the target was kept from it, or we."""
        if self.looked_at.get(strand.name) != strand.moved_at:
            self.looked_at[strand.name] = strand.moved_at
            return True
        return now - strand.moved_at < SLOW_MS / 1000 and self.wants_processor()

    def _quiet_ms(self) -> float:
        if self.patient:
            return PATIENCE_MS
        return SLOW_MS if self.slow else QUIET_MS

    async def look(self) -> None:
        """Ask Postgres about every flight that has not come back."""
        self.recheck = False
        if self.sql is None or self.blocking is None:
            return
        pids = self.sql.pids_under_way()
        if not pids:
            self.foreign_since.clear()
            self.left_since.clear()
            return
        blockers = await self.blocking.of(pids)
        await self._check_foreign(await self.sql.sort_out(blockers))
        await self._check_left(self.sql.left_over())

    async def _check_foreign(self, foreign: set[int]) -> None:
        """Raise Trouble once somebody who is not the target's has blocked it for too long."""
        now = time.perf_counter()
        self.foreign_since = {pid: self.foreign_since.get(pid, now) for pid in foreign}
        for pid, since in self.foreign_since.items():
            if now - since > FOREIGN_SECONDS_MAX:
                assert self.blocking is not None
                raise Trouble(
                    f"a statement of the target waits for a lock that a foreign session holds: session "
                    f"{await self.blocking.who(pid)}. Nobody else may use the database during a race."
                )

    async def _check_left(self, left: set[int]) -> None:
        """Raise Trouble once a session that an earlier run left in a transaction has blocked for too long."""
        now = time.perf_counter()
        self.left_since = {pid: self.left_since.get(pid, now) for pid in left}
        for pid, since in self.left_since.items():
            assert self.blocking is not None
            if now - since > LEFT_SECONDS_MAX and await self.blocking.is_idle(pid):
                raise Trouble(
                    "a statement of the target waits for a lock that the target itself holds, in a "
                    f"transaction that an earlier run left open: session {await self.blocking.who(pid)}"
                )

    def situation(self) -> str:
        """Say what every live strand waits for."""
        parts = []
        for strand in self.conductor.live():
            if strand.executing:
                parts.append(f"{strand.name} has a statement at work in Postgres")
            elif strand.blocked:
                parts.append(f"{strand.name} is blocked in Postgres")
            elif strand.calls:
                parts.append(f"{strand.name} has a Stripe call under way")
            elif strand.is_open:
                parts.append(f"{strand.name} ({strand.operation}) shows nothing after {strand.done.last!r}")
        if self.conductor.between:
            parts.append(f"{sorted(self.conductor.between)} are about to go on")
        return "; ".join(parts) or "nothing is live"
