"""The pytest plugin: each scenario is a test item, and ``race`` explores what a test hands it.

One deployment is put up when the first race needs it and taken down when the session ends. A
violated exploration fails the test with its evidence; an inconclusive one fails it too, with a text
that begins INCONCLUSIVE: it is never skipped and never passed. ``replay`` follows the schedule of a finding
that a file holds. What each exploration found rides on
its report as a user property, so that under xdist the controller alone writes ``summary.json``.

Every pytest session of an environment loads this module, so it imports the engine only when there is
something to race.
"""

from __future__ import annotations

import asyncio
import base64
import os
import pickle
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deadheat.errors import Inconclusive, SetupError, TokenError, Violated
from deadheat.portable import program_to_json
from deadheat.program import Program, Scenario, World

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from deadheat.engine.events import Exploration, SuiteFinished, SuiteStarted
    from deadheat.engine.explore import Explorer
    from deadheat.engine.memory import Kept
    from deadheat.report.replayed import Replays
    from deadheat.settings import Settings

OPTIONS = {
    "target": "what to race: reference, before or a deadheat.toml",
    "postgres": "auto, embedded or a DSN",
    "stripe-mock": "auto, off, a path or a URL",
    "strategy": "only this strategy",
    "schedules": "runs of each scenario",
    "seconds": "seconds for each scenario",
    "seed": "draw the same latencies again",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the options of ``deadheat run`` that make sense in a test session."""
    group = parser.getgroup("deadheat", "racing a Stripe billing integration")
    for name, text in OPTIONS.items():
        group.addoption(f"--deadheat-{name}", dest=f"deadheat_{name.replace('-', '_')}", help=text)


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> pytest.Item | None:
    """Turn a scenario into a test item; its function needs no ``test_`` prefix."""
    if isinstance(obj, Scenario):
        item: pytest.Item = ScenarioItem.from_parent(collector, name=name, scenario=obj)
        return item
    return None


class ScenarioItem(pytest.Item):
    """A scenario as a test: explores it, and fails when it is violated or inconclusive."""

    def __init__(self, *, scenario: Scenario, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scenario = scenario

    def runtest(self) -> None:
        """Explore the scenario with the budget of the session."""
        from deadheat.engine.discover import lacking
        from deadheat.engine.levels import reach_of

        arena = arena_of(self.config)
        if lack := lacking(self.scenario, arena.settings.target, reach_of(arena.settings)):
            pytest.skip(f"{self.scenario.name}: the target does not offer {', '.join(lack)}")
        arena.race(self.scenario)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show a verdict as its text, anything else as a traceback."""
        if isinstance(excinfo.value, Violated | Inconclusive | SetupError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Name the scenario, at the line of its function."""
        line = self.scenario.build.__code__.co_firstlineno - 1
        return self.path, line, self.scenario.name


@pytest.fixture(scope="session")
def race(request: pytest.FixtureRequest) -> Callable[..., Exploration]:
    """Explore a program or a scenario: ``race(it, schedules=…, seconds=…, strategy=…)``.

    Returns the Exploration when it is clean; raises Violated (an AssertionError) or Inconclusive.
    The users of a program are replaced by fresh ones in each run.
    """
    return arena_of(request.config).race


@pytest.fixture(scope="session")
def replay(request: pytest.FixtureRequest) -> Callable[[str | os.PathLike[str]], None]:
    """Follow the schedule in a finding's file: ``replay("test_two_tabs.json")``.

    ``deadheat replay TOKEN --pytest PATH`` writes such a file. Raises Violated where anything breaks in that
    order, Inconclusive where it could not be judged. Where the target's steps are no more those recorded,
    their order is followed as far as it goes.
    """
    return arena_of(request.config).replay


class Arena:
    """What the races of one test session need, put up by the first of them."""

    def __init__(self, settings: Settings, run_id: str) -> None:
        from deadheat.engine.loop import loop_factory

        self.settings = settings
        self._run_id = run_id
        self._runner = asyncio.Runner(loop_factory=loop_factory())
        self._stack = AsyncExitStack()
        self._explorer: Explorer | None = None
        self._reports: Any = None
        self.explored: list[Exploration] = []  # since the last test's report was made

    def race(
        self,
        raced: Program | Scenario,
        *,
        schedules: int | None = None,
        seconds: float | None = None,
        strategy: str | None = None,
    ) -> Exploration:
        """Explore; Violated or Inconclusive for what is not clean."""
        __tracebackhide__ = True
        settings = replace(
            self.settings,
            schedules=schedules or self.settings.schedules,
            seconds=seconds or self.settings.seconds,
            strategy=strategy or self.settings.strategy,
        )
        scenario = raced if isinstance(raced, Scenario) else _as_scenario(raced)
        explored = self._runner.run(self._explore(scenario, settings))
        self.explored.append(explored)
        text = self._reports.text_of(explored)
        if explored.verdict.name == "VIOLATED":
            raise Violated(text, explored)
        if explored.verdict.name == "INCONCLUSIVE":
            raise Inconclusive(text, explored)
        return explored

    def replay(self, finding: str | os.PathLike[str]) -> None:
        """Follow a finding's schedule; Violated or Inconclusive for what is not clean."""
        __tracebackhide__ = True
        from deadheat.engine.memory import read_finding
        from deadheat.report.replayed import replay_lines

        kept = read_finding(Path(finding))
        replays = self._runner.run(self._follow(kept))
        text = "\n".join(replay_lines(replays)).lstrip("\n")
        if replays.verdict.name == "VIOLATED":
            raise Violated(text)
        if replays.verdict.name == "INCONCLUSIVE":
            raise Inconclusive(text)

    async def _follow(self, kept: Kept) -> Replays:
        from deadheat.engine.discover import rehearse
        from deadheat.engine.seen import verdict_of
        from deadheat.report.replayed import Replays

        scenario = kept.drawn()
        if scenario is None:
            raise TokenError(
                f"the finding {kept.id} does not hold its program. deadheat replay FILE --pytest PATH "
                "writes one that does."
            )
        rehearse(scenario, self.settings.target)
        explorer = await self._ready()
        replays = Replays(
            token=kept.schedule.token() or f"dh1-@{kept.id}",
            scenario=scenario.name,
            recorded=kept.invariants,
            history=self._reports.histories.path,
        )
        for _ in range(kept.replays_needed()):
            for ran, judgement in await explorer.follow(scenario, kept.schedule):
                replays.add(ran, judgement, verdict_of(judgement))
            if replays.violated:
                break
        return replays

    async def _explore(self, scenario: Scenario, settings: Settings) -> Exploration:
        from deadheat.engine.suite import budget_of

        return await (await self._ready()).explore(scenario, budget_of(settings))

    async def _ready(self) -> Explorer:
        """Give what explores, put up when it is first needed."""
        from deadheat.engine.suite import open_explorer
        from deadheat.report import Reports

        if self._explorer is None:
            self._reports = self._stack.enter_context(Reports(self.settings, self._run_id, only_history=True))
            self._explorer = await self._stack.enter_async_context(
                open_explorer(
                    self.settings,
                    run_id=self._run_id,
                    folder=self._reports.folder,
                    sink=self._reports.histories,
                    emit=self._reports.handle,
                )
            )
        return self._explorer

    def started(self) -> SuiteStarted | None:
        """Say what was raced and on what; None when nothing was."""
        if self._explorer is None:
            return None
        return self._explorer.started(self._run_id, self.settings.target_name, ())

    def close(self) -> None:
        """Take everything down."""
        with self._runner:
            self._runner.run(self._stack.aclose())


def _as_scenario(program: Program) -> Scenario:
    def build(world: World) -> Program:
        return program.recast(world)

    about = "a program handed to race()"
    return Scenario(name="program", needs=(), build=build, about=about, drawn=program_to_json(program))


_ARENA = pytest.StashKey[Arena]()


def arena_of(config: pytest.Config) -> Arena:
    """Give the session's arena, made from its options at first use."""
    from deadheat.engine.suite import new_run_id
    from deadheat.settings import load_settings

    if _ARENA not in config.stash:
        given = {
            name.replace("-", "_"): config.getoption(f"deadheat_{name.replace('-', '_')}") for name in OPTIONS
        }
        options = {name: value for name, value in given.items() if value is not None}
        settings = load_settings(options=options, environ=os.environ, cwd=config.rootpath)
        if hasattr(config, "workerinput"):
            settings = replace(settings, workers=1)  # xdist is what runs side by side
        config.stash[_ARENA] = Arena(settings, new_run_id())
    return config.stash[_ARENA]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Send what a test explored along with its report, to whoever writes the summary.

    What is not clean in a test that passed was expected there, and is no verdict of the session.
    """
    report = yield
    if call.when == "call" and _ARENA in item.config.stash:
        arena = item.config.stash[_ARENA]
        explored = [e for e in arena.explored if report.failed or not e.verdict]
        arena.explored.clear()
        if explored:
            told = pickle.dumps((arena.started(), explored))
            report.deadheat = base64.b85encode(told).decode()  # type: ignore[attr-defined]
    return report


class Summing:
    """Gathers what was explored, in the controller, and writes ``summary.json`` at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._state_folder = config.rootpath / ".deadheat"
        self._started: SuiteStarted | None = None
        self._explored: list[Exploration] = []
        self._began = time.perf_counter()
        self._finished: SuiteFinished | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in what a test explored, here or in an xdist worker."""
        told = getattr(report, "deadheat", None)
        if told is not None:
            self._started, explored = pickle.loads(base64.b85decode(told))
            self._explored += explored

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """Make a test whose xdist worker crashed inconclusive: nothing is known of what it raced."""
        from deadheat.engine.events import Exploration, Verdict

        reason = f"the xdist worker that ran {crashitem} crashed"
        report.longrepr = f"INCONCLUSIVE: {reason}"
        self._explored.append(
            Exploration(
                scenario=crashitem, verdict=Verdict.INCONCLUSIVE, reason=reason, inconclusive=1, runs=1
            )
        )

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the summary, when anything was explored."""
        if self._started is None:
            return
        from deadheat.engine.suite import finish
        from deadheat.report.summary import SummaryReport

        names = tuple(explored.scenario for explored in self._explored)
        self._started = replace(self._started, scenarios=names)
        self._finished = finish(self._explored, time.perf_counter() - self._began)
        report = SummaryReport(self._state_folder)
        report.start()
        report.handle(self._started)
        report.handle(self._finished)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what the verdict covers and what it does not."""
        if self._finished is None:
            return
        from deadheat.report.closing import closing_lines

        terminalreporter.section("deadheat")
        for line in closing_lines(self._finished, self._started):
            terminalreporter.write_line(line)


def pytest_configure(config: pytest.Config) -> None:
    """Gather in the controller only; a worker of xdist has ``workerinput``."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Summing(config), "deadheat-summing")


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Take the arena down when the session ends, however it does."""
    try:
        return (yield)
    finally:
        if _ARENA in session.config.stash:
            session.config.stash[_ARENA].close()
            del session.config.stash[_ARENA]
