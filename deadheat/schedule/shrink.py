"""The shrinker: makes the schedule of a violation small, by running smaller ones.

It is a generator and runs nothing itself: it yields a candidate, is sent the `Outcome` of running
it (under ``Replay(candidate, strict=False)``), and returns the smallest that still violates. Passes
go over the best so far and are repeated until none of them finds anything:

1. whole actors, then single operations and deliveries, are dropped;
2. switches: none at all, only the first few, without a half, a quarter … a single one of them
   (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", TSE 2002); steps
   that went together go one by one;
3. two stretches of one actor become one, by moving either next to the other (Jalbert and Sen, "A
   Trace Simplification Technique for Effective Debugging of Concurrent Programs", FSE 2010); the
   first two actors change roles, so that the first by default begins: one switch less to tell;
4. duplicates of deliveries are dropped.

A candidate that moves or drops steps carries those left as ``steps``: a wished-for order, since the
switches of the longer run point at steps that are gone. One that drops switches carries switches
only. Which is smaller is decided by what really happened in its run: fewer strands, then fewer steps
that went together (these replay by luck), then fewer faults, context switches, switches, choices. A
fault is a switch like any other, and is dropped like one. Each best is smaller than the one before and
no candidate is tried twice, so it ends.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from deadheat.schedule.names import actor_of, strand_of
from deadheat.schedule.trace import TOGETHER, Switch

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from deadheat.schedule.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Strand:
    """A strand that took part: ``kind`` is "operation", "delivery" or "duplicate"."""

    key: str
    actor: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of running a candidate; only ``violated`` counts if that is false."""

    violated: bool
    schedule: Schedule
    """What really happened: `Schedule.recorded` of the candidate."""
    strands: tuple[Strand, ...]
    """In default order."""
    switches: int
    """Context switches: how often one actor's step was followed by another's."""
    choices: int
    faults: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """The smallest violation found, after how many tries, and what it has less than the first."""

    best: Outcome
    tried: int
    removed: Mapping[str, int]
    """How many "operations", "deliveries", "switches" (of context), "faults" and "duplicates"."""


@dataclass(slots=True)
class _Search:
    """Holds the best so far: the passes read it anew for every candidate."""

    best: Outcome


def shrink(start: Outcome, *, tries_max: int = 200) -> Generator[Schedule, Outcome, Shrunk]:
    """Shrink a violation: yields candidates, is sent their outcomes, returns the smallest."""
    search = _Search(start)
    seen = {_switched(start, start.schedule.switches)}
    tried = 0
    progress = True
    while progress:
        before = search.best
        for candidate in _candidates(search):
            if candidate in seen:
                continue
            if tried == tries_max:
                return _shrunk(start, search.best, tried)
            seen.add(candidate)
            tried += 1
            outcome = yield candidate
            if outcome.violated and _size(outcome) < _size(search.best):
                search.best = outcome
                seen.add(_switched(outcome, outcome.schedule.switches))
        progress = search.best is not before
    return _shrunk(start, search.best, tried)


def _size(outcome: Outcome) -> tuple[int, ...]:
    switches = outcome.schedule.switches
    together = sum(len(switch.to) > 1 for switch in switches)
    return (
        len(outcome.strands),
        together,
        outcome.faults,
        outcome.switches,
        len(switches),
        outcome.choices,
    )


def _shrunk(start: Outcome, best: Outcome, tried: int) -> Shrunk:
    less = Counter(strand.kind for strand in start.strands)
    less.subtract(Counter(strand.kind for strand in best.strands))
    removed = {
        "operations": less["operation"],
        "deliveries": less["delivery"],
        "switches": max(0, start.switches - best.switches),
        "duplicates": less["duplicate"],
        "faults": max(0, start.faults - best.faults),
    }
    return Shrunk(best=best, tried=tried, removed=removed)


def _candidates(search: _Search) -> Iterator[Schedule]:
    yield from _without_an_actor(search)
    yield from _without_strands(search, ("operation", "delivery"))
    yield from _without_switches(search)
    yield from _one_by_one(search)
    yield from _stretches_joined(search)
    yield from _roles_changed(search.best)
    yield from _without_strands(search, ("duplicate",))


def _without_an_actor(search: _Search) -> Iterator[Schedule]:
    for actor in reversed(list(dict.fromkeys(strand.actor for strand in search.best.strands))):
        yield from _dropped(search.best, {s.key for s in search.best.strands if s.actor == actor})


def _without_strands(search: _Search, kinds: tuple[str, ...]) -> Iterator[Schedule]:
    """Drop strands from the last to the first, since later operations lean on earlier ones."""
    keys = [strand.key for strand in search.best.strands if strand.kind in kinds]
    for part in _parts(len(keys)):
        yield from _dropped(search.best, set(keys[part]))


