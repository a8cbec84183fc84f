"""The console: what is going on while runs go on, and what came of them.

On a terminal the current scenario is shown live (runs, violations, rate); elsewhere each finished
scenario is one line and nothing moves. At the end: a table, the findings in prose, and what a clean
verdict is worth. NO_COLOR is respected (rich reads it). Everything is printed as `Text`, never as
markup, and passes through `plain`: what a target sent cannot colour, move or erase anything.
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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._history = history
        self._replay_options = replay_options
        self._clock = clock
        self._live: LiveScenario | None = None
        self._started: SuiteStarted | None = None
        self._names_chars = 0

    def start(self) -> None:
        """Nothing to prepare."""

    def handle(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, SuiteStarted):
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
                self._live = LiveScenario(self._console, event, self._clock)
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
            f"stripe-mock {mock}, level {event.reach.level}, seed {event.seed}; {len(event.scenarios)} {many}{planned}"
        )

    def _one(self, event: Exploration) -> None:
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
        for line in closing_lines(event, self._started):
            self._say(line)
        if self._history is not None and (event.interrupted or event.verdict is not Verdict.CLEAN):
            self._say(f"  history: {plain(self._history)}")


class LiveScenario:
    """The current scenario on a terminal: a bar that goes when the scenario is over."""

    def __init__(self, console: Console, event: ScenarioStarted, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._runs = 0
        self._violated = 0
        self._planned = event.planned
        self._progress = Progress(
            SpinnerColumn(style="dim"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24, complete_style="cyan", finished_style="cyan", pulse_style="cyan"),
            TextColumn("{task.fields[counts]}", markup=False),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task(
            plain(event.scenario), total=event.planned, counts=self._counts()
        )
        self._progress.start()

    def count(self, event: RunFinished) -> None:
        """Take in a finished run."""
        self._runs += 1
        self._violated += event.verdict is Verdict.VIOLATED
        self._progress.update(self._task, completed=self._runs, counts=self._counts())

    def minimizing(self, event: Minimizing) -> None:
        """Say that a finding is being made minimal, or replayed."""
        found = f"{self._runs} runs, {self._violated} violated"
        counts = f"{found}; minimizing {plain(event.invariant)}, run {event.runs}"
        self._progress.update(self._task, counts=counts)

    def stop(self) -> None:
        """Take the bar away."""
        self._progress.stop()

    def _counts(self) -> str:
        elapsed = self._clock() - self._began
        of = f"/{self._planned}" if self._planned is not None else ""
        rate = f", {self._runs / elapsed:.1f}/s" if elapsed > 0 and self._runs else ""
        return f"{self._runs}{of} runs, {self._violated} violated{rate}"


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
