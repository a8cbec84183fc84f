"""An exploration: many runs of one scenario, under each strategy in turn and within a budget.

Serial goes first, once: what breaks there is no race, or a broken invariant. Barrage takes the rest
of the budget, its runs shared out among the deployments. Each run has a number of its own in the
invocation, and fresh users that carry it.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from deadheat.engine.events import Exploration, Finding, RunFinished, ScenarioStarted, SuiteStarted, Verdict
from deadheat.engine.run import Ran, run_program
from deadheat.errors import Trouble
from deadheat.history import Plane
from deadheat.invariants import Tally, judge
from deadheat.program import World
from deadheat.schedule import make_strategy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deadheat.engine.deployment import Deployment
    from deadheat.engine.events import Event
    from deadheat.engine.stripe_mock import StripeMock
    from deadheat.history import Step
    from deadheat.invariants.settled import Judgement, Violation
    from deadheat.program import Scenario

SCHEDULES = 12  # runs of a scenario when nothing else is said
STOPPED = " (stopped answering)"  # said of a stripe-mock that did not answer every call
INCONCLUSIVE_MAX = 5  # give up on a scenario after so many inconclusive runs in a row


class HistorySink(Protocol):
    """Where histories go: told of each step as it happens, and of each run's end."""

    def begin(self, run: int, scenario: str, strategy: str) -> Callable[[Step], None]:
        """Begin a run; returns what takes its steps."""

    def end(self, run: int, verdict: Verdict, reason: str | None) -> None:
        """End a run: a clean one leaves a line, any other is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much to explore: so many schedules, or so many seconds, under these strategies."""

    strategies: tuple[str, ...] = ("serial", "barrage")
    schedules: int | None = None
    seconds: float | None = None

    def planned(self) -> int | None:
        """Give the number of runs; None under a budget of time."""
        return None if self.seconds is not None else self.schedules or SCHEDULES


@dataclass(slots=True)
class _Seen:
    """What an exploration has seen so far."""

    scenario: Scenario
    runs: Counter[str] = field(default_factory=Counter)
    verdict: Verdict = Verdict.CLEAN
    inconclusive: int = 0
    in_a_row: int = 0
    unstruck: set[str] = field(default_factory=set)
    struck: bool = False
    reasons: Counter[str] = field(default_factory=Counter)
    actors: int = 0
    raced: bool = False
    invariants: Tally = field(default_factory=Tally)
    shown: Counter[tuple[str, str]] = field(default_factory=Counter)
    best: dict[str, tuple[Ran, Violation, str, int]] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)

    def note(self, strategy: str, number: int, ran: Ran, judgement: Judgement | None) -> RunFinished:
        """Take in one run."""
        self.runs[strategy] += 1
        verdict = _verdict(judgement)
        self.verdict = max(self.verdict, verdict)
        self.struck |= bool(ran.history.of(Plane.FAULT))
        self.in_a_row = self.in_a_row + 1 if judgement is None else 0
        self.raced |= strategy == "barrage" and ran.raced(self.scenario.races)
        if judgement is None:
            self.inconclusive += 1
            self.reasons[ran.reason or "no reason given"] += 1
        else:
            self.invariants.add(judgement)
            for violation in judgement.violations:
                self._show(strategy, number, ran, violation)
        return RunFinished(
            scenario=self.scenario.name,
            strategy=strategy,
            run=number,
            verdict=verdict,
            elapsed_s=ran.elapsed_s,
            violations=judgement.violations if judgement else (),
            reason=ran.reason,
        )

    def _show(self, strategy: str, number: int, ran: Ran, violation: Violation) -> None:
        invariant = violation.invariant
        self.shown[strategy, invariant] += 1
        self.first.setdefault(invariant, sum(self.runs.values()))
        best = self.best.get(invariant)
        if best is None or len(ran.history) < len(best[0].history):
            self.best[invariant] = (ran, violation, strategy, number)

    def findings(self) -> tuple[Finding, ...]:
        """Give a finding for each violated invariant: its smallest history."""
        return tuple(
            Finding(
                scenario=self.scenario.name,
                invariant=invariant,
                violation=violation,
                strategy=strategy,
                run=number,
                history=ran.history,
                runs_until_found=self.first[invariant],
                shown_in=self.shown[strategy, invariant],
                runs=self.runs[strategy],
            )
            for invariant, (ran, violation, strategy, number) in sorted(self.best.items())
        )

    def finish(self, elapsed_s: float) -> Exploration:
        """Give the exploration; a race or a fault that never happened makes it inconclusive."""
        reason = None
        if self.reasons:
            reason, times = self.reasons.most_common(1)[0]
            reason = f"{reason} ({times} of {sum(self.runs.values())} runs)"
        races = self.scenario.races
        expected = bool(races) or self.actors > 1
        if self.runs["barrage"] and expected and not self.raced and self.verdict is Verdict.CLEAN:
            self.verdict = Verdict.INCONCLUSIVE
            never = f"{races[0]} and {races[1]} were never" if races else "no two requests or deliveries were"
            reason = f"the race never happened: {never} in the air at the same moment"
        if self.unstruck and not self.struck and self.verdict is Verdict.CLEAN:
            self.verdict = Verdict.INCONCLUSIVE
            reason = f"the fault on {', '.join(sorted(self.unstruck))} never struck: nobody made such a call"
        return Exploration(
            scenario=self.scenario.name,
            verdict=self.verdict,
            strategies=dict(self.runs),
            runs=sum(self.runs.values()),
            inconclusive=self.inconclusive,
            elapsed_s=elapsed_s,
            findings=self.findings(),
            reason=reason,
            invariants=self.invariants.counts(),
            not_checked=self.invariants.not_checked(),
        )


