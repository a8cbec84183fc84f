"""``deadheat compare``: what one target violated, on another: before and after a fix."""

from __future__ import annotations

import json as json_text
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from deadheat.bundled import bundled
from deadheat.cli.ending import one_message
from deadheat.cli.run import settings_of
from deadheat.engine.compare import Before
from deadheat.engine.compare import compare as compare_on
from deadheat.engine.discover import discover, select
from deadheat.engine.events import SuiteFinished
from deadheat.engine.loop import run as run_loop
from deadheat.engine.suite import new_run_id, open_explorer, run_suite
from deadheat.history import redacted
from deadheat.program import FAULTS_MAX
from deadheat.report import Reports, exit_code
from deadheat.report.compared import comparison_json, comparison_lines, comparison_table
from deadheat.report.console import ConsoleReport, make_console
from deadheat.report.disk import check_writable, write_atomically
from deadheat.schedule import BY_NAME, STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from deadheat.engine.compare import Comparison
    from deadheat.engine.events import Event
    from deadheat.program import Scenario
    from deadheat.settings import Settings


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO]…")
@click.option("--postgres", metavar="auto|embedded|docker|DSN", help="Which Postgres to use.")
@click.option("--stripe-mock", metavar="auto|docker|PATH|URL|off", help="What validates calls.")
@click.option("--strategy", type=click.Choice([*STRATEGIES, *BY_NAME]), help="Only this strategy.")
@click.option("--faults", type=click.IntRange(0, FAULTS_MAX), help="Faults that a schedule may have (0).")
@click.option("--schedules", type=click.IntRange(min=1), help="Runs of each scenario on each target.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Seconds instead of runs.")
@click.option("--seed", type=click.IntRange(min=0), help="Draw the same schedules again.")
@click.option("--workers", type=click.IntRange(min=1), help="Deployments to run side by side.")
@click.option("--json", type=click.Path(dir_okay=False, path_type=Path), help="Write the comparison there.")
def compare(before: str, after: str, scenarios: tuple[str, ...], json: Path | None, **options: Any) -> None:
    """Race target A, then B with the same schedules: what holds now, what is still violated, what is new.

    A and B are targets as --target takes them: before and after a fix.

    Exit code: 0 nothing is violated on B, 1 something is, 2 wrong before the first run, 3 inconclusive,
    130 interrupted.
    """
    with one_message():
        first = settings_of({**options, "target": before})
        second = settings_of({**options, "target": after, "seed": first.seed})
        chosen = select(discover(first.scenarios or [bundled("scenarios")]), scenarios)
        if json is not None:
            check_writable(json, "--json")
        comparison = run_loop(_compared(first, second, chosen))
        console = make_console(sys.stdout)
        names = first.target_name, second.target_name
        console.print()
        if comparison.rows:
            console.print(comparison_table(comparison, *names))
            console.print()
        for line in comparison_lines(comparison, *names):
            console.print(Text(line), soft_wrap=True)
        if json is not None:
            data = redacted(comparison_json(comparison, *names, first.seed))
            write_atomically(json, json_text.dumps(data, indent=2) + "\n")
        sys.exit(exit_code(comparison.verdict))


async def _compared(first: Settings, second: Settings, chosen: Sequence[Scenario]) -> Comparison:
    """Explore the first target, and follow on the second what was found."""
    found = Before()
    run_id = new_run_id()
    with Reports(first, run_id, only_history=True) as reports, _console() as console:
        emit = _shown(console, found.take)
        await run_suite(
            first, chosen, run_id=run_id, folder=reports.folder, sink=reports.histories, emit=emit
        )
    run_id = new_run_id()
    with Reports(second, run_id, only_history=True) as reports, _console() as console:
        emit = _shown(console)
        async with open_explorer(
            second, run_id=run_id, folder=reports.folder, sink=reports.histories, emit=emit
        ) as explorer:
            emit(explorer.started(run_id, second.target_name, tuple(made.name for made in chosen)))
            return await compare_on(found, explorer, chosen, second, emit)


@contextmanager
def _console() -> Iterator[ConsoleReport]:
    """Give a console that lets go of the terminal however the block is left."""
    console = ConsoleReport(make_console(sys.stdout))
    try:
        yield console
    finally:
        console.finish()


def _shown(console: ConsoleReport, *others: Callable[[Event], None]) -> Callable[[Event], None]:
    """Give what shows a suite while it goes on, and leaves the end to the comparison."""

    def emit(event: Event) -> None:
        if not isinstance(event, SuiteFinished):
            console.handle(event)
        for take in others:
            take(event)

    return emit
