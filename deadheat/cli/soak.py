"""``deadheat soak``: load by locust, and the invariants over everything that it made."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from deadheat.cli.ending import one_message
from deadheat.cli.run import deployment_options, settings_of
from deadheat.engine.soak.locust import Plan
from deadheat.engine.soak.suite import Soaked, run_soak
from deadheat.engine.suite import new_run_id
from deadheat.report import Reports, exit_code
from deadheat.report.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "soak.json"
FAILURES_SHOWN = 8


@click.command()
@deployment_options
@click.option(
    "--seconds",
    type=click.FloatRange(1, 3600),
    default=60.0,
    show_default=True,
    help="How long the load lasts.",
)
@click.option(
    "--users", type=click.IntRange(1, 500), default=20, show_default=True, help="People at the same time."
)
@click.option(
    "--spawn-rate", type=click.FloatRange(min=0, min_open=True), help="How many of them a second come."
)
@click.option(
    "--processes", type=click.IntRange(1, 16), default=1, show_default=True, help="Processes of locust."
)
@click.option("--junit", type=click.Path(dir_okay=False), help="Write JUnit XML there.")
@click.option("--json", type=click.Path(dir_okay=False), help="Write the summary there.")
def soak(seconds: float, users: int, spawn_rate: float | None, processes: int, **options: Any) -> None:
    """Put load on a target, everybody racing themselves in several tabs, and judge what it left.

    Exit code: 0 clean, 1 violated, 2 wrong before the load began, 3 inconclusive, 130 interrupted.
    """
    with one_message():
        settings = settings_of(options)
        plan = Plan(seconds=seconds, users=users, spawn_rate=spawn_rate or users, processes=processes)
        run_id = new_run_id()
        with Reports(settings, run_id) as reports:
            finished = asyncio.run(
                run_soak(
                    settings,
                    plan,
                    run_id=run_id,
                    folder=reports.folder,
                    sink=reports.histories,
                    emit=reports.handle,
                    tell=lambda said: _tell(said, reports.folder),
                )
            )
        sys.exit(exit_code(finished.verdict))


def _tell(said: Soaked | str, folder: Path) -> None:
    """Show how a soak goes on; at its end, keep the figures beside the history."""
    if isinstance(said, str):
        click.echo(said)
        return
    (folder / NAME).write_text(json.dumps(asdict(said), indent=2) + "\n", encoding="utf-8")
    for line in load_lines(said):
        click.echo(line)


def load_lines(soaked: Soaked) -> Iterator[str]:
    """Give what a soak made, in lines."""
    load = soaked.load
    if load is not None:
        spread = f"p50 {load.p50_ms:.0f} ms, p95 {load.p95_ms:.0f} ms"
        yield f"load: {load.requests} requests, {load.per_s:.1f}/s; {spread}"
        for name, of in load.operations.items():
            spread = f"p50 {of['p50_ms']:5.0f} ms  p95 {of['p95_ms']:5.0f} ms"
            yield f"  {of['requests']:7.0f}  {spread}  {plain(name)}"
    yield (
        f"made: {soaked.people} people, {soaked.answers} answers, "
        f"{soaked.events} events in {soaked.deliveries} deliveries"
    )
    yield f"settled in {soaked.settle_s:.1f} s, judged in {soaked.judge_s:.2f} s"
    for kind, count in list(soaked.failures.items())[:FAILURES_SHOWN]:
        yield f"  failed: {plain(kind)}, {count} times"
    if len(soaked.failures) > FAILURES_SHOWN:
        yield f"  failed: {len(soaked.failures) - FAILURES_SHOWN} more kinds, in {NAME}"
