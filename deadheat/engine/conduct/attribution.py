"""Attribution: whose step this is, when what crosses a wire does not say.

Rungs, strongest first: the open transaction of the connection; a ``traceparent`` comment of ours in
the statement; a value that only one live strand carries (a user's id or address, an event's id);
cause: the one strand that could have sent it, or, where several could, the one that alone was told a
value in it (by a row or by Stripe), or for which such a step was ever seen to come next. A connection
that was just given back, with no other free, is taken by who waited for it. What no rung decides is
unattributed: scheduled all the same.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from deadheat.engine.cast import Cast
    from deadheat.engine.conduct.sequels import Sequels
    from deadheat.engine.conduct.strands import Strand

TRANSACTION = "transaction"
COMMENT = "comment"
PLANTED = "planted"
CAUSE = "cause"
NONE = "unattributed"
EARLIER = "earlier"  # it carries a person of a run that is over: work that went on for too long

_TRACEPARENT = re.compile(r"traceparent\s*=\s*'00-[0-9a-f]{32}-([0-9a-f]{16})-[0-9a-f]{2}'")


@dataclass(frozen=True, slots=True)
class Attributed:
    """Whose a step is and which rung said so; ``certain`` where that teaches the table."""

    strand: Strand | None
    rung: str
    certain: bool = False


@dataclass(slots=True)
class Attribution:
    """Attributes the steps of one run. ``disagreed`` counts steps whose rungs named two strands.

    ``past`` are ids and addresses of people of earlier runs.
    """

    cast: Cast
    sequels: Sequels
    past: Collection[str] = ()
    rungs: Counter[str] = field(default_factory=Counter)
    disagreed: int = 0

    def of(
        self,
        label: str,
        live: Sequence[Strand],
        *,
        values: Iterable[str] = (),
        text: str = "",
        bound: Strand | None = None,
        firm: bool = True,
        awaited: bool = False,
    ) -> Attributed:
        """Say whose a step is, among the strands that are live.

        ``bound`` is whose transaction is open on the connection; not ``firm``, it was only by cause
        that it was taken for theirs, and a value that one strand alone carries says more.
        ``awaited``: it comes over a connection that somebody may have waited for.
        """
        values = list(values)
        if bound is not None and not firm:
            named = self._named(live, values)
            if len(named) == 1:
                self.disagreed += named[0] is not bound
                bound = None
        found = self._of(label, live, values, text, bound, awaited)
        self.rungs[found.rung] += 1
        return found

    def _of(
        self,
        label: str,
        live: Sequence[Strand],
        values: Sequence[str],
        text: str,
        bound: Strand | None,
        awaited: bool,
    ) -> Attributed:
        if bound is not None:
            return Attributed(bound, TRANSACTION, certain=True)
        if spoken := _spoken(text, live):
            return Attributed(spoken, COMMENT, certain=True)
        named = self._named(live, values)
        if not named and self.past and any(value in self.past for value in values):
            return Attributed(None, EARLIER)
        able = [strand for strand in live if not strand.is_waiting and not strand.executing]
        if len(named) == 1:
            if able and named[0] not in able:
                self.disagreed += 1
            return Attributed(named[0], PLANTED, certain=True)
        among = [strand for strand in able if not named or strand in named]
        if named and able and not among:
            self.disagreed += 1
        return self._by_cause(label, among or named or able or list(live), values, awaited)

    def _named(self, live: Sequence[Strand], values: Sequence[str]) -> list[Strand]:
        """Give the live strands that the values speak of: by a value of their own, else by their user."""
        own = [strand for strand in live if any(value in strand.values for value in values)]
        if own:
            return own
        part = self.cast.whose(values)
        return [] if part is None else [strand for strand in live if strand.part is part]

    def _by_cause(self, label: str, among: list[Strand], values: Sequence[str], awaited: bool) -> Attributed:
        if not among:
            return Attributed(None, NONE)
        if len(among) == 1:
            return Attributed(among[0], CAUSE, certain=not among[0].is_waiting)
        told = [strand for strand in among if not strand.told.isdisjoint(values)]
        if len(told) == 1:
            return Attributed(told[0], CAUSE)
        among = told or among
        known = [s for s in among if self._is_next(s, label)]
        if not known:  # nobody was ever seen to do that: whoever waited for it, or moved last
            known = [strand for strand in among if awaited and strand.shows_nothing]
            if not known:
                return Attributed(max(among, key=lambda strand: strand.moved_at), CAUSE)
        moving = [strand for strand in known if not strand.shows_nothing]
        if len(moving) == 1:
            return Attributed(moving[0], CAUSE)
        # Whoever has waited longest goes first: pools are queues.
        return Attributed(min(known, key=lambda strand: strand.moved_at), CAUSE)

    def _is_next(self, strand: Strand, label: str) -> bool:
        """Say whether a strand was ever seen to go on with this; an answer may come before it or after."""
        befores = (strand.done.last, strand.done.own)
        return any(self.sequels.knows(strand.operation, before, label) for before in befores)


def span_of(strand: Strand) -> str:
    """Give the span id of a strand's requests: sixteen hexadecimal digits."""
    return blake2b(strand.name.encode(), digest_size=8).hexdigest()


def _spoken(text: str, live: Sequence[Strand]) -> Strand | None:
    if "traceparent" not in text:
        return None
    found = _TRACEPARENT.search(text)
    if found is None:
        return None
    return next((strand for strand in live if span_of(strand) == found[1]), None)
