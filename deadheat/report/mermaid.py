"""A history as a Mermaid sequence diagram, to be pasted into an issue.

Actors of the race on the left, then Postgres and Stripe. Rows are those of the text diagram
(`deadheat.report.diagram`): folded where there are too many; what the evidence names stands on a coloured
ground. A text is letters, digits and harmless marks; all else is an entity code (``#59;``), since a
semicolon ends a statement, ``%%{`` begins a directive and a backtick would end the fence.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from deadheat.history import Plane
from deadheat.report.diagram import laid_out
from deadheat.report.plain import plain
from deadheat.report.steps import operations_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from deadheat.history import History
    from deadheat.report.diagram import Row

ROWS_MAX = 60
SAYS_CHARS_MAX = 80
MARK = "rect rgba(255, 170, 0, 0.25)"

_WIRES = {Plane.SQL: "Postgres", Plane.STRIPE: "Stripe"}
_HARMLESS = frozenset(" .,/_()'→⇒…*?=-")


def mermaid_lines(history: History, marked: Collection[int] = ()) -> list[str]:
    """Give the diagram in a fence of its own; ``marked`` are numbers of steps to point at."""
    lanes, rows = laid_out(history, marked=marked, rows_max=ROWS_MAX)
    names = {lane: f"lane{lane}" for lane in lanes}
    lines = [
        f"    participant {names[lane]} as {_text(f'{lane} {operations_of(history.steps, lane)}'.rstrip())}"
        for lane in lanes
    ]
    lines += [f"    participant {wire}" for wire in _WIRES.values()]
    ends = f"{next(iter(names.values()), 'Postgres')},Stripe"
    for is_marked, group in groupby(rows, key=lambda row: row.marked):
        inside = [f"    {line}" for row in group for line in _row(row, names, ends)]
        lines += [f"    {MARK}", *(f"  {line}" for line in inside), "    end"] if is_marked else inside
    return ["```mermaid", "sequenceDiagram", *lines, "```"]


def _row(row: Row, names: dict[str, str], ends: str) -> Iterator[str]:
    said = _text(f"{row.numbers} {row.says}")
    lane = names.get(row.lane or "")
    if lane is None:
        yield f"Note over {ends}: {said}"
    elif row.wire in _WIRES:
        yield f"{lane}->>{_WIRES[row.wire]}: {said}"
    else:
        yield f"Note over {lane}: {said}"


def _text(text: str) -> str:
    """Give a text that Mermaid shows as it is.

    >>> _text("a; b -> <c>")
    'a#59; b → #60;c#62;'
    """
    shown = plain(text).replace("->", "→").replace("=>", "⇒")
    cut = shown if len(shown) <= SAYS_CHARS_MAX else f"{shown[: SAYS_CHARS_MAX - 1]}…"
    return "".join(c if c.isalnum() or c in _HARMLESS else f"#{ord(c)};" for c in cut)