@dataclass(slots=True, kw_only=True)
class Explorer:
    """Explores scenarios on the deployments of one invocation; numbers the runs of all of them."""

    deployments: list[Deployment]
    sink: HistorySink
    emit: Callable[[Event], None]
    invocation: str
    seed: int
    postgres: str
    mock: StripeMock | None
    _gone: str | None = None
    _current: tuple[_Seen, float] | None = None
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
        )

    async def explore(self, scenario: Scenario, budget: Budget) -> Exploration:
        """Run a scenario until its budget is spent."""
        planned = budget.planned()
        self.emit(ScenarioStarted(scenario=scenario.name, strategies=budget.strategies, planned=planned))
        seen = _Seen(scenario)
        began = time.perf_counter()
        self._current = seen, began
        if not self.deployments:
            seen.reasons[self._gone or "there is nothing to run it on"] += 1
            seen.verdict = Verdict.INCONCLUSIVE
        until = began + budget.seconds if budget.seconds is not None else None
        for strategy in budget.strategies:
            left = _share(strategy, budget)
            async with asyncio.TaskGroup() as group:
                for deployment in tuple(self.deployments):
                    group.create_task(self._work(deployment, strategy, left, until, seen))
        finished = seen.finish(time.perf_counter() - began)
        self._current = None
        self.emit(finished)
        return finished

    def cut_short(self) -> Exploration | None:
        """Give what an exploration that was interrupted had seen by then; None without a run."""
        if self._current is None or not self._current[0].runs:
            return None
        seen, began = self._current
        seen.raced = True  # whether it would have is not known, and so with the faults
        seen.unstruck.clear()
        return seen.finish(time.perf_counter() - began)

    async def _work(
        self,
        deployment: Deployment,
        name: str,
        left: Iterator[int],
        until: float | None,
        seen: _Seen,
    ) -> None:
        strategy = make_strategy(name, self.seed)
        for _ in left:
            if seen.in_a_row >= INCONCLUSIVE_MAX or (until is not None and time.perf_counter() >= until):
                return
            number = next(self._numbers)
            program = seen.scenario(World(f"{self.invocation}{number:x}"))
            seen.actors = len(program.race)
            seen.unstruck = {fault.route for fault in program.faults if not fault.may_miss}
            steps = self.sink.begin(number, seen.scenario.name, name)
            ran = await run_program(program, deployment, strategy, number=number, sink=steps)
            ran, judgement = _judged(ran, deployment)
            finished = seen.note(name, number, ran, judgement)
            self.sink.end(number, finished.verdict, finished.reason)
            self.emit(finished)
            if judgement is None and (why := await deployment.unfit()) is not None:
                self._gone = why
                self.deployments.remove(deployment)
                return


def _judged(ran: Ran, deployment: Deployment) -> tuple[Ran, Judgement | None]:
    """Ask the invariants; one that crashed leaves the run without a judgement, and says so."""
    if ran.settled is None:
        return ran, None
    try:
        return ran, judge(ran.settled, deployment.settings.invariants)
    except Trouble as trouble:
        return replace(ran, reason=str(trouble)), None


def _share(strategy: str, budget: Budget) -> Iterator[int]:
    """Give a strategy's runs of a budget: one where others follow, all that is left to the last."""
    if strategy != budget.strategies[-1]:
        return iter(range(1))
    planned = budget.planned()
    return itertools.count() if planned is None else iter(range(planned - len(budget.strategies) + 1))


def _verdict(judgement: Judgement | None) -> Verdict:
    if judgement is None:
        return Verdict.INCONCLUSIVE
    return Verdict.VIOLATED if judgement.violations else Verdict.CLEAN
