"""What controlled runs covered and what they could not order, in lines; shared by all reports.

A clean verdict is worth as much as its runs saw: these lines say what was ordered, whose steps were
unknown, which flights nobody ordered inside, and whether the same schedule gave the same run twice.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from deadheat.report.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deadheat.engine.events import Exploration

SLEPT_S = 0.1  # a silence of that on average is a target that sleeps, and not one that is slow
SHORTEN = "a sleep between the target's tries costs nothing once [target.env] makes it short"


def coverage_lines(explorations: Sequence[Exploration]) -> Iterator[str]:
    """Say what the explorations covered together; nothing where nothing was run."""
    covered = [exploration.coverage for exploration in explorations]
    schedules = sum(one.schedules for one in covered)
    runs = sum(exploration.runs for exploration in explorations)
    if not runs:
        return
    if not schedules:
        yield "ordered: nothing; no run was under control"
        return
    chosen = sum(one.choices for one in covered)
    yield f"ordered: {_many(schedules, 'distinct schedule')}, {_many(chosen, 'choice')}"
    steps = sum(one.attributed for one in covered)
    disagreed = sum(one.disagreed for one in covered)
    yield (
        f"attribution: {_part(sum(one.unattributed for one in covered), steps)} nobody's, "
        f"{f'{_part(disagreed, steps)} doubtful, ' if disagreed else ''}"
        f"{_part(sum(one.late for one in covered), steps)} late, of {_many(steps, 'step')}"
    )
    if conflicting := sum(one.conflicting for one in covered):
        both = sum(one.in_both_orders for one in covered)
        yield f"conflicts: {_many(conflicting, 'pair')} of steps seen to conflict, {both} in both orders"
    struck = sum((Counter(one.faults) for one in covered), Counter[str]())
    if struck:
        kinds = ", ".join(f"{plain(kind)} {count}" for kind, count in sorted(struck.items()))
        yield f"faults: {struck.total()} ({kinds})"
    if silences := sum(one.silences for one in covered):
        waited_s = sum(one.silent_s for one in covered)
        slept = "" if waited_s < silences * SLEPT_S else f"; {SHORTEN}"
        periods = _many(silences, "period")
        yield f"silence: waited {waited_s:.1f} s for who showed nothing, in {periods}{slept}"
    yield _inside(explorations)
    for exploration in explorations:
        if (search := exploration.coverage.exhausted) is not None:
            yield (
                f"exhaustive: {plain(exploration.scenario)}, {_many(search.done, 'schedule')} of at most "
                f"{_many(search.preemptions, 'preemption')} run, {_part(search.violated, search.done)} "
                f"violated an invariant, {f'{search.late} with late steps, ' if search.late else ''}"
                f"{f'{search.differed} with other steps to choose from, ' if search.differed else ''}"
                f"{search.waiting} known to be left, {search.lost} not to be followed"
            )
    if repeated := sum(one.repeated for one in covered):
        differing = [how for one in covered for how in one.differing]
        first = f", first: {plain(differing[0])}" if differing else ""
        yield f"run twice: {_many(repeated, 'schedule')}, {len(differing)} differed{first}"
    if diverged := sum(one.diverged for one in covered):
        yield f"diverged: {_many(diverged, 'replay')} left the schedule"


def _inside(explorations: Sequence[Exploration]) -> str:
    """Say what of the inside of statements was ordered: otherwise a flight is one step."""
    overlapped = sum(exploration.coverage.unordered for exploration in explorations)
    parked = sum(exploration.strategies.get("yield", 0) for exploration in explorations)
    parts = []
    if overlapped:
        parts.append(f"{_many(overlapped, 'flight')} overlapped another, their insides in no chosen order")
    if parked:
        parts.append(f"writes were parked in {_many(parked, 'run')}")
    parts.append(f"every {'other ' if parts else ''}flight was one step")
    return f"inside statements: {'; '.join(parts)}"


def _part(count: int, of: int) -> str:
    return f"{count} ({count / of:.2%})" if count and of else str(count)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
