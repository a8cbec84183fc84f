"""What each operation has ever done next: a table of labels that follow labels.

It is learned from steps whose strand is certain (one strand could have sent them, or their values
name it), over all runs at the deployments of an invocation. It tells apart who sends a step when
several could (a pool that is full lets somebody else go on), and what comes after an answer: nothing
ever, so that nobody needs to wait, or more work, and how long it takes to begin.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

END = ""
QUIET_MS = 50.0
TAIL_MS_MIN = 5.0
SEEN_ENOUGH = 3


@dataclass(slots=True)
class Sequels:
    """The table of one target. Times are in milliseconds."""

    _next: defaultdict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    _ends: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    _gap_ms: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))

    def learn(self, operation: str, label: str, sequel: str, gap_ms: float = 0.0) -> None:
        """Note that in an operation one label was followed by another, ``gap_ms`` later."""
        key = (operation, label)
        self._next[key].add(sequel)
        self._gap_ms[key] = max(self._gap_ms[key], gap_ms)

    def ended(self, operation: str, label: str) -> None:
        """Note that after this label, and an answer, nothing more came of an operation."""
        self._ends[operation, label] += 1

    def knows(self, operation: str, label: str, sequel: str) -> bool:
        """Say whether this was ever seen to follow."""
        return sequel in self._next.get((operation, label), ())

    def has_sequel(self, operation: str, label: str) -> bool:
        """Say whether anything was ever seen to follow."""
        return bool(self._next.get((operation, label)))

    def tail_ms(self, operation: str, label: str) -> float:
        """Give how long to wait for more after an answer, or after a later step.

        The quiet period as long as little is known; nothing where nothing ever came; otherwise twice
        the longest that it took.
        """
        key = (operation, label)
        if self._next.get(key):
            return min(QUIET_MS, max(TAIL_MS_MIN, 2 * self._gap_ms[key]))
        return 0.0 if self._ends[key] >= SEEN_ENOUGH else QUIET_MS
