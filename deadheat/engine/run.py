"""One run: a program, under one strategy, at one deployment, until it has settled.

The operations before go one by one, with the target at rest between them. Then the actors race:
under a strategy that controls, one operation at a time as it chooses; under barrage all at once,
behind a barrier. Then Stripe brings what is still refused (settling), the tables are read, every
event comes once more, and the tables are read again. What is left is a `Settled` for the invariants.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from deadheat.engine.acts import Acts
from deadheat.engine.caller import Caller
from deadheat.engine.cast import Cast, stripe_objects
from deadheat.engine.courier import Courier
from deadheat.engine.gate import RunGate
from deadheat.engine.overlap import overlapped
from deadheat.engine.quiet import Quiet
from deadheat.errors import DeadheatError, NothingCaptured, Trouble
from deadheat.history import History, Plane, Recorder, StepKind
from deadheat.invariants.settled import Answer, Settled, Tables
from deadheat.program import AtStripe, Cancel, Deliveries, Do, Operation, Program, name_of
from deadheat.schedule import StepName
from deadheat.stripe_sim import MONTHLY, Outbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.engine.deployment import Deployment
    from deadheat.history import Step
    from deadheat.program import Act
    from deadheat.schedule import Strategy
    from deadheat.stripe_sim import Endpoint

LEAD = "before"
RUN_SECONDS_MAX = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A run that is over. ``settled`` is None when it came to nothing, and ``reason`` says why."""

    history: History
    elapsed_s: float
    settled: Settled | None = None
    reason: str | None = None

    def raced(self, races: tuple[str, ...] = ()) -> bool:
        """Whether the two operations that ``races`` names were in the air at once; empty: any two."""
        return overlapped(self.history, races)


async def run_program(
    program: Program,
    deployment: Deployment,
    strategy: Strategy,
    *,
    number: int,
    sink: Callable[[Step], None] | None = None,
) -> Ran:
    """Run a program once; trouble ends in a `Ran` with a reason, not in an exception."""
    recorder = Recorder(number, sink)
    began = time.perf_counter()
    run = Run(program, deployment, strategy, recorder)
    reason = None
    settled = None
    try:
        async with asyncio.timeout(RUN_SECONDS_MAX):
            settled = await run.to_the_end(number)
    except TimeoutError:
        reason = f"the run was not over after {RUN_SECONDS_MAX:.0f} s"
    except Exception as error:
        reason = _reason(error)
    return Ran(
        history=recorder.history(),
        elapsed_s=time.perf_counter() - began,
        settled=settled,
        reason=reason,
    )


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


