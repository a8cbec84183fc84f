"""Schedules and the strategies that make them."""

from typing import TYPE_CHECKING

from deadheat.schedule.barrage import Barrage
from deadheat.schedule.serial import Serial
from deadheat.schedule.strategy import StepName, Strategy

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["STRATEGIES", "Barrage", "Serial", "StepName", "Strategy", "make_strategy"]

STRATEGIES = ("serial", "barrage")


def make_strategy(name: str, seed: int) -> Strategy:
    """Make a strategy by its name; KeyError for one that is not in ``STRATEGIES``."""
    strategies: dict[str, Callable[[int], Strategy]] = {"serial": Serial, "barrage": Barrage}
    return strategies[name](seed)
