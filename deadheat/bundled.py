"""Finds what comes with Deadheat beside its code: the reference, the scenarios, the SQL, the load tests.

In a checkout they lie at its top level, where people edit them; a wheel carries them inside the
package, under ``bundled/``, so that installing it puts no second package into anybody's environment.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from deadheat.errors import SetupError

NAMES = ("reference_impl", "scenarios", "sql", "loadtests")


def bundled(name: str, *, package: Path | None = None) -> Path:
    """Give the folder of that name, one of `NAMES`; SetupError when this installation lacks it.

    ``package`` is the folder of the package that asks, for tests.
    """
    if name not in NAMES:
        raise ValueError(f"{name} is not bundled; these are: {', '.join(NAMES)}")
    package = package or Path(__file__).resolve().parent
    top = package.parent
    folder = top / name if _is_checkout(top) and (top / name).is_dir() else package / "bundled" / name
    if not folder.is_dir():
        raise SetupError(
            f"this installation of Deadheat is incomplete: {folder} is missing. Install it again."
        )
    return folder


def _is_checkout(top: Path) -> bool:
    """Say whether a folder is the top level of Deadheat's own source."""
    try:
        project = tomllib.loads((top / "pyproject.toml").read_text(encoding="utf-8")).get("project")
    except (OSError, ValueError):
        return False
    return isinstance(project, dict) and project.get("name") == "deadheat"
