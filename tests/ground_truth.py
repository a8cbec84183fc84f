"""The truth about whose each statement is, as the targets write it behind their SQL, and what was said.

With TRUTH=1 the targets of `foreign` and `odd` end each statement of a request in ``/* truth=<span> */``,
where the span is that of the request's ``traceparent`` header. COMMIT and ROLLBACK of a driver, and the
rows of a COPY, carry none: theirs is that of the statements before them in the same transaction.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deadheat.engine.conduct.attribution import span_of
from deadheat.engine.conduct.sequels import QUIET_MS
from deadheat.engine.conduct.strands import Strand
from deadheat.history import Plane, Step, StepKind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ENDS = ("commit", "rollback")
_TRUTH = re.compile(r"/\* truth=([0-9a-f]{16}) \*/$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What came of a comparison: ``untold`` are flights about which nobody knows the truth."""

    flights: int
    wrong: tuple[str, ...]
    untold: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.flights} flights compared with the truth, {len(self.wrong)} wrong"


def steps_of(folder: Path) -> tuple[Step, ...]:
    """Give the steps of all histories below a folder that ``deadheat run --keep all`` ran in."""
    paths = folder.glob(".deadheat/runs/*/history.ndjson")
    lines = [line for path in paths for line in path.read_text().splitlines()]
    return tuple(Step.parse(line) for line in lines if "seq" in json.loads(line))


def flights(steps: Iterable[Step]) -> list[Step]:
    """Give what went to Postgres."""
    return [step for step in steps if step.plane is Plane.SQL and step.kind is StepKind.FLIGHT]


def stalled_runs(steps: Iterable[Step]) -> set[int]:
    """Give the runs in which the target showed nothing for the quiet period, and no statement was at work.

    A target that waits for nothing of its own takes so long only on a busy machine; it is then taken
    for silent, and what it does after that may be given to somebody else, or come in the next run:
    that one counts as stalled as well.
    """
    stalled: set[int] = set()
    at: dict[int, int] = {}
    for step in steps:
        gap_us = step.t_us - at.get(step.run, 0)
        if gap_us >= QUIET_MS * 1000 and step.kind is not StepKind.RESULT:
            stalled |= {step.run, step.run + 1}
        at[step.run] = step.t_us
    return stalled


def compared(steps: Iterable[Step]) -> Compared:
    """Compare the strand that each flight was given to with the truth in its SQL."""
    latest: dict[tuple[int, int | None], str] = {}  # run and connection -> truth of its transaction
    wrong, untold = [], []
    sent = flights(steps)
    for step in sent:
        connection = step.run, step.conn
        said = next((found[1] for sql in step.data["sql"] if (found := _TRUTH.search(sql))), None)
        truth = said or latest.get(connection)
        if step.label in ENDS:
            latest.pop(connection, None)
        elif said is not None:
            latest[connection] = said
        if truth is None:
            untold.append(step.line())
        elif truth != span_of(Strand(step.data["strand"], step.actor, (), "")):
            wrong.append(step.line())
    return Compared(flights=len(sent) - len(untold), wrong=tuple(wrong), untold=tuple(untold))
