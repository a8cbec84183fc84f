"""summary.json has the keys of the design, is written whole or not at all, and claims no more than is so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sample_suite import (
    HOSTILE,
    TOKEN,
    clean,
    controlled,
    finding,
    finished,
    inconclusive,
    proved,
    skipped,
    started,
    stream,
    violated,
)

from deadheat.engine.events import Verdict
from deadheat.errors import SettingsError
from deadheat.report.disk import write_atomically
from deadheat.report.summary import SummaryReport, summary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from deadheat.engine.events import Exploration

SUITE = (clean(), violated(), inconclusive(), skipped())


def summarised(explorations: Sequence[Exploration], **changes: object) -> dict[str, Any]:
    return summary(started(explorations), finished(explorations, **changes))


def coverage(sampled: int) -> dict[str, Any]:
    """What an exploration says that covered nothing under control."""
    counts = (
        "schedules",
        "choices",
        "steps",
        "unattributed",
        "disagreed",
        "late",
        "overlapped",
        "silences",
        "repeated",
    )
    return {
        "sampled": sampled,
        "bound": None,
        **dict.fromkeys(counts, 0),
        "silent_s": 0.0,
        "differing": [],
        "conflicting": 0,
        "in_both_orders": 0,
        "faults": {},
        "exhausted": None,
    }


def test_findings_of_a_schedule_are_one_and_coverage_is_told() -> None:
    findings = (
        proved(replays=(20, 20), replays_diverged=3, runs_until_found=5),
        proved(
            "answers-agree",
            replays=(19, 20),
            replays_diverged=3,
            runs_until_found=2,
            without_yields=(1, 20),
        ),
        finding(invariant="charged-once"),
    )
    (told,) = summarised([controlled(Verdict.VIOLATED, *findings)])["scenarios"]
    assert told["diverged"] == 1
    assert told["findings"][0] == {
        "token": TOKEN,
        "invariants": ["one-customer-per-user", "answers-agree"],
        "replays": "19/20",
        "replays_diverged": 3,
        "actors": 2,
        "switches": 1,
        "faults": 0,
        "runs_until_found": 2,
        "choices_before": 38,
        "choices_after": 31,
        "without_yields": "1/20",
    }
    assert [found["invariants"] for found in told["findings"][1:]] == [["charged-once"]]
    assert told["coverage"] == {
        "sampled": 24,
        "bound": None,
        "schedules": 20,
        "choices": 410,
        "steps": 800,
        "unattributed": 4,
        "disagreed": 8,
        "late": 2,
        "overlapped": 3,
        "silent_s": 3.24,
        "silences": 14,
        "repeated": 10,
        "differing": ["step 7 was to be A1s1, which never came; held: nothing"],
        "conflicting": 12,
        "in_both_orders": 9,
        "faults": {},
        "exhausted": None,
    }


def test_the_bound_is_of_clean_runs_that_sample() -> None:
    (told,) = summarised([controlled()])["scenarios"]
    assert told["coverage"]["bound"] == 0.125  # 3/24: neither the serial run nor the replays count


def scenario(name: str, verdict: str, sampled: int, **more: Any) -> dict[str, Any]:
    """What the summary says of a scenario in which nothing was found; ``more`` is otherwise."""
    return {
        "name": name,
        "strategy": "serial+barrage",
        "runs": 25,
        "proving_runs": 0,
        "inconclusive": 0,
        "diverged": 0,
        "verdict": verdict,
        "violated": [],
        "findings": [],
        "coverage": coverage(sampled),
    } | more


FOUND_BY_BARRAGE = {
    "token": None,
    "invariants": ["one-customer-per-user", "answers-agree"],
    "replays": None,
    "replays_diverged": None,
    "actors": 3,
    "switches": None,
    "faults": 0,
    "runs_until_found": 3,
    "choices_before": None,
    "choices_after": None,
    "without_yields": None,
}


def test_the_summary_of_a_suite() -> None:
    names = ["one-customer-per-user", "answers-agree"]
    assert summarised(SUITE) == {
        "verdict": "violated",
        "seed": 7,
        "postgres": "18.4 embedded",
        "stripe_mock": "v0.197.0",
        "level": 3,
        "not_ours": [],
        "elapsed_s": 12.5,
        "runs": 56,
        "runs_per_s": 4.48,
        "not_checked": {"charged-once": "switched off in [invariants]"},
        "unproven": [],
        "left": None,
        "scenarios": [
            scenario("checkout.two-tabs", "clean", 24, coverage={**coverage(24), "bound": 0.125}),
            scenario("signup.two-at-once", "violated", 24, violated=names, findings=[FOUND_BY_BARRAGE]),
            scenario("webhook.forged", "inconclusive", 0, runs=6, inconclusive=5),
            scenario("seed.new-signup", "skipped", 0, runs=0, strategy=""),
        ],
        "invariants": {
            "one-customer-per-user": {"checked": 50, "violated": 7},
            "bad-webhook-refused": {"checked": 0, "violated": 0},
            "answers-agree": {"checked": 25, "violated": 7},
        },
    }


@pytest.mark.parametrize(
    ("explorations", "word"),
    [([clean()], "interrupted"), ([inconclusive()], "interrupted"), ([violated()], "violated")],
)
def test_a_suite_that_was_interrupted_is_not_clean(explorations: list[Exploration], word: str) -> None:
    assert summarised(explorations, interrupted=True)["verdict"] == word


def test_a_suite_that_took_no_time_divides_by_nothing() -> None:
    assert summarised([], elapsed_s=0.0)["runs_per_s"] == 0.0


def test_it_is_written_once_the_suite_is_over_with_a_copy(tmp_path: Path) -> None:
    report = SummaryReport(tmp_path / ".deadheat", tmp_path / "out" / "copy.json")
    report.start()
    *before, last = stream(SUITE)
    for event in before:
        report.handle(event)
    assert not report.path.exists()
    report.handle(last)
    report.finish()
    text = report.path.read_text()
    assert json.loads(text) == summarised(SUITE)
    assert (tmp_path / "out" / "copy.json").read_text() == text
    assert (tmp_path / ".deadheat" / ".gitignore").read_text() == "*\n"
    assert sorted(p.name for p in report.path.parent.iterdir()) == [".gitignore", "summary.json"]


def test_the_summary_of_an_earlier_invocation_goes_when_one_starts(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"verdict": "clean"}')
    SummaryReport(tmp_path).start()
    assert not (tmp_path / "summary.json").exists()


def test_hostile_content_stays_json_and_secrets_stay_out(tmp_path: Path) -> None:
    explorations = [violated(HOSTILE), inconclusive(HOSTILE, HOSTILE)]
    report = SummaryReport(tmp_path)
    report.start()
    report.handle(started(explorations, HOSTILE, target=HOSTILE, postgres="postgres://me:pw@host/db"))
    report.handle(finished(explorations, not_checked={HOSTILE: HOSTILE}))
    read = json.loads(report.path.read_text())
    assert read["postgres"] == "postgres://me:***@host/db"
    assert "sk_live_51" not in report.path.read_text()
    assert read["scenarios"][0]["name"].startswith("cus_\x1b[2J")


def test_a_copy_that_cannot_be_written_is_said_before_the_first_run(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--json"):
        SummaryReport(tmp_path, tmp_path).start()


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text("old")
    with pytest.raises(TypeError):
        write_atomically(path, 3)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
