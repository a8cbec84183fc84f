"""One run: a program, under one strategy, at one deployment, until it has settled.

The operations before go one by one, with the target at rest between them. Then the actors race
(`deadheat.engine.race`). Then Stripe brings what is still refused (settling), the tables are read,
every event comes once more, and the tables are read again. What is left is a `Settled` for the
invariants.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from deadheat.engine.acts import Acts
from deadheat.engine.caller import Caller
from deadheat.engine.cast import Cast, stripe_objects
from deadheat.engine.conduct import Conductor
from deadheat.engine.conduct.attribution import NONE
from deadheat.engine.conduct.sql_plane import SqlPlane
from deadheat.engine.courier import Courier
from deadheat.engine.gate import RunGate
from deadheat.engine.mishaps import Mishaps
from deadheat.engine.overlap import overlapped
from deadheat.engine.postbag import Postbag
from deadheat.engine.postgres.proxy import OpenGate
from deadheat.engine.quiet import Quiet
from deadheat.engine.race import Race
from deadheat.errors import DeadheatError, NothingCaptured, Trouble
from deadheat.history import History, Plane, Recorder, StepKind
from deadheat.invariants.settled import Answer, Settled, Tables
from deadheat.program import AtStripe, Cancel, Deliveries, Do, Operation, Pay, Program, name_of
from deadheat.schedule import Barrage, Replay
from deadheat.stripe_sim import MONTHLY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from deadheat.engine.cast import Part
    from deadheat.engine.conduct.strands import Hold, Strand
    from deadheat.engine.deployment import Deployment
    from deadheat.engine.postgres.parking import Parking
    from deadheat.engine.postgres.proxy import PostgresProxy
    from deadheat.history import Step
    from deadheat.invariants.settled import Json
    from deadheat.program import Act
    from deadheat.schedule import Released, Strategy
    from deadheat.settings import OperationSettings

LEAD = "before"
RUN_SECONDS_MAX = 120.0
WARM_QUIET_SECONDS = 0.3
WARM_LOOKS_MAX = 20
SOURCES = ("event", "invoice", "checkout.session")  # what an effect may have come of


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A run that is over. ``settled`` is None when it came to nothing, and ``reason`` says why.

    ``trace`` are its choices, empty where nothing was controlled; ``strands`` maps those that took
    part to what they did. ``late``, ``unattributed``, ``disagreed`` (one sign named another strand
    than the next) and ``attributed`` count steps, ``diverged`` says how a replay left its schedule.
    ``silent_s`` is how long, and ``silences`` in how many periods, who showed nothing was waited for.
    """

    history: History
    elapsed_s: float
    run: int = 0
    settled: Settled | None = None
    reason: str | None = None
    trace: tuple[Released, ...] = ()
    strands: Mapping[str, str] = field(default_factory=dict)
    late: int = 0
    unattributed: int = 0
    disagreed: int = 0
    attributed: int = 0
    unordered: int = 0
    silent_s: float = 0.0
    silences: int = 0
    diverged: str | None = None

    def raced(self, races: tuple[str, ...] = ()) -> bool:
        """Whether the two operations that ``races`` names were in the air at once; empty: any two."""
        return overlapped(self.history, races)


