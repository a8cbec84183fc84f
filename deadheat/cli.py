"""The command line: ``deadheat run`` and what it says.

Everything found wrong before the first run ends with exit code 2 and one message; no traceback.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import click

import deadheat
from deadheat.bundled import bundled
from deadheat.engine.discover import discover, select
from deadheat.engine.suite import new_run_id, run_suite
from deadheat.errors import DeadheatError, SetupError
from deadheat.report import Reports, exit_code
from deadheat.schedule import STRATEGIES
from deadheat.settings import Settings, load_settings

SETUP, INTERRUPTED = 2, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(deadheat.__version__, prog_name="deadheat")
def main() -> None:
    """Race a Stripe billing integration, and assert that nothing happens twice or is lost."""


@main.command()
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO]…")
@click.option("--target", metavar="reference|before|FILE", help="What to race.")
@click.option("--postgres", metavar="auto|embedded|DSN", help="Which Postgres to use.")
@click.option("--stripe-mock", metavar="auto|PATH|URL|off", help="Which stripe-mock validates calls.")
@click.option("--strategy", type=click.Choice(STRATEGIES), help="Only this strategy, not the portfolio.")
@click.option("--schedules", type=click.IntRange(min=1), help="Runs of each scenario.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Seconds for each scenario.")
@click.option("--seed", type=click.IntRange(min=0), help="Draw the same latencies again.")
@click.option("--workers", type=click.IntRange(min=1), help="Deployments to run side by side.")
@click.option("--target-workers", type=click.IntRange(min=1), help="Worker processes of the target.")
@click.option("--keep", type=click.Choice(["all"]), help="Keep the history of clean runs too.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML there.")
@click.option("--json", type=click.Path(dir_okay=False, path_type=Path), help="Write the summary there.")
def run(scenarios: tuple[str, ...], **options: Any) -> None:
    """Run the suite, or the SCENARIOs named (* stands for anything), against a target.

    Exit code: 0 clean, 1 violated, 2 wrong before the first run, 3 inconclusive, 130 interrupted.
    """
    try:
        given = {name: value for name, value in options.items() if value is not None}
        settings = load_settings(options=given, environ=os.environ, cwd=Path.cwd())
        code = _run(settings, scenarios)
    except SetupError as error:
        _fail(str(error), SETUP)
    except DeadheatError as error:
        _fail(str(error), 3)
    sys.exit(code)


def _run(settings: Settings, names: tuple[str, ...]) -> int:
    chosen = select(discover(map(Path, settings.scenarios or [bundled("scenarios")])), names)
    run_id = new_run_id()
    reports = Reports(settings, run_id)
    try:
        with reports:
            finished = asyncio.run(
                run_suite(
                    settings,
                    chosen,
                    run_id=run_id,
                    folder=reports.folder,
                    sink=reports.histories,
                    emit=reports.handle,
                )
            )
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        return INTERRUPTED
    return exit_code(finished.verdict)


def _fail(message: str, code: int) -> None:
    click.echo(f"deadheat: {message}", err=True)
    sys.exit(code)
