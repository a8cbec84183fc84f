"""``history.ndjson``: every step on disk as it happens, and what is left of a run once it is over.

Lines go out unbuffered, one write each, so that they are there after Ctrl-C or a kill. A clean run
is taken back to one line with its verdict (all of it stays under ``--keep all``); any other is kept
whole and closed by such a line. Runs may overlap: each line belongs to the run that it names, and
taking a run back leaves the lines of others where they were.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deadheat.engine.events import Verdict
from deadheat.errors import SettingsError
from deadheat.history import VERSION, redacted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deadheat.history import Step

NAME = "history.ndjson"


@dataclass(slots=True)
class _Open:
    """A run that is being written. ``offset`` is where the file ended when it began."""

    scenario: str
    strategy: str
    offset: int
    steps: int = 0


class HistoryFile:
    """Writes the histories of one invocation; the engine's sink."""

    def __init__(self, folder: Path, *, keep_all: bool = False) -> None:
        self.path = folder / NAME
        self._keep_all = keep_all
        self._open: dict[int, _Open] = {}
        self._file: int | None = None
        self._end = 0

    def start(self) -> None:
        """Make the folder and the file; SettingsError when they cannot be made."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise SettingsError(f"cannot write {self.path}: {error.strerror}.") from error

    def begin(self, run: int, scenario: str, strategy: str) -> Callable[[Step], None]:
        """Begin a run; returns what takes its steps."""
        self._open[run] = _Open(scenario, strategy, self._end)
        return self._take

    def end(self, run: int, verdict: Verdict, reason: str | None) -> None:
        """End a run: a clean one leaves a line, any other is kept."""
        ended = self._open.pop(run)
        if verdict is Verdict.CLEAN and not self._keep_all:
            self._take_back(run, ended)
        line: dict[str, Any] = {
            "v": VERSION,
            "run": run,
            "scenario": ended.scenario,
            "strategy": ended.strategy,
            "verdict": str(verdict),
            "steps": ended.steps,
        }
        if reason is not None:
            line["reason"] = reason
        self._write(json.dumps(redacted(line), separators=(",", ":")))

    def finish(self) -> None:
        """Close the file; runs that never ended stay as they are."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take(self, step: Step) -> None:
        if step.run in self._open:
            self._open[step.run].steps += 1
        self._write(step.line())

    def _write(self, line: str) -> None:
        self._put(f"{line}\n".encode(), self._end)

    def _put(self, data: bytes, offset: int) -> None:
        """Write ``data`` at ``offset``; the file ends after it."""
        while data:
            written = os.pwrite(self._descriptor(), data, offset)
            offset += written
            data = data[written:]
        self._end = offset

    def _take_back(self, run: int, ended: _Open) -> None:
        """Take a run's lines out of the end of the file, and close the gaps that they leave.

        A kill in the middle of it may leave lines of other runs twice, never lose one.
        """
        tail = os.pread(self._descriptor(), self._end - ended.offset, ended.offset)
        mine = b'{"v":%d,"run":%d,' % (VERSION, run)
        self._put(b"".join(x for x in tail.splitlines(keepends=True) if not x.startswith(mine)), ended.offset)
        os.ftruncate(self._descriptor(), self._end)
        for other in self._open.values():
            other.offset = min(other.offset, ended.offset)

    def _descriptor(self) -> int:
        if self._file is None:
            raise RuntimeError("the history file is not open: call start() first")
        return self._file
