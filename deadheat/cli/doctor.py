"""``deadheat doctor``: what Deadheat can control and check here, and what not.

On a terminal the checks are shown as a table when all is tried; elsewhere each is a line, told as it
is done. What a target said is escaped, and secrets are masked.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

import deadheat
from deadheat.cli.ending import SETUP, one_message
from deadheat.cli.run import settings_of
from deadheat.engine.doctor import Check, Health, examine, run_possible
from deadheat.report.console import make_console
from deadheat.report.disk import check_writable, write_atomically
from deadheat.report.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from deadheat.settings import Settings

STYLES = {Health.OK: "green", Health.WARN: "yellow", Health.FAIL: "bold red"}


@click.command()
@click.option("--target", metavar="reference|before|FILE|URL", help="What to examine.")
@click.option("--postgres", metavar="auto|embedded|docker|DSN", help="Which Postgres to use.")
@click.option("--stripe-mock", metavar="auto|docker|PATH|URL|off", help="What validates Stripe calls.")
@click.option("--stripe-port", type=click.IntRange(1, 65535), help="As for run.")
@click.option("--postgres-port", type=click.IntRange(1, 65535), help="As for run.")
@click.option("--json", type=click.Path(dir_okay=False, path_type=Path), help="Write the checks there.")
def doctor(json: Path | None, **options: Any) -> None:
    """Try what a run needs, and say what can be controlled and checked here and what not.

    A target is started, and its operations are done by fresh users of their own. Exit code: 0 when a
    run could be made, 2 when not.
    """
    with one_message():
        settings = settings_of(options)
        if json is not None:
            check_writable(json, "--json")
        console = make_console(sys.stdout)
        checks = _examined(settings, console)
        possible = run_possible(checks)
        console.print(Text(verdict(checks)), soft_wrap=True)
        if json is not None:
            write_atomically(json, as_json(settings, checks))
        sys.exit(0 if possible else SETUP)


def _examined(settings: Settings, console: Console) -> tuple[Check, ...]:
    """Examine, showing lines as they come, or on a terminal a table of what there is in the end."""
    if not console.is_terminal:

        def show(check: Check) -> None:
            for line in lines(check):
                console.print(Text(line), soft_wrap=True)

        return asyncio.run(examine(settings, show))
    shown: list[Check] = []
    try:
        with console.status("examining") as status:

            def follow(check: Check) -> None:
                shown.append(check)
                status.update(Text(f"examining: {plain(check.area)}, {plain(check.name)}"))

            return asyncio.run(examine(settings, follow))
    finally:
        console.print(table(shown))


def lines(check: Check) -> Iterator[str]:
    """Give a check as lines: how it went, and below it what more there is to say."""
    first, *more = _shown(check.seen)
    yield f"{check.health:<5} {plain(check.area)}: {plain(check.name)}: {first}"
    for line in more:
        yield f"        {line}"
    for line in _shown(check.remedy):
        yield f"      > {line}"


def table(checks: Sequence[Check]) -> Table:
    """Give the checks as a table, area by area."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "tried", "seen, and what to do"):
        made.add_column(heading, overflow="fold", no_wrap=heading == "")
    area = ""
    for check in checks:
        if check.area != area:
            area = check.area
            made.add_row("", Text(plain(area), style="bold"), "")
        said = Text("\n".join(_shown(check.seen)))
        for line in _shown(check.remedy):
            said.append(f"\n{line}", style="italic")
        made.add_row(Text(check.health, style=STYLES[check.health]), Text(plain(check.name)), said)
    return made


def verdict(checks: Sequence[Check]) -> str:
    """Say in a line whether a run could be made."""
    failed = [plain(check.name) for check in checks if check.health is Health.FAIL]
    warned = sum(check.health is Health.WARN for check in checks)
    if failed:
        return f"No run could be made: {', '.join(failed)}."
    if warned:
        return f"A run could be made, with {warned} {'warning' if warned == 1 else 'warnings'}."
    return "A run could be made."


def as_json(settings: Settings, checks: Sequence[Check]) -> str:
    """Give the examination as JSON text."""
    whole = {
        "v": 1,
        "deadheat": deadheat.__version__,
        "target": plain(settings.target_name),
        "possible": run_possible(checks),
        "checks": [check.as_json() for check in checks],
    }
    return json.dumps(whole, indent=2) + "\n"


def _shown(text: str) -> list[str]:
    return [plain(line) for line in text.splitlines()]
