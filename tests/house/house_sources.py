"""The checkout that the house tests look at: its files, its tools, and copies of its code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path, PurePosixPath

TOP = Path(__file__).resolve().parents[2]
CODE = ("deadheat", "reference_impl", "scenarios", "loadtests", "tests")
PRODUCT = ("deadheat", "reference_impl", "scenarios", "loadtests")


@cache
def sources() -> dict[PurePosixPath, str]:
    """Give the text files that git tracks or is about to track, by their path."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=TOP,
        capture_output=True,
        check=True,
    ).stdout.decode()
    found = {}
    for name in sorted(filter(None, listed.split("\0"))):
        try:
            found[PurePosixPath(name)] = (TOP / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue  # a picture, or a file that was just removed
    return found


def code(*folders: str) -> dict[PurePosixPath, str]:
    """Give the files below these top-level folders."""
    return {path: source for path, source in sources().items() if path.parts[0] in folders}


def tool(name: str, *arguments: str, folder: Path = TOP) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment in a folder, importing what lies in the folder first."""
    beside = Path(sys.executable).with_name(name)
    return subprocess.run(
        [sys.executable, str(beside), *arguments] if name == "lint-imports" else [str(beside), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"},
    )


def copy(into: Path, changes: dict[str, str]) -> Path:
    """Copy the product's code and settings into a folder, with text added to the end of some files."""
    shutil.copy(TOP / "pyproject.toml", into)
    for folder in ("deadheat", "reference_impl", "scenarios"):
        shutil.copytree(TOP / folder, into / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, added in changes.items():
        path = into / name
        path.write_text((path.read_text() if path.exists() else "") + added)
    return into
