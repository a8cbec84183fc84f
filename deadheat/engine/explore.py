"""An exploration: many runs of one scenario, under each strategy in turn and within a budget.

Schedules that failed before go first. Then serial, once: what breaks there is no race, or a broken
invariant. Then the portfolio, its runs shared out among the deployments, each run with a number of its
own in the invocation and fresh users that carry it. What was found is made minimal and replayed.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from deadheat.engine.events import Exploration, Minimizing, ScenarioStarted, SuiteStarted, Verdict
from deadheat.engine.leftovers import merged
from deadheat.engine.levels import WHOLE, Reach
from deadheat.engine.minimize import minimize
from deadheat.engine.run import Ran, run_program, warm_up
from deadheat.engine.seen import Found, Seen, verdict_of
from deadheat.errors import SettingsError, Trouble
from deadheat.invariants import judge
from deadheat.program import World, name_of
from deadheat.schedule import (
    PREEMPTIONS,
    STRATEGIES,
    Barrage,
    Exhaustive,
    Faulty,
    Replay,
    Schedule,
    make_strategy,
    shares,
    with_faults,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from typing import Any

    from deadheat.engine.conduct.strands import Hold
    from deadheat.engine.deployment import Deployment
    from deadheat.engine.events import Event, Finding, Left
    from deadheat.engine.proven import Proven
    from deadheat.engine.searches import Searches
    from deadheat.engine.stripe_mock import StripeMock
    from deadheat.history import Step
    from deadheat.invariants.settled import Judgement
    from deadheat.program import Scenario
    from deadheat.schedule import Strategy

SCHEDULES = 12  # runs of a scenario when nothing else is said
STOPPED = " (stopped answering)"  # said of a stripe-mock that did not answer every call
INCONCLUSIVE_MAX = 5  # give up on a scenario after so many inconclusive runs in a row
DEADLOCK = "40P01"
REPEATED_MAX = 10  # clean schedules of an exploration that are run twice
UNCONTROLLED = ("serial", "barrage")
EXHAUSTIVE = "exhaustive"
EXACT = ("serial", "random-walk", "pct", "delay-bounded")  # nothing runs beside anything: the same twice


class HistorySink(Protocol):
    """Where histories go: told of each step as it happens, and of each run's end."""

    def begin(self, run: int, scenario: str, strategy: str) -> Callable[[Step], None]:
        """Begin a run; returns what takes its steps."""

    def end(self, run: int, verdict: Verdict, reason: str | None) -> None:
        """End a run: a clean one leaves a line, any other is kept."""


class Memory(Protocol):
    """Where findings are kept: what failed is tried first next time, until it passes."""

    def of(self, scenario: str) -> Sequence[Schedule]:
        """Give the schedules that failed last time."""

    def passed(self, schedule: Schedule) -> None:
        """Forget one that does not fail any more."""

    def keep(self, finding: Finding, scenario: Scenario) -> Finding:
        """Keep a finding; gives it with the token under which it can be replayed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much to explore: so many schedules, or so many seconds, under these strategies.

    ``faults`` is how many a schedule may have, where its program does not ask for more.
    """

    strategies: tuple[str, ...] = STRATEGIES
    schedules: int | None = None
    seconds: float | None = None
    preemptions: int = PREEMPTIONS
    faults: int = 0

    def planned(self) -> int | None:
        """Give the number of runs; None under a budget of time, and where all are to be run."""
        if self.seconds is not None or (self.strategies == (EXHAUSTIVE,) and self.schedules is None):
            return None
        return self.schedules or SCHEDULES

    def share(self, strategy: str) -> int | None:
        """Give a strategy's runs; None under a budget of time."""
        planned = self.planned()
        return None if planned is None else shares(planned, self.strategies)[strategy]

    def seconds_of(self, strategy: str) -> float | None:
        """Give a strategy's part of a budget of time; serial has one run, however long."""
        if self.seconds is None:
            return None
        parts = shares(1000, self.strategies)
        return self.seconds * parts[strategy] / 1000