async def run_program(
    program: Program,
    deployment: Deployment,
    strategy: Strategy | Barrage,
    *,
    number: int,
    sink: Callable[[Step], None] | None = None,
    dropped: Collection[str] = (),
    on_release: Callable[[Hold], None] | None = None,
    timed: bool = True,
) -> Ran:
    """Run a program once; trouble ends in a `Ran` with a reason, not in an exception.

    ``dropped`` are keys of strands that take no part; ``on_release`` hears of each choice. Not
    ``timed``, barrage draws no latencies.
    """
    recorder = Recorder(number, sink)
    began = time.perf_counter()
    run = Run(program, deployment, strategy, recorder, dropped)
    if on_release is not None:
        run.conductor.on_release = on_release
    reason = None
    settled = None
    try:
        async with asyncio.timeout(RUN_SECONDS_MAX):
            settled = await run.to_the_end(number, timed=timed)
    except TimeoutError:
        reason = f"the run was not over after {RUN_SECONDS_MAX:.0f} s"
    except Exception as error:
        reason = _reason(error)
    finally:
        run.close()
    reason = f"{reason}{await deployment.end_stuck()}" if settled is None else None
    if deployment.leftovers is not None:
        await deployment.leftovers.of_run(len(run.cast.people()), run.cast.user_ids(), run.source_ids())
    conductor = run.conductor
    return Ran(
        history=recorder.history(),
        elapsed_s=time.perf_counter() - began,
        run=number,
        settled=settled,
        reason=reason,
        trace=tuple(conductor.trace),
        strands={s.name: s.operation for s in conductor.strands.values() if s.turns},
        late=conductor.late,
        unattributed=conductor.attribution.rungs[NONE],
        disagreed=conductor.attribution.disagreed,
        attributed=conductor.attribution.rungs.total(),
        unordered=conductor.unordered,
        silent_s=conductor.pace.silence.seconds,
        silences=conductor.pace.silence.periods,
        diverged=strategy.finished() if isinstance(strategy, Replay) else None,
    )


