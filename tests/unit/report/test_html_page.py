"""The page: what stands on it, that nothing of a target's can act on it, and that it stays small."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from sample_suite import HOSTILE, clean, controlled, finding, inconclusive, proved, started, step, violated

from deadheat.engine.events import SuiteFinished, Verdict
from deadheat.history import History, Plane, StepKind
from deadheat.report.html.markup import Markup, lines, tag
from deadheat.report.html.page import page

ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "h4", "p", "span", "nav", "a", "ol",
    "ul", "li", "article", "div", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "dl",
    "dt", "dd", "pre", "code", "br", "svg", "g", "line", "text", "circle", "path", "rect",
}  # fmt: skip


class Reader(HTMLParser):
    """Reads a page as a browser does: its elements, its attributes, the text, and whether all is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


def finished(*scenarios: object, **changes: object) -> SuiteFinished:
    values = {
        "verdict": Verdict.VIOLATED,
        "scenarios": scenarios,
        "runs": 81,
        "elapsed_s": 10.0,
        "invariants": {"one-customer-per-user": (50, 7), "answers-agree": (25, 0), "no-widows": (3, 0)},
        "not_checked": {"applied-once": "effects is not mapped"},
    }
    return SuiteFinished(**{**values, **changes})  # type: ignore[arg-type]


def read(*scenarios: object, **changes: object) -> Reader:
    return Reader(page(started([clean()]), finished(*scenarios, **changes), " --target before"))


def test_everything_that_a_reader_needs_stands_on_it() -> None:
    shown = read(controlled(Verdict.VIOLATED, proved()), clean(), inconclusive())
    for expected in (
        "VIOLATED",
        "signup.two-at-once: ",
        "Ada (user u1) has two.",
        "replayed 20/20",
        "deadheat replay dh1-signup.two-at-once_0a1b2c3d_pA1s1-B1s1_kabc --target before",
        "the target is gone",
        "effects is not mapped",
        "no run came to it",
        "12 pairs of steps seen to conflict, 9 in both orders",
        "at A1s1 to B1s1",
        "So one-customer-per-user is broken: Ada (user u1) has two.",
    ):
        assert expected in shown.text, expected


def test_a_clean_suite_says_what_clean_is_worth() -> None:
    shown = read(clean(), verdict=Verdict.CLEAN)
    assert "the violation rate is below" in shown.text
    assert "Findings" not in shown.text


def test_every_link_leads_somewhere_on_the_page() -> None:
    shown = read(violated(), violated("checkout.two-tabs"))
    places = {value for name, value in shown.attributes if name == "id"}
    links = {value for name, value in shown.attributes if name == "href"}
    assert links
    assert {f"#{place}" for place in places} >= links


@pytest.mark.parametrize(
    "hostile", [HOSTILE, "</style><script>alert(1)</script>", '"><img src=x onerror=alert(1)>']
)
def test_nothing_of_the_targets_becomes_markup(hostile: str) -> None:
    history = History(
        (
            replace(step(12, 1, actor=hostile, plane=Plane.SQL), label=hostile, kind=StepKind.FLIGHT),
            replace(
                step(12, 2, plane=Plane.HTTP, status=200, customer=hostile, body=hostile, sql=[hostile]),
                label=hostile,
            ),
            replace(step(12, 3, plane=Plane.FAULT), label=hostile, data={hostile: {hostile: [hostile]}}),
        )
    )
    bad = finding(hostile, invariant=hostile, says=hostile, history=history)
    suite = finished(
        replace(violated(), scenario=hostile, findings=(bad,)),
        inconclusive(hostile, hostile),
        invariants={hostile: (1, 1)},
        not_checked={"applied-once": hostile},
    )
    html = page(replace(started([clean()]), target=hostile, postgres=hostile), suite, f" --target {hostile}")
    shown = Reader(html)
    assert set(shown.elements) <= ALLOWED
    assert not [name for name, _ in shown.attributes if name.startswith("on") or name in ("src", "style")]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", html)
    for secret in ("sk_live_51AbCdEfGhIj", "whsec_51AbCdEfGhIj"):
        assert secret not in html


def test_it_fetches_and_runs_nothing() -> None:
    html = page(started([clean()]), finished(violated()))
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in Reader(html).attributes
    assert not re.search(r"https?://|<script|<link|@import|url\(", html)


def test_many_findings_stay_small() -> None:
    """Fifty findings of eighty steps that each carry a kilobyte: under ten megabytes."""
    steps = tuple(
        replace(step(1, n, actor="AB"[n % 2], plane=Plane.SQL, body="x" * 1000), kind=StepKind.FLIGHT)
        for n in range(1, 81)
    )
    many = [
        finding(f"suite.scenario-{n}", invariant=f"invariant-{n}", run=n, history=History(steps))
        for n in range(50)
    ]
    suite = finished(replace(violated(), findings=tuple(many)), runs=10_000)
    assert len(page(started([clean()]), suite)) < 10_000_000


def test_markup_is_made_by_tag_alone() -> None:
    assert tag("p", "a < b & c", class_='x"y') == '<p class="x&quot;y">a &lt; b &amp; c</p>'
    assert tag("p", tag("br"), Markup("<b>") + "x") == "<p><br>&lt;b&gt;x</p>"
    assert tag("a", "x", hidden=True, id=None, title=False) == "<a hidden>x</a>"


def test_lines_are_kept_and_each_is_made_harmless() -> None:
    assert lines("select <1>\n\x1b[2J", 100) == "select &lt;1&gt;\n\\x1b[2J"
    assert lines("abcdef", 3) == "abc\n… (6 characters)"
