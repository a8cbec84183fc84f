"""The verdicts: the reference survives the suite, and the code as it was fails it in four ways.

Barrage is a sampler, so a row of the table is found with a probability only. In 60 barrage runs of
each scenario the row shown least often (no-lost-event in webhook.before-profile) was shown in 40;
eleven such runs miss it with a chance of (1/3)^11, below 1 in 100,000. signup.stripe-fails-once is
shown by its serial run, always.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

import pytest
from conftest import deadheat
from documented import COMMANDS, WHOLE_SUITE

if TYPE_CHECKING:
    from conftest import Ended

pytestmark = pytest.mark.slow

# problem of the code before -> scenario -> what must trip
TABLE = [
    ("signup.stripe-fails-once", "setup-complete"),
    ("signup.confirm-twice", "setup-complete"),
    ("signup.two-at-once", "one-customer-per-user"),
    ("signup.two-at-once", "answers-agree"),
    ("checkout.two-tabs-new-user", "one-customer-per-user"),
    ("checkout.two-tabs-new-user", "answers-agree"),
    ("webhook.before-profile", "no-lost-event"),
    ("webhook.before-profile", "paid-is-known"),
    ("signup.two-at-once", "one-profile-per-user"),
]
STRIPE_FAILS = {
    "signup.stripe-fails-once",
    "signup.stripe-fails-after-the-effect",
    "signup.stripe-answer-lost",
    "signup.stripe-down-then-back",
}
OLD_EVENTS_LAST = {"webhook.out-of-order"}  # its second stream brings them so, whoever goes first: no race


@pytest.fixture(scope="module")
def on_reference(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The whole suite against the reference, by a command of the README."""
    words = shlex.split(WHOLE_SUITE["reference"])[1:]
    folder = tmp_path_factory.mktemp("reference")
    return deadheat(*words, folder=folder, DEADHEAT_SCHEDULES="6", DEADHEAT_SEED="1")


@pytest.fixture(scope="module")
def serially_on_before(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """The whole suite against the code as it was, by a command of the README: one run is a serial one."""
    words = shlex.split(WHOLE_SUITE["before"])[1:]
    return deadheat(*words, folder=tmp_path_factory.mktemp("serial"), DEADHEAT_SCHEDULES="1")


def test_the_commands_are_those_of_the_readme() -> None:
    documented = {command: code for _, command, code in COMMANDS}
    assert [documented[command] for command in WHOLE_SUITE.values()] == [0, 1]


def test_the_reference_is_clean(on_reference: Ended) -> None:
    assert on_reference.code == 0, on_reference.out + on_reference.err
    summary = on_reference.summary
    assert summary["verdict"] == "clean"
    assert summary["runs"] == 6 * len(summary["scenarios"])
    assert all(s["verdict"] == "clean" and not s["inconclusive"] for s in summary["scenarios"])
    assert len(summary["scenarios"]) >= 31
    assert summary["postgres"] == "18.4 embedded"
    assert json.loads((on_reference.folder / "summary.json").read_text()) == summary
    assert (on_reference.folder / "report.xml").read_text().count("<testcase") == len(summary["scenarios"])


def test_stripe_mock_stood_behind_the_simulator(on_reference: Ended, stripe_mock: str) -> None:
    assert on_reference.summary["stripe_mock"] == "v0.197.0"


def test_every_invariant_but_the_unmapped_was_checked(on_reference: Ended) -> None:
    checked = {i for i, counts in on_reference.summary["invariants"].items() if counts["checked"]}
    assert len(checked | set(on_reference.summary["not_checked"])) == 15
    assert set(on_reference.summary["not_checked"]) <= {"applied-once"}


def test_the_code_as_it_was_is_violated(on_before: Ended) -> None:
    assert on_before.code == 1, on_before.out + on_before.err
    assert on_before.summary["verdict"] == "violated"


@pytest.mark.parametrize(("scenario", "invariant"), TABLE)
def test_each_problem_of_the_code_as_it_was_is_found(on_before: Ended, scenario: str, invariant: str) -> None:
    assert invariant in on_before.scenario(scenario)["violated"]


def test_one_at_a_time_the_code_as_it_was_is_right(serially_on_before: Ended) -> None:
    assert serially_on_before.code == 1
    assert {s["strategy"] for s in serially_on_before.summary["scenarios"]} == {"serial"}
    wrong = {s["name"]: s["violated"] for s in serially_on_before.summary["scenarios"] if s["violated"]}
    assert set(wrong) <= STRIPE_FAILS | OLD_EVENTS_LAST, wrong
    assert {"signup.stripe-fails-once", *OLD_EVENTS_LAST} <= set(wrong)


def test_a_finding_can_be_read(on_before: Ended) -> None:
    assert "signup.two-at-once" in on_before.out
    assert "one-customer-per-user" in on_before.out
    found = on_before.scenario("signup.two-at-once")["findings"]
    assert {i for finding in found for i in finding["invariants"]} >= {"one-customer-per-user"}
