"""``deadheat replay``: one run again, as a token or a finding's file says, step by step.

Whatever differs from when the finding was made is said before anything starts, and a run that left
its schedule says so: it was another run, and what came of it says nothing of the finding.
"""

from __future__ import annotations

import json as json_text
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from deadheat.bundled import bundled
from deadheat.cli.ending import one_message
from deadheat.cli.recorded import Recorded, differences, read_recorded, scenario_of
from deadheat.cli.regression import write_regression
from deadheat.cli.run import deployment_options, settings_of
from deadheat.engine.discover import lacking, rehearse
from deadheat.engine.levels import reach_of
from deadheat.engine.loop import run as run_loop
from deadheat.engine.seen import verdict_of
from deadheat.engine.suite import new_run_id, open_explorer
from deadheat.errors import SettingsError
from deadheat.report import Reports, exit_code
from deadheat.report.console import ConsoleReport, make_console
from deadheat.report.disk import check_writable, write_atomically
from deadheat.report.replayed import Followed, Replays, diagram_lines, replay_lines, times_lines

if TYPE_CHECKING:
    from rich.console import Console

    from deadheat.program import Scenario
    from deadheat.settings import Settings

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("token", metavar="TOKEN|FILE")
@deployment_options
@click.option("--times", type=click.IntRange(min=1), help="Run it so often, quietly, and count.")
@click.option("--json", type=FILE, help="Write what came of it there.")
@click.option("--mermaid", is_flag=True, help="Print the run as a Mermaid diagram; all else goes to stderr.")
@click.option("--pytest", type=FILE, help="Write a regression test there (test_….py); runs nothing.")
def replay(
    token: str,
    times: int | None,
    json: Path | None,
    mermaid: bool,
    pytest: Path | None,
    **options: Any,
) -> None:
    """Run one schedule again: a TOKEN (dh1-…, or dh1-@ID for .deadheat/findings/ID.json) or such a FILE.

    Tells each step as it happens. Exit code: 0 clean, 1 violated, 2 wrong before it began (a token that
    is none, an unknown scenario), 3 inconclusive, 130 interrupted.
    """
    if sum((times is not None, mermaid, pytest is not None)) > 1:
        raise click.UsageError("--times, --mermaid and --pytest exclude each other")
    with one_message():
        settings = replace(settings_of(options), workers=1)
        recorded = read_recorded(token, settings.state_folder / "findings")
        scenario = scenario_of(recorded, settings.scenarios or (bundled("scenarios"),))
        if pytest is not None:
            beside = write_regression(pytest, recorded, scenario, settings.target_name)
            click.echo(f"wrote {pytest} and {beside}")
            return
        if lack := lacking(scenario, settings.target, reach_of(settings)):
            raise SettingsError(f"{scenario.name}: the target does not offer {', '.join(lack)}")
        rehearse(scenario, settings.target)
        if json is not None:
            check_writable(json, "--json")
        console = make_console(sys.stderr if mermaid else sys.stdout)
        differing = differences(recorded, scenario, settings)
        for difference in differing:
            _say(console, f"note: {difference}", "yellow")
        tells_steps = times is None and not mermaid
        replays = run_loop(_replayed(settings, recorded, scenario, times or 1, tells_steps, console))
        for line in diagram_lines(replays) if mermaid else ():
            click.echo(line)
        lines = times_lines(replays) if times is not None else replay_lines(replays)
        for line in lines:
            _say(console, line, "" if line.startswith(" ") else "bold")
        if json is not None:
            data = {**replays.to_json(), "target": settings.target_name, "differences": differing}
            write_atomically(json, json_text.dumps(data, indent=2) + "\n")
        sys.exit(exit_code(replays.verdict))


async def _replayed(
    settings: Settings,
    recorded: Recorded,
    scenario: Scenario,
    times: int,
    tells_steps: bool,
    console: Console,
) -> Replays:
    """Put a deployment up, and run the schedule on it so often."""

    def tell(line: str) -> None:
        _say(console, line)

    run_id = new_run_id()
    with Reports(settings, run_id, only_history=True) as reports:
        sink = Followed(reports.histories, recorded.schedule, tell if tells_steps else None)
        async with open_explorer(
            settings,
            run_id=run_id,
            folder=reports.folder,
            sink=sink,
            emit=ConsoleReport(console).handle,
        ) as explorer:
            if recorded.schedule.yields and explorer.deployments[0].parking is None:
                tell("note: the schedule has yield points, and this database is not Deadheat's: without them")
            replays = Replays(
                token=recorded.token,
                scenario=scenario.name,
                recorded=recorded.invariants,
                history=reports.histories.path,
            )
            for n in range(times):
                ran, judgement = await explorer.replay(scenario, recorded.schedule, sink.released)
                replays.add(ran, judgement, verdict_of(judgement))
                if times > 1 and console.is_terminal and (n + 1) % 10 == 0:
                    tell(f"{n + 1} of {times} runs")
    return replays


def _say(console: Console, line: str, style: str = "") -> None:
    console.print(Text(line, style=style), soft_wrap=True)