def _without_switches(search: _Search) -> Iterator[Schedule]:
    yield _switched(search.best, ())
    before, length = search.best, 1
    while search.best is before and length < len(before.schedule.switches):
        yield _switched(before, before.schedule.switches[:length])
        length *= 2
    for part in _parts(len(search.best.schedule.switches)):
        switches = list(search.best.schedule.switches)
        del switches[part]
        yield _switched(search.best, switches)


def _one_by_one(search: _Search) -> Iterator[Schedule]:
    """Let one of two steps that went together go alone, the other after it or by default."""
    for number in reversed(range(len(search.best.schedule.switches))):
        switches = search.best.schedule.switches
        if number >= len(switches):
            continue
        at, to = switches[number].at, switches[number].to
        for key in to if len(to) > 1 else ():
            yield _switched(search.best, (*switches[:number], Switch(at, (key,)), *switches[number + 1 :]))
    steps = [key for entry in search.best.schedule.steps for key in entry.split(TOGETHER)]
    if len(steps) > len(search.best.schedule.steps):
        yield _ordered(search.best, steps)


def _stretches_joined(search: _Search) -> Iterator[Schedule]:
    before = None
    while search.best is not before:
        before = search.best
        for steps in _joined(before):
            yield _ordered(before, steps)
            if search.best is not before:
                break


def _joined(outcome: Outcome) -> Iterator[list[str]]:
    """Give orders of the steps in which two stretches of one actor have become one."""
    stretches = _stretches(outcome)
    for later in range(2, len(stretches)):
        who, entries = stretches[later]
        earlier = next((i for i in reversed(range(later - 1)) if stretches[i][0] == who), None)
        if earlier is None:
            continue
        rest = [s for i, (_, s) in enumerate(stretches) if i not in (earlier, later)]
        both = stretches[earlier][1] + entries
        for place in (earlier, later - 1):
            yield [step for stretch in (*rest[:place], both, *rest[place:]) for step in stretch]


def _roles_changed(outcome: Outcome) -> Iterator[Schedule]:
    """Let the first actor do what the one does that began, and the other way round."""
    stretches = _stretches(outcome)
    actors = [who for who, _ in stretches]
    first = outcome.strands[0].actor if outcome.strands else ""
    if first not in actors or first == actors[0] or any(TOGETHER in who for who in actors):
        return
    role = {first: actors[0], actors[0]: first}
    left = {who: [step for w, entries in stretches if w == who for step in entries] for who in actors}
    steps = []
    for number, (who, entries) in enumerate(stretches):
        others = left[role.get(who, who)]
        # An actor's last stretch was its all, however long: so is that of who takes its role.
        length = len(entries) if who in actors[number + 1 :] else len(others)
        steps += others[:length]
        del others[:length]
    yield _ordered(outcome, steps)


def _stretches(outcome: Outcome) -> list[tuple[str, list[str]]]:
    """Give the steps in stretches of one actor each; two that went together are one of their own."""
    actors = {strand.key: strand.actor for strand in outcome.strands}

    def actor(entry: str) -> str:
        strands = [strand_of(key) for key in entry.split(TOGETHER)]
        return TOGETHER.join(actors.get(strand, actor_of(strand)) for strand in strands)

    return [(who, list(entries)) for who, entries in groupby(outcome.schedule.steps, actor)]


def _parts(length: int) -> Iterator[slice]:
    """Give halves, quarters … single ones of a list, each round from the end to the start."""
    size = max(1, length // 2)
    while length:
        for stop in range(length, 0, -size):
            yield slice(max(0, stop - size), stop)
        if size == 1:
            return
        size //= 2


def _dropped(outcome: Outcome, keys: set[str]) -> Iterator[Schedule]:
    """Drop these strands, a delivery with its duplicates; nothing if all or none would be left out."""
    gone = {
        strand.key
        for strand in outcome.strands
        if strand.key in keys or (strand.kind == "duplicate" and strand.key.rstrip(_CAPITALS) in keys)
    }
    if not gone or len(gone) == len(outcome.strands):
        return
    dropped = tuple(sorted({*outcome.schedule.dropped, *gone}))
    if not outcome.schedule.steps:
        yield replace(_switched(outcome, outcome.schedule.switches), dropped=dropped)
        return
    entries = ([k for k in e.split(TOGETHER) if strand_of(k) not in gone] for e in outcome.schedule.steps)
    yield replace(_ordered(outcome, [TOGETHER.join(keys) for keys in entries if keys]), dropped=dropped)


_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _switched(outcome: Outcome, switches: Sequence[Switch]) -> Schedule:
    return replace(outcome.schedule, switches=tuple(switches), steps=(), fingerprint="")


def _ordered(outcome: Outcome, steps: Sequence[str]) -> Schedule:
    return replace(outcome.schedule, switches=(), steps=tuple(steps), fingerprint="")
