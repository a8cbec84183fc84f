"""What each operation has ever done next: which labels follow which, and what comes after an answer.

Both are learned from steps whose strand is certain (one strand could have sent them, or their values
name it), over all runs at the deployments of an invocation. The labels tell apart who sends a step
when several could (a pool that is full lets somebody else go on).

Whether more comes after an answer is asked of all that a strand has done by then: work in the
background is done or not, in whatever order it went beside the rest. Where that very set was never
seen, the last label alone is asked.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

ANSWER = "answer"  # the label of an operation's answer
HUNG_UP = "hung up"  # in its place where the caller did not wait for it
QUIET_MS = 50.0
SURE_MS = 1_000.0  # what came nearly always is waited for: it is over as soon as it is there
UNKNOWN_MS = 150.0  # what is done for the first time takes longer
SEEN_ENOUGH = 2
RARELY = 20  # one miss in so many costs no more than the quiet period each time


@dataclass(slots=True)
class Done:
    """What a strand has done so far: each label and how often. ``last`` is the latest of them.

    ``own`` is the latest that is not the answer: work in the background begins before that or after it.
    """

    last: str = ""
    own: str = ""
    labels: Counter[str] = field(default_factory=Counter)

    def add(self, label: str) -> None:
        """Note one more."""
        self.last = label
        self.own = self.own if label == ANSWER else label
        self.labels[label] += 1


@dataclass(slots=True)
class _Seen:
    """How often more came after an answer, and how often nothing did."""

    more: int = 0
    ends: int = 0

    @property
    def says_enough(self) -> bool:
        return self.more > 0 or self.ends >= SEEN_ENOUGH

    def tail_ms(self) -> float:
        if not self.says_enough:
            return UNKNOWN_MS
        if not self.more:
            return 0.0
        return SURE_MS if self.ends * RARELY <= self.more else QUIET_MS


@dataclass(slots=True)
class Sequels:
    """The tables of one target. Times are in milliseconds.

    ``works_on``: something was seen to be done for somebody who had their answer, or for nobody.
    """

    works_on: bool = False
    _follows: set[tuple[str, str, str]] = field(default_factory=set)
    _by_all: defaultdict[tuple[str, frozenset[tuple[str, int]]], _Seen] = field(
        default_factory=lambda: defaultdict(_Seen)
    )
    _by_last: defaultdict[tuple[str, str], _Seen] = field(default_factory=lambda: defaultdict(_Seen))

    def learn(self, operation: str, label: str, sequel: str) -> None:
        """Note that in an operation one label was followed by another."""
        self._follows.add((operation, label, sequel))

    def knows(self, operation: str, label: str, sequel: str) -> bool:
        """Say whether this was ever seen to follow."""
        return (operation, label, sequel) in self._follows

    def went_on(self, operation: str, done: Done) -> None:
        """Note that an operation that had its answer, and had done this, did more."""
        self.works_on = True
        for seen in self._of(operation, done):
            seen.more += 1

    def ended(self, operation: str, done: Done) -> None:
        """Note that an operation that had its answer, and had done this, did nothing more."""
        for seen in self._of(operation, done):
            seen.ends += 1

    def goes_on(self, operation: str, done: Done) -> bool:
        """Say whether more was ever seen to come after this."""
        return self._says(operation, done).more > 0

    def is_over(self, operation: str, done: Done) -> bool:
        """Say whether it is known that nothing ever came after this."""
        return not self.tail_ms(operation, done)

    def tail_ms(self, operation: str, done: Done) -> float:
        """Give how long to wait for more after an answer, or after a later step.

        Nothing where nothing ever came; the quiet period where something did now and then, long where
        it nearly always did, which is over as soon as it comes; longer as long as little is known.
        """
        return self._says(operation, done).tail_ms()

    def _says(self, operation: str, done: Done) -> _Seen:
        by_all, by_last = self._of(operation, done)
        return by_all if by_all.says_enough else by_last

    def _of(self, operation: str, done: Done) -> tuple[_Seen, _Seen]:
        by_all = self._by_all[operation, frozenset(done.labels.items())]
        return by_all, self._by_last[operation, done.last]
