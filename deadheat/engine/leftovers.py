"""What runs leave in a database that is not ours: taken away by ``[target.cleanup]``, and counted.

After each run its users' rows are taken away; at the end of an exploration once more, for what was
written late. What is then still there in the mapped relations is told, for somebody to take away.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deadheat.engine.events import Left
from deadheat.errors import DatabaseLost, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from deadheat.engine.tables import Database

COUNT_SECONDS_MAX = 10.0


@dataclass(slots=True)
class Leftovers:
    """The rows of the runs at one deployment, until somebody asks what is left of them."""

    database: Database
    people: int = 0
    user_ids: list[str] = field(default_factory=list)
    source_ids: list[str] = field(default_factory=list)
    problem: str | None = None

    async def of_run(self, people: int, user_ids: Sequence[str], source_ids: Iterable[str]) -> None:
        """Take away what a run left, by all ids of its people; what cannot be is told at the end."""
        self.people += people
        self.user_ids += user_ids
        self.source_ids += source_ids
        await self._clean_up(user_ids)

    async def told(self) -> Left:
        """Take away what was written late, and count what is left; the next count begins anew."""
        people, user_ids, source_ids = self.people, tuple(self.user_ids), tuple(self.source_ids)
        self.people = 0
        self.user_ids.clear()
        self.source_ids.clear()
        self.problem = None
        await self._clean_up(user_ids)
        rows: dict[str, int] = {}
        try:
            async with asyncio.timeout(COUNT_SECONDS_MAX):
                rows = (await self.database.read(user_ids, source_ids)).counts()
        except (DatabaseLost, Trouble, TimeoutError) as error:
            self.problem = (
                self.problem or f"what is left could not be counted: {error or 'no answer in time'}"
            )
        return Left(users=people, rows=rows, problem=self.problem)

    async def _clean_up(self, user_ids: Sequence[str]) -> None:
        try:
            async with asyncio.timeout(COUNT_SECONDS_MAX):
                await self.database.clean_up(user_ids)
        except (DatabaseLost, Trouble, TimeoutError) as error:
            self.problem = str(error) or "[target.cleanup] was not done in time"


def merged(told: Iterable[Left]) -> Left | None:
    """Give together what is left in several places, or of several explorations; None for nowhere."""
    whole: Left | None = None
    for one in told:
        rows = Counter(whole.rows if whole else {})
        rows.update(one.rows)
        whole = Left(
            users=one.users + (whole.users if whole else 0),
            rows=dict(rows),
            like=one.like,
            problem=(whole.problem if whole else None) or one.problem,
        )
    return whole
