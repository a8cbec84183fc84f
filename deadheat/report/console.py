"""The console: what is going on while runs go on, and what came of them.

On a terminal the current scenario is shown live (strategy, schedules, violations, rate, time left);
elsewhere each finished scenario is one line and nothing moves. At the end: a table, the findings in
prose, and what a clean verdict is worth; quiet, only the last. NO_COLOR is respected (rich reads it).
Everything is printed as `Text`, never as markup, and passes through `plain`: what a target sent cannot
colour, move or erase anything.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from deadheat.engine.events import (
    Exploration,
    Minimizing,
    Notice,
    RunFinished,
    ScenarioStarted,
    SettingUp,
    SuiteFinished,
    SuiteStarted,
    Verdict,
)
from deadheat.report.closing import closing_lines
from deadheat.report.plain import plain
from deadheat.report.prose import exploration_lines, strategies_of, verdict_word, violated_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import TextIO

    from deadheat.engine.events import Event

WIDTH_ELSEWHERE = 110

STYLES = {"clean": "green", "violated": "bold red", "inconclusive": "yellow", "skipped": "dim"}


class QuietlyPiped(Console):
    """A console whose reader may leave: the suite goes on, and its verdict stands."""

    def on_broken_pipe(self) -> None:
        """Say no more, and let nothing that is still buffered be said at exit."""
        self.quiet = True
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


def make_console(file: TextIO) -> Console:
    """Make a console for ``file``: 110 columns where there is no terminal and COLUMNS is not set."""
    reconfigure = getattr(file, "reconfigure", None)
    if reconfigure is not None:  # an encoding that lacks a character must not end a report
        reconfigure(errors="backslashreplace")
    console = QuietlyPiped(file=file, markup=False, emoji=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDTH_ELSEWHERE
    return console


class ConsoleReport:
    """Shows the suite on a console. ``clock`` gives seconds."""

    def __init__(
        self,
        console: Console,
        history: Path | None = None,
        *,
        replay_options: str = "",
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._quiet = quiet
        self._history = history
        self._replay_options = replay_options
        self._clock = clock
        self._live: LiveScenario | None = None
        self._started: SuiteStarted | None = None
        self._names_chars = 0
        self._explored = 0

    def start(self) -> None:
        """Nothing to prepare."""

    def handle(self, event: Event) -> None:
        """Show one event."""
        if self._quiet:
            self._keep_quiet(event)
        elif isinstance(event, SuiteStarted):
            self._started = event
            self._names_chars = max((len(plain(name)) for name in event.scenarios), default=0)
            self._begin(event)
        elif isinstance(event, SettingUp):
            self._say(f"setting up {plain(event.what)}", "dim")
        elif isinstance(event, Notice):
            self._say(f"note: {plain(event.text)}", "yellow")
        elif isinstance(event, ScenarioStarted):
            self._stop()
            if self._console.is_terminal:
                self._live = LiveScenario(self._console, event, self._place(), self._clock)
        elif isinstance(event, RunFinished):
            if self._live is not None:
                self._live.count(event)
        elif isinstance(event, Exploration):
            self._stop()
            self._one(event)
        elif isinstance(event, Minimizing):
            if self._live is not None:
                self._live.minimizing(event)
        else:
            self._stop()
            self._end(event)

    def finish(self) -> None:
        """Give the terminal back."""
        self._stop()

    def _keep_quiet(self, event: Event) -> None:
        """Say nothing but the verdict, at the end."""
        if isinstance(event, SuiteStarted):
            self._started = event
        elif isinstance(event, SuiteFinished):
            self._close(event)

    def _place(self) -> str:
        """Say which of how many scenarios the current one is."""
        scenarios = 0 if self._started is None else len(self._started.scenarios)
        return f"{self._explored + 1}/{scenarios} " if scenarios > 1 else ""

    def _say(self, line: str, style: str = "") -> None:
        self._console.print(Text(line, style=style), soft_wrap=True)

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _begin(self, event: SuiteStarted) -> None:
        many = "scenario" if len(event.scenarios) == 1 else "scenarios"
        planned = f", {event.planned} runs" if event.planned is not None else ""
        mock = "off" if event.stripe_mock == "off" else plain(event.stripe_mock)
        self._say(
            f"Deadheat {plain(event.run_id)}: {plain(event.target)} on PostgreSQL {plain(event.postgres)}, "
            f"stripe-mock {mock}, level {event.reach.level}, seed {event.seed}; "
            f"{len(event.scenarios)} {many}{planned}"
        )

    def _one(self, event: Exploration) -> None:
        self._explored += 1
        word = verdict_word(event)
        made = event.runs + event.proving
        rate = f"{made / event.elapsed_s:.1f}/s" if event.elapsed_s > 0 else ""
        line = Text(f"{plain(event.scenario):<{self._names_chars}}  ")
        line.append(f"{word:<12}", style=STYLES[word])
        line.append(f" {event.runs:>5} runs {rate:>9}  {', '.join(map(plain, violated_in(event)))}".rstrip())
        self._console.print(line, soft_wrap=True)

    def _end(self, event: SuiteFinished) -> None:
        if event.scenarios:
            self._console.print()
            self._console.print(closing_table(event))
        self._console.print()
        for exploration in event.scenarios:
            if (
                exploration.findings
                or exploration.verdict is Verdict.INCONCLUSIVE
                or exploration.inconclusive
            ):
                for line in exploration_lines(exploration, self._history, self._replay_options):
                    self._console.print(
                        Text(line), style="" if line.startswith(" ") else "bold", soft_wrap=True
                    )
                self._console.print()
        self._close(event)

    def _close(self, event: SuiteFinished) -> None:
        """Say the verdict and all that qualifies it."""
        for line in closing_lines(event, self._started):
            self._say(line)
        if self._history is not None and (event.interrupted or event.verdict is not Verdict.CLEAN):
            self._say(f"  history: {plain(self._history)}")


class LiveScenario:
    """The current scenario on a terminal: a line that goes when the scenario is over.

    ``place`` says which of the suite's scenarios it is. Time left is that of the scenario, its findings'
    proofs not counted; under a budget of seconds it is what is left of them.
    """

    def __init__(
        self, console: Console, event: ScenarioStarted, place: str, clock: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._began = clock()
        self._runs = 0
        self._violated = 0
        self._planned = event.planned
        self._seconds = event.seconds
        self._progress = Progress(
            SpinnerColumn(style="dim"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=12, complete_style="cyan", finished_style="cyan", pulse_style="cyan"),
            TextColumn("{task.fields[counts]}", markup=False),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task(
            f"{place}{plain(event.scenario)}", total=event.planned, counts=self._counts("")
        )
        self._progress.start()

    def count(self, event: RunFinished) -> None:
        """Take in a finished run."""
        self._runs += 1
        self._violated += event.verdict is Verdict.VIOLATED
        counts = self._counts(plain(event.strategy))
        self._progress.update(self._task, completed=self._runs, counts=counts)

    def minimizing(self, event: Minimizing) -> None:
        """Say that a finding is being made minimal, or replayed."""
        counts = f"{self._violated} violated; minimizing {plain(event.invariant)}, run {event.runs}"
        self._progress.update(self._task, counts=counts)

    def stop(self) -> None:
        """Take the line away."""
        self._progress.stop()

    def _counts(self, strategy: str) -> str:
        elapsed = self._clock() - self._began
        of = f"/{self._planned}" if self._planned is not None else ""
        parts = [strategy, f"{self._runs}{of}", f"{self._violated} violated"]
        if elapsed > 0 and self._runs:
            parts.append(f"{self._runs / elapsed:.1f}/s")
        if (left := self._left(elapsed)) is not None:
            parts.append(f"{left:.0f} s left")
        return ", ".join(filter(None, parts))

    def _left(self, elapsed: float) -> float | None:
        """Give the seconds that are left; None where nothing says how many."""
        if self._seconds is not None:
            return max(0.0, self._seconds - elapsed)
        if self._planned is None or not self._runs:
            return None
        return max(0, self._planned - self._runs) * elapsed / self._runs


def closing_table(finished: SuiteFinished) -> Table:
    """Give a row for each scenario: strategies, runs, verdict, violated invariants."""
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    for heading in ("scenario", "strategies", "runs", "verdict", "violated"):
        table.add_column(
            heading,
            justify="right" if heading == "runs" else "left",
            overflow="fold",
            no_wrap=heading == "verdict",
        )
    for exploration in finished.scenarios:
        word = verdict_word(exploration)
        table.add_row(
            Text(plain(exploration.scenario)),
            Text(strategies_of(exploration.strategies)),
            Text(str(exploration.runs)),
            Text(word, style=STYLES[word]),
            Text(", ".join(map(plain, violated_in(exploration)))),
        )
    return table
