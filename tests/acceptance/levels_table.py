"""The table of docs/levels.md: one and the same target at each level, as a run found it.

``python tests/acceptance/levels_table.py`` makes the runs and writes the table anew, between its two
comments. What the table says of scenarios that can be raced and of invariants that are not checked is
held by `test_levels`; what was found is what that run found.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conftest import CHECKOUT
from standing import standing

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = CHECKOUT / "docs" / "levels.md"
BEGIN, END = "<!-- made by tests/acceptance/levels_table.py -->", "<!-- end -->"
LEVELS = range(4)
SCENARIOS = (
    "signup.two-at-once",
    "signup.stripe-fails-once",
    "checkout.two-tabs-new-user",
    "webhook.before-profile",
    "webhook.out-of-order",
    "webhook.forged",
)
HEAD = "| level | raced, skipped | found | could not check |\n|---|---|---|---|\n"


def row(level: int, summary: Mapping[str, Any]) -> str:
    """Give the row of a level from the summary of a run there."""
    skipped = [s for s in summary["scenarios"] if s["verdict"] == "skipped"]
    raced = len(summary["scenarios"]) - len(skipped)
    found = [name for name, counts in summary["invariants"].items() if counts["violated"]]
    tokens = [f for s in summary["scenarios"] for f in s["findings"] if f["token"]]
    replayed = f"; {len(tokens)} findings replay" if tokens else "; nothing replays"
    unchecked = ", ".join(sorted(summary["not_checked"])) or "nothing"
    return f"| {level} | {raced}, {len(skipped)} | {', '.join(sorted(found))}{replayed} | {unchecked} |\n"


def rows() -> dict[int, tuple[str, ...]]:
    """Give the cells of each level on the page: raced and skipped, found, could not check."""
    text = PAGE.read_text()
    table = text[text.index(BEGIN) : text.index(END)].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table if line[:3] != "|--"]
    return {int(row[0]): tuple(row[1:]) for row in cells if len(row) == 4 and row[0].isdigit()}


def main(schedules: str) -> None:
    """Run the scenarios at each level and write the table."""
    program = (
        "import asyncio\nfrom deadheat.engine.postgres import open_postgres\n"
        "async def main():\n    async with open_postgres('embedded') as server:\n"
        "        print(server.dsn_for('postgres'), flush=True)\n        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    table = HEAD
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        dsn = server.stdout.readline().strip()
        for level in LEVELS:
            with tempfile.TemporaryDirectory() as folder:
                ended = standing(Path(folder), dsn).runs(
                    level, "run", *SCENARIOS, "--schedules", schedules, "--seed", "1", timeout=3000
                )
                if ended.code not in (0, 1):
                    raise SystemExit(ended.out + ended.err)
                table += row(level, ended.summary)
                print(f"{ended.out.splitlines()[-1]}\n{table}", flush=True)
        server.kill()
    text = PAGE.read_text()
    PAGE.write_text(text[: text.index(BEGIN)] + f"{BEGIN}\n\n{table}\n" + text[text.index(END) :])


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["12"]))
