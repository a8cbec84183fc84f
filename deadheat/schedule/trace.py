"""What a run's choices were, and what of them a schedule keeps.

A trace holds every choice as it was made. A schedule keeps where it left the default policy
(`switches_of`) and the steps in order (`steps_of`). Steps that went together are one entry, their
keys joined by ``+``; where two went together, the second counts as the one that moved last.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from deadheat.schedule.strategy import Held, default_choice

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

TOGETHER = "+"


@dataclass(frozen=True, slots=True)
class Released:
    """One choice as it was made: what was held, and which of it went."""

    held: tuple[Held, ...]
    chosen: tuple[int, ...]

    @property
    def steps(self) -> tuple[Held, ...]:
        """The steps that went, in the order in which they set off."""
        return tuple(self.held[index] for index in self.chosen)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the steps that went."""
        return tuple(step.name.key for step in self.steps)


@dataclass(frozen=True, slots=True)
class Switch:
    """One choice that left the default policy.

    Keys of steps: ``at`` would have gone by default, ``to`` went instead, two of them together.
    """

    at: str
    to: tuple[str, ...]


def switches_of(trace: Sequence[Released]) -> tuple[Switch, ...]:
    """Give the differences from the default policy, in order."""
    switches = []
    last: str | None = None
    for choice in trace:
        default = default_choice(choice.held, last)
        if choice.chosen != (default,):
            switches.append(Switch(choice.held[default].name.key, choice.keys))
        last = choice.steps[-1].name.strand
    return tuple(switches)


def steps_of(trace: Sequence[Released]) -> tuple[str, ...]:
    """Give the keys in order of release, one entry for each choice."""
    return tuple(TOGETHER.join(choice.keys) for choice in trace)


def conflicts_of(trace: Sequence[Released]) -> set[tuple[str, str]]:
    """Give the pairs of steps of different actors that conflict, by label, in the order in which they went.

    Two steps of one label are a pair as well: which actor's goes first is an order too, and then the
    labels carry the actor. See `pairs_in_both_orders`.
    """
    steps = [step for choice in trace for step in choice.steps if step.reads or step.writes]
    found: set[tuple[str, str]] = set()
    for at, second in enumerate(steps):
        for first in steps[:at]:
            if first.actor != second.actor and first.conflicts(second):
                found.add((_place(first, second), _place(second, first)))
    return found


def _place(step: Held, other: Held) -> str:
    same = step.name.label == other.name.label
    return f"{step.actor} {step.name.label}" if same else step.name.label


def pairs_in_both_orders(found: Collection[tuple[str, str]]) -> tuple[int, int]:
    """Count conflicting pairs, and those of them that were seen in both orders."""
    pairs = {frozenset(pair) for pair in found}
    both = {frozenset(pair) for pair in found if pair[::-1] in found}
    return len(pairs), len(both)


def faults_in(trace: Sequence[Released]) -> int:
    """Count the steps in whose place a fault went."""
    return sum(bool(step.fault) for choice in trace for step in choice.steps)


def context_switches(trace: Sequence[Released]) -> int:
    """Count how often one actor's step is followed by another's."""
    actors = [step.actor for choice in trace for step in choice.steps]
    return sum(before != after for before, after in pairwise(actors))
