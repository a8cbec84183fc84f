"""What each operation has ever done next: a table of labels that follow labels.

It is learned from steps whose strand is certain (one strand could have sent them, or their values
name it), over all runs at the deployments of an invocation. It tells apart who sends a step when
several could (a pool that is full lets somebody else go on), and what comes after an answer: nothing
ever, so that nobody needs to wait, or more work, and how long it takes to begin.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

QUIET_MS = 50.0
TAIL_MS_MIN = 5.0
SEEN_ENOUGH = 3
RARE = 20  # what ended so many times as often as it went on is not waited for
WEIGHT = 0.2  # of the latest gap in the mean of them


@dataclass(slots=True)
class _Seen:
    """What was seen to come after one label: what, how often, and how much later on average."""

    sequels: Counter[str] = field(default_factory=Counter)
    ends: int = 0
    gap_ms: float = 0.0


@dataclass(slots=True)
class Sequels:
    """The table of one target. Times are in milliseconds."""

    _seen: defaultdict[tuple[str, str], _Seen] = field(default_factory=lambda: defaultdict(_Seen))

    def learn(self, operation: str, label: str, sequel: str, gap_ms: float = 0.0) -> None:
        """Note that in an operation one label was followed by another, ``gap_ms`` later."""
        seen = self._seen[operation, label]
        seen.gap_ms += (gap_ms - seen.gap_ms) * (WEIGHT if seen.sequels else 1.0)
        seen.sequels[sequel] += 1

    def ended(self, operation: str, label: str) -> None:
        """Note that after this label, and an answer, nothing more came of an operation."""
        self._seen[operation, label].ends += 1

    def knows(self, operation: str, label: str, sequel: str) -> bool:
        """Say whether this was ever seen to follow."""
        seen = self._seen.get((operation, label))
        return seen is not None and sequel in seen.sequels

    def tail_ms(self, operation: str, label: str) -> float:
        """Give how long to wait for more after an answer, or after a later step.

        The quiet period as long as little is known; nothing where nothing ever came, or hardly ever;
        otherwise twice what it takes on average.
        """
        seen = self._seen[operation, label]
        if seen.ends >= max(SEEN_ENOUGH, RARE * seen.sequels.total()):
            return 0.0
        return min(QUIET_MS, max(TAIL_MS_MIN, 2 * seen.gap_ms)) if seen.sequels else QUIET_MS
