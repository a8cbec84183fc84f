"""Invariants of a team's own: queries and functions, their evidence, and what their errors come to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from billing_world import BillingWorld

from deadheat import Case, Evidence
from deadheat.errors import Trouble
from deadheat.invariants import BUILT_IN, judge
from deadheat.invariants.own import of_function, of_query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadheat.invariants.invariant import Invariant
    from deadheat.invariants.settled import Settled, Violation

CREDITS = of_query("credits-add-up", "select 1 from credits where user_id = any(:users)")


def settled(*rows: dict[str, object]) -> Settled:
    return replace(BillingWorld().settled(), offenders={"credits-add-up": rows})


def violated(invariant: Invariant, what: Settled) -> Violation:
    (violation,) = judge(what, {}, (invariant,)).violations
    return violation


def test_a_row_is_an_offence() -> None:
    assert judge(settled(), {}, (CREDITS,)).violations == ()
    row = {"user_id": 7, "owed": 1, "given": None}
    violation = violated(CREDITS, settled(row, {"id": 2}))
    assert (violation.invariant, violation.holds_when) == ("credits-add-up", "no row offends against it")
    assert violation.evidence == (
        Evidence(says="A row offends: user_id 7, owed 1 and given None.", user_id="7", rows=(row,)),
        Evidence(says="A row offends: id 2.", rows=({"id": 2},)),
    )


def test_a_query_that_failed_leaves_the_run_inconclusive_unless_another_one_was_violated() -> None:
    failed = replace(
        settled(), offenders={"credits-add-up": Trouble("its query fails: no column owed")}
    )  # fmt: skip
    with pytest.raises(
        Trouble, match=r"^the check of credits-add-up crashed.*: its query fails: no column owed$"
    ):
        judge(failed, {}, (*BUILT_IN, CREDITS))
    also = of_function("never", lambda case: ["something is wrong"])
    judgement = judge(failed, {}, (CREDITS, also))
    assert [v.invariant for v in judgement.violations] == ["never"]
    assert "no column owed" in judgement.not_checked["credits-add-up"]


def test_a_query_without_a_database_is_not_checked() -> None:
    unseen = replace(settled(), unseen={"database": "at level 0 there is no database to read"})
    assert judge(unseen, {}, (CREDITS,)).not_checked == {
        "credits-add-up": "at level 0 there is no database to read"
    }


def two_customers(case: Case) -> Iterator[Evidence]:
    """Nobody is a customer twice.

    More words.
    """
    for person in case.settled.people:
        if len(case.profiles_of(person)) > 1:
            yield Evidence(says=f"{person.name} has two.", user_id=person.ids[-1])


def test_a_function_sees_what_the_built_in_ones_see() -> None:
    invariant = of_function("one-profile", two_customers)
    assert invariant.holds_when == "Nobody is a customer twice"
    world = BillingWorld()
    ada = world.person()
    world.sign_up(ada)
    assert judge(world.settled(), {}, (invariant,)).violations == ()
    assert world.profiles is not None
    world.profiles *= 2
    (evidence,) = violated(invariant, world.settled()).evidence
    assert evidence.user_id == ada.ids[-1]


def test_a_function_may_give_sentences_or_nothing() -> None:
    assert violated(of_function("x", lambda case: ["No."]), settled()).evidence == (Evidence(says="No."),)
    assert judge(settled(), {}, (of_function("x", lambda case: None),)).checked == ("x",)


def test_a_function_that_needs_what_is_not_mapped_is_not_checked() -> None:
    world = BillingWorld()
    world.effects = None
    invariant = of_function("x", lambda case: ["No."], needs=("effects",), holds_when="it is so")
    judgement = judge(world.settled(), {}, (invariant,))
    assert judgement.not_checked == {"x": "effects is not mapped in [target.tables]"}


def broken(case: Case) -> list[str]:
    return [str({}["nothing"])]


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (broken, r"so nothing is known of it: KeyError: 'nothing' \(test_own\.py:\d+\)$"),
        (lambda case: [{"says": "x"}], r"it gave \{'says': 'x'\}; it should give Evidence, or a sentence"),
    ],
)
def test_a_function_that_fails_says_where(function: object, says: str) -> None:
    with pytest.raises(Trouble, match=says):
        judge(settled(), {}, (of_function("x", function),))  # type: ignore[arg-type]


def test_the_source_is_the_text() -> None:
    assert CREDITS.source == CREDITS.sql
    assert "has two." in of_function("x", two_customers).source
    assert of_function("x", len).source == repr(len)  # type: ignore[arg-type]
