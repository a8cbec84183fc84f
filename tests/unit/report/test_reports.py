"""The reports of one invocation together, from its settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from sample_suite import clean, inconclusive, skipped, step, stream, violated

from deadheat.engine.events import Verdict
from deadheat.errors import SettingsError
from deadheat.report import Reports
from deadheat.settings import Settings, TargetSettings

if TYPE_CHECKING:
    from pathlib import Path


def settings(folder: Path, **changes: object) -> Settings:
    values: dict[str, object] = {
        "target": TargetSettings(folder=folder),
        "state_folder": folder / ".deadheat",
    }
    return Settings(**{**values, **changes})  # type: ignore[arg-type]


def test_one_invocation_leaves_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy, junit = tmp_path / "copy.json", tmp_path / "junit.xml"
    with Reports(settings(tmp_path, json=copy, junit=junit), "ID") as reports:
        reports.histories.begin(1, "s", "serial")(step())
        reports.histories.end(1, Verdict.VIOLATED, None)
        for event in stream([violated()]):
            reports.handle(event)
    state = tmp_path / ".deadheat"
    assert reports.folder == state / "runs" / "ID"
    assert len((reports.folder / "history.ndjson").read_text().splitlines()) == 2
    assert (state / ".gitignore").read_text() == "*\n"
    assert (reports.folder / "report.html").read_text() == (state / "report.html").read_text()
    assert json.loads(copy.read_text())["verdict"] == "violated"
    assert "<failure" in junit.read_text()
    assert "VIOLATED: 1 scenario" in capsys.readouterr().out


def test_only_history_leaves_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Reports(settings(tmp_path), "ID", only_history=True) as reports:
        for event in stream([clean()]):
            reports.handle(event)
    assert capsys.readouterr().out == ""
    assert not (tmp_path / ".deadheat" / "summary.json").exists()
    assert (reports.folder / "history.ndjson").exists()


def test_a_file_that_cannot_be_written_stops_everything_before_it_starts(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--junit"), Reports(settings(tmp_path, junit=tmp_path), "ID"):
        pytest.fail("it started")


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    wrong = settings(tmp_path, state_folder=tmp_path / "file" / ".deadheat")
    with pytest.raises(SettingsError, match="cannot write"), Reports(wrong, "ID"):
        pytest.fail("it started")


def test_a_report_that_breaks_leaves_no_file_open(tmp_path: Path) -> None:
    reports = Reports(settings(tmp_path), "ID")
    with pytest.raises(ZeroDivisionError), reports:
        raise ZeroDivisionError
    with pytest.raises(RuntimeError, match="not open"):
        reports.histories.begin(1, "s", "serial")(step())


def test_text_of_an_exploration(tmp_path: Path) -> None:
    reports = Reports(settings(tmp_path), "ID", only_history=True)
    assert reports.text_of(violated()).startswith("signup.two-at-once: one-customer-per-user and ")
    assert reports.text_of(inconclusive()).startswith("INCONCLUSIVE: webhook.forged")
    assert "is clean: with no violation in 24 runs" in reports.text_of(clean())
    assert "does not offer sign-up" in reports.text_of(skipped())
