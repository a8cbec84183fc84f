"""``deadheat soak`` from end to end: put up, load, settle, judge, and tell it as events.

What a suite emits is emitted here too, with one scenario called ``soak`` and one run, so that every
report can show it. `Soaked` adds what only a soak has: the load.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from deadheat.bundled import bundled
from deadheat.engine.events import Exploration, Finding, SuiteFinished, Verdict
from deadheat.engine.soak.desk import Desk
from deadheat.engine.soak.locust import DRAIN_SECONDS, STOP_SECONDS, check_locust, open_locust
from deadheat.engine.soak.play import Play
from deadheat.engine.soak.wire import Load, Stage
from deadheat.engine.suite import finish, open_explorer
from deadheat.engine.watch import last_words
from deadheat.errors import DeadheatError, SettingsError, Trouble
from deadheat.history import History
from deadheat.invariants import Tally, judge
from deadheat.stripe_sim import MONTHLY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from deadheat.engine.deployment import Deployment
    from deadheat.engine.events import Event
    from deadheat.engine.explore import HistorySink
    from deadheat.engine.soak.locust import Plan
    from deadheat.invariants.settled import Judgement, Settled, Violation
    from deadheat.settings import Settings

NAME = "soak"
PEOPLE_MAX = 20_000
PROGRESS_SECONDS = 10.0
START_SECONDS = 60.0  # for locust to start, beside the time that it plays
SETTLE_SECONDS_MIN = 120.0
EVIDENCE_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """What a soak made. ``failures`` counts answers that were neither success nor refusal, by kind."""

    load: Load | None
    failures: Mapping[str, int]
    answers: int
    people: int
    events: int
    deliveries: int
    settle_s: float
    judge_s: float


@dataclass(slots=True, kw_only=True)
class _Outcome:
    """How far a soak came."""

    play: Play
    load: Load | None = None
    reasons: list[str]
    settled: Settled | None = None
    judgement: Judgement | None = None
    settle_s: float = 0.0
    judge_s: float = 0.0

    def soaked(self) -> Soaked:
        """Give it in numbers."""
        return Soaked(
            load=self.load,
            failures=dict(self.play.failures.most_common()),
            answers=len(self.play.answers),
            people=len(self.play.crowd),
            events=self.play.storm.events,
            deliveries=len(self.play.courier.delivered),
            settle_s=self.settle_s,
            judge_s=self.judge_s,
        )


async def run_soak(
    settings: Settings,
    plan: Plan,
    *,
    run_id: str,
    folder: Path,
    sink: HistorySink,
    emit: Callable[[Event], None],
    tell: Callable[[Soaked | str], None],
) -> SuiteFinished:
    """Soak the target; ``tell`` hears how it goes on, and at the end what it made.

    SetupError for what is wrong before the load begins: locust above all.
    """
    check_locust()
    if not settings.target.operations:
        raise SettingsError(
            f"{settings.target_name} has no [target.operations], so there is no load to make."
        )
    if settings.target.start is None:
        raise SettingsError(
            "a target that is only a URL cannot be soaked: Deadheat has to start it. Give [target] start. "
            "Load without a verdict: locust -f loadtests/locustfile.py --host URL."
        )
    settings = replace(settings, workers=1)
    async with open_explorer(
        settings, run_id=run_id, folder=folder, sink=sink, emit=emit, controlled=False
    ) as explorer:
        began = time.perf_counter()
        emit(explorer.started(run_id, settings.target_name, (NAME,)))
        deployment = explorer.deployments[0]
        outcome = _Outcome(
            play=Play(deployment, seed=settings.seed, sink=sink.begin(1, NAME, NAME)), reasons=[]
        )
        try:
            await _play(outcome, deployment, plan, explorer.invocation, folder, tell)
        except asyncio.CancelledError:
            emit(finish([], time.perf_counter() - began, interrupted=True))
            raise
        exploration = _exploration(outcome, time.perf_counter() - began)
        sink.end(1, exploration.verdict, exploration.reason)
        tell(outcome.soaked())
        emit(exploration)
        finished = finish([exploration], time.perf_counter() - began)
    emit(finished)
    return finished


async def _play(
    outcome: _Outcome,
    deployment: Deployment,
    plan: Plan,
    marker: str,
    folder: Path,
    tell: Callable[[Soaked | str], None],
) -> None:
    """Load, settle and judge; what goes wrong on the way is a reason, not an exception."""
    try:
        await _load(outcome, deployment, plan, marker, folder, tell)
        tell("the load is over; settling")
        began = time.perf_counter()
        async with asyncio.timeout(max(SETTLE_SECONDS_MIN, 4 * plan.seconds)):
            outcome.settled = await outcome.play.settled()
        outcome.settle_s = time.perf_counter() - began
        began = time.perf_counter()
        outcome.judgement = judge(
            outcome.settled, deployment.settings.invariants, deployment.settings.every_invariant
        )
        outcome.judge_s = time.perf_counter() - began
    except TimeoutError:
        outcome.reasons.append("what the load left was not settled in time")
    except Exception as error:
        outcome.reasons.append(_reason(error))


async def _load(
    outcome: _Outcome,
    deployment: Deployment,
    plan: Plan,
    marker: str,
    folder: Path,
    tell: Callable[[Soaked | str], None],
) -> None:
    """Let locust play, its events delivered meanwhile, and note whether all of it was told."""
    play = outcome.play
    stage = Stage(
        marker=marker,
        price=MONTHLY,
        url=deployment.target.base_url,
        people_max=-(-PEOPLE_MAX // plan.processes),
        seconds=plan.seconds,
        operations={
            name: operation
            for name, operation in deployment.settings.target.operations.items()
            if operation.method is None and operation.at_stripe is None
        },
    )
    play.open()
    async with AsyncExitStack() as stack:
        desk = await stack.enter_async_context(Desk(stage, play.hear, processes=plan.processes))
        storm = asyncio.create_task(play.storming())
        stack.callback(storm.cancel)
        locustfile = bundled("loadtests") / "locustfile.py"
        locust = await stack.enter_async_context(
            open_locust(
                plan, locustfile=locustfile, host=deployment.target.base_url, desk=desk.where, folder=folder
            )
        )
        ended = asyncio.create_task(locust.wait())
        over = asyncio.create_task(desk.over.wait())
        stack.callback(ended.cancel)
        stack.callback(over.cancel)
        await _watch(play, desk, deployment, {ended, over, storm}, plan, tell)
        await locust.stop()
        await desk.heard_out(STOP_SECONDS)
        play.storm.calm()
        await storm
        outcome.load = desk.load
        outcome.reasons += _cut_short(desk, play, plan, folder)


async def _watch(
    play: Play,
    desk: Desk,
    deployment: Deployment,
    tasks: set[asyncio.Task[Any]],
    plan: Plan,
    tell: Callable[[Soaked | str], None],
) -> None:
    """Wait until the load is over or locust ends; Trouble when neither happens in time."""
    began = time.monotonic()
    next_word = PROGRESS_SECONDS
    limit = plan.seconds + START_SECONDS + DRAIN_SECONDS
    while True:
        done, _ = await asyncio.wait(tasks, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
        deployment.check_alive()
        for task in done:
            task.result()
        if desk.failure is not None:
            raise desk.failure
        if done:
            return
        elapsed = time.monotonic() - began
        if elapsed > limit:
            raise Trouble(f"the load was not over {limit:.0f} s after its start")
        if elapsed >= next_word:
            next_word += PROGRESS_SECONDS
            tell(
                f"{elapsed:4.0f} s: {len(play.crowd)} people, {len(play.answers)} answers, "
                f"{sum(play.failures.values())} failures; {len(play.courier.delivered)} deliveries"
            )


def _cut_short(desk: Desk, play: Play, plan: Plan, folder: Path) -> list[str]:
    """Say what was never told, if anything; each a reason why a soak is not clean."""
    log = folder / "locust.log"
    if not desk.over.is_set():
        missing = plan.processes - desk.left
        return [
            f"{missing} of {plan.processes} load processes ended before they had told everything; the end "
            f"of {log}: {last_words(log, 1).strip()}"
        ]
    if not play.answers:
        return [f"the load made no operation at all; the end of {log}: {last_words(log, 1).strip()}"]
    if play.unanswered:
        return [
            f"{play.unanswered} operations got no answer at all, beside {len(play.answers)} answers; what "
            "belongs to their people was not judged"
        ]
    return []


def _exploration(outcome: _Outcome, elapsed_s: float) -> Exploration:
    """Give a soak as the exploration of one scenario in one run; violated wins over inconclusive."""
    judgement, tally = outcome.judgement, Tally()
    violations: tuple[Violation, ...] = ()
    if judgement is not None:
        tally.add(judgement)
        violations = judgement.violations
    verdict = Verdict.VIOLATED if violations else Verdict.INCONCLUSIVE if outcome.reasons else Verdict.CLEAN
    history = outcome.settled.history if outcome.settled else History()
    return Exploration(
        scenario=NAME,
        verdict=verdict,
        strategies={NAME: 1},
        runs=1,
        inconclusive=int(verdict is Verdict.INCONCLUSIVE),
        elapsed_s=elapsed_s,
        findings=tuple(_finding(violation, history) for violation in violations),
        reason="; ".join(outcome.reasons) or None,
        invariants=tally.counts(),
        not_checked=tally.not_checked(),
    )


def _finding(violation: Violation, history: History) -> Finding:
    """Give a finding with the steps that its first evidence points at; all of them are too many."""
    wanted = {seq for evidence in violation.evidence[:EVIDENCE_MAX] for seq in evidence.steps}
    return Finding(
        scenario=NAME,
        invariant=violation.invariant,
        violation=violation,
        strategy=NAME,
        run=1,
        history=History(tuple(step for step in history if step.seq in wanted)),
        runs_until_found=1,
        shown_in=1,
        runs=1,
    )


def _reason(error: BaseException) -> str:
    """Say why a soak could not be judged; what is not trouble of the target's is an error of our own."""
    while isinstance(error, BaseExceptionGroup):
        error = next((e for e in error.exceptions if isinstance(e, DeadheatError)), error.exceptions[0])
    if isinstance(error, DeadheatError):
        return str(error)
    return f"an error of Deadheat's own: {type(error).__name__}: {error}"
