"""The reference is killed at every step of sign-up, at every third of check-out, and is right all the same.

At every step of both it was killed for the tables of docs/faults.md.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from kill_everywhere import PAGE, PROGRAMS, killed_everywhere

if TYPE_CHECKING:
    from pathlib import Path

STEPS_MIN = {"sign-up": 20, "check-out": 50}
EVERY = {"sign-up": 1, "check-out": 3}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_killed_at_any_step_and_started_again_it_loses_nothing(name: str, tmp_path: Path) -> None:
    kills = asyncio.run(killed_everywhere(name, range(1, 1000, EVERY[name]), tmp_path))
    assert [f"{k.nth} {k.step}: {k.verdict} {k.why}" for k in kills if k.verdict != "clean"] == []
    assert len(kills) * EVERY[name] >= STEPS_MIN[name]
    assert any("no answer" in k.answers for k in kills)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_page_has_a_row_for_each_step_and_all_are_clean(name: str) -> None:
    part = PAGE.read_text(encoding="utf-8").split(f"<!-- kills: {name} -->\n")[1].split("<!-- end -->")[0]
    rows = [line for line in part.splitlines() if line[2:3].isdigit()]
    assert [row.split("|")[1].strip() for row in rows] == [str(n) for n in range(1, len(rows) + 1)]
    assert len(rows) >= STEPS_MIN[name]
    assert all(row.split("|")[4].strip() == "clean" for row in rows)
