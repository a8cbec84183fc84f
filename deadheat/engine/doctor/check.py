"""One thing that was tried: how it went, what was seen, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from deadheat.history import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Health(StrEnum):
    """``fail`` means that no run can be made; ``warn`` that one can, and sees or does less."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A line of the examination. ``seen`` and ``remedy`` may hold what the target said, as it said it."""

    area: str
    name: str
    health: Health
    seen: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """Give it as JSON data, secrets masked."""
        return {
            "area": self.area,
            "name": self.name,
            "health": self.health.value,
            "seen": redact(self.seen),
            "remedy": redact(self.remedy),
        }


def run_possible(checks: Iterable[Check]) -> bool:
    """Say whether a run could be made: nothing failed."""
    return all(check.health is not Health.FAIL for check in checks)


@dataclass(frozen=True, slots=True)
class Page:
    """Tells the checks of one area."""

    area: str
    tell: Callable[[Check], None]

    def ok(self, name: str, seen: str, remedy: str = "") -> None:
        """Say that something works."""
        self._say(name, Health.OK, seen, remedy)

    def warn(self, name: str, seen: str, remedy: str = "") -> None:
        """Say that something is missing or odd, and that a run can be made without it."""
        self._say(name, Health.WARN, seen, remedy)

    def fail(self, name: str, seen: str, remedy: str = "") -> None:
        """Say that something keeps every run from being made."""
        self._say(name, Health.FAIL, seen, remedy)

    def _say(self, name: str, health: Health, seen: str, remedy: str) -> None:
        self.tell(Check(area=self.area, name=name, health=health, seen=seen, remedy=remedy))
