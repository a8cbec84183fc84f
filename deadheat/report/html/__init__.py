"""The HTML report: one file, nothing fetched, no script; every text of the target's escaped."""

from deadheat.report.html.report import NAME, HtmlReport

__all__ = ["NAME", "HtmlReport"]
