"""The run's clock: whole seconds since 1970 that pass only when a run lets them.

Everything that Stripe dates (``created``, periods, expiry, the 24 hours of a key) reads this clock,
so whether two events fall into the same second is a choice and not chance.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

HOUR = 3_600
DAY = 86_400
Interval = Literal["day", "week", "month", "year"]


@dataclass(slots=True)
class Clock:
    """Seconds since 1970; moved by its owner only."""

    now: int


def later(start: int, interval: str, count: int) -> int:
    """Give the end of a billing period: calendar months, the day clamped to the month's last.

    >>> later(1_706_659_200, "month", 1)  # 31 January 2024, to 29 February
    1709164800
    """
    if interval in ("day", "week"):
        return start + count * DAY * (7 if interval == "week" else 1)
    began = datetime.fromtimestamp(start, UTC)
    months = began.year * 12 + began.month - 1 + count * (12 if interval == "year" else 1)
    year, month = divmod(months, 12)
    day = min(began.day, monthrange(year, month + 1)[1])
    return int(began.replace(year=year, month=month + 1, day=day).timestamp())
