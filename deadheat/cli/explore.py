"""``deadheat explore``: one scenario, for long; otherwise as ``deadheat run``."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import click

from deadheat.bundled import bundled
from deadheat.cli.ending import one_message
from deadheat.cli.run import budget_options, deployment_options, raced, settings_of
from deadheat.engine.discover import discover, select
from deadheat.engine.explore import EXHAUSTIVE
from deadheat.errors import UnknownScenario

SCHEDULES = 200  # of the scenario, when nothing else is said


@click.command()
@click.argument("scenario")
@deployment_options
@budget_options
def explore(scenario: str, quiet: bool, **options: Any) -> None:
    """Explore one SCENARIO by --schedules or --seconds: 200 schedules when neither is given.

    With --strategy exhaustive all schedules of at most so many --preemptions are run; a search that is
    cut short is taken up again by the same command.

    Exit code: 0 clean, 1 violated, 2 wrong before the first run, 3 inconclusive, 130 interrupted.
    """
    with one_message():
        settings = settings_of(options)
        unbounded = settings.schedules is None and settings.seconds is None
        if unbounded and settings.strategy != EXHAUSTIVE:
            settings = replace(settings, schedules=SCHEDULES)
        chosen = select(discover(settings.scenarios or [bundled("scenarios")]), (scenario,))
        if len(chosen) > 1:
            names = ", ".join(one.name for one in chosen)
            raise UnknownScenario(f"{scenario} are {len(chosen)} scenarios; explore takes one of {names}")
        sys.exit(raced(settings, chosen, quiet=quiet))
