"""The report in headless Chromium: real findings, hostile texts, and many of them; light, dark, narrow.

That no script runs and no request leaves is shown twice: with the page's own policy, and with the policy
taken away, where only the escaping is left. The control shows that the same texts, put in unescaped, do run
and ask, and that this is seen.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from browser import CHROMIUM, Tab, browsing
from conftest import Ended, deadheat

from deadheat.engine.events import Coverage, Exploration, Finding, SuiteFinished, SuiteStarted, Verdict
from deadheat.history import History, Plane, Step, StepKind
from deadheat.invariants.settled import Evidence, Violation
from deadheat.report.html.page import page
from deadheat.schedule import Schedule, Switch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (Debian's package chromium)"),
]

NARROW = 400
FINDINGS, RUNS, BYTES_MAX = 50, 10_000, 10_000_000
RAN = "document.documentElement.dataset.ran=1"
HOSTILE = (
    f"<script>{RAN}</script><img src=http://127.0.0.1:9/img onerror={RAN}>\"' onmouseover={RAN} "
    f"</style><style>@import url(http://127.0.0.1:9/css);</style></title></pre></code></summary></text></svg>"
    f"<svg onload={RAN}><iframe srcdoc='<script>parent.{RAN}</script>'></iframe>"
    f"<a href=javascript:{RAN}>x</a><link rel=stylesheet href=http://127.0.0.1:9/link><base href=//x.example>"
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/meta'>]]>--> &lt;b&gt; \u202e\x1b[31m\r\n"
)
OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"
CONTRASTS = """
(() => {
  const channels = color => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, n) => sum + c * [.2126, .7152, .0722][n], 0);
  const ground = one => {
    for (let at = one; at; at = at.parentElement) {
      const color = channels(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const found = {};
  for (const one of document.querySelectorAll('body *:not(svg):not(svg *):not(br)')) {
    if (![...one.childNodes].some(child => child.nodeType === 3 && child.data.trim())) continue;
    const [a, b] = [light(channels(getComputedStyle(one).color)), light(ground(one))].sort((x, y) => y - x);
    const name = one.tagName.toLowerCase() + '.' + one.className;
    found[name] = Math.min(found[name] ?? 99, (a + .05) / (b + .05));
  }
  return found;
})()
"""


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with browsing() as tab:
        yield tab


def step(seq: int, text: str, plane: Plane, kind: StepKind, **data: Any) -> Step:
    return Step(run=1, seq=seq, t_us=seq, actor="A", plane=plane, kind=kind, label=text, data=data)


def suite(*explorations: Exploration, text: str = "before") -> str:
    """Give the page of a suite; ``text`` stands wherever a target, a team or a machine may have a say."""
    started = SuiteStarted(
        run_id=text, target=text, postgres=text, stripe_mock=text, seed=1,
        scenarios=tuple(one.scenario for one in explorations), planned=RUNS,
    )  # fmt: skip
    finished = SuiteFinished(
        verdict=Verdict.VIOLATED, scenarios=explorations, runs=RUNS, elapsed_s=1000.0,
        invariants={text: (9, 1), "answers-agree": (9, 0)}, not_checked={"applied-once": text},
        unproven=(text,), stripe_mock=text,
    )  # fmt: skip
    return page(started, finished, f" --target {text}")


def hostile() -> str:
    """Give a page with a hostile text in every field."""
    steps = (
        step(1, HOSTILE, Plane.HTTP, StepKind.REQUEST, operation=HOSTILE, body=HOSTILE),
        step(2, HOSTILE, Plane.SQL, StepKind.FLIGHT, sql=[HOSTILE], parameters=[HOSTILE], strand=HOSTILE),
        step(3, HOSTILE, Plane.STRIPE, StepKind.EFFECT, objects=[HOSTILE], **{HOSTILE: {HOSTILE: [HOSTILE]}}),
        step(4, HOSTILE, Plane.FAULT, StepKind.RECEIVED),
        replace(step(5, HOSTILE, Plane.WEBHOOK, StepKind.DELIVERY), actor=HOSTILE, attribution=HOSTILE),
    )
    evidence = Evidence(
        says=HOSTILE, user_id=HOSTILE, objects=(HOSTILE,), rows=({HOSTILE: HOSTILE},), steps=(2,)
    )
    schedule = Schedule(
        scenario=HOSTILE, source=HOSTILE, dropped=(HOSTILE,), switches=(Switch(HOSTILE, (HOSTILE,)),)
    )
    found = Finding(
        scenario=HOSTILE, invariant=HOSTILE, strategy=HOSTILE, run=1, history=History(steps),
        violation=Violation(invariant=HOSTILE, evidence=(evidence,), holds_when=HOSTILE), runs_until_found=1,
        shown_in=1, runs=9, schedule=schedule, original=schedule, token=HOSTILE, replays=(20, 20),
        removed={HOSTILE: 1},
    )  # fmt: skip
    coverage = Coverage(schedules=1, repeated=1, differing=(HOSTILE,))
    return suite(
        Exploration(
            scenario=HOSTILE, verdict=Verdict.VIOLATED, strategies={HOSTILE: 9}, runs=9, findings=(found,),
            coverage=coverage,
        ),
        Exploration(scenario=HOSTILE, verdict=Verdict.INCONCLUSIVE, runs=1, inconclusive=1, reason=HOSTILE),
        Exploration(scenario=HOSTILE, verdict=Verdict.CLEAN, skipped=(HOSTILE,)),
        text=HOSTILE,
    )  # fmt: skip


def many(folder: Path) -> str:
    """Give a page of 10,000 runs and 50 findings, each with the steps of one that was really made."""
    kept = [json.loads(path.read_text()) for path in sorted(folder.glob(".deadheat/findings/*.json"))]
    findings = []
    for n in range(FINDINGS):
        one = kept[n % len(kept)]
        steps = tuple(map(Step.parse, one["steps"]))
        (invariant,) = one["invariants"]
        evidence = Evidence(says=f"What was found, for the {n}th time.", steps=(steps[-1].seq,))
        schedule = replace(Schedule.from_json(one["schedule"]), seed=n + 1)
        findings.append(
            Finding(
                scenario=one["scenario"], invariant=invariant, strategy="random-walk", run=n,
                violation=Violation(invariant=invariant, evidence=(evidence,)), history=History(steps),
                runs_until_found=n + 1, shown_in=1, runs=RUNS, schedule=schedule, original=schedule,
                token=one["token"], replays=(20, 20),
            )
        )  # fmt: skip
    return suite(
        *(
            Exploration(
                scenario=f"scenario.number-{n}", verdict=Verdict.VIOLATED, runs=RUNS // 10,
                strategies={"random-walk": RUNS // 10}, findings=tuple(findings[n::10]),
            )
            for n in range(10)
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def on_before(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Two scenarios of the table: enough to look at."""
    return deadheat(
        "run", "signup.two-at-once", "webhook.before-profile", "--target", "before", "--schedules", "6",
        "--seed", "1", folder=tmp_path_factory.mktemp("two"),
    )  # fmt: skip


@pytest.fixture(scope="module", params=["before", "hostile", "many"])
def report(
    request: pytest.FixtureRequest, on_before: Ended, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    if request.param == "before":
        return on_before.folder / ".deadheat" / "report.html"
    path = tmp_path_factory.mktemp(request.param) / "report.html"
    path.write_text(hostile() if request.param == "hostile" else many(on_before.folder))
    return path


def asked_and_ran(tab: Tab, path: Path) -> tuple[list[str], bool]:
    """Open a page and all that can be opened on it; gives what it asked for, and whether a script ran."""
    tab.open(path)
    tab.value(OPEN_ALL)
    tab.value("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")  # whatever it set off
    return tab.requests, tab.value("document.documentElement.dataset.ran") == "1"


@pytest.mark.parametrize("policy", ["with its policy", "by escaping alone"])
def test_no_script_runs_and_no_request_leaves(tab: Tab, report: Path, policy: str, tmp_path: Path) -> None:
    html = report.read_text()
    if policy == "by escaping alone":
        html, taken = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
        assert taken == 1
    path = tmp_path / "report.html"
    path.write_text(html)
    assert asked_and_ran(tab, path) == ([path.as_uri()], False)
    assert tab.said == []
    assert (
        tab.value("document.querySelectorAll('script, img, iframe, link, base, a[href^=java]').length") == 0
    )
    assert tab.value("document.querySelectorAll('style').length") == 1


def test_what_is_not_escaped_would_be_seen_to_run_and_to_ask(tab: Tab, tmp_path: Path) -> None:
    path = tmp_path / "control.html"
    path.write_text(f"<!doctype html><p>{HOSTILE.replace('<meta', '<x')}")
    asked, ran = asked_and_ran(tab, path)
    assert ran
    assert "http://127.0.0.1:9/img" in asked


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_page_does_not_scroll_sideways(tab: Tab, report: Path, scheme: str) -> None:
    tab.open(report, width=NARROW, scheme=scheme)
    tab.value(OPEN_ALL)
    assert tab.value("document.documentElement.scrollWidth") <= NARROW


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(tab: Tab, on_before: Ended, scheme: str) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 to 1 at least."""
    tab.open(on_before.folder / ".deadheat" / "report.html", scheme=scheme)
    tab.value(OPEN_ALL)
    contrasts = tab.value(CONTRASTS)
    assert len(contrasts) > 10
    assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}
    red, green, blue = map(
        int, re.findall(r"\d+", tab.value("getComputedStyle(document.body).backgroundColor"))
    )
    assert (red + green + blue < 200) == (scheme == "dark")


def test_a_step_opens_by_the_keyboard(tab: Tab, on_before: Ended) -> None:
    tab.open(on_before.folder / ".deadheat" / "report.html")
    tab.value("document.querySelector('article details > summary').focus()")
    assert tab.value("document.activeElement.parentElement.open") is False
    tab.press("Enter", "\r")
    assert tab.value("document.activeElement.parentElement.open") is True
    before = tab.value("document.activeElement.textContent")
    tab.press("Tab")
    assert tab.value("document.activeElement.tagName") == "SUMMARY"
    assert tab.value("document.activeElement.textContent") != before


def test_many_findings_open_soon(
    tab: Tab, on_before: Ended, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.html"
    path.write_text(many(on_before.folder))
    seconds = tab.open(path)
    assert tab.value("document.querySelectorAll('article').length") == FINDINGS
    size = path.stat().st_size
    with capsys.disabled():
        sys.stdout.write(
            f"\n{RUNS} runs and {FINDINGS} findings: {size / 1e6:.1f} MB, open in {seconds:.2f} s\n"
        )
    assert size < BYTES_MAX
