"""The race of a run: its actors, all at once.

Under control each of them waits at every step for the conductor, which follows a strategy. Under
barrage nothing waits: a barrier lets everybody go, and Stripe takes its time. Where no wire to
Postgres is ours, a strategy that controls can only let one operation go after the other.

Who has paid with ``waits`` is sent on by Stripe when the webhook endpoint has answered that the session is
complete (`deadheat.program.Pay`). Whoever waits can emit nothing, so streams end without them; those whom
no stream has let go by then never return.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deadheat.engine.conduct.offers import Offers
from deadheat.history import Plane, StepKind
from deadheat.program import Deliveries, Do, Pay, name_of
from deadheat.schedule import strand_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from deadheat.engine.cast import Part
    from deadheat.engine.conduct import Conductor
    from deadheat.engine.conduct.strands import Strand
    from deadheat.engine.courier import Courier
    from deadheat.program import Operation, Program
    from deadheat.schedule import Strategy


def actor_name(index: int) -> str:
    """Name the actors as columns of a sheet are: A to Z, then AA.

    >>> actor_name(0), actor_name(25), actor_name(26)
    ('A', 'Z', 'AA')
    """
    name = ""
    while index >= 0:
        index, digit = divmod(index, 26)
        name = chr(ord("A") + digit) + name
        index -= 1
    return name


def taking_part(program: Program, dropped: Collection[str]) -> dict[str, dict[str, Operation]]:
    """Give the operations of a race by actor and strand (A1, A2, B1), without those that were dropped."""
    actors = {}
    for i, operations in enumerate(program.race):
        actor = actor_name(i)
        named = {f"{actor}{n}": operation for n, operation in enumerate(operations, 1)}
        mine = {name: operation for name, operation in named.items() if strand_key(name) not in dropped}
        if mine:
            actors[actor] = mine
    return actors


@dataclass(slots=True, eq=False)
class Race:
    """The actors of one run. ``perform`` does an operation of an actor, as the strand it is given.

    ``dropped`` are keys of strands (operations, deliveries) that take no part.
    """

    program: Program
    conductor: Conductor
    courier: Courier
    perform: Callable[[Operation, str, Strand], Awaitable[None]]
    part_of: Callable[[Operation], Part | None]
    dropped: Collection[str] = ()
    _racing: set[str] = field(default_factory=set)  # actors that may still emit events
    _playing: int = 0
    _waiting: dict[str, tuple[str, asyncio.Future[bool]]] = field(default_factory=dict)  # by actor: session

    async def conducted(self, strategy: Strategy) -> None:
        """Race under control: one step at a time, as the strategy chooses."""
        actors = self._actors()
        self.conductor.between |= set(actors)
        async with asyncio.TaskGroup() as group:
            for actor, operations in actors.items():
                group.create_task(self._play(group, actor, operations))
            await self.conductor.conduct(strategy, lambda: self._playing == 0)

    async def at_once(self, starts_ms: Callable[[int], Sequence[float]]) -> None:
        """Race without control: everybody goes when the barrier falls, or so many milliseconds later.

        ``starts_ms`` gives when each of so many actors begins; streams of deliveries do not wait.
        """
        barrier = asyncio.Event()
        actors = self._actors()
        people = [actor for actor in actors if actor in self._racing]
        starts = dict(zip(people, starts_ms(len(people)), strict=True))

        async def play(actor: str, operations: Mapping[str, Operation]) -> None:
            await barrier.wait()
            if starts.get(actor):
                await asyncio.sleep(starts[actor] / 1000)
            for name, operation in operations.items():
                if isinstance(operation, Deliveries):
                    await self.courier.stream(operation, actor, self._others_live)
                else:
                    await self.perform(operation, actor, self._strand(name, actor, operation))
                    if not await self._sent_on(operation, actor):
                        break
            self._left(actor)

        async with asyncio.TaskGroup() as group:
            for actor, operations in actors.items():
                group.create_task(play(actor, operations))
            barrier.set()

    async def one_by_one(self, rest: Callable[[], Awaitable[None]]) -> None:
        """Go through the actors in turn, the target at rest after each operation."""
        for actor, operations in self._actors().items():
            for name, operation in operations.items():
                if isinstance(operation, Deliveries):
                    await self.courier.one_by_one(operation, actor)
                else:
                    await self.perform(operation, actor, self._strand(name, actor, operation))
                await rest()
                for delivery in self._waited_for(operation, actor):
                    await self.courier.deliver(self.courier.next_attempt(delivery), actor, "race")
                    await rest()

    def _actors(self) -> dict[str, dict[str, Operation]]:
        actors = taking_part(self.program, self.dropped)
        for actor, mine in actors.items():
            if not all(isinstance(operation, Deliveries) for operation in mine.values()):
                self._racing.add(actor)
        self._playing = len(actors)
        self.courier.on_answer = self._send_on
        return actors

    def _takes_part(self, strand: str) -> bool:
        return strand_key(strand) not in self.dropped

    def _strand(self, name: str, actor: str, operation: Operation) -> Strand:
        return self.conductor.strand(
            name,
            actor=actor,
            operation=name_of(operation),
            order=(len(actor), actor, int(name.removeprefix(actor))),
            part=self.part_of(operation),
        )

    async def _play(self, group: asyncio.TaskGroup, actor: str, operations: Mapping[str, Operation]) -> None:
        for name, operation in operations.items():
            strand = self._strand(name, actor, operation)
            if isinstance(operation, Deliveries):
                await self._offer(group, strand, operation)
                continue
            if not isinstance(operation, Do):
                await self.conductor.take(strand, "act", name_of(operation))
            await self.perform(operation, actor, strand)
            if not await self._sent_on(operation, actor):
                break
        self._left(actor)

    def _left(self, actor: str) -> None:
        """Note that an actor has nothing left to do."""
        self._racing.discard(actor)
        self._playing -= 1
        self.courier.news.set()
        self.conductor.left(actor)
        self._give_up()

    # -- the redirect after a payment -----------------------------------------------------------------

    def _others_live(self) -> bool:
        """Say whether anybody can still emit an event."""
        return bool(self._racing - self._waiting.keys())

    def _waited_for(self, operation: Operation, actor: str) -> list[str]:
        """Give the deliveries whose answers Stripe waits for before it sends on who has done this."""
        if not (isinstance(operation, Pay) and operation.waits):
            return []
        part = self.part_of(operation)
        session = part.session_for(actor) if part else None
        return self._unanswered(session) if session else []

    def _unanswered(self, session: str) -> list[str]:
        return [d for d in self.courier.completions(session) if not self.courier.outbox.was_answered(d)]

    async def _sent_on(self, operation: Operation, actor: str) -> bool:
        """Wait until Stripe sends an actor on, if it is to; False where nobody has let it."""
        part = self.part_of(operation)
        if part is None or not self._waited_for(operation, actor):
            return True
        returned: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[actor] = part.session_for(actor) or "", returned
        self.courier.news.set()
        self.conductor.left(actor)
        self._give_up()
        return await returned

    def _send_on(self) -> None:
        """Send on those whose sessions the endpoints know to be complete."""
        for actor, (session, returned) in list(self._waiting.items()):
            if not self._unanswered(session):
                del self._waiting[actor]
                if self.conductor.controls:
                    self.conductor.between.add(actor)
                returned.set_result(True)

    def _give_up(self) -> None:
        """Let those go home whom nobody can send on any more."""
        if self._playing > len(self._waiting):
            return
        for actor, (session, returned) in self._waiting.items():
            self.courier.recorder.record(
                actor=actor,
                plane=Plane.HTTP,
                kind=StepKind.RESULT,
                label="redirect",
                data={"not done": f"nobody has answered that {session} is complete: they never return"},
            )
            returned.set_result(False)
        self._waiting.clear()

    async def _offer(self, group: asyncio.TaskGroup, strand: Strand, deliveries: Deliveries) -> None:
        offers = Offers(
            name=strand.name,
            actor=strand.actor,
            order=strand.order,
            deliveries=deliveries,
            conductor=self.conductor,
            courier=self.courier,
            others_live=self._others_live,
            takes_part=self._takes_part,
            group=group,
            done=asyncio.get_running_loop().create_future(),
        )
        self.conductor.offers.append(offers.offer)
        self.conductor.between.discard(strand.actor)
        self.conductor.wake()
        await offers.done
        self.conductor.offers.remove(offers.offer)
