"""``deadheat run``: the suite against a target."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deadheat.bundled import bundled
from deadheat.cli.ending import one_message
from deadheat.engine.discover import discover, select
from deadheat.engine.dry_run import dry_lines
from deadheat.engine.loop import run as run_loop
from deadheat.engine.suite import new_run_id, run_suite
from deadheat.program import FAULTS_MAX
from deadheat.report import Reports, exit_code
from deadheat.report.plain import plain
from deadheat.schedule import BY_NAME, STRATEGIES
from deadheat.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deadheat.program import Scenario
    from deadheat.settings import Settings


def deployment_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say what to deploy; shared by all that deploy anything."""
    for option in reversed(
        (
            click.option("--target", metavar="reference|before|FILE|URL", help="What to race."),
            click.option("--postgres", metavar="auto|embedded|docker|DSN", help="Which Postgres to use."),
            click.option("--stripe-mock", metavar="auto|docker|PATH|URL|off", help="What validates calls."),
            click.option(
                "--stripe-port",
                type=click.IntRange(1, 65535),
                help="Where a target that runs already has its Stripe base: the simulator listens there.",
            ),
            click.option(
                "--postgres-port",
                type=click.IntRange(1, 65535),
                help="Where it has its database: a proxy before --postgres DSN listens there.",
            ),
            click.option("--seed", type=click.IntRange(min=0), help="Draw the same latencies again."),
            click.option("--target-workers", type=click.IntRange(min=1), help="The target's processes."),
        )
    ):
        command = option(command)
    return command


def settings_of(options: dict[str, Any]) -> Settings:
    """Load the settings, the options that were given on top."""
    given = {name: value for name, value in options.items() if value is not None}
    return load_settings(options=given, environ=os.environ, cwd=Path.cwd())


def budget_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say how much to explore, and where to report it."""
    file = click.Path(dir_okay=False, path_type=Path)
    for option in reversed(
        (
            click.option(
                "--strategy",
                type=click.Choice([*STRATEGIES, *BY_NAME]),
                help="Only this strategy. Without it a portfolio of the first six, random-walk most.",
            ),
            click.option(
                "--preemptions", type=click.IntRange(0, 20), help="The bound of --strategy exhaustive (2)."
            ),
            click.option(
                "--faults",
                type=click.IntRange(0, FAULTS_MAX),
                help="Faults that a schedule may have: lost answers, cut connections, kills (0).",
            ),
            click.option("--schedules", type=click.IntRange(min=1), help="Runs of each scenario."),
            click.option(
                "--seconds", type=click.FloatRange(min=0, min_open=True), help="Seconds for each scenario."
            ),
            click.option("--workers", type=click.IntRange(min=1), help="Deployments to run side by side."),
            click.option("--keep", type=click.Choice(["all"]), help="Keep the history of clean runs too."),
            click.option("--junit", type=file, help="Write JUnit XML there."),
            click.option("--json", type=file, help="Write the summary there."),
            click.option("--quiet", is_flag=True, help="Print the verdict and what qualifies it, no more."),
        )
    ):
        command = option(command)
    return command


@click.command()
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO]…")
@deployment_options
@budget_options
@click.option("--dry-run", is_flag=True, help="Only print what would be started, sent, read and deleted.")
def run(scenarios: tuple[str, ...], dry_run: bool, quiet: bool, **options: Any) -> None:
    """Run the suite, or the SCENARIOS named (* stands for anything), against a target.

    Exit code: 0 clean, 1 violated, 2 wrong before the first run, 3 inconclusive, 130 interrupted.
    """
    with one_message():
        settings = settings_of(options)
        chosen = select(discover(settings.scenarios or [bundled("scenarios")]), scenarios)
        if dry_run:
            for line in dry_lines(settings, chosen):
                click.echo(plain(line))
            return
        sys.exit(raced(settings, chosen, quiet=quiet))


def raced(settings: Settings, scenarios: Sequence[Scenario], *, quiet: bool) -> int:
    """Race scenarios with every report, the console's ``quiet`` or not; gives the exit code."""
    run_id = new_run_id()
    with Reports(settings, run_id, quiet=quiet) as reports:
        finished = run_loop(
            run_suite(
                settings,
                scenarios,
                run_id=run_id,
                folder=reports.folder,
                sink=reports.histories,
                emit=reports.handle,
            )
        )
    return exit_code(finished.verdict)
