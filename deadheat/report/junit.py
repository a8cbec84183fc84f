"""JUnit XML for CI: one suite, a test case for each scenario.

Violated is a failure with the proof as its text, inconclusive an error that begins INCONCLUSIVE; a
scenario that the target cannot play is skipped by name. One that never came to its turn is an error:
what was not run did not pass. The format is the one that Jenkins, GitLab and GitHub's actions read
(testsuites, testsuite, testcase, failure, error, skipped).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from deadheat.engine.events import SuiteFinished, SuiteStarted, Verdict
from deadheat.report.disk import check_writable, write_atomically
from deadheat.report.plain import plain
from deadheat.report.prose import exploration_lines, inconclusive_line, not_checked, violated_in

if TYPE_CHECKING:
    from pathlib import Path

    from deadheat.engine.events import Event, Exploration


class JUnitReport:
    """Writes JUnit XML to ``path`` when the suite is over. ``history`` is the file to read on in."""

    def __init__(self, path: Path, history: Path | None = None, replay_options: str = "") -> None:
        self._path = path
        self._history = history
        self._replay_options = replay_options
        self._started: SuiteStarted | None = None

    def start(self) -> None:
        """Make sure that the file can be written."""
        check_writable(self._path, "--junit")

    def handle(self, event: Event) -> None:
        """Wait for the end."""
        if isinstance(event, SuiteStarted):
            self._started = event
        elif isinstance(event, SuiteFinished) and self._started is not None:
            write_atomically(self._path, junit_xml(self._started, event, self._history, self._replay_options))

    def finish(self) -> None:
        """Nothing is held open."""


def junit_xml(
    started: SuiteStarted, finished: SuiteFinished, history: Path | None = None, replay_options: str = ""
) -> str:
    """Give the document."""
    suite = ET.Element("testsuite", name="deadheat")
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(started, finished):
        ET.SubElement(properties, "property", name=name, value=plain(value))
    cases = [
        _case(exploration, started.target, "\n".join(exploration_lines(exploration, history, replay_options)))
        for exploration in finished.scenarios
    ]
    done = {exploration.scenario for exploration in finished.scenarios}
    cases += [_never_run(name, started.target) for name in started.scenarios if name not in done]
    suite.extend(cases)
    suite.set("tests", str(len(cases)))
    for kind, total in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(total, str(sum(case.find(kind) is not None for case in cases)))
    suite.set("time", f"{finished.elapsed_s:.3f}")
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=False).join(
        ('<?xml version="1.0" encoding="utf-8"?>\n', "\n")
    )


def _properties(started: SuiteStarted, finished: SuiteFinished) -> list[tuple[str, object]]:
    unchecked = not_checked(finished.not_checked, finished.invariants)
    return [
        ("run", started.run_id),
        ("target", started.target),
        ("seed", started.seed),
        ("postgres", started.postgres),
        ("stripe-mock", started.stripe_mock),
        ("level", str(started.reach)),
        *((f"not-checked.{plain(name)}", reason) for name, reason in unchecked.items()),
    ]


def _case(exploration: Exploration, target: str, text: str) -> ET.Element:
    case = _element(exploration.scenario, target, exploration.elapsed_s)
    if exploration.skipped:
        ET.SubElement(case, "skipped", message=text)
    elif exploration.verdict is Verdict.VIOLATED:
        message = f"violated: {', '.join(map(plain, violated_in(exploration)))}"
        ET.SubElement(case, "failure", message=message, type="Violated").text = text
    elif exploration.verdict is Verdict.INCONCLUSIVE:
        line = inconclusive_line(exploration)
        ET.SubElement(case, "error", message=line, type="Inconclusive").text = text
    else:
        ET.SubElement(case, "system-out").text = text
    return case


def _never_run(name: str, target: str) -> ET.Element:
    case = _element(name, target, 0.0)
    text = f"INCONCLUSIVE: {plain(name)} was not run: the suite was interrupted"
    ET.SubElement(case, "error", message=text, type="Inconclusive").text = text
    return case


def _element(name: str, target: str, elapsed_s: float) -> ET.Element:
    return ET.Element(
        "testcase", name=plain(name), classname=f"deadheat.{plain(target)}", time=f"{elapsed_s:.3f}"
    )
