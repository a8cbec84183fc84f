"""Writes ``.deadheat/report.html`` when a suite is over, and a copy into the folder of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.engine.events import SuiteFinished, SuiteStarted
from deadheat.report.disk import make_state_folder, write_atomically
from deadheat.report.html.page import page

if TYPE_CHECKING:
    from pathlib import Path

    from deadheat.engine.events import Event

NAME = "report.html"


class HtmlReport:
    """A consumer; the page of an earlier invocation goes when this one starts."""

    def __init__(self, state_folder: Path, run_folder: Path, replay_options: str = "") -> None:
        self.path = state_folder / NAME
        self._copy = run_folder / NAME
        self._replay_options = replay_options
        self._started: SuiteStarted | None = None

    def start(self) -> None:
        """Drop what an earlier invocation left: it would speak of another."""
        make_state_folder(self.path.parent)
        self.path.unlink(missing_ok=True)

    def handle(self, event: Event) -> None:
        """Wait for the end."""
        if isinstance(event, SuiteStarted):
            self._started = event
        elif isinstance(event, SuiteFinished) and self._started is not None:
            text = page(self._started, event, self._replay_options)
            for path in (self.path, self._copy):
                write_atomically(path, text)

    def finish(self) -> None:
        """Nothing is held open."""
