"""A toy world: actors over a shared dictionary, offering held steps as the conductor does.

An operation is a generator. It yields the `Move` it is held at; what it does between two yields
happens when the move is released. ``INSIDE`` marks a place within a step: one step alone passes it
at once, two that go together both get there before either goes on. A move may take a lock, behind
which the others are blocked (not held, not finished), and may give it back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

from deadheat.schedule import (
    Held,
    Outcome,
    Released,
    Replay,
    Schedule,
    StepName,
    Strand,
    Strategy,
    context_switches,
    fault_name,
    faults_in,
    strand_key,
)

SCHEDULE = Schedule(scenario="toy", source="0a1b2c3d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    label: str
    kind: str = "flight"
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    takes: str = ""
    gives: str = ""
    fails: tuple[str, ...] = ()  # kinds of faults that may go in its place: it goes on, and they are noted


INSIDE = Move(label="inside")
Shared = dict[str, Any]
Operation = Callable[[Shared], Iterator[Move]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    """What is played: strands of each actor one after the other, deliveries all at once."""

    actors: Mapping[str, tuple[Operation, ...]]
    deliveries: Mapping[str, Operation] = field(default_factory=dict)
    violated: Callable[[Shared], bool]


@dataclass(frozen=True, slots=True)
class Played:
    trace: tuple[Released, ...]
    violated: bool
    strands: tuple[Strand, ...]

    @property
    def order(self) -> str:
        """The actors of the steps, in order: "ABBA"."""
        return "".join(step.actor for choice in self.trace for step in choice.steps)


@dataclass(slots=True)
class _Running:
    """One strand on its way; ``at`` is the move that it is held at, or blocked behind."""

    actor: str
    strand: str
    doing: Iterator[Move]
    at: Move | None
    blocked: bool = False


class World:
    """One run of a toy: `held`, `release`, until nothing is held."""

    def __init__(self, toy: Toy, dropped: tuple[str, ...] = (), *, faults: int = 0) -> None:
        self.faults_left = faults
        self.shared: Shared = {}
        self.took_part: list[tuple[str, str]] = []
        self._locks: dict[str, _Running] = {}
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._names: dict[str, StepName] = {}
        self._waiting = {
            actor: [(f"{actor}{n}", op) for n, op in enumerate(ops, 1) if f"{actor}{n}" not in dropped]
            for actor, ops in toy.actors.items()
        }
        self._running: list[_Running] = []
        for actor in toy.actors:
            self._start_next(actor)
        for strand, operation in toy.deliveries.items():
            if strand_key(strand) not in dropped:
                self._start(strand[0], strand, operation)

    def held(self) -> tuple[Held, ...]:
        steps = self._steps()
        if not self.faults_left:
            return steps
        moves = {one.strand: one.at for one in self._running}
        return steps + tuple(
            Held(name=fault_name(step.name, kind), actor=step.actor, kind="fault", fault=kind)
            for step in steps
            if (move := moves[step.name.strand])
            for kind in move.fails
        )

    def _steps(self) -> tuple[Held, ...]:
        return tuple(
            Held(
                name=self._names[one.strand],
                actor=one.actor,
                kind=one.at.kind,
                reads=one.at.reads,
                writes=one.at.writes,
            )
            for one in sorted(self._running, key=lambda one: one.actor)
            if one.at and not one.blocked
        )

    def release(self, held: tuple[Held, ...], chosen: tuple[int, ...]) -> None:
        by_strand = {one.strand: one for one in self._running}
        if faults := [str(held[index].name) for index in chosen if held[index].fault]:
            self.shared.setdefault("faults", []).extend(faults)
            self.faults_left -= len(faults)
        going = [by_strand[held[index].name.strand] for index in chosen]
        self._go([one for one in going if self._locked(one)])

    def _locked(self, one: _Running) -> bool:
        """Take the lock that a move asks for; False if it is blocked behind it."""
        assert one.at
        if not one.at.takes:
            return True
        owner = self._locks.setdefault(one.at.takes, one)
        one.blocked = owner is not one
        return not one.blocked

    def _go(self, going: list[_Running]) -> None:
        """Go on to the next moves side by side, and let go whoever was blocked behind a lock given back."""
        given = [one.at.gives for one in going if one.at and one.at.gives]
        for one in going:
            self._advance(one)
        for one in going:
            while one.at is INSIDE:
                self._advance(one)
        for lock in given:
            del self._locks[lock]
            waiter = next((w for w in self._running if w.blocked and w.at and w.at.takes == lock), None)
            if waiter and self._locked(waiter):
                self._go([waiter])

    def _advance(self, one: _Running) -> None:
        one.at = next(one.doing, None)
        if one.at is None:
            self._running.remove(one)
            self._start_next(one.actor)
        elif one.at is not INSIDE:
            self._name(one.strand, one.at.label)

    def _start_next(self, actor: str) -> None:
        if self._waiting.get(actor):
            self._start(actor, *self._waiting[actor].pop(0))

    def _start(self, actor: str, strand: str, operation: Operation) -> None:
        doing = operation(self.shared)
        at = next(doing)
        self._running.append(_Running(actor, strand, doing, at))
        self.took_part.append((actor, strand))
        self._name(strand, at.label)

    def _name(self, strand: str, label: str) -> None:
        self._numbers[strand, label] += 1
        self._names[strand] = StepName(strand, label, self._numbers[strand, label])


def play(toy: Toy, strategy: Strategy, run: int = 1, *, dropped: tuple[str, ...] = ()) -> Played:
    """Play one run; a replay that waits is told at once that nothing will come."""
    world = World(toy, dropped, faults=strategy.faults)
    strategy.begin(run)
    trace: list[Released] = []
    while held := world.held():
        chosen = strategy.choose(held)
        if not chosen:
            assert isinstance(strategy, Replay)
            strategy.give_up()
            continue
        trace.append(Released(held, chosen))
        world.release(held, chosen)
    strands = tuple(
        Strand(key=strand_key(strand), actor=actor, kind=_kind(strand))
        for actor, strand in sorted(world.took_part)
    )
    return Played(tuple(trace), toy.violated(world.shared), strands)


def found(toy: Toy, strategy: Strategy, runs: Iterable[int]) -> int:
    """Count the runs of a toy in which its invariant is violated."""
    return sum(play(toy, strategy, run).violated for run in runs)


def about(probability: float, runs: int) -> tuple[float, float]:
    """Give the bounds of a count: its mean, five standard deviations down and up."""
    spread = 5 * sqrt(runs * probability * (1 - probability))
    return runs * probability - spread, runs * probability + spread


def held(*strands: str, kind: str = "flight") -> tuple[Held, ...]:
    return tuple(Held(name=StepName(strand, "flight"), actor=strand[0], kind=kind) for strand in strands)


def _kind(strand: str) -> str:
    return ("operation", "operation", "operation", "delivery", "duplicate")[len(strand.split("/"))]


def outcome(toy: Toy, candidate: Schedule) -> Outcome:
    """Run a candidate of the shrinker, leniently."""
    played = play(toy, Replay(candidate, strict=False), dropped=candidate.dropped)
    return outcome_of(played, candidate)


def outcome_of(played: Played, schedule: Schedule = SCHEDULE) -> Outcome:
    return Outcome(
        violated=played.violated,
        schedule=schedule.recorded(played.trace),
        strands=played.strands,
        switches=context_switches(played.trace),
        choices=len(played.trace),
        faults=faults_in(played.trace),
    )


# The operations and the toys.


def steps(count: int, label: str = "flight") -> Operation:
    """Do nothing, in so many steps."""

    def operation(shared: Shared) -> Iterator[Move]:
        for _ in range(count):
            yield Move(label=label)

    return operation


def sign_up(shared: Shared) -> Iterator[Move]:
    """Look for a customer and make one if there is none: the bug that all of this is about."""
    yield Move(label="request POST /sign-up", kind="request")
    yield Move(label="flight select profiles", reads=frozenset({"profiles"}))
    missing = not shared.get("profile")
    yield Move(label="effect POST /v1/customers", kind="effect", writes=frozenset({"customer"}))
    if missing:
        shared["customers"] = shared.get("customers", 0) + 1
    yield Move(label="flight insert profiles", writes=frozenset({"profiles"}))
    shared["profile"] = True


def locked_sign_up(shared: Shared) -> Iterator[Move]:
    """Do the same behind a lock: nothing is wrong with it."""
    yield Move(label="flight select pg_advisory_xact_lock", takes="user")
    missing = not shared.get("customers")
    yield Move(label="effect POST /v1/customers", kind="effect")
    if missing:
        shared["customers"] = shared.get("customers", 0) + 1
    yield Move(label="flight COMMIT", gives="user")


def one_statement(shared: Shared) -> Iterator[Move]:
    """Check and insert within a single flight."""
    yield Move(label="flight select claim()", writes=frozenset({"profiles"}))
    missing = not shared.get("customers")
    yield INSIDE
    if missing:
        shared["customers"] = shared.get("customers", 0) + 1


def two_customers(shared: Shared) -> bool:
    return bool(shared.get("customers", 0) > 1)


SIGN_UPS = Toy(actors={"A": (sign_up,), "B": (sign_up,)}, violated=two_customers)
LOCKED = Toy(actors={"A": (locked_sign_up,), "B": (locked_sign_up,)}, violated=two_customers)
ONE_STATEMENT = Toy(actors={"A": (one_statement,), "B": (one_statement,)}, violated=two_customers)
