"""Findings on disk, ``.deadheat/findings/ID.json``: replayed by their token, and tried first next time.

A file is complete: the schedule with every step by name, the scenario and, where it was drawn, its
program. ID follows from target, scenario and invariants, so that a finding replaces the one before it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from deadheat.errors import TokenError
from deadheat.portable import program_from_json
from deadheat.program import Scenario
from deadheat.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from deadheat.engine.events import Finding
    from deadheat.program import Program, World

VERSION = 1
REPLAYS_MAX = 20
MISSED_MAX = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A finding as it was kept. ``replays`` is how many of how many showed it, where that is known."""

    id: str
    target: str
    version: str
    schedule: Schedule
    invariants: tuple[str, ...]
    about: str = ""
    program: dict[str, Any] | None = None
    replays: tuple[int, int] | None = None

    def replays_needed(self) -> int:
        """Give how many replays miss it with a chance of at most `MISSED_MAX`; `REPLAYS_MAX` at most."""
        shown, of = self.replays or (1, 1)
        misses = 1 - shown / of
        needed = (n for n in range(1, REPLAYS_MAX) if misses**n <= MISSED_MAX)
        return next(needed, REPLAYS_MAX)

    def drawn(self) -> Scenario | None:
        """Give the scenario of the program that was kept; None where it stands in a scenario's source."""
        program = self.program
        if program is None:
            return None

        def build(world: World) -> Program:
            return program_from_json(program, world)

        name = self.schedule.scenario
        return Scenario(name=name, needs=(), build=build, about=self.about, drawn=program)


@dataclass(frozen=True, slots=True)
class NoMemory:
    """Keeps nothing: for runs that leave no trace."""

    def of(self, scenario: str) -> Sequence[Schedule]:
        """Give nothing."""
        return ()

    def passed(self, schedule: Schedule) -> None:
        """Forget nothing."""

    def keep(self, finding: Finding, scenario: Scenario) -> Finding:
        """Give the finding with its token, if that is short enough to be one."""
        return replace(finding, token=finding.schedule.token() if finding.schedule else None)


@dataclass(frozen=True, slots=True)
class Findings:
    """The findings of one target below ``folder`` (``.deadheat/findings``)."""

    folder: Path
    target: str
    version: str

    def of(self, scenario: str) -> Sequence[Schedule]:
        """Give the schedules that failed on this target, each once."""
        found = {
            kept.schedule
            for kept in self._all()
            if kept.target == self.target and kept.schedule.scenario == scenario
        }
        return sorted(found, key=lambda schedule: (len(schedule.steps), schedule.fingerprint))

    def passed(self, schedule: Schedule) -> None:
        """Forget a schedule that does not fail any more."""
        for kept in self._all():
            if kept.target == self.target and kept.schedule == schedule:
                (self.folder / f"{kept.id}.json").unlink(missing_ok=True)

    def keep(self, finding: Finding, scenario: Scenario) -> Finding:
        """Write a finding; gives it with its token, ``dh1-@ID`` where the schedule is too long for one."""
        schedule = finding.schedule
        assert schedule is not None  # only what can be replayed is kept
        identity = f"{self.target}\0{scenario.name}\0{finding.invariant}"
        finding_id = blake2b(identity.encode(), digest_size=5).hexdigest()
        token = (schedule.token() if scenario.drawn is None else None) or f"dh1-@{finding_id}"
        data = {
            "v": VERSION,
            "id": finding_id,
            "token": token,
            "target": self.target,
            "deadheat": self.version,
            "scenario": scenario.name,
            "about": scenario.about,
            "invariants": [finding.invariant],
            "replays": finding.replays,
            "replays_diverged": finding.replays_diverged,
            "schedule": schedule.to_json(),
            "program": scenario.drawn,
            "steps": [step.line() for step in finding.history],
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{finding_id}.json"
        part = path.with_suffix(".part")
        part.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        part.replace(path)
        return replace(finding, token=token)

    def _all(self) -> Iterator[Kept]:
        for path in sorted(self.folder.glob("*.json")) if self.folder.is_dir() else ():
            try:
                yield read_finding(path)
            except TokenError:
                continue  # written by another version, or by hand: not ours to judge


def read_finding(path: Path) -> Kept:
    """Read a finding's file; TokenError says what is wrong with it."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.get("v") != VERSION:
            raise TokenError(f"{path} was written by another version of Deadheat (v {data.get('v')!r}).")
        return Kept(
            id=str(data["id"]),
            target=str(data["target"]),
            version=str(data["deadheat"]),
            schedule=Schedule.from_json(data["schedule"]),
            invariants=tuple(map(str, data["invariants"])),
            about=str(data.get("about", "")),
            program=data.get("program"),
            replays=_times(data.get("replays")),
        )
    except OSError as error:
        raise TokenError(f"there is no finding at {path}: {error.strerror}.") from None
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise TokenError(f"{path} is no finding of Deadheat's: {error!r}.") from None


def _times(value: Any) -> tuple[int, int] | None:
    """Read how many of how many."""
    if value is None:
        return None
    shown, of = map(int, value)
    return shown, of
