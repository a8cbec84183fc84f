"""What an invariant is: a name, a sentence, what it needs to see, and a check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from deadheat.invariants.case import Case
    from deadheat.invariants.settled import Evidence, Settled


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """Something that the application must keep true.

    ``needs`` are relations of ``[target.tables]``, "webhook" for ``[target.webhook]`` and "stripe" for what
    Stripe holds; ``policies`` are what ``[invariants]`` may say beside "on" and "off". ``moot`` gives the
    reason why a run cannot show anything of this invariant, or None. ``check`` gives evidence, none when
    it holds. One of a team's own may be a query, ``sql``, which is asked when the run has settled; it needs
    the "database". ``source`` is the text of one of a team's own.
    """

    id: str
    holds_when: str
    check: Callable[[Case], Iterable[Evidence]]
    needs: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    moot: Callable[[Settled], str | None] | None = None
    sql: str | None = None
    source: str = ""
