"""``deadheat risk``: how often a finding, or a scenario, goes wrong where nothing orders it."""

from __future__ import annotations

import json as json_text
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from deadheat.bundled import bundled
from deadheat.cli.ending import one_message
from deadheat.cli.recorded import differences, read_recorded, scenario_of
from deadheat.cli.run import deployment_options, settings_of
from deadheat.engine.discover import discover, lacking, rehearse, select
from deadheat.engine.levels import reach_of
from deadheat.engine.loop import run as run_loop
from deadheat.engine.risk import APART_MS, RUNS, Risk, measure
from deadheat.engine.suite import new_run_id, open_explorer
from deadheat.errors import SettingsError, UnknownScenario
from deadheat.history import redacted
from deadheat.report import Reports, exit_code
from deadheat.report.console import ConsoleReport, make_console
from deadheat.report.disk import check_writable, write_atomically
from deadheat.report.risk import risk_json, risk_lines
from deadheat.schedule import Schedule

if TYPE_CHECKING:
    from rich.console import Console

    from deadheat.settings import Settings

MS_MAX = 60_000.0


class Milliseconds(click.ParamType[tuple[float, float]]):
    """A time (``20``), or between which two it is drawn (``20-50``)."""

    name = "milliseconds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float]:
        """Read it."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", value)
        low, high = (float(found[1]), float(found[2] or found[1])) if found else (1.0, 0.0)
        if not low <= high <= MS_MAX:
            self.fail(f"{value!r} is not a time as in 20, or two as in 20-50, up to {MS_MAX:.0f}", param, ctx)
        return low, high


@click.command()
@click.argument("what", metavar="TOKEN|FILE|SCENARIO")
@deployment_options
@click.option("--runs", type=click.IntRange(min=1), default=RUNS, show_default=True, help="Plain runs.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Seconds instead of runs.")
@click.option(
    "--apart-ms",
    type=Milliseconds(),
    metavar="FROM-TO",
    default=APART_MS,
    help="How long after the one before it an actor begins (50-300, a double click; 0 is at once).",
)
@click.option(
    "--stripe-ms", type=Milliseconds(), metavar="FROM-TO", help="How long a Stripe call takes (5-50)."
)
@click.option("--json", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there.")
def risk(
    what: str,
    runs: int,
    seconds: float | None,
    apart_ms: tuple[float, float],
    stripe_ms: tuple[float, float] | None,
    json: Path | None,
    **options: Any,
) -> None:
    """Say how often it goes wrong where nothing orders it: of a finding (TOKEN, FILE) or a SCENARIO.

    Runs the program so often without control, what the finding dropped left out; beside it stands the rate
    of a random walk of the same program.

    Exit code: 0 nothing was violated, 1 something was, 2 wrong before the first run, 3 inconclusive,
    130 interrupted, with the figures so far.
    """
    with one_message():
        settings = settings_of(options)
        settings = replace(settings, stripe_latency_ms=stripe_ms or settings.stripe_latency_ms)
        console = make_console(sys.stdout)
        asked = _asked(what, settings, console)
        asked.apart_ms = apart_ms
        if json is not None:
            check_writable(json, "--json")
        try:
            run_loop(_measured(asked, settings, runs, seconds, console))
        finally:
            if asked.plain.judged or asked.plain.inconclusive:
                _tell(asked, settings, json, console)
        sys.exit(exit_code(asked.verdict))


def _asked(what: str, settings: Settings, console: Console) -> Risk:
    """Find out what is asked about; SetupError where it is nothing, or cannot be done at the target."""
    folders = settings.scenarios or (bundled("scenarios"),)
    invariants: tuple[str, ...] = ()
    token = None
    if what.startswith("dh1-") or what.endswith(".json"):
        recorded = read_recorded(what, settings.state_folder / "findings")
        scenario = scenario_of(recorded, folders)
        schedule, invariants, token = recorded.schedule, recorded.invariants, recorded.token
        for difference in differences(recorded, scenario, settings):
            console.print(Text(f"note: {difference}", style="yellow"), soft_wrap=True)
    else:
        scenario, *others = select(discover(folders), (what,))
        if others:
            names = ", ".join(one.name for one in (scenario, *others))
            raise UnknownScenario(f"{what} are {len(others) + 1} scenarios; risk takes one of {names}")
        schedule = Schedule(scenario=scenario.name, source=scenario.source)
    if lack := lacking(scenario, settings.target, reach_of(settings)):
        raise SettingsError(f"{scenario.name}: the target does not offer {', '.join(lack)}")
    rehearse(scenario, settings.target)
    return Risk(
        scenario=scenario,
        schedule=schedule,
        asked=invariants,
        token=token,
        stripe_ms=settings.stripe_latency_ms,
    )


async def _measured(
    asked: Risk, settings: Settings, runs: int, seconds: float | None, console: Console
) -> None:
    """Put the deployments up, and measure on them."""
    run_id = new_run_id()
    shown = ConsoleReport(console)
    with Reports(settings, run_id, only_history=True) as reports:
        try:
            async with open_explorer(
                settings, run_id=run_id, folder=reports.folder, sink=reports.histories, emit=shown.handle
            ) as explorer:
                await measure(asked, explorer, runs=runs, seconds=seconds)
        finally:
            shown.finish()


def _tell(asked: Risk, settings: Settings, json: Path | None, console: Console) -> None:
    for line in risk_lines(asked, settings.target_name):
        console.print(Text(line, style="" if line.startswith(" ") else "bold"), soft_wrap=True)
    if json is not None:
        data = redacted(risk_json(asked, settings.target_name))
        write_atomically(json, json_text.dumps(data, indent=2) + "\n")
