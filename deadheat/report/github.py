"""GitHub Actions: an annotation for each finding, and a summary of the step.

Both are as GitHub's documentation of workflow commands says. A command is a line of standard output that
begins with ``::``, so everything else that is printed meanwhile stands between ``::stop-commands::WORD`` and
``::WORD::``, where nothing is a command; the word is random. The summary is Markdown: what is not ours stands
in a fence longer than any that it holds, or with each punctuation mark escaped.
"""

from __future__ import annotations

import re
import secrets
import string
from typing import TYPE_CHECKING

from deadheat.engine.events import SuiteFinished, SuiteStarted, Verdict
from deadheat.errors import SettingsError
from deadheat.report.closing import closing_lines
from deadheat.report.findings import group_lines, grouped
from deadheat.report.plain import plain
from deadheat.report.prose import inconclusive_line, verdict_word, violated_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import TextIO

    from deadheat.engine.events import Event, Exploration
    from deadheat.report.findings import Group

SUMMARY_BYTES_MAX = 1024 * 1024  # of one step; GitHub shows nothing of a larger one
MARGIN_BYTES = 1024
_MARKS = str.maketrans({mark: f"\\{mark}" for mark in string.punctuation})


class GitHubReport:
    """Annotates on ``file``, and appends to ``summary`` (``$GITHUB_STEP_SUMMARY``) where there is one."""

    def __init__(
        self, file: TextIO, summary: Path | None, history: Path | None = None, replay_options: str = ""
    ) -> None:
        self._file = file
        self._summary = summary
        self._history = history
        self._replay_options = replay_options
        self._word: str | None = None
        self._started: SuiteStarted | None = None

    def start(self) -> None:
        """Make sure that the summary can be written; from now on nothing that is printed is a command."""
        if self._summary is not None:
            try:
                self._summary.open("a").close()
            except OSError as error:
                raise SettingsError(
                    f"GITHUB_STEP_SUMMARY {self._summary}: cannot be written: {error.strerror}."
                ) from error
        self._word = secrets.token_hex(16)
        self._print(f"::stop-commands::{self._word}")

    def handle(self, event: Event) -> None:
        """Wait for the end."""
        if isinstance(event, SuiteStarted):
            self._started = event
        elif isinstance(event, SuiteFinished):
            self.finish()
            for line in errors(event.scenarios, self._replay_options):
                self._print(line)
            if self._summary is not None and self._started is not None:
                self._append(self._summary, summary_parts(self._started, event, self._of_group))

    def finish(self) -> None:
        """Let commands be commands again."""
        if self._word is not None:
            self._print(f"::{self._word}::")
            self._word = None

    def _of_group(self, group: Group) -> list[str]:
        return group_lines(group, self._history, self._replay_options)

    def _print(self, line: str) -> None:
        self._file.write(f"{line}\n")
        self._file.flush()

    def _append(self, path: Path, parts: Sequence[str]) -> None:
        """Append the parts of a summary, as many as there is room for."""
        room = SUMMARY_BYTES_MAX - MARGIN_BYTES - path.stat().st_size
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            for n, part in enumerate(parts):
                room -= len(part.encode(errors="backslashreplace"))
                if room < 0:
                    file.write(f"\n{len(parts) - n} more are in report.html: GitHub takes no more here.\n")
                    return
                file.write(part)


def errors(explorations: Sequence[Exploration], replay_options: str = "") -> Iterator[str]:
    """Give an ``error`` for each finding, and for each scenario that could not be judged."""
    for exploration in explorations:
        for group in grouped(exploration.findings):
            says = [finding.violation.evidence[0].says for finding in group.findings]
            again = [f"deadheat replay {group.first.token}{replay_options}"] if group.first.token else []
            yield error(f"{exploration.scenario}: {', '.join(group.invariants)}", [*says, *again])
        if exploration.verdict is Verdict.INCONCLUSIVE:
            yield error(f"{exploration.scenario}: inconclusive", [inconclusive_line(exploration)])


def error(title: str, lines: Sequence[str]) -> str:
    r"""Give the command that makes an annotation of lines that may come from anybody.

    >>> error("a: b, c", ["100%", "two\nthree"])
    '::error title=a%3A b%2C c::100%25%0Atwo\\nthree'
    """
    message = "%0A".join(plain(line).replace("%", "%25") for line in lines)
    escaped = plain(title).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    return f"::error title={escaped}::{message}"


def summary_parts(
    started: SuiteStarted, finished: SuiteFinished, text_of: Callable[[Group], list[str]]
) -> list[str]:
    """Give the summary in Markdown: verdict and table, then each finding as the console tells it."""
    verdict, *qualified = closing_lines(finished, started)
    rows = [
        (one.scenario, verdict_word(one), str(one.runs), ", ".join(violated_in(one)) or one.reason or "")
        for one in finished.scenarios
    ]
    head = [f"## {marked(verdict)}", "", f"Target: {marked(started.target)}", ""]
    head += ["| scenario | verdict | runs | violated, or why not judged |", "|---|---|---:|---|"]
    head += [f"| {' | '.join(map(marked, row))} |" for row in rows]
    head += ["", *(f"- {marked(line.strip())}" for line in qualified), ""]
    found = [fenced(text_of(g)) for one in finished.scenarios for g in grouped(one.findings)]
    return ["\n".join(head), *found]


def marked(text: str) -> str:
    r"""Give a text with each of its punctuation marks escaped, so that none is Markdown or a link.

    >>> marked("a|b <c> https://d")
    'a\\|b \\<c\\> https\\:\\/\\/d'
    """
    return plain(text).translate(_MARKS)


def fenced(lines: Sequence[str]) -> str:
    """Give harmless lines in a fence that is longer than any they hold."""
    text = "\n".join(lines)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"\n{fence}text\n{text}\n{fence}\n"
