"""The page on the zoo, docs/zoo.md, made of what was measured: ``python -m zoo.table`` from ``tests``."""

from __future__ import annotations

import json
from typing import Any

from .detect import DETECTED, DETECTED_WITH_FAULTS
from .zoo import HERE

PAGE = HERE.parents[1] / "docs" / "zoo.md"
MEASURED = HERE / "measured.json"

TEXT = """# The zoo: does it find what it must?

Ten seeded bugs (`tests/zoo/`), each the reference with one part replaced, each with a twin that differs
in what repairs it. *Hard* ones are shown by at most 5% of runs of plain concurrency. Measured on
2026-11-27 on two cores that did other work besides: barrage in 200 runs; the rest by
`python -m zoo.detect` (from `tests/`): seeds in which the bug was found within 100 schedules, and the
number of the schedule that first showed it; replays of the portfolio's first finding that showed it
again; violations of the repaired twin under the portfolio. This page is made of these measurements by
`python -m zoo.table`.

| mutant | barrage | random-walk | pct | portfolio | replays | twin |
|---|---|---|---|---|---|---|
{races}

The two that random-walk and PCT never show are bugs inside one statement: only overlapping flights and
yield points reach them, and the portfolio comes to these after some seventy of 100 schedules. PCT has had
a quarter of the portfolio, yield an eighth, since *read-then-ticket* was found in 18 of 20 seeds only
(three sixteenths each before): that row was measured again with 20 seeds, the others' portfolio before
the change.

One more is shown by no race, only by a fault ([faults](faults.md)): *fresh-key* gives each attempt to create
a customer an idempotency key of its own, so a lost answer makes a second customer. With `--faults 1`:

| mutant | random-walk | portfolio | replays | twin |
|---|---|---|---|---|
{faults}
"""


def page() -> str:
    """Give the page as it must be."""
    measured = json.loads(MEASURED.read_text())
    detected = json.loads(DETECTED.read_text())
    with_faults = json.loads(DETECTED_WITH_FAULTS.read_text())
    races = [
        _row(
            name + (" (hard)" if detected[name]["hard"] else ""),
            f"{100 * measured[name]['barrage']['violated'] / measured[name]['barrage']['runs']:g}%",
            _found(detected[name]["random-walk"]),
            _found(detected[name]["pct"]),
            *_proved(detected[name]),
        )
        for name in measured
        if name in detected
    ]
    faults = [_row(name, _found(row["random-walk"]), *_proved(row)) for name, row in with_faults.items()]
    return TEXT.format(races="\n".join(races), faults="\n".join(faults))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _found(given: dict[str, Any]) -> str:
    if not given["found"]:
        return f"0 of {given['seeds']}"
    return f"{given['found']} of {given['seeds']}, median {given['median']:g}, at most {given['max']}"


def _proved(row: dict[str, Any]) -> tuple[str, str, str]:
    portfolio, mended = row["portfolio"], row["mended"]
    by_yields = "" if portfolio["exact"] else " (yield points)"
    replays = f"{portfolio['replays']}/20{by_yields}"
    return _found(portfolio), replays, f"{mended['violated']} of {mended['runs']}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
