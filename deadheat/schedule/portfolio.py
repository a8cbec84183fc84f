"""The portfolio: which strategies there are, and how a budget of runs is split among them.

Serial has one run, which shows a broken oracle: what fails there is no race. Random walk has half of
the rest, since it found most per run in every program measured. The others are there for what it
cannot reach: PCT for deep and long programs, overlap and yield for the inside of a statement, and
barrage, last, for what only plain concurrency shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.schedule.barrage import Barrage
from deadheat.schedule.delay_bounded import DelayBounded
from deadheat.schedule.exhaustive import Exhaustive, Frontier
from deadheat.schedule.overlap import Overlap
from deadheat.schedule.pct import PCT
from deadheat.schedule.random_walk import RandomWalk
from deadheat.schedule.serial import Serial
from deadheat.schedule.yield_points import Yield

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deadheat.schedule.strategy import Strategy

# Asked for by name only: they answer other questions than "what is found soonest".
BY_NAME = ("delay-bounded", "exhaustive")
STRATEGIES = ("serial", "random-walk", "pct", "yield", "overlap", "barrage")

# In the order in which they run, each with its share of what serial's one run leaves.
PORTFOLIO: tuple[tuple[str, float], ...] = (
    ("serial", 0.0),
    ("random-walk", 0.5),
    ("pct", 0.25),
    ("yield", 0.125),
    ("overlap", 0.0625),
    ("barrage", 0.0625),
)
# Who gets a run first when there are fewer runs than strategies.
_FIRST = ("serial", "random-walk", "barrage", "pct", "yield", "overlap", *BY_NAME)


def make_strategy(name: str, seed: int) -> Strategy | Barrage:
    """Make a strategy by its name; KeyError for one that is not known.

    An exhaustive one has a `Frontier` of its own here, of two preemptions.
    """
    strategies: dict[str, Callable[[int], Strategy | Barrage]] = {
        "serial": Serial,
        "random-walk": RandomWalk,
        "pct": PCT,
        "overlap": Overlap,
        "yield": Yield,
        "barrage": Barrage,
        "delay-bounded": DelayBounded,
        "exhaustive": lambda seed: Exhaustive(Frontier()),
    }
    return strategies[name](seed)


def shares(schedules: int, strategies: Sequence[str]) -> dict[str, int]:
    """Split a budget of runs among strategies, to the last run.

    Each has one run as long as there are enough. Beyond that serial has no second one unless it is
    alone, and the others have what `PORTFOLIO` gives them, in proportion; what does not divide goes to
    the random walk, or without one to the first of the others.

    >>> shares(101, ["serial", "random-walk", "pct", "barrage"])
    {'serial': 1, 'random-walk': 67, 'pct': 25, 'barrage': 8}
    """
    given = dict.fromkeys(strategies, 0)
    first = sorted(given, key=_FIRST.index)
    for name in first[:schedules]:
        given[name] = 1
    if schedules <= len(given) or not given:
        return given
    weights = {name: weight for name, weight in PORTFOLIO if name in given and weight}
    rest = schedules - given.get("serial", 0)
    for name, weight in weights.items():
        given[name] = max(1, int(rest * weight / sum(weights.values())))
    takes_the_remainder = next(name for name in ("random-walk", *first) if name in (weights or given))
    given[takes_the_remainder] += schedules - sum(given.values())
    return given