def _reason(error: BaseException) -> str:
    """Say why a run came to nothing; what is not trouble of the target's is an error of our own."""
    while isinstance(error, BaseExceptionGroup):
        error = next((e for e in error.exceptions if isinstance(e, Trouble)), error.exceptions[0])
    if isinstance(error, DeadheatError):
        return str(error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{where.name}, {where.filename.rsplit('/', 1)[-1]}:{where.lineno}"
    return f"an error of Deadheat's own: {type(error).__name__}: {error} (in {place})"


class Run:
    """The parts of one run, put together; `to_the_end` plays it."""

    def __init__(
        self, program: Program, deployment: Deployment, strategy: Strategy, recorder: Recorder
    ) -> None:
        self.program = program
        self.deployment = deployment
        self.strategy = strategy
        self.recorder = recorder
        self.account = deployment.account
        self.cast = Cast(program.users(), MONTHLY)
        self.mark = self.account.mark()
        self.gate = RunGate(self.account, self.cast, recorder, strategy)
        self.acts = Acts(self.account, self.cast, self.mark)
        self.outbox = Outbox(self.account, self._endpoint(), since=self.mark)
        self.courier = Courier(deployment.client, deployment.webhook_path, self.outbox, recorder, strategy)
        self.caller = Caller(deployment.client, recorder)
        self.quiet = Quiet(self.gate, recorder, deployment.database, deployment.habits)
        self.answers: list[Answer] = []
        self.done: list[tuple[Do, Answer]] = []
        self.racing: set[str] = set()  # actors whose operations are not all done

    async def to_the_end(self, number: int) -> Settled:
        """Play the run; Trouble when it cannot be judged."""
        self.strategy.begin(number)
        self.account.begin_run(int(time.time()))
        self.deployment.server.failure = None
        self.deployment.server.gate = self.gate
        self.gate.on_effect = self.courier.news.set
        for operation in self.program.before:
            await self._perform(operation, LEAD, in_race=False)
            await self.quiet.reached()
        self.gate.arm(tuple(self.program.faults))
        await (self._one_at_a_time() if self.strategy.controlled else self._all_at_once())
        self.gate.armed = False
        await self.quiet.reached()
        await self._try_again()
        return await self._settle()

    async def _one_at_a_time(self) -> None:
        waiting = {actor_name(i): list(actor) for i, actor in enumerate(self.program.race)}
        done: Counter[str] = Counter()
        while held := [StepName(actor, "request", done[actor]) for actor, left in waiting.items() if left]:
            chosen = held[self.strategy.choose(held)].actor
            done[chosen] += 1
            await self._perform(waiting[chosen].pop(0), chosen)
            await self.quiet.reached()

    async def _all_at_once(self) -> None:
        barrier = asyncio.Event()
        self.gate.timed = True
        self.racing = {
            actor_name(i)
            for i, actor in enumerate(self.program.race)
            if not all(isinstance(operation, Deliveries) for operation in actor)
        }

        async def play(actor: str, operations: tuple[Operation, ...]) -> None:
            await barrier.wait()
            for operation in operations:
                await self._perform(operation, actor)
            self.racing.discard(actor)
            self.courier.news.set()

        async with asyncio.TaskGroup() as group:
            for i, actor in enumerate(self.program.race):
                group.create_task(play(actor_name(i), tuple(actor)))
            barrier.set()
        self.gate.timed = False

    async def _perform(self, operation: Operation, actor: str, *, in_race: bool = True) -> None:
        if isinstance(operation, Do):
            await self._do(operation, actor, in_race)
        elif isinstance(operation, Deliveries):
            await self._deliver(operation, actor)
        else:
            await asyncio.sleep(self.strategy.delay_ms() / 1000)
            self._act(operation, actor)

    async def _do(self, operation: Do, actor: str, in_race: bool) -> None:
        settings = self.deployment.settings.target.operations[operation.operation]
        live = self.gate.actors.setdefault(operation.user.id, set())
        live.add(actor)
        try:
            answer = await self.caller.do(settings, self.cast[operation.user], actor, in_race=in_race)
        except NothingCaptured as nothing:
            self._not_done(operation, actor, nothing)
            return
        finally:
            live.discard(actor)
        self.answers.append(answer)
        self.done.append((operation, answer))
        if answer.status is None:
            self.deployment.check_alive()
            raise Trouble(f"{operation.operation} of actor {actor} got no answer at all")

    def _not_done(self, operation: Do, actor: str, nothing: NothingCaptured) -> None:
        """Note that a person could not do it: what it needs comes from an answer that they did not get.

        Where nothing that they do in the program would have given it, the scenario is wrong, and fails.
        """
        operations = self.deployment.settings.target.operations
        given = (
            call.capture
            for other in self.program.operations()
            if isinstance(other, Do) and other.user == operation.user
            for call in operations[other.operation].calls
        )
        if not any(nothing.name in captured for captured in given):
            raise nothing
        self.recorder.record(
            actor=actor,
            plane=Plane.HTTP,
            kind=StepKind.RESULT,
            label=operation.operation,
            data={"operation": operation.operation, "not done": str(nothing)},
        )

    async def _try_again(self) -> None:
        """Do once more what failed last for an actor while a fault struck: it must work by now."""
        if not self.recorder.history().of(Plane.FAULT):
            return
        last = {answer.actor: (operation, answer) for operation, answer in self.done if answer.in_race}
        for operation, answer in last.values():
            if answer.status is not None and answer.status >= 500:
                await self._do(operation, answer.actor, in_race=False)
                self.answers[-1] = replace(self.answers[-1], retried=True)
                await self.quiet.reached()

    async def _deliver(self, deliveries: Deliveries, actor: str) -> None:
        if self.strategy.controlled or actor == LEAD:
            await self.courier.one_by_one(deliveries, actor)
        else:
            await self.courier.stream(deliveries, actor, lambda: bool(self.racing))

    def _act(self, act: Act, actor: str) -> None:
        notes = self.acts.do(act, actor)
        user = None if isinstance(act, AtStripe) else self.cast[act.user].id
        self.recorder.record(
            actor=actor,
            plane=Plane.STRIPE,
            kind=StepKind.EFFECT,
            label=name_of(act),
            data={"user": user, "notes": notes},
        )
        self.courier.news.set()

    async def _settle(self) -> Settled:
        if not self.deployment.webhook_path:
            return self._settled(tables := await self._tables(), tables)
        refused = await self.courier.settle(self.quiet.reached)
        before_again = await self._tables()
        forged_changed = await self._forge_again(before_again)
        await self.courier.again()
        await self.quiet.reached()
        await self.courier.settle(self.quiet.reached)
        return self._settled(before_again, await self._tables(), refused, forged_changed)

    def _settled(
        self,
        before_again: Tables,
        after_again: Tables,
        refused: tuple[str, ...] = (),
        forged_changed: tuple[int, ...] = (),
    ) -> Settled:
        self.deployment.check_alive()
        made = self.account.made_since(self.mark)
        return Settled(
            people=self.cast.people(),
            before_again=before_again,
            after_again=after_again,
            stripe=stripe_objects(made, self.cast.owner, self.acts.strangers),
            answers=tuple(self.answers),
            deliveries=tuple(self.courier.delivered),
            refused=refused,
            forged_changed=forged_changed,
            asked_for=self._asked_for(),
            made_to_fail=bool(self.recorder.history().of(Plane.FAULT)),
            webhooks=bool(self.deployment.webhook_path),
            history=self.recorder.history(),
        )

    async def _forge_again(self, tables: Tables) -> tuple[int, ...]:
        """Send each forgery of the program once more, alone; returns those that changed a table."""
        kinds = [o.forged for o in self.program.operations() if isinstance(o, Deliveries) and o.forged]
        changed = []
        for kind in dict.fromkeys(kinds):
            for event_id in self.outbox.emitted():
                delivered = await self.courier.forge(event_id, kind, "again")
                if (now := await self._tables()) != tables:
                    changed.append(delivered.seq)
                    tables = now
        return tuple(changed)

    async def _tables(self) -> Tables:
        database = self.deployment.database
        if database is None:
            return Tables()
        made = self.account.made_since(self.mark)
        sources = [o["id"] for kind in (made.events, made.invoices, made.sessions) for o in kind]
        return await database.read(self.cast.user_ids(), sources)

    def _endpoint(self) -> Endpoint:
        """Give the endpoint, subscribed to every type of event where the program says so."""
        wide = any(isinstance(o, Deliveries) and o.every_type for o in self.program.operations())
        endpoint = self.deployment.endpoint
        return replace(endpoint, types=()) if wide else endpoint

    def _asked_for(self) -> dict[str, int]:
        """Say how many subscriptions each user asked for: one, and one more after each cancellation."""
        cancelled = Counter(o.user for o in self.program.operations() if isinstance(o, Cancel))
        return {part.id: 1 + cancelled[part.user] for part in self.cast}
