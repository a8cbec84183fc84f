"""GitHub Actions: what annotates, what stands in the step's summary, and that nobody else can command."""

from __future__ import annotations

import doctest
import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sample_suite import HOSTILE, TOKEN, clean, controlled, finding, inconclusive, proved, skipped, stream

from deadheat.engine.events import Verdict
from deadheat.errors import SettingsError
from deadheat.report import Reports, github
from deadheat.report.github import SUMMARY_BYTES_MAX, GitHubReport, error, fenced
from deadheat.settings import Settings, TargetSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from deadheat.engine.events import Exploration

COMMAND = re.compile(r"::([a-z-]+|[0-9a-f]{32})( [a-z]+=[^:,]*)?::(.*)")


def reported(explorations: Sequence[Exploration], summary: Path, between: str = "") -> tuple[list[str], str]:
    """Give the lines that are printed while a suite goes on, and what is appended to the summary."""
    file = io.StringIO()
    report = GitHubReport(file, summary, replay_options=" --target before")
    report.start()
    for event in stream(explorations):
        file.write(between)
        report.handle(event)
    report.finish()
    return file.getvalue().splitlines(), summary.read_text()


def obeyed(lines: Sequence[str]) -> list[str]:
    """Give the commands that a runner would obey among lines: those that were not stopped."""
    found, word = [], None
    for line in lines:
        said = COMMAND.fullmatch(line.strip())
        if word is not None:
            word = None if said and said[1] == word else word
        elif said and said[1] == "stop-commands":
            word = said[3]
        elif said:
            found.append(line)
    assert word is None, "commands stay stopped for the steps that follow"
    return found


def test_each_finding_and_each_scenario_without_a_verdict_is_an_error(tmp_path: Path) -> None:
    found = controlled(Verdict.VIOLATED, proved(), proved("answers-agree", says="Told of cus_1, cus_2."))
    lines, _ = reported([found, clean(), inconclusive(), skipped()], tmp_path / "summary.md")
    assert obeyed(lines) == [
        "::error title=signup.two-at-once%3A one-customer-per-user%2C answers-agree::Ada (user u1) has two."
        f"%0ATold of cus_1, cus_2.%0Adeadheat replay {TOKEN} --target before",
        "::error title=webhook.forged%3A inconclusive::INCONCLUSIVE: webhook.forged: 5 of 6 runs could not "
        "be judged: the target is gone",
    ]


def test_what_others_print_meanwhile_is_no_command(tmp_path: Path) -> None:
    lines, _ = reported([clean()], tmp_path / "summary.md", "  ::add-path::/tmp/evil\n")
    assert "  ::add-path::/tmp/evil" in lines
    assert obeyed(lines) == []


def test_the_word_that_ends_it_is_another_each_time(tmp_path: Path) -> None:
    first, second = (reported([clean()], tmp_path / "summary.md")[0][0] for _ in range(2))
    assert first.startswith("::stop-commands::")
    assert first != second


@pytest.mark.parametrize("hostile", ["x\n::error::y", "\r::set-output name=a::b", "%0A::x::", HOSTILE])
def test_hostile_texts_stay_within_their_annotation(hostile: str, tmp_path: Path) -> None:
    found = finding(hostile, invariant=hostile, says=hostile)
    bad = replace(controlled(Verdict.VIOLATED, found), scenario=hostile)
    lines, summary = reported([bad, inconclusive(hostile, hostile)], tmp_path / "summary.md")
    assert len(obeyed(lines)) == 2
    assert all(line.startswith("::error title=") for line in obeyed(lines))
    assert "%0A::" not in "".join(lines).replace("%250A::", "")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", summary)


def test_percent_colon_and_comma_are_escaped_as_github_says() -> None:
    assert error("50%: a, b", ["50%: a, b", "c"]) == "::error title=50%25%3A a%2C b::50%25: a, b%0Ac"


def test_the_summary_has_verdict_table_proof_and_replay(tmp_path: Path) -> None:
    _, text = reported([controlled(Verdict.VIOLATED, proved()), clean()], tmp_path / "summary.md")
    assert text.startswith("## VIOLATED\\: 2 scenarios\\: 1 violated\\, 1 clean")
    assert "| signup\\.two\\-at\\-once | violated | 27 | one\\-customer\\-per\\-user |" in text
    assert "\n```text\nsignup.two-at-once: one-customer-per-user is violated\n" in text
    assert f"\n  deadheat replay {TOKEN} --target before\n```\n" in text


def test_nothing_of_a_targets_is_markdown(tmp_path: Path) -> None:
    hostile = "![x](https://evil.example/x.png) | <img src=x> ```"
    found = finding(hostile, invariant=hostile, says=f"{hostile} ````")
    bad = replace(controlled(Verdict.VIOLATED, found), scenario=hostile)
    _, text = reported([bad, inconclusive("b", hostile)], tmp_path / "summary.md")
    outside = re.sub(r"(?s)\n(`{3,})text\n.*?\n\1\n", "", text)
    assert "evil" in outside
    assert not re.search(r"(?<!\\)[<!\[`]", outside.replace("## ", ""))
    assert "://" not in outside
    rows = [line for line in outside.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}


def test_a_fence_is_longer_than_any_within() -> None:
    assert fenced(["a ```` b"]) == "\n`````text\na ```` b\n`````\n"


def test_it_is_appended_and_ends_where_github_takes_no_more(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("x" * (SUMMARY_BYTES_MAX - 20_000))
    many = [finding(f"s.{n}", invariant=f"i-{n}", run=n, says="y" * 1500) for n in range(40)]
    _, text = reported([replace(controlled(Verdict.VIOLATED), findings=tuple(many))], path)
    assert text.startswith("xxx")
    assert len(text.encode()) <= SUMMARY_BYTES_MAX
    assert re.search(r"\n\d+ more are in report\.html: GitHub takes no more here\.\n$", text)


def test_a_summary_that_cannot_be_written_ends_it_before_it_starts(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="GITHUB_STEP_SUMMARY"):
        GitHubReport(io.StringIO(), tmp_path / "none" / "summary.md").start()


@pytest.mark.parametrize("actions", ["true", ""])
def test_it_reports_on_github_alone(
    actions: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", actions)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    settings = Settings(target=TargetSettings(folder=tmp_path), state_folder=tmp_path / ".deadheat")
    with Reports(settings, "ID") as reports:
        for event in stream([controlled(Verdict.VIOLATED, proved())]):
            reports.handle(event)
    assert len(obeyed(capsys.readouterr().out.splitlines())) == (1 if actions else 0)
    assert (tmp_path / "summary.md").exists() == bool(actions)


def test_the_examples_in_its_docstrings() -> None:
    failed, tried = doctest.testmod(github)
    assert (failed, tried > 0) == (0, True)
