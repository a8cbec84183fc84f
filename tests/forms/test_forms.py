"""An application of forms: everything that its file says is done, and seen to be, in real runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from forms_stage import a_server, explore, settings_of

from deadheat.engine.events import Verdict
from deadheat.history import Plane, StepKind
from deadheat.invariants.own import of_function, of_query

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deadheat.invariants.case import Case

pytestmark = pytest.mark.slow

OWN = ("credits-are-paid-for", "one-credit-an-invoice")


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with a_server() as made:
        yield made


@pytest.mark.parametrize("target", ["deadheat.toml", "adapter.toml"])
def test_the_forms_are_clean_and_everything_was_looked_at(dsn: str, tmp_path: Path, target: str) -> None:
    settings = settings_of(tmp_path, dsn, target=target)
    explored = explore(settings, ("two-tabs", "credit", "leaving"), {"serial": 1, "random-walk": 4})
    for name, exploration in explored.scenarios.items():
        assert exploration.verdict is Verdict.CLEAN, (name, exploration.reason, explored.violated(name))
        assert exploration.coverage.schedules > 1, name
    checked = explored.finished.invariants
    assert all(checked[name][0] for name in (*OWN, "subscription-matches-stripe", "applied-once"))
    assert explored.finished.unproven == OWN
    assert explored.finished.left is None  # the database was ours


def test_a_form_goes_page_by_page_and_its_person_is_known_by_the_id_they_got(
    dsn: str, tmp_path: Path
) -> None:
    explored = explore(settings_of(tmp_path, dsn), ("leaving",), {"serial": 1})
    requests = [
        step.label
        for step in explored.first_run()
        if (step.actor, step.plane, step.kind) == ("before", Plane.HTTP, StepKind.REQUEST)
    ]
    assert requests == [
        "GET /sign-up", "POST /sign-up", "POST /sign-up (redirect 1)", "POST /subscribe",
    ]  # fmt: skip
    acts = [step for step in explored.first_run() if step.actor == "A" and step.plane is Plane.STRIPE]
    assert [step.label for step in acts] == ["cancel"]
    assert acts[0].data["user"].isdigit()
    assert acts[0].data["notes"]  # a subscription was there to cancel


def test_each_endpoint_gets_what_it_wants_signed_with_its_own_secret(dsn: str, tmp_path: Path) -> None:
    explored = explore(settings_of(tmp_path, dsn), ("leaving",), {"serial": 1})
    sent = [
        step for step in explored.first_run() if (step.plane, step.kind) == (Plane.WEBHOOK, StepKind.ANSWER)
    ]
    types = {step.label.partition(" ")[0] for step in sent}
    assert types >= {"customer.subscription.created", "customer.subscription.deleted", "invoice.paid"}
    assert {step.data["status"] for step in sent} == {200}
    given = [step for step in sent if step.data["body"] == "given"]
    assert {step.label.partition(" ")[0] for step in given} == {"invoice.paid"}


def test_a_credit_given_twice_is_found_by_all_who_look_and_proves_them(dsn: str, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, dsn, forms="credits-twice")
    explored = explore(settings, ("credit",), {"random-walk": 16})
    credit = explored.scenarios["credit"]
    assert credit.verdict is Verdict.VIOLATED, credit.reason
    assert explored.violated("credit") == {"applied-once", *OWN}
    found = {finding.invariant: finding for finding in credit.findings}
    (row,) = found["one-credit-an-invoice"].violation.evidence[0].rows
    assert row["count"] == 2
    assert found["one-credit-an-invoice"].violation.holds_when == "an invoice has given one credit"
    assert "gave 2 credits and was paid 1 times" in found["credits-are-paid-for"].violation.evidence[0].says
    assert explored.finished.unproven == ()
    again = explore(settings_of(tmp_path, dsn), ("credit",), {"serial": 1})
    assert again.scenarios["credit"].verdict is Verdict.CLEAN
    assert again.finished.unproven == ()  # the same text was violated once


def test_code_of_the_teams_own_that_fails_leaves_the_verdict_open(dsn: str, tmp_path: Path) -> None:
    def divides(case: Case) -> list[str]:
        return [str(1 // len(case.settled.offenders["divides"]))]

    for own, says in (
        (of_function("fails", divides), "the check of fails crashed, so nothing is known of it: KeyError"),
        (
            of_query("divides", "select id as user_id, 1 / (id - id) as n from users"),
            "the check of divides crashed, so nothing is known of it: its query fails on what the run left",
        ),
    ):
        explored = explore(settings_of(tmp_path, dsn), ("leaving",), {"serial": 1}, own=(own,))
        assert explored.scenarios["leaving"].verdict is Verdict.INCONCLUSIVE
        assert says in (explored.scenarios["leaving"].reason or "")


def test_two_worker_processes_behave_as_one(dsn: str, tmp_path: Path) -> None:
    settings = settings_of(tmp_path, dsn, **{"target-workers": 2})
    assert settings.target.workers == 2
    explored = explore(settings, ("two-tabs",), {"serial": 1, "random-walk": 4})
    assert explored.scenarios["two-tabs"].verdict is Verdict.CLEAN, explored.scenarios["two-tabs"].reason