async def warm_up(program: Program, deployment: Deployment) -> None:
    """Run a program at full concurrency, for its connections, caches and habits; nothing is judged."""
    await run_program(program, deployment, Barrage(0), number=0, timed=False)


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
        self,
        program: Program,
        deployment: Deployment,
        strategy: Strategy | Barrage,
        recorder: Recorder,
        dropped: Collection[str] = (),
    ) -> None:
        self.program = program
        self.deployment = deployment
        self.strategy = strategy
        self.recorder = recorder
        self.account = deployment.account
        self.cast = Cast(program.users(), MONTHLY, str(deployment.client.base_url))
        self.mark = self.account.mark()
        self.conductor = Conductor(
            self.cast, deployment.sequels, past=set(deployment.past), trace_id=secrets.token_hex(16)
        )
        self.gate = RunGate(
            self.account,
            self.cast,
            recorder,
            conductor=self.conductor,
            call_ms=deployment.settings.stripe_latency_ms,
        )
        mishaps = Mishaps(deployment, self.conductor, recorder)
        self.conductor.on_fault, self.conductor.more_variants = mishaps.note, mishaps.of
        self.acts = Acts(self.account, self.cast, self.mark)
        self.outbox = self._outbox()
        doubled = any(isinstance(o, Deliveries) and o.doubled for o in program.operations())
        self.account.ledger.doubles_events = doubled
        self.courier = Courier(deployment.client, self.outbox, recorder, conductor=self.conductor)
        self.caller = Caller(deployment.client, recorder, self.conductor)
        self.race = Race(
            program, self.conductor, self.courier, self._perform, self._part_of, frozenset(dropped)
        )
        at_work = deployment.target.wants_processor
        self.quiet = Quiet(self.gate, recorder, deployment.database, deployment.habits, at_work)
        self.answers: list[Answer] = []
        self.done: list[tuple[Do, Answer]] = []
        self._open_wires()

    def _open_wires(self) -> None:
        """Take the wires over: Stripe's, and Postgres's where it is ours."""
        self.deployment.server.failure = None
        self.deployment.server.gate = self.gate
        self.conductor.pace.wants_processor = self.deployment.target.wants_processor
        self.gate.on_effect = self._on_effect
        proxy = self.deployment.proxy
        if proxy is not None:
            plane = SqlPlane(self.conductor, self.recorder, proxy)
            self.conductor.pace.sql = plane
            self.conductor.pace.blocking = self.deployment.blocking
            proxy.gate = plane

    def close(self) -> None:
        """Let go of the wire to Postgres; remember who was here, should work for them go on."""
        for part in self.cast:
            self.deployment.past.extend((*part.ids, part.user.email))
        if self.deployment.proxy is not None:
            self.deployment.proxy.gate = OpenGate()

    def _on_effect(self) -> None:
        self.courier.news.set()
        self.conductor.wake()

    async def to_the_end(self, number: int, *, timed: bool = True) -> Settled:
        """Play the run; Trouble when it cannot be judged."""
        self.strategy.begin(number)
        self.account.begin_run(self.program.frozen_time or int(time.time()))
        self.account.dunning = self.program.dunning
        for n, operation in enumerate(self.program.before, 1):
            await self._lead(operation, n)
            await self.rest()
        self.gate.arm(tuple(self.program.faults))
        self.conductor.learns = not isinstance(self.strategy, Barrage)
        await self._race(timed)
        self.gate.armed = False
        await self.rest()
        if not timed:
            await self._calm()
        self.conductor.learns = True  # from now on it is one at a time
        await self._try_again()
        return await self._settle()

    async def rest(self) -> None:
        """Wait until the target is at rest."""
        if self.deployment.proxy is not None:
            await self.conductor.rest()
        else:
            await self.quiet.reached()

    async def _at_rest(self) -> None:
        """Wait until nothing comes any more of a target that works on after it has answered.

        Such work may have waited for a connection that we held until just now, longer than anybody waits
        for what follows an answer; and it may have gone by the name of whoever let it go on.
        """
        if self.conductor.sequels.works_on:
            self.deployment.habits.works_on = True
            await self.quiet.reached()

    async def _calm(self) -> None:
        """Wait until nothing has happened for a while: what is done for the first time takes longer."""
        seen = -1
        for _ in range(WARM_LOOKS_MAX):
            if seen == len(self.recorder):
                return
            seen = len(self.recorder)
            await asyncio.sleep(WARM_QUIET_SECONDS)
            await self.rest()

    async def _race(self, timed: bool) -> None:
        if isinstance(self.strategy, Barrage):
            self.gate.barrage = self.courier.barrage = self.strategy if timed else None
            await self.race.at_once(self.strategy.starts_ms)
            self.gate.barrage = self.courier.barrage = None
        elif self.deployment.proxy is None:
            await self.race.one_by_one(self.rest)
        elif self.strategy.yields and self.deployment.parking is not None:
            await self._parked(self.strategy, self.deployment.parking, self.deployment.proxy)
        else:
            await self.race.conducted(self.strategy)

    async def _parked(self, strategy: Strategy, parking: Parking, proxy: PostgresProxy) -> None:
        """Race with writes held inside their statements, by triggers that are there meanwhile."""
        plane = self.conductor.pace.sql
        assert plane is not None  # there is a proxy
        async with parking.installed(), parking.holding(proxy.pids()):
            plane.parking = parking
            try:
                await self.race.conducted(strategy)
            finally:
                plane.parking = None
        if parking.failure is not None:
            raise Trouble(f"writes could not be held inside their statements: {parking.failure}")

    async def _lead(self, operation: Operation, n: int) -> None:
        """Do an operation before the race."""
        if isinstance(operation, Deliveries):
            await self.courier.one_by_one(operation, LEAD)
            return
        strand = self.conductor.strand(
            f"{LEAD}/{n}", actor=LEAD, operation=name_of(operation), part=self._part_of(operation)
        )
        await self._perform(operation, LEAD, strand, in_race=False)

    def _part_of(self, operation: Operation) -> Part | None:
        return None if isinstance(operation, AtStripe | Deliveries) else self.cast[operation.user]

    async def _perform(
        self, operation: Operation, actor: str, strand: Strand, *, in_race: bool = True
    ) -> None:
        if isinstance(operation, Do):
            await self._do(operation, actor, in_race, strand)
            return
        assert not isinstance(operation, Deliveries)  # those are the courier's
        if self.courier.barrage is not None:
            await asyncio.sleep(self.courier.barrage.delay_ms() / 1000)
        self._act(operation, actor)
        if self.courier.barrage is not None and isinstance(operation, Pay):  # the redirect takes its time
            await asyncio.sleep(self.courier.barrage.delay_ms() / 1000)

    async def _do(self, operation: Do, actor: str, in_race: bool, strand: Strand | None = None) -> None:
        settings = self.deployment.settings.target.operations[operation.operation]
        done = True
        if settings.calls or settings.method is not None:
            done = await self._ask(operation, settings, actor, in_race, strand)
        if done and settings.at_stripe is not None:
            act = settings.at_stripe(operation.user)
            if strand is not None:
                await self.conductor.take(strand, "act", name_of(act))
            self._act(act, actor)

    async def _ask(
        self, operation: Do, settings: OperationSettings, actor: str, in_race: bool, strand: Strand | None
    ) -> bool:
        """Do what the target is asked in an operation; says whether that was a success."""
        live = self.gate.actors.setdefault(operation.user.id, set())
        live.add(actor)
        part = self.cast[operation.user]
        try:
            answer = await self.caller.do(settings, part, actor, in_race=in_race, strand=strand)
        except NothingCaptured as nothing:
            self._not_done(operation, actor, nothing)
            return False
        finally:
            live.discard(actor)
        self.answers.append(answer)
        self.done.append((operation, answer))
        if answer.status is None and (not in_race or not self._has_failed()):
            await self.deployment.check_there()
            raise Trouble(f"{operation.operation} of actor {actor} got no answer at all: {answer.why}")
        return answer.success

    def _not_done(self, operation: Do, actor: str, nothing: NothingCaptured) -> None:
        """Note that a person could not do it: what it needs comes from an answer that they did not get.

        Where nothing that they do in the program would have given it, the scenario is wrong, and fails.
        """
        operations = self.deployment.settings.target.operations
        given = (
            operations[other.operation].gives()
            for other in self.program.operations()
            if isinstance(other, Do) and other.user == operation.user
        )
        if not any(nothing.name in names for names in given):
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
        if not self._has_failed():
            return
        last = {answer.actor: (operation, answer) for operation, answer in self.done if answer.in_race}
        for operation, answer in last.values():
            if answer.status is None or answer.status >= 500:
                strand = self.conductor.strand(
                    f"{answer.actor}/again",
                    actor=answer.actor,
                    operation=operation.operation,
                    part=self.cast[operation.user],
                )
                await self._do(operation, answer.actor, False, strand)
                self.answers[-1] = replace(self.answers[-1], retried=True)
                await self.rest()

    def _has_failed(self) -> bool:
        """Whether something was made to fail."""
        return bool(self.recorder.history().of(Plane.FAULT))

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
        if not self.deployment.endpoints:
            tables = await self._tables()
            return self._settled(tables, tables, offenders=await self._offenders())
        refused = await self.courier.settle(self.rest)
        await self._at_rest()
        before_again, offenders = await self._tables(), await self._offenders()
        forged_changed = await self._forge_again(before_again)
        await self.courier.again()
        await self.rest()
        await self.courier.settle(self.rest)
        await self._at_rest()
        return self._settled(before_again, await self._tables(), refused, forged_changed, offenders)

    def _settled(
        self,
        before_again: Tables,
        after_again: Tables,
        refused: tuple[str, ...] = (),
        forged_changed: tuple[int, ...] = (),
        offenders: Mapping[str, tuple[Json, ...] | Trouble] | None = None,
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
            made_to_fail=self._has_failed(),
            webhooks=bool(self.deployment.endpoints),
            unseen=self.deployment.reach.unseen(),
            statuses=self.deployment.settings.target.statuses,
            offenders=offenders or {},
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
        return await database.read(self.cast.user_ids(), self.source_ids())

    async def _offenders(self) -> Mapping[str, tuple[Json, ...] | Trouble]:
        database = self.deployment.database
        return {} if database is None else await database.offenders(self.cast.user_ids())

    def source_ids(self) -> list[str]:
        """Give the ids of what effects of this run may have come of."""
        made = self.account.ids_since(self.mark)
        return [made_id for kind, made_id in made if kind in SOURCES]

    def _outbox(self) -> Postbag:
        """Give what Stripe has to deliver: of every type of event where the program says so."""
        wide = any(isinstance(o, Deliveries) and o.every_type for o in self.program.operations())
        return Postbag.of(self.account, self.deployment.endpoints, since=self.mark, every_type=wide)

    def _asked_for(self) -> dict[str, int]:
        """Say how many subscriptions each user asked for: one, and one more after each cancellation."""
        operations = self.deployment.settings.target.operations
        cancelled = Counter(
            o.user
            for o in self.program.operations()
            if isinstance(o, Cancel) or (isinstance(o, Do) and operations[o.operation].at_stripe is Cancel)
        )
        return {part.id: 1 + cancelled[part.user] for part in self.cast}