@dataclass(slots=True, kw_only=True)
class Explorer:
    """Explores scenarios on the deployments of one invocation; numbers the runs of all of them."""

    deployments: list[Deployment]
    sink: HistorySink
    memory: Memory
    searches: Searches
    emit: Callable[[Event], None]
    invocation: str
    seed: int
    postgres: str
    mock: StripeMock | None
    reach: Reach = WHOLE
    proven: Proven | None = None
    _gone: str | None = None
    _current: tuple[Seen, float] | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def stripe_mock(self) -> str:
        """Say which stripe-mock stood behind the simulator, and whether it did to the end."""
        if self.mock is None:
            return "off"
        return f"{self.mock.version}{STOPPED if self.mock.outage else ''}"

    def started(self, run_id: str, target: str, scenarios: tuple[str, ...]) -> SuiteStarted:
        """Say what is raced and on what."""
        return SuiteStarted(
            run_id=run_id,
            target=target,
            postgres=self.postgres,
            stripe_mock=self.stripe_mock,
            seed=self.seed,
            scenarios=scenarios,
            planned=None,
            reach=self.reach,
        )

    async def explore(self, scenario: Scenario, budget: Budget) -> Exploration:
        """Run a scenario until its budget is spent."""
        budget = self._possible(budget)
        planned = budget.planned()
        self.emit(
            ScenarioStarted(
                scenario=scenario.name,
                strategies=budget.strategies,
                planned=planned,
                seconds=budget.seconds,
            )
        )
        seen = Seen(scenario)
        began = time.perf_counter()
        self._current = seen, began
        if not self.deployments:
            seen.reasons[self._gone or "there is nothing to run it on"] += 1
            seen.verdict = Verdict.INCONCLUSIVE
        await self._each(lambda deployment: self.make_warm(deployment, scenario))
        await self._remembered(seen)
        faults = max(budget.faults, scenario(World(f"{self.invocation}f")).faults_max)
        for name in budget.strategies:
            share, seconds = budget.share(name), budget.seconds_of(name)
            runs = itertools.count() if share is None else iter(range(share))
            if share is None and name == "serial" and len(budget.strategies) > 1:
                runs = iter(range(1))
            until = None if seconds is None else time.perf_counter() + seconds
            if name == EXHAUSTIVE:
                await self._exhaust(budget.preemptions, runs, until, seen)
            else:
                await self._each(
                    lambda d, n=name, r=runs, u=until: self._work(d, n, r, u, seen, faults)  # type: ignore[misc]
                )
        await self._prove(seen)
        finished = replace(
            seen.finish(time.perf_counter() - began),
            unproven=self.proven.without(seen.best) if self.proven else (),
            left=await self._left(),
        )
        self._current = None
        self.emit(finished)
        return finished

    async def cut_short(self) -> Exploration | None:
        """Give what an exploration that was interrupted had seen by then; None without a run."""
        if self._current is None or not self._current[0].runs:
            return None
        seen, began = self._current
        seen.raced = True  # whether it would have is not known, and so with the faults
        seen.unstruck.clear()
        return replace(seen.finish(time.perf_counter() - began), left=await self._left())

    async def replay(
        self,
        scenario: Scenario,
        schedule: Schedule,
        on_release: Callable[[Hold], None] | None = None,
        *,
        strict: bool = True,
    ) -> tuple[Ran, Judgement | None]:
        """Run one schedule on the first deployment: to the letter, or in its order as far as that goes."""
        deployment = self.deployments[0]
        if deployment.proxy is None:
            raise SettingsError(
                f"a schedule cannot be replayed here ({deployment.reach}): nothing orders the "
                "target's statements. Let Deadheat start it, or name --postgres DSN, --postgres-port and "
                "--stripe-port."
            )
        await self.make_warm(deployment, scenario)
        replay = Replay(schedule, strict=strict)
        return await self.run_once(deployment, Seen(scenario), replay, schedule, on_release=on_release)

    async def follow(self, scenario: Scenario, schedule: Schedule) -> list[tuple[Ran, Judgement | None]]:
        """Replay a schedule on a target that may have changed since: as its token says, first.

        Where that diverged without showing anything, once more in the order of its steps, passing over
        those that do not come.
        """
        ran, judgement = await self.replay(scenario, replace(schedule, steps=()))
        if ran.diverged is None or (judgement is not None and judgement.violations):
            return [(ran, judgement)]
        return [(ran, judgement), await self.replay(scenario, schedule, strict=False)]

    def _possible(self, budget: Budget) -> Budget:
        """Leave out what needs control where there is none, and yields in a database not ours."""
        controlled = all(deployment.proxy is not None for deployment in self.deployments)
        parkable = all(deployment.parking is not None for deployment in self.deployments)
        left = tuple(
            name
            for name in budget.strategies
            if (controlled or name in UNCONTROLLED) and (parkable or name != "yield")
        )
        return replace(budget, strategies=left or ("barrage",))

    async def _left(self) -> Left | None:
        """Say what the runs left in databases that are not ours."""
        told = [await d.leftovers.told() for d in self.deployments if d.leftovers is not None]
        return merged(replace(one, like=f"%.{self.invocation}%@example.test") for one in told)

    async def _each(self, work: Callable[[Deployment], Coroutine[Any, Any, None]]) -> None:
        async with asyncio.TaskGroup() as group:
            for deployment in tuple(self.deployments):
                group.create_task(work(deployment))

    async def make_warm(self, deployment: Deployment, scenario: Scenario) -> None:
        """Run a scenario at full concurrency where it does what a deployment has not done yet."""
        program = deployment.reach.fit(scenario(World(f"{self.invocation}w{next(self._numbers):x}")))
        new = {name_of(operation) for operation in program.operations()} - deployment.warm
        if new and deployment.proxy is not None:
            await warm_up(program, deployment)
            deployment.warm |= new

    async def _work(
        self,
        deployment: Deployment,
        name: str,
        left: Iterator[int],
        until: float | None,
        seen: Seen,
        faults: int,
    ) -> None:
        strategy = make_strategy(name, self.seed)
        if not isinstance(strategy, Barrage):
            strategy = with_faults(strategy, self.seed, faults, faultable=seen.faultable)
        while _goes_on(seen, left, until):
            schedule = self._schedule(seen, strategy)
            ran, judgement = await self._counted(deployment, seen, strategy, schedule)
            if isinstance(strategy, Faulty):
                strategy.ended()
            if judgement is None and await self._retired(deployment):
                return
            if name in EXACT and judgement is not None and not judgement.violations and ran.trace:
                await self._twice(deployment, seen, schedule.recorded(ran.trace))

    async def _exhaust(self, preemptions: int, left: Iterator[int], until: float | None, seen: Seen) -> None:
        """Run every schedule within the bound, or as many as the budget has; go on with an earlier search."""
        frontier = seen.frontier = self.searches.begin(seen.scenario, preemptions)
        changed = asyncio.Condition()

        async def work(deployment: Deployment) -> None:
            strategy = Exhaustive(frontier)
            while True:
                async with changed:
                    await changed.wait_for(lambda: frontier.waiting or not frontier.under_way)
                if not frontier.waiting or not _goes_on(seen, left, until) or not strategy.take():
                    return
                ran = judgement = None
                try:
                    schedule = self._schedule(seen, strategy)
                    ran, judgement = await self._counted(deployment, seen, strategy, schedule)
                finally:
                    strategy.ended(
                        judged=judgement is not None,
                        violated=judgement is not None and bool(judgement.violations),
                        late=ran is not None and ran.late > 0,
                    )
                    async with changed:
                        changed.notify_all()
                if judgement is None and await self._retired(deployment):
                    return

        try:
            await self._each(work)
        finally:
            self.searches.end(seen.scenario, frontier)

    def _schedule(self, seen: Seen, strategy: Strategy | Barrage) -> Schedule:
        """Give the schedule of a run that is yet to be made."""
        return Schedule(
            scenario=seen.scenario.name,
            source=seen.scenario.source,
            seed=self.seed,
            yields=not isinstance(strategy, Barrage) and strategy.yields,
        )

    async def _retired(self, deployment: Deployment) -> bool:
        """Take a deployment out that cannot go on."""
        why = await deployment.unfit()
        if why is not None:
            self._gone = why
            self.deployments.remove(deployment)
        return why is not None

    async def _counted(
        self, deployment: Deployment, seen: Seen, strategy: Strategy | Barrage, schedule: Schedule
    ) -> tuple[Ran, Judgement | None]:
        """Make one run that counts, and take it in."""
        number = next(self._numbers)
        ran, judgement = await self.run_once(deployment, seen, strategy, schedule, number=number)
        made = schedule.recorded(ran.trace) if ran.trace else None
        finished = seen.note(strategy.name, number, ran, judgement, made)
        self.emit(finished)
        return ran, judgement

    async def run_once(
        self,
        deployment: Deployment,
        seen: Seen,
        strategy: Strategy | Barrage,
        schedule: Schedule,
        *,
        number: int | None = None,
        on_release: Callable[[Hold], None] | None = None,
    ) -> tuple[Ran, Judgement | None]:
        """Run the scenario of ``seen`` once and judge it; ``seen`` does not count the run."""
        number = number if number is not None else next(self._numbers)
        program = deployment.reach.fit(seen.scenario(World(f"{self.invocation}{number:x}")))
        seen.actors = len(program.race)
        seen.unstruck = {fault.route for fault in program.faults if not fault.may_miss}
        steps = self.sink.begin(number, seen.scenario.name, strategy.name)
        ran = await run_program(
            program,
            deployment,
            strategy,
            number=number,
            sink=steps,
            dropped=schedule.dropped,
            on_release=on_release,
        )
        ran, judgement = _judged(ran, deployment)
        seen.diverged += ran.diverged is not None
        self.sink.end(number, verdict_of(judgement), ran.reason)
        return ran, judgement

    async def _twice(self, deployment: Deployment, seen: Seen, schedule: Schedule) -> None:
        """Run a clean schedule once more: a difference is something that nobody controls."""
        planned = seen.runs.total()
        if seen.repeated >= REPEATED_MAX or seen.repeated * 4 > planned:
            return
        seen.repeated += 1
        diverged = seen.diverged
        seen.proving += 1
        ran, judgement = await self.run_once(deployment, seen, Replay(schedule), schedule)
        seen.diverged = diverged  # counted as a difference, not as a replay that went astray
        if judgement is None:
            self.emit(seen.note("replay", ran.run, ran, judgement, schedule))
        elif ran.diverged is not None:
            if not _deadlocked(ran):
                seen.differing.append(ran.diverged)
        elif judgement.violations:
            seen.differing.append("the same steps were clean once and violated an invariant once")
            self.emit(seen.note("replay", ran.run, ran, judgement, schedule))

    async def _remembered(self, seen: Seen) -> None:
        """Try what failed last time; what passes now is forgotten."""
        for schedule in self.memory.of(seen.scenario.name):
            if not self.deployments or self.deployments[0].proxy is None:
                return
            if schedule.source != seen.scenario.source:
                self.memory.passed(schedule)
                continue
            _, judgement = await self._counted(self.deployments[0], seen, Replay(schedule), schedule)
            if judgement is not None and not judgement.violations:
                self.memory.passed(schedule)

    async def _prove(self, seen: Seen) -> None:
        """Make minimal what was found and can be replayed; invariants may share a schedule."""
        tried: set[str] = set()

        async def work(deployment: Deployment) -> None:
            while deployment.proxy is not None:
                waiting = [invariant for invariant in seen.unproven() if invariant not in tried]
                if not waiting:
                    return
                tried.add(waiting[0])
                await self._minimize(deployment, seen, seen.best[waiting[0]])

        await self._each(work)

    async def _minimize(self, deployment: Deployment, seen: Seen, found: Found) -> None:
        runs = itertools.count(1)
        invariant = found.violation.invariant

        async def tries(schedule: Schedule, replay: Replay) -> tuple[Ran, Judgement | None]:
            self.emit(Minimizing(scenario=seen.scenario.name, invariant=invariant, runs=next(runs)))
            seen.proving += 1
            return await self.run_once(deployment, seen, replay, schedule)

        minimal = await minimize(found, tries)
        if minimal is None:
            seen.unshown.add(invariant)
            return
        shown = {violation.invariant for violation in minimal.violations}
        for other in seen.unproven():
            if other in shown and minimal.shown[other] >= minimal.shown[invariant]:
                first = seen.finding(other)
                seen.findings[other] = self.memory.keep(minimal.finding(first, ""), seen.scenario)


def _goes_on(seen: Seen, left: Iterator[int], until: float | None) -> bool:
    """Whether there is budget for another run, and sense in one; it is taken from ``left``."""
    if seen.in_a_row >= INCONCLUSIVE_MAX or (until is not None and time.perf_counter() >= until):
        return False
    return next(left, None) is not None


def _deadlocked(ran: Ran) -> bool:
    """Whether Postgres ended a deadlock in a run: whom it chose to end is chance."""
    return any(step.data.get("sqlstate") == DEADLOCK for step in ran.history)


def _judged(ran: Ran, deployment: Deployment) -> tuple[Ran, Judgement | None]:
    """Ask the invariants; one that crashed leaves the run without a judgement, and says so."""
    if ran.settled is None:
        return ran, None
    try:
        settings = deployment.settings
        return ran, judge(ran.settled, settings.invariants, settings.every_invariant)
    except Trouble as trouble:
        return replace(ran, reason=str(trouble)), None
