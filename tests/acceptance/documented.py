"""What README and docs show: their pages, and the commands in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conftest import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
BY_HAND = "deadheat stripe "
"""How commands begin that need a ``deadheat serve`` to ask."""
WHOLE_SUITE = {
    "reference": "deadheat run --junit report.xml --json summary.json --quiet",
    "before": "deadheat run --target before",
}
"""Commands of the whole suite that `test_verdicts` runs, by target, since it asks what comes of them."""


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str, int]]:
    found = []
    for page in PAGES:
        for line in (line for block in blocks(page, "sh") for line in block.splitlines() if line):
            command, _, comment = line.partition("  #")
            code = re.search(r"exit (\d+)", comment)
            found.append((page.name, command.strip(), int(code[1]) if code else 0))
    return found


COMMANDS = commands()
