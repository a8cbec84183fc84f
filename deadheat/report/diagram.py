"""A history as a space-time diagram in plain text: a lane for each actor of the race, time downwards.

A row is a step, or steps that are one thing (`deadheat.report.steps`), with its numbers in the
history. ``|`` at the edge of a lane is an open transaction, ``>`` before a number a step that the
evidence names. What was before the race and after it has no lane, and a row for each operation or
delivery. Where there are too many rows, those of one lane that touch nothing of others are folded.
Nothing is wider than 80 columns; a control character cannot get in.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

from deadheat.history import Plane, StepKind
from deadheat.report.plain import plain
from deadheat.report.steps import cut, operations_of, told

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from deadheat.history import History, Step
    from deadheat.report.steps import Told

WIDTH = 80
ROWS_MAX = 60
FOLDED_MIN = 3  # rows that are worth folding
LANE_CHARS_MIN = 12
ANYTHING = "anything"

_RACING = re.compile(r"[A-Z]{1,2}")


@dataclass(frozen=True, slots=True)
class Row:
    """A row: what its numbers are, in which lane it stands (None: in none), and what it says.

    ``wire`` is the plane that it crosses; ``waits`` says that it was blocked until the lane's next row.
    """

    first: int
    last: int
    lane: str | None
    says: str
    touches: frozenset[str] = frozenset()
    marked: bool = False
    wire: Plane | None = None
    waits: bool = False

    @property
    def numbers(self) -> str:
        """Its numbers in the history, as in ``25-27``."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def diagram(
    history: History, *, marked: Collection[int] = (), width: int = WIDTH, rows_max: int = ROWS_MAX
) -> list[str]:
    """Draw a history; ``marked`` are numbers of steps to point at."""
    lanes, rows = laid_out(history, marked=marked, rows_max=rows_max)
    if not rows:
        return []
    numbers = max(len(row.numbers) for row in rows)
    page = _Page(lanes, numbers, width, transactions(history.steps))
    return [page.head(history.steps), *(page.line(row) for row in rows)]


def laid_out(
    history: History, *, marked: Collection[int] = (), rows_max: int = ROWS_MAX
) -> tuple[list[str], list[Row]]:
    """Give the lanes of a history and its rows, folded where there are more than ``rows_max``."""
    lanes = sorted({s.actor for s in history if _races(s)}, key=lambda name: (len(name), name))
    return lanes, _fitting(list(_rows(history.steps, frozenset(marked))), rows_max)


def _races(step: Step) -> bool:
    """Whether a step is of an actor of the race: those are called as columns of a sheet are."""
    return _RACING.fullmatch(step.actor) is not None


# -- rows -------------------------------------------------------------------------------------------


def _rows(steps: Sequence[Step], marked: frozenset[int]) -> Iterator[Row]:
    for races, group in groupby(steps, key=lambda step: _races(step) or step.actor == "?"):
        if not races:
            yield from _aside(list(group), marked)
            continue
        for one in told(list(group)):
            lane = one.actor if one.actor != "?" else None
            yield Row(
                one.steps[0].seq,
                one.steps[-1].seq,
                lane,
                one.says if lane else f"? {one.says} (of nobody known)",
                frozenset(_touched(one)),
                any(step.seq in marked for step in one.steps),
                one.steps[0].plane,
                bool(one.waits_for),
            )


def _aside(steps: Sequence[Step], marked: frozenset[int]) -> Iterator[Row]:
    """Give a row for each operation or delivery before or after the race, and what is left over."""
    pending: list[Step] = []
    for step in steps:
        pending.append(step)
        if step.kind is StepKind.ANSWER:
            yield _summed(pending, marked)
            pending = []
    if pending:
        yield _summed(pending, marked)


def _summed(steps: Sequence[Step], marked: frozenset[int]) -> Row:
    begun = next((s for s in steps if s.kind in (StepKind.REQUEST, StepKind.DELIVERY)), steps[0])
    phase = begun.data.get("phase")
    who = {"settling": "settling", "again": "once more"}.get(str(phase), begun.actor)
    (said,) = told([begun])
    came = ""
    if steps[-1].kind is StepKind.ANSWER and steps[-1] is not begun:
        status = steps[-1].data.get("status")
        came = f" => {status if status is not None else 'no answer'}"
    return Row(
        steps[0].seq,
        steps[-1].seq,
        None,
        f"{plain(who)}: {said.says}{plain(came)}",
        marked=any(step.seq in marked for step in steps),
    )


