"""What each operation has ever done next: a table of labels that follow labels.

It is learned from steps whose strand is certain (one strand could have sent them, or their values
name it), over all runs at the deployments of an invocation. It tells apart who sends a step when
several could (a pool that is full lets somebody else go on), and what comes after an answer: nothing
ever, so that nobody needs to wait, or more work.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

ANSWER = "answer"  # the label of an operation's answer
QUIET_MS = 50.0
SURE_MS = 1_000.0  # what always came is waited for: it is over as soon as it is there
UNKNOWN_MS = 150.0  # what is done for the first time takes longer
SEEN_ENOUGH = 2


@dataclass(slots=True)
class _Seen:
    """What was seen to come after one label, and how often nothing did."""

    sequels: set[str] = field(default_factory=set)
    ends: int = 0


@dataclass(slots=True)
class Sequels:
    """The table of one target. Times are in milliseconds."""

    _seen: defaultdict[tuple[str, str], _Seen] = field(default_factory=lambda: defaultdict(_Seen))

    def learn(self, operation: str, label: str, sequel: str) -> None:
        """Note that in an operation one label was followed by another."""
        self._seen[operation, label].sequels.add(sequel)

    def ended(self, operation: str, label: str) -> None:
        """Note that after this label, and an answer, nothing more came of an operation."""
        self._seen[operation, label].ends += 1

    def knows(self, operation: str, label: str, sequel: str) -> bool:
        """Say whether this was ever seen to follow."""
        seen = self._seen.get((operation, label))
        return seen is not None and sequel in seen.sequels

    def tail_ms(self, operation: str, label: str) -> float:
        """Give how long to wait for more after an answer, or after a later step.

        Nothing where nothing ever came; the quiet period where something did now and then, long where
        it always did, which is over as soon as it comes; longer as long as little is known.
        """
        seen = self._seen[operation, label]
        if seen.sequels:
            return QUIET_MS if seen.ends else SURE_MS
        return 0.0 if seen.ends >= SEEN_ENOUGH else UNKNOWN_MS
