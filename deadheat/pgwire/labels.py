"""What a flight is called: the labels of its statements, else what its messages are there for."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from deadheat.pgwire.events import Statement

_SHOWN_MAX: Final = 4
_RESET: Final = "reset"  # of a pool, however many statements it takes
_MESSAGES: Final = ((ord("P"), "parse"), (ord("D"), "describe"), (ord("B"), "bind"), (ord("C"), "close"))
_ENDS: Final = {
    "query": "ping",
    "copy-done": "copy done",
    "copy-fail": "copy fail",
    "function-call": "function call",
}


def _label(statement: Statement) -> str:
    return _RESET if statement.described.resets else statement.described.label


def flight_label(statements: Sequence[Statement], kinds: AbstractSet[int], end: str) -> str:
    """Name a flight, such as "begin; insert profiles", "insert lines ×3" or "reset"."""
    if statements:
        if len(statements) == 1:
            return _label(statements[0])
        parts: list[str] = []
        for label, same in groupby(statements, key=_label):
            if len(parts) == _SHOWN_MAX:
                parts.append("…")
                break
            count = sum(1 for _ in same)
            parts.append(f"{label} ×{count}" if count > 1 and label != _RESET else label)
        return "; ".join(parts)
    if end in _ENDS:
        return _ENDS[end]
    if ord("E") in kinds:
        return "ping"  # an empty statement was executed
    return next((name for kind, name in _MESSAGES if kind in kinds), end)