def _touched(one: Told) -> Iterator[str]:
    """Name what steps touch: the relations of a flight, the kind of thing of a Stripe call.

    A function may touch anything, and an answer is what everything is about.
    """
    step = one.steps[0]
    if step.plane is Plane.SQL:
        for statement in step.label.split("; "):
            verb, _, relations = statement.partition(" ")
            if verb == "call":
                yield ANYTHING
            for relation in relations.split(", "):
                yield f"{'reads' if verb == 'select' else 'writes'} {relation.split(' ')[0]}"
    elif step.plane is Plane.STRIPE:
        method, _, path = step.label.partition(" ")
        yield f"{'reads' if method == 'GET' else 'writes'} {'/'.join(path.split('/')[:3])}"
    elif step.kind is StepKind.ANSWER:
        yield ANYTHING


# -- too many rows ----------------------------------------------------------------------------------


def _fitting(rows: list[Row], rows_max: int) -> list[Row]:
    """Fold what tells least until there are few enough rows, or nothing is left to fold."""
    if len(rows) <= rows_max:
        return rows
    shared = _shared(rows)
    rows = _folded(rows, lambda row: bool(row.touches & shared) or ANYTHING in row.touches)
    if len(rows) <= rows_max:
        return rows
    return _folded(rows, lambda row: False)


def _shared(rows: Sequence[Row]) -> frozenset[str]:
    """Give the touches of things that several lanes touch, and one of them writes."""
    lanes = Counter(
        thing for thing, _ in {(touch.split(" ", 1)[-1], row.lane) for row in rows for touch in row.touches}
    )
    written = {t.split(" ", 1)[1] for row in rows for t in row.touches if t.startswith("writes ")}
    things = {thing for thing, count in lanes.items() if count > 1 and thing in written}
    return frozenset(f"{how} {thing}" for thing in things for how in ("reads", "writes"))


def _folded(rows: Sequence[Row], keep: Callable[[Row], bool]) -> list[Row]:
    made: list[Row] = []
    for (_, kept), group in groupby(rows, key=lambda row: (row.lane, row.marked or keep(row))):
        same = list(group)
        if kept or len(same) < FOLDED_MIN:
            made += same
        else:
            count = same[-1].last - same[0].first + 1
            made.append(replace(same[0], last=same[-1].last, says=f"… {count} steps", touches=frozenset()))
    return made


# -- the page ---------------------------------------------------------------------------------------


def transactions(steps: Sequence[Step]) -> list[tuple[str, int, int]]:
    """Give who had a transaction open, from which step to which.

    What opens one passes without being a step; what comes within it is attributed to it.
    """
    found: list[tuple[str, int, int]] = []
    open_: dict[int | None, tuple[str, int, int]] = {}
    for step in steps:
        if step.plane is not Plane.SQL:
            continue
        begun = open_.get(step.conn)
        if step.kind is StepKind.FLIGHT and step.attribution == "transaction":
            open_[step.conn] = (step.actor, begun[1] if begun else step.seq, step.seq)
        elif step.kind is StepKind.FLIGHT and begun:
            found.append(open_.pop(step.conn))
        elif begun:
            open_[step.conn] = (begun[0], begun[1], step.seq)
            if step.label.split("; ")[-1].split(" ")[0].lower() in ("commit", "rollback"):
                found.append(open_.pop(step.conn))
    return [*found, *open_.values()]


class _Page:
    """Places rows within a width: numbers, then a lane for each actor."""

    def __init__(
        self, lanes: Sequence[str], numbers: int, width: int, transactions: Sequence[tuple[str, int, int]]
    ) -> None:
        self._lanes = lanes
        self._numbers = numbers
        self._width = width
        self._transactions = transactions
        self._lane = max((width - numbers - 2) // max(len(lanes), 1), LANE_CHARS_MIN)

    def head(self, steps: Sequence[Step]) -> str:
        """Give the names of the lanes, with what each actor did."""
        cells = [f"  {plain(f'{lane} {operations_of(steps, lane)}')}" for lane in self._lanes]
        return self._joined(" " * (self._numbers + 1), cells)

    def line(self, row: Row) -> str:
        """Give one row."""
        start = f"{'>' if row.marked else ' '}{row.numbers:>{self._numbers}}"
        if row.lane is None:
            return cut(f"{start}   {row.says}", self._width).rstrip()
        cells = []
        for lane in self._lanes:
            is_open = any(
                actor == lane and first <= row.first <= last for actor, first, last in self._transactions
            )
            cells.append(f"{'|' if is_open else ' '} {row.says if lane == row.lane else ''}")
        return self._joined(start, cells)

    def _joined(self, start: str, cells: Sequence[str]) -> str:
        padded = "".join(f"{cut(cell, self._lane - 1):<{self._lane}}" for cell in cells)
        return cut(f"{start} {padded}".rstrip(), self._width)
