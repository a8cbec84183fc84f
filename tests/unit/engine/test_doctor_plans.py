"""What the doctor reads out of the settings before it starts anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deadheat.engine.doctor.check import Check, Health, Page, run_possible
from deadheat.engine.doctor.plans import examine_plans, missing, provided, unchecked
from deadheat.errors import SetupError
from deadheat.invariants.judge import BUILT_IN
from deadheat.settings import OperationSettings, Request, Settings, TargetSettings, WebhookSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

EVERY_TABLE = dict.fromkeys(("customers", "subscriptions", "effects"), "select 1")


def operation(name: str, *calls: tuple[str, dict[str, str]]) -> OperationSettings:
    """An operation of GET calls: paths, and what each captures."""
    made = tuple(Request(method="GET", path=path, capture=capture) for path, capture in calls)
    return OperationSettings(name=name, calls=made)


def by_name(*operations: OperationSettings) -> Mapping[str, OperationSettings]:
    return {made.name: made for made in operations}


def settings(**more: object) -> Settings:
    target = {"folder": Path("/nowhere"), "start": "x {port}", "tables": EVERY_TABLE, **more}
    return Settings(target=TargetSettings(**target))  # type: ignore[arg-type]


def test_a_placeholder_is_missing_until_an_earlier_call_captures_it() -> None:
    early = operation("early", ("/a/{code}", {}), ("/b", {"code": "$.code"}))
    late = operation("late", ("/b", {"code": "$.code"}), ("/a/{code}/{user.id}", {}))
    assert missing(early) == ("code",)
    assert missing(late) == ()


def test_placeholders_in_json_count() -> None:
    call = Request(method="POST", path="/", json={"a": [{"b": "{token}"}], "c": "{user.email}"})
    assert missing(OperationSettings(name="x", calls=(call,))) == ("token",)


def test_what_gives_a_value_is_done_before_and_what_gives_to_that_before_it() -> None:
    first = operation("first", ("/1", {"one": "$.x"}))
    second = operation("second", ("/2/{one}", {"two": "$.x"}))
    third = operation("third", ("/3/{two}/{one}", {}))
    operations = by_name(third, second, first)
    assert provided(third, operations) == ("first", "second")
    assert provided(first, operations) == ()


@pytest.mark.parametrize(
    "operations",
    [
        [operation("a", ("/{x}", {"x": "$.x"}))],
        [operation("a", ("/{x}", {"y": "$.y"})), operation("b", ("/{y}", {"x": "$.x"}))],
    ],
    ids=["itself", "each other"],
)
def test_a_value_that_nobody_can_give_first_is_told(operations: list[OperationSettings]) -> None:
    with pytest.raises(SetupError, match=r"\{x\}|\{y\}"):
        provided(operations[0], by_name(*operations))


def test_everything_mapped_means_that_everything_is_checked() -> None:
    assert unchecked(settings(webhooks=(WebhookSettings(path="/hook"),))) == {}


def test_what_is_not_mapped_is_not_checked_and_says_why() -> None:
    reasons = unchecked(settings(tables={}))
    assert "customers is not mapped" in reasons["one-profile-per-user"]
    assert "[target.webhook]" in reasons["bad-webhook-refused"]
    assert "no-server-error" not in reasons


def test_scenarios_that_lack_an_operation_are_named_and_none_at_all_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "from deadheat import Program, World, scenario\n"
        "@scenario(needs=('fly',))\n"
        "def wings(world: World) -> Program: return Program(race=[[world.user().do('fly')]])\n"
        "@scenario(needs=('walk',))\n"
        "def feet(world: World) -> Program: return Program(race=[[world.user().do('walk')]])\n"
    )

    def told(*operations: OperationSettings) -> dict[str, Check]:
        made: list[Check] = []
        target = TargetSettings(folder=tmp_path, start="x {port}", operations=by_name(*operations))
        examine_plans(Page("settings", made.append), Settings(target=target, scenarios=(tmp_path,)))
        return {check.name: check for check in made}

    some = told(operation("walk", ("/walk", {})))
    assert some["scenarios"].health is Health.OK
    assert some["scenarios"].seen == "1 of 2 can be raced"
    assert some["scenario mine.wings"].health is Health.WARN
    assert "fly" in some["scenario mine.wings"].seen
    assert "scenario mine.feet" not in some
    none = told()
    assert none["scenarios"].health is Health.FAIL
    assert f"of {len(BUILT_IN)} will be checked" in none["invariants"].seen


def test_a_run_is_possible_as_long_as_nothing_failed() -> None:
    made: list[Check] = []
    page = Page("here", made.append)
    page.ok("a", "fine")
    page.warn("b", "odd")
    assert run_possible(made)
    page.fail("c", "broken")
    assert not run_possible(made)
