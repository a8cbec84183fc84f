"""The console: whole suites as text, still without a terminal, and deaf to what a target sends."""

from __future__ import annotations

import io
import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from sample_suite import HOSTILE, clean, finished, inconclusive, skipped, started, step, stream, violated

from deadheat.engine.events import Exploration, Minimizing, RunFinished, ScenarioStarted, Verdict
from deadheat.history import StepKind
from deadheat.report.closing import exit_code
from deadheat.report.console import ConsoleReport, make_console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syrupy.assertion import SnapshotAssertion

HISTORY = Path(".deadheat/runs/1/history.ndjson")
ESCAPE = "\x1b"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def shown(explorations: Sequence[Exploration], **changes: object) -> str:
    file = io.StringIO()
    report = ConsoleReport(make_console(file), HISTORY)
    report.start()
    for event in stream(explorations, **changes):
        report.handle(event)
    report.finish()
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def masked(text: str) -> str:
    """Mask what differs from run to run: the invocation, the seed, times and rates."""
    text = re.sub(r"\d{8}-\d{6}-[0-9a-f]{4}", "RUN", text)
    text = re.sub(r"seed \d+", "seed N", text)
    return re.sub(r"\d+\.\d(?= s\b|/s| runs/s)", "T", text)


def test_a_clean_suite(snapshot: SnapshotAssertion) -> None:
    assert masked(shown([clean(), clean("webhook.before-profile", runs=101), skipped()])) == snapshot


def test_a_suite_with_everything(snapshot: SnapshotAssertion) -> None:
    assert masked(shown([clean(), violated(times=5), inconclusive(), skipped()])) == snapshot


def test_an_interrupted_suite(snapshot: SnapshotAssertion) -> None:
    assert masked(shown([clean()], interrupted=True)) == snapshot


def test_a_clean_verdict_says_what_it_is_worth_and_not_more() -> None:
    text = shown([clean(), clean("b", runs=101)])
    assert (
        "with no violation in 24 runs of this sampler of each scenario the violation rate is below 3/24 (95%)"
        in text
    )
    assert "serial 2, barrage 124" in text
    assert "not checked: charged-once (switched off in [invariants])" in text
    assert "stripe-mock: v0.197.0 validated" in text
    assert "race-free" not in text
    assert "one-customer-per-user (customers is not mapped" not in text  # it was judged in some run


def test_stripe_mock_off_is_said_in_one_line() -> None:
    file = io.StringIO()
    report = ConsoleReport(make_console(file), HISTORY)
    report.handle(started([clean()], "off"))
    report.handle(finished([clean()]))
    assert [line for line in file.getvalue().splitlines() if "stripe-mock: off" in line]


def test_the_last_steps_of_what_came_to_nothing() -> None:
    """They are told as everywhere, and what the target sent is harmless."""
    steps = (
        replace(step(run=7, seq=1), kind=StepKind.REQUEST, label="POST /sign-up"),
        step(run=7, seq=2, why=f"no HTTP {HOSTILE}"),
    )
    lines = shown([replace(inconclusive(), last_steps=steps)])
    assert "  its last steps (run 7):\n" in lines
    assert "          1 A        POST /sign-up\n          2 A        => no answer: no HTTP " in lines
    assert HOSTILE not in lines


@pytest.mark.parametrize(
    ("strategies", "inconclusive_runs", "says"),
    [
        ({"serial": 30}, 0, "sample no order"),
        ({"serial": 1, "barrage": 2}, 0, "too few to bound"),
        ({"barrage": 30}, 10, "below 3/20 (95%)"),
        ({"replay": 30, "serial": 1, "random-walk": 20}, 0, "below 3/20 (95%)"),
        ({"replay": 30}, 0, "sample no order"),
    ],
)
def test_the_bound_counts_only_judged_runs_that_sample(
    strategies: dict[str, int], inconclusive_runs: int, says: str
) -> None:
    explored = Exploration(
        scenario="s",
        verdict=Verdict.CLEAN,
        strategies=strategies,
        runs=sum(strategies.values()),
        inconclusive=inconclusive_runs,
    )
    assert says in shown([explored])


def test_a_finding_says_where_to_read_on() -> None:
    text = shown([violated()])
    assert "signup.two-at-once: one-customer-per-user and answers-agree are violated" in text
    assert "found by barrage: cannot be replayed" in text
    assert "Shown in 7 of 24 runs of barrage, first after 3 runs" in text
    assert f"run 12 in {HISTORY}" in text
    assert "of this sampler" not in text


def test_hostile_content_neither_moves_nor_forges_anything() -> None:
    text = shown(
        [
            violated(HOSTILE, invariant=HOSTILE, says=HOSTILE, strategy=HOSTILE),
            inconclusive(HOSTILE, HOSTILE),
            skipped(HOSTILE, HOSTILE),
        ],
        not_checked={HOSTILE: HOSTILE},
    )
    assert ESCAPE not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "[bold red]x[/]" in text  # shown, not obeyed
    assert ":smile:" in text
    assert not [line for line in text.splitlines() if line.startswith("CLEAN")]
    assert "sk_live_51" not in text
    text.encode()


