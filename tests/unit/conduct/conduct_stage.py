"""A stage for the conductor's parts: people, strands, and wires that are plain objects.

Nothing here has a socket. A `Wire` is a connection of the target's at Postgres: the test says when its
flight comes back. A `Postgres` says who waits for whom, and a `Yard` lets parked backends through.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deadheat import World
from deadheat.engine.cast import Cast
from deadheat.engine.conduct import Conductor, Sequels
from deadheat.pgwire import Flight, Result, Statement, Transaction, describe
from deadheat.schedule import default_choice
from deadheat.stripe_sim import MONTHLY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from deadheat.engine.conduct.sql_plane import SqlPlane
    from deadheat.engine.conduct.strands import Hold, Strand
    from deadheat.program import User
    from deadheat.schedule import Held

SIGN_UP = "sign-up"


class People:
    """Ada and Bob, a conductor that knows them, and strands of theirs."""

    def __init__(self) -> None:
        world = World("aa")
        self.ada, self.bob = world.user(), world.user()
        self.cast = Cast([self.ada, self.bob], MONTHLY)
        self.sequels = Sequels()
        self.earlier = World("zz").user()  # of a run that is over
        past = (self.earlier.id, self.earlier.email)
        self.conductor = Conductor(self.cast, self.sequels, past=past)

    def strand(
        self,
        name: str,
        user: User | None = None,
        *,
        operation: str = SIGN_UP,
        values: Iterable[str] = (),
        is_open: bool = True,
    ) -> Strand:
        """Make a strand whose request is out."""
        actor = name.rstrip("0123456789")
        part = None if user is None else self.cast[user]
        order = (len(actor), actor, name)
        made = self.conductor.strand(
            name, actor=actor, operation=operation, order=order, part=part, values=values
        )
        if is_open:
            self.conductor.opened(made, "request POST /sign-up")
        return made


class Hand:
    """A strategy that the test plays: ``wants`` are actors or parts of step names, in order.

    What is wanted and not held is passed over; with nothing wanted it follows the default policy.
    """

    name = "hand"
    controlled = True
    yields = False

    def __init__(self, *wants: str, faults: int = 0) -> None:
        self.faults = faults
        self.wants = list(wants)
        self.seen: list[tuple[str, ...]] = []
        self.went: list[str] = []
        self._last: str | None = None

    def begin(self, run: int) -> None:
        del run

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        self.seen.append(tuple(str(step.name) for step in held))
        chosen = default_choice(held, self._last)
        while self.wants:
            want = self.wants.pop(0)
            found = [i for i, step in enumerate(held) if want == step.actor or want in str(step.name)]
            if found:
                chosen = found[0]
                break
        self._last = held[chosen].name.strand
        self.went.append(str(held[chosen].name))
        return (chosen,)


@dataclass(eq=False)
class Tabs:
    """Actors that take steps of our own, one after the other; ``at_once`` is how many were in the air."""

    conductor: Conductor
    left: int = 0
    in_air: int = 0
    at_once: int = 0

    async def race(self, strategy: Any, **actors: Sequence[str]) -> list[str]:
        """Let actors take these steps under a strategy; returns the actors in the order of their steps."""
        order: list[str] = []
        self.left = len(actors)
        self.conductor.controls = True
        self.conductor.between |= set(actors)
        async with asyncio.TaskGroup() as group:
            for number, (name, labels) in enumerate(actors.items()):
                strand = self.conductor.strand(f"{name}1", actor=name, operation="op", order=(number,))
                group.create_task(self._play(strand, labels, order))
            await self.conductor.conduct(strategy, lambda: self.left == 0)
        return order

    async def _play(self, strand: Strand, labels: Sequence[str], order: list[str]) -> None:
        for label in labels:
            await self.conductor.take(strand, "act", label)
            order.append(strand.actor)
            self.in_air += 1
            self.at_once = max(self.at_once, self.in_air)
            await turns(5)
            self.in_air -= 1
        self.left -= 1
        self.conductor.left(strand.actor)


@dataclass(eq=False)
class Wire:
    """A connection of the target's; ``told`` is what was done with what was held of it."""

    plane: SqlPlane
    pid: int
    number: int = 1
    hold_result: bool = False
    told: list[str] = field(default_factory=list)
    flights: list[Flight] = field(default_factory=list)

    def send(self, sql: str, *parameters: bytes | None, passes: bool | None = None) -> None:
        """Send a flight as the proxy would offer it."""
        made = flight(sql, *parameters, passes=passes)
        self.flights.append(made)
        if made.passes:
            self.plane.passed(self, made)  # type: ignore[arg-type]
        else:
            self.plane.offered(self, made)  # type: ignore[arg-type]

    def comes_back(self, transaction: Transaction | None = Transaction.IDLE, **result: Any) -> None:
        """Let the oldest flight's answer arrive."""
        self.plane.answered(
            self,  # type: ignore[arg-type]
            self.flights.pop(0),
            Result(transaction=transaction, **result),
            held=self.hold_result,
        )

    def closes(self) -> None:
        self.plane.closed(self)  # type: ignore[arg-type]

    def close(self) -> None:
        self.told.append("closed")
        self.plane.closed(self)  # type: ignore[arg-type]

    def release(self) -> None:
        self.told.append("released")

    def release_result(self) -> None:
        self.hold_result = False
        self.told.append("result released")


