"""Where reports put their files, and how they write them.

.deadheat/.gitignore                "*"
.deadheat/runs/ID/history.ndjson    ID is one invocation
.deadheat/runs/ID/report.html
.deadheat/report.html               of the latest invocation
.deadheat/summary.json              of the latest invocation
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING

from deadheat.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


def run_folder(state_folder: Path, run_id: str) -> Path:
    """Give the folder of one invocation."""
    return state_folder / "runs" / run_id


def make_state_folder(state_folder: Path) -> None:
    """Make ``.deadheat`` with a .gitignore of its own; SettingsError when it cannot be made."""
    try:
        state_folder.mkdir(parents=True, exist_ok=True)
        ignore = state_folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"cannot write to {state_folder}: {error.strerror}. Run in a folder that you may write to."
        ) from error


def check_writable(path: Path, option: str) -> None:
    """Raise SettingsError unless a file can be written at ``path``; its folder is made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise SettingsError(f"{option} {path}: cannot be written: {error.strerror}.") from error


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