def test_without_a_terminal_each_finished_scenario_is_one_line() -> None:
    before, _, _ = shown([clean(), violated()]).partition("\n\n")
    assert [line.split()[0] for line in before.splitlines()] == [
        "setting",
        "Deadheat",
        "note:",
        "checkout.two-tabs",
        "signup.two-at-once",
    ]


def terminal(file: io.StringIO) -> Console:
    return Console(file=file, force_terminal=True, width=110, markup=False, emoji=False, highlight=False)


def live_line(report: ConsoleReport) -> str:
    """Give the live line as it stands, on a terminal of 110 columns."""
    assert report._live is not None
    lines = terminal(io.StringIO()).render_lines(report._live._progress.get_renderable())
    (pieces,) = lines  # it never breaks
    return "".join(piece.text for piece in pieces).rstrip()


def test_on_a_terminal_the_current_scenario_is_shown_live() -> None:
    file = io.StringIO()
    ticks = itertools.count()
    report = ConsoleReport(terminal(file), HISTORY, clock=lambda: float(next(ticks)))
    report.handle(started([skipped(), violated(), clean()]))
    report.handle(skipped())
    report.handle(ScenarioStarted(scenario="signup.two-at-once", strategies=("barrage",), planned=25))
    for n in range(5):
        verdict = Verdict.CLEAN if n else Verdict.VIOLATED
        report.handle(RunFinished(scenario="x", strategy="pct", run=n, verdict=verdict, elapsed_s=0.1))
    shown = live_line(report)
    assert "2/3 signup.two-at-once" in shown
    assert shown.endswith("pct, 5/25, 1 violated, 0.8/s, 24 s left")
    report.handle(Minimizing(scenario="signup.two-at-once", invariant="one-live-subscription", runs=47))
    assert live_line(report).endswith("1 violated; minimizing one-live-subscription, run 47")
    report.handle(violated())
    assert report._live is None
    assert "signup.two-at-once" in file.getvalue()
    assert f"{ESCAPE}[?25h" in file.getvalue()  # the cursor is back


def test_under_a_budget_of_seconds_they_are_what_is_left() -> None:
    ticks = itertools.count()
    report = ConsoleReport(terminal(io.StringIO()), HISTORY, clock=lambda: float(next(ticks)))
    report.handle(ScenarioStarted(scenario="s", strategies=("serial",), planned=None, seconds=30))
    report.handle(RunFinished(scenario="s", strategy="serial", run=1, verdict=Verdict.CLEAN, elapsed_s=1))
    assert live_line(report).endswith("serial, 1, 0 violated, 0.5/s, 28 s left")
    report.finish()


def test_quiet_says_the_verdict_and_what_qualifies_it_alone() -> None:
    loud, file = shown([clean(), violated()]), io.StringIO()
    report = ConsoleReport(make_console(file), HISTORY, quiet=True)
    for event in stream([clean(), violated()]):
        report.handle(event)
    quiet = file.getvalue()
    assert quiet.startswith("VIOLATED: 2 scenarios: 1 violated, 1 clean; ")
    assert loud.endswith("\n".join(line.rstrip() for line in quiet.splitlines()))


def test_quiet_is_quiet_on_a_terminal_too() -> None:
    file = io.StringIO()
    report = ConsoleReport(terminal(file), HISTORY, quiet=True)
    for event in stream([clean()])[:-1]:
        report.handle(event)
    assert file.getvalue() == ""


def test_an_interrupt_gives_the_terminal_back() -> None:
    file = io.StringIO()
    report = ConsoleReport(terminal(file), HISTORY)
    report.handle(ScenarioStarted(scenario="s", strategies=("barrage",), planned=None))
    assert f"{ESCAPE}[?25h" not in file.getvalue()
    report.finish()
    report.finish()
    assert f"{ESCAPE}[?25h" in file.getvalue()


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-7]m")

    def on_a_terminal() -> str:
        file = io.StringIO()
        ConsoleReport(terminal(file), HISTORY).handle(violated())
        return file.getvalue()

    assert coloured.search(on_a_terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured.search(on_a_terminal())


def test_an_encoding_that_lacks_a_character_ends_no_report() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    ConsoleReport(make_console(file), HISTORY).handle(inconclusive("Grüße", "東京"))
    file.flush()
    assert b"Gr\\xfc\\xdfe" in raw.getvalue()


def test_columns_decide_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_console(io.StringIO()).width == 110
    monkeypatch.setenv("COLUMNS", "60")
    assert make_console(io.StringIO()).width == 60


@pytest.mark.parametrize(
    ("verdict", "interrupted", "code"),
    [
        (Verdict.CLEAN, False, 0),
        (Verdict.VIOLATED, False, 1),
        (Verdict.INCONCLUSIVE, False, 3),
        (Verdict.CLEAN, True, 130),
        (Verdict.VIOLATED, True, 130),
    ],
)
def test_exit_codes(verdict: Verdict, interrupted: bool, code: int) -> None:
    assert exit_code(verdict, interrupted) == code
