"""Risk: how often a race goes wrong where nothing orders it, and how often a search shows it.

Both are of one program, what a finding's schedule dropped left out, on the same deployments in the same
invocation. Where nothing orders it people begin apart, as clicks do, and Stripe takes the time that it is
given (`Barrage`); the search is the random walk, everybody at once.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from deadheat.engine.events import ScenarioStarted, Verdict
from deadheat.engine.explore import INCONCLUSIVE_MAX
from deadheat.engine.race import taking_part
from deadheat.engine.seen import Seen, verdict_of
from deadheat.program import Deliveries, Do, World
from deadheat.schedule import Barrage, RandomWalk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deadheat.engine.deployment import Deployment
    from deadheat.engine.explore import Explorer
    from deadheat.engine.run import Ran
    from deadheat.invariants.settled import Judgement
    from deadheat.program import Operation, Scenario
    from deadheat.schedule import Schedule, Strategy

APART_MS = (50.0, 300.0)  # a double click
RUNS = 200
SEARCH_RUNS_MAX = 40
SEARCH_PART = 0.2  # of a budget of seconds


@dataclass(slots=True)
class Sample:
    """Runs of one kind. ``violated`` of ``judged`` broke what was asked about, ``raced`` were a race at all.

    ``invariants`` counts the runs that broke each, asked about or not.
    """

    judged: int = 0
    violated: int = 0
    raced: int = 0
    inconclusive: int = 0
    invariants: Counter[str] = field(default_factory=Counter)
    reason: str | None = None
    verdict: Verdict = Verdict.CLEAN

    def add(self, ran: Ran, judgement: Judgement | None, asked: tuple[str, ...], *, raced: bool) -> None:
        """Take in a run; with nothing asked about, whatever it broke counts."""
        self.verdict = max(self.verdict, verdict_of(judgement))
        if judgement is None:
            self.inconclusive += 1
            self.reason = self.reason or ran.reason
            return
        broken = {violation.invariant for violation in judgement.violations}
        self.judged += 1
        self.raced += raced
        self.violated += bool(broken & set(asked) if asked else broken)
        self.invariants.update(broken)


@dataclass(slots=True, kw_only=True)
class Risk:
    """What was asked, under which conditions (milliseconds), and what came of it so far.

    ``asked`` are invariants, none stands for all of them; ``token`` is that of a finding.
    ``search`` is None where nothing can be ordered.
    """

    scenario: Scenario
    schedule: Schedule
    asked: tuple[str, ...] = ()
    token: str | None = None
    apart_ms: tuple[float, float] = APART_MS
    stripe_ms: tuple[float, float]
    noun: str = "race"
    plain: Sample = field(default_factory=Sample)
    search: Sample | None = field(default_factory=Sample)

    @property
    def verdict(self) -> Verdict:
        """The worse of the two samples'; inconclusive where nothing was judged."""
        verdict = max(self.plain.verdict, Verdict.CLEAN if self.search is None else self.search.verdict)
        return max(verdict, Verdict.CLEAN if self.plain.judged else Verdict.INCONCLUSIVE)


async def measure(risk: Risk, explorer: Explorer, *, runs: int = RUNS, seconds: float | None = None) -> None:
    """Make so many runs without control, or as many as go into the seconds, and some of the search."""
    scenario, schedule = risk.scenario, risk.schedule
    program = explorer.reach.fit(scenario(World("risk")))
    risk.noun = noun_of(taking_part(program, schedule.dropped))
    if any(deployment.proxy is None for deployment in explorer.deployments):
        risk.search = None
    searched = min(runs, SEARCH_RUNS_MAX) if risk.search is not None else 0
    explorer.emit(
        ScenarioStarted(
            scenario=scenario.name,
            strategies=(Barrage.name, *([RandomWalk.name] if risk.search is not None else [])),
            planned=runs + searched if seconds is None else None,
            seconds=seconds,
        )
    )
    for deployment in explorer.deployments:
        await explorer.make_warm(deployment, scenario)
    for_plain = for_search = None
    if seconds is not None:
        for_search = seconds * SEARCH_PART if risk.search is not None else 0.0
        for_plain = seconds - for_search
    seed, apart_ms = explorer.seed, risk.apart_ms
    await _sample(risk, explorer, risk.plain, lambda: Barrage(seed, apart_ms), runs, for_plain)
    if risk.search is not None:
        await _sample(risk, explorer, risk.search, lambda: RandomWalk(seed), searched, for_search)


async def _sample(
    risk: Risk,
    explorer: Explorer,
    into: Sample,
    make: Callable[[], Strategy | Barrage],
    runs: int,
    seconds: float | None,
) -> None:
    """Make runs on all deployments until there are enough, or the time is over."""
    seen = Seen(risk.scenario)
    left: Iterator[int] = iter(range(runs)) if seconds is None else itertools.count()
    until = None if seconds is None else time.perf_counter() + seconds
    schedule = replace(risk.schedule, yields=False)

    async def work(deployment: Deployment) -> None:
        strategy = make()
        while seen.in_a_row < INCONCLUSIVE_MAX and (until is None or time.perf_counter() < until):
            if next(left, None) is None:
                return
            ran, judgement = await explorer.run_once(deployment, seen, strategy, schedule)
            explorer.emit(seen.note(strategy.name, ran.run, ran, judgement))
            into.add(ran, judgement, risk.asked, raced=ran.raced(risk.scenario.races))
            if judgement is None and await deployment.unfit() is not None:
                return

    async with asyncio.TaskGroup() as group:
        for deployment in explorer.deployments:
            group.create_task(work(deployment))


def noun_of(actors: dict[str, dict[str, Operation]]) -> str:
    """Say what one race of these actors is: a double click, where a person does one thing twice."""
    done = [tuple(operations.values()) for operations in actors.values()]
    people = [mine for mine in done if not all(isinstance(operation, Deliveries) for operation in mine)]
    if len(people) == 2 and len(people[0]) == 1 and people[0] == people[1] and isinstance(people[0][0], Do):
        return "double click"
    return "race"
