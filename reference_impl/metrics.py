"""Counters of this process in the Prometheus text format, version 0.0.4; to the last digit.

With several workers each answers ``/metrics`` for itself: the series carry its process id, so that a
scraper that meets another worker each time does not take one for a restart of the other.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_HELP = {
    "reference_requests_total": "Requests answered, by route and status.",
    "reference_request_seconds_total": "Seconds spent answering, by route.",
    "reference_stripe_calls_total": "Tries of calls to Stripe, by call and outcome.",
    "reference_customers_total": "What became of Stripe customers: created, adopted, retired, removed.",
    "reference_webhooks_total": "Webhook deliveries, by type of event and outcome.",
    "reference_failures_total": "Requests that ended in an error nobody foresaw, by route.",
    "reference_database_retries_total": "Transactions tried again, by SQLSTATE.",
}


@dataclass(slots=True)
class Metrics:
    """The counters, by name and labels."""

    _counts: dict[tuple[str, tuple[tuple[str, str], ...]], float] = field(default_factory=dict)

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add to a counter; KeyError for one that has no help text."""
        _HELP[name]
        series = name, tuple(labels.items())
        self._counts[series] = self._counts.get(series, 0) + amount

    def exposition(self) -> str:
        """Give all counters as text, sorted."""
        pid = str(os.getpid())
        lines = []
        for name, about in _HELP.items():
            lines += [f"# HELP {name} {about}", f"# TYPE {name} counter"]
            for (counted, labels), amount in sorted(self._counts.items()):
                if counted == name:
                    pairs = ",".join(f'{key}="{_escape(value)}"' for key, value in (*labels, ("pid", pid)))
                    lines.append(f"{name}{{{pairs}}} {amount!r}")
        return "\n".join(lines) + "\n"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
