"""A table of a TOML file, read key by key: what nobody asked for is an unknown key.

Each reader asks a `Table` for the keys that it knows and ends with `refuse_unknown`. The keys asked
for are the keys that there are, so the list of known ones cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from deadheat.errors import SettingsError, closest
from deadheat.settings.kinds import Kind, read, shown

T = TypeVar("T")
D = TypeVar("D")


class Table:
    """One table: ``file`` is shown in messages, ``name`` is dotted and empty at the top."""

    def __init__(self, data: Mapping[str, object], *, file: str, name: str = "") -> None:
        self.data = data
        self.file = file
        self.name = name
        self._asked: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def where(self, key: str) -> str:
        """Say where a key stands, for messages."""
        return f"{self.file}: {self.name + '.' if self.name else ''}{key}"

    def knows(self, *keys: str) -> None:
        """Count these keys as known, though they are read elsewhere or not at all."""
        self._asked.extend(keys)

    def take(self, key: str, kind: Kind[T], default: D) -> T | D:
        """Read a key, or give the default where it is absent."""
        self._asked.append(key)
        return read(self.data[key], kind, self.where(key)) if key in self.data else default

    def require(self, key: str, kind: Kind[T]) -> T:
        """Read a key that has to be there."""
        self._asked.append(key)
        if key not in self.data:
            raise SettingsError(f"{self.titled()} needs {key}.")
        return read(self.data[key], kind, self.where(key))

    def table(self, key: str) -> Table | None:
        """Give a table within this one; None where it is absent."""
        self._asked.append(key)
        return self._nested(key, self.data[key], key) if key in self.data else None

    def tables(self, key: str) -> dict[str, Table]:
        """Give the tables of a table by their names; none where it is absent."""
        outer = self.table(key)
        if outer is None:
            return {}
        return {name: outer._nested(name, value, name) for name, value in outer.data.items()}

    def list_of_tables(self, key: str) -> tuple[Table, ...]:
        """Give a list of tables, at least one."""
        self._asked.append(key)
        value = self.data[key]
        if not isinstance(value, list) or not value:
            raise SettingsError(
                f"{self.where(key)}: should be a list of tables, at least one, was {shown(value)}."
            )
        return tuple(self._nested(key, item, f"{key}[{i}]") for i, item in enumerate(value))

    def strings(self, key: str, kind: Kind[str]) -> dict[str, str]:
        """Give a table whose values are strings of one kind; empty where it is absent."""
        inner = self.table(key)
        return {} if inner is None else {name: inner.require(name, kind) for name in inner.data}

    def refuse_unknown(self) -> None:
        """Refuse the first key that was never asked for, naming the closest that was."""
        for key in self.data:
            if key not in self._asked:
                raise SettingsError(
                    f"{self.titled()} has no key {shown(key)}."
                    f"{closest(key, self._asked) or ' It knows ' + ', '.join(self._asked) + '.'}"
                )

    def _nested(self, key: str, value: object, name: str) -> Table:
        if not isinstance(value, Mapping):
            raise SettingsError(f"{self.where(key)}: should be a table, was {shown(value)}.")
        full = f"{self.name}.{name}" if self.name else name
        return Table(value, file=self.file, name=full)

    def titled(self) -> str:
        """Say which table this is, for messages."""
        return f"{self.file}: [{self.name}]" if self.name else f"{self.file}: the top level"
