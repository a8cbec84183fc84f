"""Finds scenarios: imports the modules of a folder and collects what ``@scenario`` marked."""

from __future__ import annotations

import importlib.util
import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from deadheat.engine.levels import WHOLE
from deadheat.errors import ProgramError, SettingsError, UnknownScenario, closest
from deadheat.program import ACTS, Do, Scenario, World
from deadheat.settings.operations import OF_THE_USER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from deadheat.engine.levels import Reach
    from deadheat.program import Program
    from deadheat.settings import OperationSettings, TargetSettings


def discover(folders: Iterable[Path]) -> dict[str, Scenario]:
    """Give the scenarios of every module in these folders by name, in order of file and definition."""
    found: dict[str, Scenario] = {}
    for folder in folders:
        if not folder.is_dir():
            raise SettingsError(f"no folder of scenarios at {folder}")
        for path in sorted(folder.glob("*.py")):
            for made in _scenarios_of(path):
                if found.setdefault(made.name, made) is not made:
                    raise SettingsError(f"two scenarios are called {made.name}; the second is in {path}")
    return found


def select(found: dict[str, Scenario], names: Sequence[str]) -> list[Scenario]:
    """Give the scenarios of these names (``*`` stands for anything); all for no names."""
    if not names:
        return list(found.values())
    chosen: dict[str, Scenario] = {}
    for name in names:
        matching = {key: made for key, made in found.items() if fnmatchcase(key, name)}
        if not matching:
            raise UnknownScenario(
                f"there is no scenario called {name}.{closest(name, found)} Known: {', '.join(sorted(found))}"
            )
        chosen.update(matching)
    return list(chosen.values())


def lacking(made: Scenario, target: TargetSettings, reach: Reach = WHOLE) -> tuple[str, ...]:
    """Give the operations that a scenario needs and a target does not offer, or not to somebody so new.

    What it needs at Stripe is there unless that wire is out of ``reach``; then it is named with the level.
    """
    offered = {*ACTS, *target.operations}
    lack = tuple(need for need in made.needs if need not in offered)
    lack = lack or tuple(dict.fromkeys(_too_new(_built(made), target.operations)))
    if lack or reach.stripe:
        return lack
    at_stripe = [need for need in made.needs if (known := target.operations.get(need)) and known.at_stripe]
    lack = (*at_stripe, *reach.lacks(_built(made), made.races))
    return tuple(f"{name} (at level {reach.level})" for name in lack)


def _too_new(program: Program, operations: Mapping[str, OperationSettings]) -> Iterator[str]:
    """Name what people do in a program although nothing that they do there gives what it takes.

    An id is the target's to give where one of its operations captures it; whoever it never gave one to
    can only do what names them by their e-mail, too.
    """
    done = [o for o in program.operations() if isinstance(o, Do) and o.operation in operations]
    for operation in done:
        wants = operations[operation.operation].wants()
        known = {name for o in done if o.user == operation.user for name in operations[o.operation].gives()}
        known |= {*OF_THE_USER} - ({"user.id"} if "user.email" not in wants else set())
        for name in wants:
            givers = [giver.name for giver in operations.values() if name in giver.gives()]
            if name not in known and givers:
                yield f"{operation.operation} before {givers[0]}"


def _built(made: Scenario) -> Program:
    """Build a scenario's program; ProgramError when that cannot be."""
    try:
        return made(World("rehearsal"))
    except ProgramError:
        raise
    except Exception as error:
        raise ProgramError(
            f"scenario {made.name} cannot be built: {type(error).__name__}: {error}"
        ) from error


def rehearse(made: Scenario, target: TargetSettings) -> None:
    """Build a scenario's program once, before anything runs.

    ProgramError when it cannot be built, or does an operation that the target does not offer although
    the scenario does not say that it needs it.
    """
    program = _built(made)
    for operation in program.operations():
        if isinstance(operation, Do) and operation.operation not in target.operations:
            raise ProgramError(
                f"scenario {made.name} does {operation.operation}, which the target does not offer."
                f"{closest(operation.operation, target.operations)} Name it in needs to skip the scenario."
            )


def _scenarios_of(path: Path) -> list[Scenario]:
    name = f"deadheat_scenarios.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SettingsError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise SettingsError(f"cannot import {path}: {type(error).__name__}: {error}") from error
    return [value for value in vars(module).values() if isinstance(value, Scenario)]
