"""Settings files: which one counts, what it says, and the variables that it takes from outside.

A file is a ``deadheat.toml``, or the table ``[tool.deadheat]`` of a ``pyproject.toml``. In every
string, ``${VAR}`` is the environment's VAR and ``${VAR:-default}`` falls back where VAR is unset or
empty, as in a shell; ``$${`` is a plain ``${``. What was put in is not looked at again.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deadheat.errors import SettingsError
from deadheat.safety import check_key
from deadheat.settings.kinds import hosts
from deadheat.settings.table import Table

if TYPE_CHECKING:
    from pathlib import Path

OWN_NAME = "deadheat.toml"
SHARED_NAME = "pyproject.toml"
SHARED_TABLE = "tool.deadheat"

_REFERENCE = re.compile(r"\$?\$\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_LINE = re.compile(r"(.*?)\s*\(at line (\d+), column \d+\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsFile:
    """A file that was read: ``shown`` is its name in messages, ``table`` where its settings begin."""

    path: Path
    shown: str
    table: str
    data: Mapping[str, object]

    def top(self) -> Table:
        """Give the settings, to be read key by key."""
        return Table(self.data, file=self.shown, name=self.table)


def project_file(cwd: Path, environ: Mapping[str, str]) -> SettingsFile | None:
    """Read the settings of the project in a folder: its own file, else its table in pyproject.toml."""
    if (cwd / OWN_NAME).is_file():
        return read_file(cwd / OWN_NAME, cwd, environ)
    shared = cwd / SHARED_NAME
    if shared.is_file() and _shared_table(_parse(shared, SHARED_NAME)) is not None:
        return read_file(shared, cwd, environ)
    return None


def read_file(path: Path, cwd: Path, environ: Mapping[str, str]) -> SettingsFile:
    """Read a settings file, its variables put in; Refused when it holds a live key."""
    shown = str(path.relative_to(cwd)) if path.is_relative_to(cwd) else str(path)
    whole = _parse(path, shown)
    table = ""
    data: Mapping[str, object] = whole
    if path.name == SHARED_NAME:
        found = _shared_table(whole)
        if found is None:
            raise SettingsError(f"{shown}: it has no table [{SHARED_TABLE}].")
        table, data = SHARED_TABLE, found
    filled = {
        key: _filled(value, f"{shown}: {table + '.' if table else ''}{key}", environ)
        for key, value in data.items()
    }
    return SettingsFile(path=path, shown=shown, table=table, data=filled)


def project_hosts(cwd: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Give the hosts that the project in a folder allows, whatever else its file says."""
    for path in (cwd / OWN_NAME, cwd / SHARED_NAME):
        if path.is_file():
            whole = _parse(path, path.name)
            data = whole if path.name == OWN_NAME else _shared_table(whole)
            if data is None or "safety" not in data:
                continue
            filled = _filled(data["safety"], f"{path.name}: safety", environ)
            safety = Table({"safety": filled}, file=path.name).table("safety")
            return safety.take("allow-hosts", hosts, ()) if safety else ()
    return ()


def _parse(path: Path, shown: str) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        at = _LINE.fullmatch(str(error))
        line, says = (f", line {at[2]}", at[1]) if at else ("", str(error))
        raise SettingsError(f"{shown}{line}: {says[:1].lower()}{says[1:]}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{shown}: it is not UTF-8, as TOML has to be.") from None
    except OSError as error:
        raise SettingsError(f"{shown}: it cannot be read: {error.strerror}.") from None


def _shared_table(whole: Mapping[str, object]) -> Mapping[str, object] | None:
    tool = whole.get("tool")
    found = tool.get("deadheat") if isinstance(tool, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _filled(value: object, where: str, environ: Mapping[str, str]) -> object:
    """Put the variables into every string of a value."""
    if isinstance(value, Mapping):
        return {key: _filled(item, f"{where}.{key}", environ) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, f"{where}[{i}]", environ) for i, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    filled = _REFERENCE.sub(lambda match: _variable(match, where, environ), value)
    check_key(filled, where=where)
    return filled


def _variable(match: re.Match[str], where: str, environ: Mapping[str, str]) -> str:
    if match[0].startswith("$$"):
        return match[0][1:]
    parsed = _VARIABLE.fullmatch(match[1])
    if parsed is None:
        raise SettingsError(
            f"{where}: {match[0]} is no variable. Write ${{NAME}} or ${{NAME:-default}}; $${{ is a plain ${{."
        )
    name, default = parsed[1], parsed[2]
    value = environ.get(name)
    if value or (value is not None and default is None):
        return value
    if default is None:
        raise SettingsError(
            f"{where}: the environment has no {name}. Set it, or give a default: ${{{name}:-…}}"
        )
    return str(default)
