"""Reports: consumers of the engine's stream of events."""

from deadheat.report.closing import exit_code
from deadheat.report.consumer import Consumer
from deadheat.report.reports import Reports

__all__ = ["Consumer", "Reports", "exit_code"]
