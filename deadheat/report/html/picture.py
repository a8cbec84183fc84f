"""The space-time diagram as SVG: a lane for each actor, for Postgres and for Stripe; time goes down.

A step that crosses a wire is drawn from its actor's lane to Postgres's or Stripe's. Who was blocked has
a dashed bar until it went on, an open transaction a band along its lane; the pair that collided stands
in frames, and what the evidence names is marked. Hover or focus gives a step's whole text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.history import Plane
from deadheat.report.diagram import laid_out, transactions
from deadheat.report.html.markup import Markup, joined, tag
from deadheat.report.steps import cut, operations_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from deadheat.history import History
    from deadheat.proof import Pair
    from deadheat.report.diagram import Row

WIDTH = 980
GUTTER = 72  # for the numbers
POSTGRES, STRIPE = 880, 945
ACTORS_END = 830
ROW = 22
HEAD = 34
CHAR = 7.3  # of the font, at 12 px
ROWS_MAX = 120


def picture(history: History, *, marked: Collection[int] = (), pair: Pair | None = None) -> Markup | None:
    """Draw a history; None where nothing happened."""
    named = {*marked, *((pair.look, pair.act) if pair else ())}
    lanes, rows = laid_out(history, marked=named, rows_max=ROWS_MAX)
    if not rows:
        return None
    drawn = _Drawing(lanes, rows, history, pair)
    return tag(
        "svg",
        tag("title", "The steps of the run, in order, by who made them"),
        *drawn.background(),
        *(drawn.row(at, row) for at, row in enumerate(rows)),
        viewBox=f"0 0 {WIDTH} {drawn.height}",
        role="img",
    )


class _Drawing:
    """Places rows and lanes."""

    def __init__(
        self, lanes: Sequence[str], rows: Sequence[Row], history: History, pair: Pair | None
    ) -> None:
        self._rows = rows
        self._history = history
        self._pair = () if pair is None else (pair.look, pair.act)
        self._width = (ACTORS_END - GUTTER) // max(len(lanes), 1)
        self._x = {lane: GUTTER + at * self._width for at, lane in enumerate(lanes)}
        self.height = HEAD + ROW * len(rows) + 8

    def background(self) -> Iterator[Markup]:
        """Draw the lanes, their heads, and the transactions along them."""
        heads = {
            lane: cut(f"{lane} {operations_of(self._history.steps, lane)}", int(self._width / CHAR) - 1)
            for lane in self._x
        }
        for lane, x in self._x.items():
            yield self._lane(x, heads[lane])
        yield self._lane(POSTGRES, "Postgres", anchor="middle")
        yield self._lane(STRIPE, "Stripe", anchor="middle")
        for actor, first, last in transactions(self._history.steps):
            if actor in self._x:
                y1, y2 = self._y_of(first), self._y_of(last)
                yield tag("line", x1=self._x[actor], x2=self._x[actor], y1=y1 - 8, y2=y2 + 8, class_="open")

    def row(self, at: int, row: Row) -> Markup:
        """Draw one row."""
        y = HEAD + ROW * at + ROW // 2
        number = tag("text", row.numbers, x=GUTTER - 14, y=y + 4, text_anchor="end", class_="soft")
        if row.lane is None or row.lane not in self._x:
            said = tag("text", cut(row.says, int((ACTORS_END - GUTTER) / CHAR)), x=GUTTER + 10, y=y + 4)
            return tag("g", tag("title", row.says), number, said, class_="soft")
        x = self._x[row.lane]
        chars = int((self._width - 14) / CHAR)
        parts = [tag("title", row.says)]
        if row.marked:
            parts.append(self._box(x + 5, y, "marked"))
        parts += [*self._crossing(x, y, row), number]
        parts.append(tag("text", cut(row.says, chars), x=x + 10, y=y + 4))
        if any(row.first <= seq <= row.last for seq in self._pair):
            parts.append(self._box(x + 5, y, "pair"))
        if row.waits and (until := self._next_in_lane(at)) is not None:
            parts.append(tag("line", x1=x, x2=x, y1=y, y2=HEAD + ROW * until + ROW // 2, class_="waits"))
        return tag("g", *parts)

    def _crossing(self, x: int, y: int, row: Row) -> Iterator[Markup]:
        """Draw the line from an actor's lane to the wire that the step crosses, if it crosses one of ours."""
        to = {Plane.SQL: POSTGRES, Plane.STRIPE: STRIPE}.get(row.wire) if row.wire else None
        if to is None:
            yield tag("circle", cx=x, cy=y, r=3, class_="dot")
            return
        class_ = "sql" if row.wire is Plane.SQL else "stripe"
        below = y + ROW // 2 - 2
        yield tag("path", d=f"M {x} {y} L {x} {below} L {to} {below}", class_=class_)
        yield tag("circle", cx=to, cy=below, r=3, class_="dot")

    def _box(self, x: int, y: int, class_: str) -> Markup:
        return tag(
            "rect", x=x, y=y - ROW // 2 + 2, width=self._width - 12, height=ROW - 4, rx=3, class_=class_
        )

    def _lane(self, x: int, head: str, anchor: str = "start") -> Markup:
        return joined(
            tag("line", x1=x, x2=x, y1=HEAD - 6, y2=self.height, class_="lane"),
            tag("text", head, x=x, y=HEAD - 14, text_anchor=anchor, class_="head"),
        )

    def _next_in_lane(self, at: int) -> int | None:
        lane = self._rows[at].lane
        return next((n for n in range(at + 1, len(self._rows)) if self._rows[n].lane == lane), None)

    def _y_of(self, seq: int) -> int:
        """Give the middle of the row that a step stands in, or of the last one before it."""
        at = max((n for n, row in enumerate(self._rows) if row.first <= seq), default=0)
        return HEAD + ROW * at + ROW // 2
