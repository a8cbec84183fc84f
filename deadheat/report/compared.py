"""What came of a comparison of two targets: a table by scenario and invariant, and JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from deadheat.engine.compare import Came
from deadheat.report.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadheat.engine.compare import Comparison, Row

STYLES = {Came.HOLDS: "green", Came.STILL: "bold red", Came.NEW: "bold red", Came.UNKNOWN: "yellow"}


def comparison_table(comparison: Comparison, first: str, second: str) -> Table:
    """Give a row for each invariant of a scenario that either target violated.

    The three counts are runs of the first that violated it, schedules of the first that violate it on the
    second, and runs of the second.
    """
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    for heading in ("scenario", "invariant", plain(first), "replayed", plain(second), "came of it"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "came of it")
    for row in comparison.rows:
        table.add_row(
            Text(plain(row.scenario)),
            Text(plain(row.invariant or "every invariant")),
            Text(_of(row.before)),
            Text(_of(row.replayed)),
            Text(_of(row.after)),
            Text(row.came, style=STYLES[row.came]),
        )
    return table


def comparison_lines(comparison: Comparison, first: str, second: str) -> Iterator[str]:
    """Say what the table comes to, and what qualifies it."""
    counts = Counter(row.came for row in comparison.rows)
    of = ", ".join(f"{came}: {counts[came]}" for came in Came if counts[came])
    word = str(comparison.verdict).upper()
    yield f"{word}: {plain(first)}, then {plain(second)}; {of or 'neither violated anything'}"
    for row in comparison.rows:
        if row.came is Came.UNKNOWN:
            what = plain(row.invariant or "every invariant")
            yield f"  not compared: {plain(row.scenario)}, {what}: {plain(row.why)}"
    schedules = sum(replayed.schedules for replayed in comparison.replayed.values())
    diverged = [how for replayed in comparison.replayed.values() for how in replayed.diverged]
    yield f"  replayed: {schedules} schedules that violated something on {plain(first)}"
    if counts[Came.HOLDS]:
        yield "  what holds now held in these schedules and runs; nothing is said of any other"
    if diverged:
        yield (
            f"  diverged: {len(diverged)} of them; {plain(second)} does not take the same steps. They were "
            f"followed again in their order as far as it goes. The first: {plain(diverged[0])}"
        )


def comparison_json(comparison: Comparison, first: str, second: str, seed: int) -> dict[str, Any]:
    """Give it as JSON data; pairs are counts of violated and of all that were judged."""
    return {
        "v": 1,
        "verdict": str(comparison.verdict),
        "before": first,
        "after": second,
        "seed": seed,
        "rows": [_row(row) for row in comparison.rows],
        "replayed": {
            scenario: {
                "schedules": replayed.schedules,
                "diverged": len(replayed.diverged),
                "first_divergence": replayed.diverged[0] if replayed.diverged else None,
            }
            for scenario, replayed in comparison.replayed.items()
        },
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "scenario": row.scenario,
        "invariant": row.invariant,
        "came": str(row.came),
        "why": row.why or None,
        "before": list(row.before),
        "replayed": list(row.replayed),
        "after": list(row.after),
    }


def _of(times: tuple[int, int]) -> str:
    violated, checked = times
    return f"{violated} of {checked}" if checked else "-"
