"""From a run that broke an invariant to a finding: the smallest schedule, and how surely it replays.

The shrinker (`deadheat.schedule.shrink`) says what to try; here it is tried, up to three times, since
a candidate counts only if it violates the same invariant in 3 of 3. What is left is replayed twenty
times. Invariants that those replays violate as often share the finding's schedule.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from deadheat.schedule import Outcome, Replay, Strand, context_switches, faults_in, shrink, strand_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.engine.events import Finding
    from deadheat.engine.run import Ran
    from deadheat.engine.seen import Found
    from deadheat.invariants.settled import Judgement, Violation
    from deadheat.schedule import Schedule, Shrunk

CONFIRMATIONS = 3
REPLAYS = 20
TRIES_MAX = 80
KINDS = {1: "operation", 3: "delivery", 4: "duplicate"}  # of a strand, by the parts of its name
DELIVERY = "d"  # what stands in a delivery's key behind its stream's


class Tries(Protocol):
    """Runs a schedule once; ``strict`` follows it to the letter."""

    async def __call__(self, schedule: Schedule, replay: Replay) -> tuple[Ran, Judgement | None]:
        """Give the run and its judgement, None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimal:
    """A schedule made minimal, and what its replays showed."""

    schedule: Schedule
    shrunk: Shrunk
    replays: int
    shown: Counter[str]
    diverged: int
    ran: Ran
    violations: tuple[Violation, ...]
    without_yields: int | None = None

    def finding(self, first: Finding, token: str) -> Finding:
        """Give a finding of one of the invariants that this schedule violates."""
        invariant = first.invariant
        violation = next(v for v in self.violations if v.invariant == invariant)
        best = self.shrunk.best
        times = None if self.without_yields is None else (self.without_yields, self.replays)
        return replace(
            first,
            violation=violation,
            history=self.ran.history,
            schedule=self.schedule,
            token=token,
            replays=(self.shown[invariant], self.replays),
            replays_diverged=self.diverged,
            without_yields=times,
            actors=acting(self.ran),
            switches=context_switches(self.ran.trace),
            faults=faults_in(self.ran.trace),
            choices_before=first.choices_before,
            choices_after=best.choices,
            removed=dict(self.shrunk.removed),
        )


async def minimize(found: Found, tries: Tries) -> Minimal | None:
    """Make a run that can be replayed minimal for its invariant; None where no replay shows it."""
    assert found.schedule is not None
    invariant = found.violation.invariant
    search = shrink(outcome_of(found.ran, found.schedule, violated=True), tries_max=TRIES_MAX)
    try:
        candidate = next(search)
        while True:
            candidate = search.send(await _confirmed(candidate, invariant, tries))
    except StopIteration as stop:
        shrunk: Shrunk = stop.value
    return await _replayed(shrunk, invariant, tries)


def outcome_of(ran: Ran, schedule: Schedule, *, violated: bool) -> Outcome:
    """Say what came of a run, for the shrinker."""
    return Outcome(
        violated=violated,
        schedule=schedule.recorded(ran.trace),
        strands=strands_of(ran),
        switches=context_switches(ran.trace),
        faults=faults_in(ran.trace),
        choices=len(ran.trace),
    )


def strands_of(ran: Ran) -> tuple[Strand, ...]:
    """Give the strands of a run that can be left out: operations, deliveries and their duplicates."""
    found: dict[str, Strand] = {}
    for name in ran.strands:
        parts = name.split("/")
        if not name[:1].isupper() or len(parts) not in KINDS:
            continue
        for known in dict.fromkeys((parts[0], name)):  # the stream goes before its deliveries
            kind = KINDS[len(known.split("/"))]
            found.setdefault(known, Strand(key=strand_key(known), actor=_actor(parts[0]), kind=kind))
    return tuple(found.values())


def tidied(schedule: Schedule) -> Schedule:
    """Leave deliveries out of what is dropped where the whole stream of them is."""
    streams = {key for key in schedule.dropped if DELIVERY not in key}
    kept = [k for k in schedule.dropped if k in streams or k.split(DELIVERY)[0] not in streams]
    return replace(schedule, dropped=tuple(kept))


def acting(ran: Ran) -> int:
    """Count the actors that did something in the race."""
    return len({step.actor for choice in ran.trace for step in choice.steps})


def _actor(strand: str) -> str:
    return strand.rstrip("0123456789")


async def _confirmed(candidate: Schedule, invariant: str, tries: Tries) -> Outcome:
    """Try a candidate, and what it came to twice more: all three must violate the invariant."""
    ran, judgement = await tries(candidate, Replay(candidate, strict=False))
    recorded = candidate.recorded(ran.trace)
    outcome = outcome_of(ran, recorded, violated=invariant in _violated(judgement))
    for _ in range(CONFIRMATIONS - 1 if outcome.violated else 0):
        _, judgement = await tries(recorded, Replay(_as_token(recorded)))
        if invariant not in _violated(judgement):
            return replace(outcome, violated=False)
    return outcome


async def _replayed(shrunk: Shrunk, invariant: str, tries: Tries) -> Minimal | None:
    schedule = tidied(shrunk.best.schedule)
    shown: Counter[str] = Counter()
    diverged = 0
    kept: tuple[Ran, Judgement] | None = None
    for _ in range(REPLAYS):
        ran, judgement = await tries(schedule, Replay(_as_token(schedule)))
        diverged += ran.diverged is not None
        violated = _violated(judgement)
        shown.update(violated)
        if judgement is not None and invariant in violated:
            kept = ran, judgement
    if kept is None:
        return None
    without = None
    if schedule.yields:
        plain = replace(schedule, yields=False, fingerprint="", steps=())
        runs = [await tries(plain, Replay(plain, strict=False)) for _ in range(REPLAYS)]
        without = sum(invariant in _violated(judgement) for _, judgement in runs)
    return Minimal(
        schedule=schedule,
        shrunk=shrunk,
        replays=REPLAYS,
        shown=shown,
        diverged=diverged,
        ran=kept[0],
        violations=kept[1].violations,
        without_yields=without,
    )


def _violated(judgement: Judgement | None) -> Sequence[str]:
    return [] if judgement is None else [violation.invariant for violation in judgement.violations]


def _as_token(schedule: Schedule) -> Schedule:
    """Give what a token holds of a schedule: the switches, and no step beside them."""
    return replace(schedule, steps=())
