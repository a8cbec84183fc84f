"""The reports of one invocation, put together from its settings."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from deadheat.report.console import ConsoleReport, make_console
from deadheat.report.disk import make_state_folder, run_folder
from deadheat.report.findings import target_option
from deadheat.report.github import GitHubReport
from deadheat.report.html import HtmlReport
from deadheat.report.junit import JUnitReport
from deadheat.report.ndjson import HistoryFile
from deadheat.report.prose import exploration_lines
from deadheat.report.summary import SummaryReport

if TYPE_CHECKING:
    from types import TracebackType

    from deadheat.engine.events import Event, Exploration
    from deadheat.report.consumer import Consumer
    from deadheat.settings import Settings


class Reports:
    """Hands each event to every consumer; a context manager that starts and finishes them.

    ``histories`` is the engine's sink, ``folder`` the invocation's own. ``quiet`` says nothing on the
    console but the verdict; ``only_history`` is for who has a report of their own, as pytest has.
    """

    def __init__(
        self, settings: Settings, run_id: str, *, quiet: bool = False, only_history: bool = False
    ) -> None:
        self.folder = run_folder(settings.state_folder, run_id)
        self.histories = HistoryFile(self.folder, keep_all=settings.keep_all)
        self._state_folder = settings.state_folder
        self._replay_options = target_option(settings.target_name, settings.state_folder.parent)
        self._consumers: list[Consumer] = []
        if not only_history:
            self._consumers = [
                ConsoleReport(
                    make_console(sys.stdout),
                    self.histories.path,
                    replay_options=self._replay_options,
                    quiet=quiet,
                ),
                SummaryReport(settings.state_folder, settings.json),
                HtmlReport(settings.state_folder, self.folder, self._replay_options),
            ]
            if settings.junit is not None:
                self._consumers.append(JUnitReport(settings.junit, self.histories.path, self._replay_options))
            if os.environ.get("GITHUB_ACTIONS"):
                summary = os.environ.get("GITHUB_STEP_SUMMARY")
                self._consumers.append(
                    GitHubReport(
                        sys.stdout,
                        Path(summary) if summary else None,
                        self.histories.path,
                        self._replay_options,
                    )
                )
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start every report; SettingsError for one whose file cannot be written."""
        with ExitStack() as stack:
            make_state_folder(self._state_folder)
            self.histories.start()
            stack.callback(self.histories.finish)
            for consumer in self._consumers:
                consumer.start()
                stack.callback(consumer.finish)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def handle(self, event: Event) -> None:
        """Hand an event to every report, in turn."""
        for consumer in self._consumers:
            consumer.handle(event)

    def text_of(self, exploration: Exploration) -> str:
        """Give what is to be said of one exploration, as plain text."""
        return "\n".join(exploration_lines(exploration, self.histories.path, self._replay_options))
