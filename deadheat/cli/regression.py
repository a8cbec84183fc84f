"""A finding as a regression test: a pytest file, and the schedule with its program beside it.

The program stands in the file, so that the test says the same in another checkout and after its scenario
has changed.
"""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import deadheat
from deadheat.engine.memory import VERSION
from deadheat.errors import SettingsError
from deadheat.portable import program_to_json
from deadheat.program import World
from deadheat.report.disk import check_writable, write_atomically
from deadheat.report.plain import plain

if TYPE_CHECKING:
    from pathlib import Path

    from deadheat.cli.recorded import Recorded
    from deadheat.program import Scenario

_TEST = '''\
"""{says}

{how}
"""

from pathlib import Path

FINDING = Path(__file__).with_suffix(".json")


def test_{name}(replay):
    replay(FINDING)
'''


def write_regression(path: Path, recorded: Recorded, scenario: Scenario, target: str) -> Path:
    """Write the test at ``path``; gives the file beside it. SettingsError where it must not or cannot."""
    beside = path.with_suffix(".json")
    if path.suffix != ".py" or not path.name.startswith("test_"):
        raise SettingsError(f"--pytest {path}: pytest collects test_….py alone; name it so.")
    for file in (path, beside):
        if file.exists():
            raise SettingsError(f"--pytest {file}: it exists already. Take it away, or name another.")
        check_writable(file, "--pytest")
    write_atomically(beside, json.dumps(_finding(recorded, scenario, target), indent=1) + "\n")
    write_atomically(path, _test(path, recorded, scenario))
    return beside


def _finding(recorded: Recorded, scenario: Scenario, target: str) -> dict[str, Any]:
    """Give a finding's file as `deadheat.engine.memory` reads it, without the history."""
    program = program_to_json(scenario(World("regression")))
    drawn = replace(scenario, drawn=program)
    return {
        "v": VERSION,
        "id": recorded.kept[0].id if recorded.kept else "",
        "token": recorded.token,
        "target": recorded.kept[0].target if recorded.kept else target,
        "deadheat": deadheat.__version__,
        "scenario": scenario.name,
        "about": scenario.about,
        "invariants": list(recorded.invariants),
        "replays": min((kept.replays for kept in recorded.kept if kept.replays), default=None),
        "schedule": replace(recorded.schedule, source=drawn.source).to_json(),
        "program": program,
    }


def _test(path: Path, recorded: Recorded, scenario: Scenario) -> str:
    broke = f" that broke {' and '.join(recorded.invariants)}" if recorded.invariants else ""
    how = (
        f"Written by deadheat replay {recorded.token} --pytest. The schedule and the program that it orders "
        f"stand in {path.with_suffix('.json').name}. The target is that of the session "
        "(--deadheat-target, else a deadheat.toml), and whatever breaks in this order fails the test."
    )
    return _TEST.format(
        says=_prose(f"{scenario.name} in an order{broke}."),
        how=_prose(how),
        name=re.sub(r"\W+", "_", scenario.name).strip("_").lower(),
    )


def _prose(text: str) -> str:
    """Give a text in lines, for a docstring that it cannot end."""
    safe = plain(text).replace("\\", "/").replace('"', "'")
    return "\n".join(textwrap.wrap(safe, 98, break_on_hyphens=False, break_long_words=False))