@dataclass(eq=False)
class Postgres:
    """Stands in for `Blocking`: ``waits`` maps a backend to those it waits for."""

    waits: dict[int, set[int]] = field(default_factory=dict)
    idle: set[int] = field(default_factory=set)  # in a transaction
    polls: int = 0
    lets_end: asyncio.Event = field(default_factory=asyncio.Event)
    has_ended: list[int] = field(default_factory=list)

    async def of(self, pids: Iterable[int]) -> Mapping[int, frozenset[int]]:
        self.polls += 1
        return {pid: frozenset(self.waits.get(pid, ())) for pid in pids}

    async def who(self, pid: int) -> str:
        return f"{pid} (application 'psql')"

    async def is_idle(self, pid: int) -> bool:
        return pid in self.idle

    async def ended(self, pid: int) -> None:
        await self.lets_end.wait()
        self.has_ended.append(pid)


@dataclass(eq=False)
class Yard:
    """Stands in for `Parking`: notes who was let through, and says that they have passed when told."""

    pid: int = 9000
    let: list[tuple[int, bool]] = field(default_factory=list)
    shut_behind: list[int] = field(default_factory=list)
    passed: list[Callable[[], None]] = field(default_factory=list)
    newcomers: set[int] = field(default_factory=set)

    def holds(self, pid: int) -> bool:
        return pid not in self.newcomers

    def let_through(self, pid: int, passed: Callable[[], None], *, for_good: bool = False) -> None:
        self.let.append((pid, for_good))
        self.passed.append(passed)

    def shut(self, pid: int, passed: Callable[[], None]) -> None:
        self.shut_behind.append(pid)
        self.newcomers.discard(pid)
        self.passed.append(passed)


def flight(sql: str, *parameters: bytes | None, passes: bool | None = None) -> Flight:
    """Make a flight of one statement, or of several in one text."""
    described = describe(sql)
    statements = tuple(Statement(sql=sql, parameters=parameters, described=d) for d in described)
    return Flight(
        data=b"",
        statements=statements,
        passes=all(d.passes for d in described) if passes is None else passes,
        label=" ".join(d.label for d in described),
        end="sync",
    )


def go(strand: Strand) -> Hold:
    """Let the first held step of a strand go, as a choice would."""
    hold = strand.held[0]
    strand.held.remove(hold)
    hold.release()
    return hold


async def turns(count: int) -> None:
    """Let everybody else have so many turns of the loop."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(holds: Callable[[], bool]) -> None:
    """Let the others run until something holds; nothing here waits for time to pass."""
    for _ in itertools.count():
        if holds():
            return
        await asyncio.sleep(0)


def played(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Make a test of an async function: five seconds at the most, so that none hangs."""

    def run() -> None:
        asyncio.run(_within_seconds(test()))

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


async def _within_seconds(test: Awaitable[None]) -> None:
    async with asyncio.timeout(5):
        await test
