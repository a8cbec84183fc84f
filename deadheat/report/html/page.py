"""The page: verdict and what it does not say, findings, scenarios, invariants, what was covered, on what."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING

import deadheat
from deadheat.invariants import BUILT_IN
from deadheat.report.closing import closing_lines
from deadheat.report.coverage import coverage_lines
from deadheat.report.findings import grouped
from deadheat.report.html.finding import finding_article, finding_id
from deadheat.report.html.markup import Markup, joined, tag
from deadheat.report.html.style import STYLE
from deadheat.report.prose import strategies_of, verdict_word, violated_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deadheat.engine.events import Exploration, SuiteFinished, SuiteStarted
    from deadheat.report.findings import Group

POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # nothing is fetched, and nothing is run


def page(started: SuiteStarted, finished: SuiteFinished, replay_options: str = "") -> str:
    """Give the whole report as one HTML document."""
    word = "interrupted" if finished.interrupted else str(finished.verdict)
    groups = [group for exploration in finished.scenarios for group in grouped(exploration.findings)]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("title", f"{word.upper()}: {started.target}"),
        tag("style", Markup(STYLE)),
    )
    body = tag(
        "body",
        tag("h1", tag("span", word.upper(), class_=f"verdict {word}"), " ", started.target),
        *(
            tag("p", line.strip(), class_="soft" if at else None)
            for at, line in enumerate(closing_lines(finished, started))
        ),
        _contents(groups),
        _findings(groups, replay_options),
        _scenarios(finished.scenarios),
        _invariants(finished),
        _coverage(finished.scenarios),
        _environment(started),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _contents(groups: Sequence[Group]) -> Markup:
    links = [("findings", f"{len(groups)} findings")] if groups else []
    links += [("scenarios", "Scenarios"), ("invariants", "Invariants"), ("coverage", "Coverage")]
    links += [("environment", "Environment")]
    return tag("nav", *(tag("a", said, href=f"#{place}") for place, said in links), aria_label="Contents")


def _findings(groups: Sequence[Group], replay_options: str) -> Markup | None:
    if not groups:
        return None
    listed = [
        tag(
            "li",
            tag("a", f"{group.first.scenario}: {', '.join(group.invariants)}", href=f"#{finding_id(number)}"),
        )
        for number, group in enumerate(groups, 1)
    ]
    return joined(
        tag("h2", "Findings", id="findings"),
        tag("ol", *listed) if len(groups) > 1 else None,
        *(finding_article(number, group, replay_options) for number, group in enumerate(groups, 1)),
    )


def _scenarios(explorations: Sequence[Exploration]) -> Markup:
    rows = [
        (
            exploration.scenario,
            tag("span", verdict_word(exploration), class_=f"verdict {verdict_word(exploration)}"),
            exploration.runs,
            strategies_of(exploration.strategies),
            exploration.coverage.schedules,
            exploration.coverage.choices,
            ", ".join(violated_in(exploration)) or exploration.reason or ", ".join(exploration.skipped),
        )
        for exploration in explorations
    ]
    heads = (
        "scenario",
        "verdict",
        "runs",
        "strategies",
        "schedules",
        "choices",
        "violated, or why not judged",
    )
    return joined(tag("h2", "Scenarios", id="scenarios"), _table(heads, rows, numbers=(2, 4, 5)))


def _invariants(finished: SuiteFinished) -> Markup:
    """Give every invariant: how often it was checked and broken, or why it was not."""
    rows = []
    for invariant in BUILT_IN:
        checked, violated = finished.invariants.get(invariant.id, (0, 0))
        rows.append(
            (
                invariant.id,
                _state(finished, invariant.id, checked, violated),
                checked,
                violated,
                invariant.holds_when,
            )
        )
    own = [name for name in finished.invariants if name not in {invariant.id for invariant in BUILT_IN}]
    for name in own:
        checked, violated = finished.invariants[name]
        rows.append((name, _state(finished, name, checked, violated), checked, violated, "the team's own"))
    heads = ("invariant", "", "checked", "violated", "holds when")
    return joined(tag("h2", "Invariants", id="invariants"), _table(heads, rows, numbers=(2, 3)))


def _state(finished: SuiteFinished, invariant: str, checked: int, violated: int) -> Markup:
    if violated:
        return tag("span", "violated", class_="verdict violated")
    if not checked:
        reason = finished.not_checked.get(invariant, "no run came to it")
        return tag("span", f"not checked: {reason}", class_="skipped")
    if invariant in finished.unproven:
        return tag("span", "held; unproven: nothing has ever violated it", class_="skipped")
    return tag("span", "held", class_="clean")


def _coverage(explorations: Sequence[Exploration]) -> Markup:
    ran = [exploration for exploration in explorations if not exploration.skipped]
    said = [tag("li", line) for line in coverage_lines(ran)]
    return joined(tag("h2", "Coverage", id="coverage"), tag("ul", *said))


def _environment(started: SuiteStarted) -> Markup:
    facts = {
        "target": started.target,
        "control": str(started.reach),
        "Postgres": started.postgres,
        "stripe-mock": started.stripe_mock,
        "seed": started.seed,
        "run": started.run_id,
        "Deadheat": deadheat.__version__,
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "command": " ".join(sys.argv[1:]) or "none",
    }
    listed = [part for name, fact in facts.items() for part in (tag("dt", name), tag("dd", str(fact)))]
    cannot = [tag("p", line, class_="soft") for line in started.reach.cannot()]
    return joined(tag("h2", "Environment", id="environment"), tag("dl", *listed), *cannot)


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: Sequence[int]) -> Markup:
    def cells(name: str, row: Sequence[object]) -> Iterator[Markup]:
        for at, cell in enumerate(row):
            shown = cell if isinstance(cell, Markup) else str(cell)
            yield tag(name, shown, class_="number" if at in numbers else None)

    head = tag("thead", tag("tr", *cells("th", heads)))
    body = tag("tbody", *(tag("tr", *cells("td", row)) for row in rows))
    return tag("div", tag("table", head, body), class_="wide", tabindex=0)
