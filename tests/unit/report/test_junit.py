"""JUnit XML that parses, whatever the target sent, and in which nothing passes that did not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from sample_suite import HOSTILE, clean, finished, inconclusive, skipped, started, stream, violated

from deadheat.errors import SettingsError
from deadheat.report.junit import JUnitReport, junit_xml
from deadheat.report.plain import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syrupy.assertion import SnapshotAssertion

    from deadheat.engine.events import Exploration

HISTORY = Path(".deadheat/runs/1/history.ndjson")


def parsed(explorations: Sequence[Exploration], **changes: object) -> ET.Element:
    suite = ET.fromstring(junit_xml(started(explorations), finished(explorations, **changes), HISTORY))[0]
    assert suite.tag == "testsuite"
    return suite


def test_each_verdict_has_its_element() -> None:
    suite = parsed([clean(), violated(), inconclusive(), skipped()])
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped", "time")} == {
        "tests": "4",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
        "time": "12.500",
    }
    kinds = {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}
    assert kinds == {
        "checkout.two-tabs": ["system-out"],
        "signup.two-at-once": ["failure"],
        "webhook.forged": ["error"],
        "seed.new-signup": ["skipped"],
    }


def test_a_failure_carries_the_proof() -> None:
    (failure,) = parsed([violated()]).iter("failure")
    assert failure.get("message") == "violated: one-customer-per-user, answers-agree"
    assert failure.text is not None
    assert "Ada (user u1) has two." in failure.text
    assert str(HISTORY) in failure.text


def test_inconclusive_begins_so() -> None:
    (error,) = parsed([inconclusive()]).iter("error")
    assert str(error.get("message")).startswith("INCONCLUSIVE: webhook.forged: 5 of 6 runs")
    assert str(error.text).startswith("INCONCLUSIVE")
    assert "the target is gone" in str(error.text)


def test_a_skip_names_what_the_target_lacks() -> None:
    (element,) = parsed([skipped(lacks="check-out")]).iter("skipped")
    assert "check-out" in str(element.get("message"))


def test_what_was_never_run_did_not_pass() -> None:
    done = [clean()]
    document = junit_xml(started([*done, violated("later.on")]), finished(done, interrupted=True))
    suite = ET.fromstring(document)[0]
    assert (suite.get("tests"), suite.get("errors")) == ("2", "1")
    assert "INCONCLUSIVE: later.on was not run" in document


def test_properties_name_what_was_raced_and_what_was_not_checked() -> None:
    properties = {p.get("name"): p.get("value") for p in parsed([clean()]).iter("property")}
    assert properties["seed"] == "7"
    assert properties["stripe-mock"] == "v0.197.0"
    assert properties["not-checked.charged-once"] == "switched off in [invariants]"
    assert "not-checked.one-customer-per-user" not in properties


def test_hostile_content_in_every_field_still_parses() -> None:
    explorations = [
        violated(HOSTILE, invariant=HOSTILE, says=HOSTILE, strategy=HOSTILE),
        inconclusive(HOSTILE, HOSTILE),
        skipped(HOSTILE, HOSTILE),
    ]
    begun = started(explorations, HOSTILE, target=HOSTILE, postgres=HOSTILE, run_id=HOSTILE)
    document = junit_xml(begun, finished(explorations, not_checked={HOSTILE: HOSTILE}), Path(HOSTILE[:9]))
    suite = ET.fromstring(document.encode())[0]
    assert suite.find("testcase").get("name") == plain(HOSTILE)  # type: ignore[union-attr]
    assert len(list(suite.iter("failure"))) == 1
    assert "sk_live_51" not in document
    assert "whsec_51" not in document


def test_the_document(snapshot: SnapshotAssertion) -> None:
    explorations = [clean(), violated(), inconclusive(), skipped()]
    assert junit_xml(started(explorations), finished(explorations), HISTORY) == snapshot


def test_the_file_is_written_when_the_suite_is_over(tmp_path: Path) -> None:
    path = tmp_path / "out" / "junit.xml"
    report = JUnitReport(path)
    report.start()
    assert not path.exists()
    for event in stream([clean()]):
        report.handle(event)
    report.finish()
    assert ET.parse(path).getroot().tag == "testsuites"


def test_a_file_that_cannot_be_written_is_said_before_the_first_run(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--junit"):
        JUnitReport(tmp_path).start()
