"""The suite: every chosen scenario against one target, and the verdict of all of them.

`open_explorer` puts up what runs need (Postgres, stripe-mock, one deployment for each worker) and
takes it down again, however the block is left. `run_suite` explores scenario by scenario and emits
the stream of events that reports consume.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import deadheat
from deadheat.engine.deployment import Grounds, open_deployment
from deadheat.engine.discover import lacking, rehearse
from deadheat.engine.events import (
    Exploration,
    Notice,
    SettingUp,
    SuiteFinished,
    Verdict,
)
from deadheat.engine.explore import Budget, Explorer
from deadheat.engine.leftovers import merged
from deadheat.engine.levels import reach_of
from deadheat.engine.memory import Findings
from deadheat.engine.proven import Proven
from deadheat.engine.searches import Searches, written
from deadheat.engine.standing import open_standing, postgres_of
from deadheat.engine.traffic import refuse_others
from deadheat.errors import SettingsError
from deadheat.program import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from deadheat.engine.events import Event
    from deadheat.engine.explore import HistorySink
    from deadheat.engine.levels import Reach
    from deadheat.program import Scenario
    from deadheat.settings import Settings


def new_run_id() -> str:
    """Give an id for an invocation: when it began, and four random digits."""
    return time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)


def budget_of(settings: Settings) -> Budget:
    """Give the budget that the settings ask for."""
    strategies = (settings.strategy,) if settings.strategy else Budget().strategies
    return Budget(
        strategies=strategies,
        schedules=settings.schedules,
        seconds=settings.seconds,
        preemptions=settings.preemptions,
        faults=settings.faults,
    )


@asynccontextmanager
async def open_explorer(
    settings: Settings,
    *,
    run_id: str,
    folder: Path,
    sink: HistorySink,
    emit: Callable[[Event], None],
    controlled: bool = True,
) -> AsyncIterator[Explorer]:
    """Put up Postgres, stripe-mock and a deployment for each worker; SetupError when one cannot be.

    A target that listens on a port of its own has one worker, whatever the settings say. Not
    ``controlled``, the targets reach their databases directly, and only barrage is of use.
    """

    def progress(what: str) -> None:
        emit(SettingUp(what=what))

    def notice(text: str) -> None:
        emit(Notice(text=text))

    async with AsyncExitStack() as stack:
        grounds = await stack.enter_async_context(
            Grounds.open(settings, run_id=run_id, logs=folder, progress=progress, notice=notice)
        )
        progress("the target")
        if settings.target.start is None:
            deployments = [await stack.enter_async_context(open_standing(grounds))]
            if deployments[0].proxy is not None and (told := await refuse_others(deployments[0])):
                notice(told)
        else:
            deployments = [
                await stack.enter_async_context(open_deployment(grounds, index, controlled=controlled))
                for index in range(1 if settings.target.base_url else settings.workers)
            ]
        yield Explorer(
            deployments=deployments,
            sink=sink,
            memory=Findings(settings.state_folder / "findings", settings.target_name, deadheat.__version__),
            searches=Searches(
                settings.state_folder / "searches",
                settings.target_name,
                written(settings.target),
                deadheat.__version__,
            ),
            emit=emit,
            invocation=secrets.token_hex(3),
            seed=settings.seed,
            postgres=grounds.postgres.describe if grounds.postgres else postgres_of(deployments[0]),
            mock=grounds.mock,
            reach=deployments[0].reach,
            proven=Proven(settings.state_folder / "proven.json", settings.own_invariants),
        )


async def run_suite(
    settings: Settings,
    scenarios: Sequence[Scenario],
    *,
    run_id: str,
    folder: Path,
    sink: HistorySink,
    emit: Callable[[Event], None],
) -> SuiteFinished:
    """Explore the scenarios one after the other; emits `SuiteFinished` also when interrupted."""
    reach = reach_of(settings)
    missing = {made.name: lacking(made, settings.target, reach) for made in scenarios}
    _check(scenarios, missing, settings)
    done: list[Exploration] = []
    async with open_explorer(settings, run_id=run_id, folder=folder, sink=sink, emit=emit) as explorer:
        budget = budget_of(settings)
        began = time.perf_counter()
        planned = budget.planned()
        planned = planned * sum(not lack for lack in missing.values()) if planned else None
        names = tuple(made.name for made in scenarios)
        emit(replace(explorer.started(run_id, settings.target_name, names), planned=planned))
        if left := _left_out([made for made in scenarios if not missing[made.name]], reach):
            emit(Notice(text=f"left out at level {reach.level}: {left}"))
        try:
            for made in scenarios:
                if lack := missing[made.name]:
                    done.append(Exploration(scenario=made.name, verdict=Verdict.CLEAN, skipped=lack))
                    emit(done[-1])
                else:
                    done.append(await explorer.explore(made, budget))
        except asyncio.CancelledError:
            if cut := await explorer.cut_short():
                done.append(cut)
                emit(cut)
            emit(finish(done, time.perf_counter() - began, interrupted=True))
            raise
        finished = finish(done, time.perf_counter() - began)
        finished = replace(finished, stripe_mock=explorer.stripe_mock)
        emit(finished)
    return finished


def _left_out(scenarios: Sequence[Scenario], reach: Reach) -> str:
    """Say what scenarios do that cannot be done here: ``pay, deliveries (of checkout.two-tabs, …)``."""
    left = {made.name: reach.left_out(made(World("rehearsal"))) for made in scenarios}
    names = list(dict.fromkeys(name for names in left.values() for name in names))
    return f"{', '.join(names)} (of {', '.join(name for name in left if left[name])})" if names else ""


def _check(scenarios: Sequence[Scenario], missing: Mapping[str, tuple[str, ...]], settings: Settings) -> None:
    """Refuse, before anything is put up, what cannot come to a verdict."""
    runnable = [made for made in scenarios if not missing[made.name]]
    if not scenarios:
        raise SettingsError("there is no scenario to run: the folders of scenarios hold none.")
    if not runnable:
        lacks = sorted({need for lack in missing.values() for need in lack})
        raise SettingsError(
            f"there is nothing to run: the target offers none of {', '.join(lacks)}, which the scenarios "
            "need. Describe them in [target.operations]."
        )
    for made in runnable:
        rehearse(made, settings.target)


def finish(
    explorations: Sequence[Exploration], elapsed_s: float, *, interrupted: bool = False
) -> SuiteFinished:
    """Merge explorations, the worst verdict winning; nothing explored at all is inconclusive."""
    explored = [e for e in explorations if not e.skipped]
    checked: Counter[str] = Counter()
    violated: Counter[str] = Counter()
    not_checked: dict[str, str] = {}
    for exploration in explored:
        not_checked.update(exploration.not_checked)
        for invariant, (n, bad) in exploration.invariants.items():
            checked[invariant] += n
            violated[invariant] += bad
    return SuiteFinished(
        verdict=max((e.verdict for e in explored), default=Verdict.INCONCLUSIVE),
        scenarios=tuple(explorations),
        runs=sum(e.runs for e in explored),
        elapsed_s=elapsed_s,
        invariants={invariant: (n, violated[invariant]) for invariant, n in sorted(checked.items())},
        not_checked={i: reason for i, reason in not_checked.items() if not checked[i]},
        interrupted=interrupted,
        unproven=tuple(sorted({i for e in explored for i in e.unproven if not violated[i]})),
        left=merged(e.left for e in explored if e.left is not None),
    )
