"""What a token or a finding's file stands for: a schedule, its scenario, and how it was when recorded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import deadheat
from deadheat.engine.discover import discover, select
from deadheat.engine.memory import Kept, read_finding
from deadheat.errors import TokenError, UnknownScenario
from deadheat.report.plain import plain
from deadheat.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deadheat.program import Scenario
    from deadheat.settings import Settings

_NAMED = re.compile(r"dh1-@([0-9a-z]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A schedule as it was recorded. ``kept`` are its findings on disk: a token may have none."""

    token: str
    schedule: Schedule
    kept: tuple[Kept, ...] = ()

    @property
    def invariants(self) -> tuple[str, ...]:
        """The ids of what it was known to violate; none where only a token is known."""
        return tuple(sorted({invariant for kept in self.kept for invariant in kept.invariants}))


def read_recorded(text: str, folder: Path) -> Recorded:
    """Read a token, or the file that it names or is; TokenError says what is wrong with it.

    ``folder`` is where findings are kept. A file holds every step, a token what is needed to get there.
    """
    if named := _NAMED.fullmatch(text):
        return _of_file(text, read_finding(folder / f"{named[1]}.json"), folder)
    if not text.startswith("dh") and (text.endswith(".json") or Path(text).exists()):
        kept = read_finding(Path(text))
        return _of_file(kept.schedule.token() or f"dh1-@{kept.id}", kept, folder)
    schedule = Schedule.parse(text)
    known = tuple(kept for kept in _findings(folder) if kept.schedule.token() == text)
    return Recorded(token=text, schedule=schedule, kept=known)


def scenario_of(recorded: Recorded, folders: Sequence[Path]) -> Scenario:
    """Give the scenario by its name, or made of the program that was drawn."""
    name = recorded.schedule.scenario
    for kept in recorded.kept:
        if (drawn := kept.drawn()) is not None:
            return drawn
    found = discover(folders)
    if name not in found:
        where = ", ".join(str(folder) for folder in folders)
        message = f'{_unknown(found, name)} It was looked for in {where}; scenarios = ["FOLDER"] in '
        raise UnknownScenario(f"{message}deadheat.toml names others.")
    return found[name]


def differences(recorded: Recorded, scenario: Scenario, settings: Settings) -> list[str]:
    """Say what is not as it was when the schedule was recorded."""
    said = []
    if scenario.source != recorded.schedule.source:
        said.append(
            f"the source of {plain(scenario.name)} has changed since ({recorded.schedule.source} then, "
            f"{scenario.source} now): its steps may not be the same"
        )
    versions = sorted({kept.version for kept in recorded.kept} - {deadheat.__version__})
    if versions:
        said.append(f"recorded by Deadheat {plain(', '.join(versions))}; this is {deadheat.__version__}")
    targets = sorted({kept.target for kept in recorded.kept})
    if targets and settings.target_name not in targets:
        said.append(f"recorded against {plain(', '.join(targets))}; this is {plain(settings.target_name)}")
    return said


def _of_file(token: str, kept: Kept, folder: Path) -> Recorded:
    same = [other for other in _findings(folder) if other.schedule == kept.schedule and other.id != kept.id]
    return Recorded(token=token, schedule=kept.schedule, kept=(kept, *same))


def _findings(folder: Path) -> Iterator[Kept]:
    """Give what can be read of the findings that are kept."""
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        try:
            yield read_finding(path)
        except TokenError:
            continue  # of another version


def _unknown(found: dict[str, Scenario], name: str) -> str:
    try:
        select(found, [name.replace("*", "")])
    except UnknownScenario as error:
        return f"{error}."
    return f"there is no scenario called {name}."
