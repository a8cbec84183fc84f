"""Whose a step is: each rung alone, which of two goes first, and what no rung can tell."""

from __future__ import annotations

import asyncio

import pytest
from conduct_stage import SIGN_UP, Hand, People

from deadheat.engine.conduct.attribution import (
    CAUSE,
    COMMENT,
    EARLIER,
    NONE,
    PLANTED,
    TRANSACTION,
    Attributed,
    span_of,
)
from deadheat.engine.conduct.strands import UNATTRIBUTED, Strand

INSERT = "flight insert profiles"


@pytest.fixture
def people() -> People:
    return People()


def of(
    people: People,
    label: str = INSERT,
    *,
    values: tuple[str, ...] = (),
    text: str = "",
    bound: Strand | None = None,
    firm: bool = True,
) -> Attributed:
    found = people.conductor.attribution
    return found.of(label, people.conductor.live(), values=values, text=text, bound=bound, firm=firm)


def comment(strand: Strand) -> str:
    return f"insert into profiles /*traceparent='00-{'0' * 32}-{span_of(strand)}-01'*/"


def executing(strand: Strand) -> Strand:
    strand.executing += 1
    return strand


def test_an_open_transaction_says_it_before_anything_else(people: People) -> None:
    a, b = people.strand("A1", people.ada), people.strand("B1", people.bob)
    found = of(people, values=(people.bob.id,), text=comment(b), bound=a)
    assert found == Attributed(a, TRANSACTION, certain=True)


def test_one_taken_by_cause_yields_to_a_value_of_exactly_one_other(people: People) -> None:
    a, b = people.strand("A1", people.ada), people.strand("B1", people.bob)
    values = (people.bob.id,)
    assert of(people, values=values, bound=a, firm=False) == Attributed(b, PLANTED, certain=True)
    assert of(people, values=values, bound=b, firm=False) == Attributed(b, PLANTED, certain=True)
    assert of(people, text=comment(b), bound=a, firm=False).strand is a
    assert people.conductor.attribution.disagreed == 1
    people.strand("C1", people.bob)
    assert of(people, values=values, bound=a, firm=False).strand is a, "two tabs are that person's"
    assert people.conductor.attribution.disagreed == 1


def test_a_comment_of_ours_goes_before_values_and_cause(people: People) -> None:
    a, b = people.strand("A1", people.ada), executing(people.strand("B1", people.bob))
    assert of(people, values=(people.ada.id,), text=comment(b)) == Attributed(b, COMMENT, certain=True)
    assert of(people, text=comment(a)).strand is a


def test_a_comment_of_nobody_live_says_nothing(people: People) -> None:
    gone = people.strand("A1", people.ada)
    people.conductor.answered(gone)
    gone.tail_until = 0.0
    b = people.strand("B1", people.bob)
    assert of(people, text=comment(gone)) == Attributed(b, CAUSE, certain=True)
    assert of(people, text="select 1 /* traceparent='no' */").rung == CAUSE


@pytest.mark.parametrize("value", ["id", "email"])
def test_a_value_of_one_persons_goes_before_cause(people: People, value: str) -> None:
    people.strand("A1", people.ada)
    b = people.strand("B1", people.bob)
    planted = {"id": people.bob.id, "email": people.bob.email.upper()}[value]
    assert of(people, values=("x", planted)) == Attributed(b, PLANTED, certain=True)


def test_an_object_made_for_a_person_is_a_value_of_theirs(people: People) -> None:
    people.strand("A1", people.ada)
    b = people.strand("B1", people.bob)
    people.cast.made(["cus_1"], people.cast[people.bob])
    assert of(people, values=("cus_1",)).strand is b


def test_values_of_two_people_name_neither(people: People) -> None:
    people.strand("A1", people.ada)
    b = executing(people.strand("B1", people.bob))
    found = of(people, values=(people.ada.id, people.bob.id))
    assert (found.rung, found.strand is b) == (CAUSE, False)


def test_the_id_of_an_event_is_its_deliverys_and_goes_before_the_users(people: People) -> None:
    people.strand("A1", people.ada)
    one = people.strand("C1/x/1", people.ada, values=("evt_1",))
    two = people.strand("C1/x/2", people.ada, values=("evt_2",))
    assert of(people, values=(people.ada.id, "evt_1")) == Attributed(one, PLANTED, certain=True)
    assert of(people, values=("evt_2", people.ada.id)).strand is two


def test_an_event_and_its_duplicate_share_an_id_so_cause_tells(people: People) -> None:
    first = people.strand("C1/x/1", people.ada, values=("evt_1",))
    executing(first)
    copy = people.strand("C1/x/1/b", people.ada, values=("evt_1",))
    people.strand("A1", people.ada)
    assert of(people, values=("evt_1",)) == Attributed(copy, CAUSE, certain=True)


def test_two_tabs_of_one_person_are_told_apart_by_who_could(people: People) -> None:
    executing(people.strand("A1", people.ada))
    b = people.strand("B1", people.ada)
    people.strand("C1", people.bob)
    assert of(people, values=(people.ada.id,)) == Attributed(b, CAUSE, certain=True)


@pytest.mark.parametrize("waits", ["held", "blocked", "executing"])
def test_who_waits_or_works_at_postgres_could_not_have_sent_it(people: People, waits: str) -> None:
    a = people.strand("A1", people.ada)
    b = people.strand("B1", people.bob)
    if waits == "held":
        people.conductor.controls = True
        people.conductor.hold(b, "flight", "x", lambda: None)
    else:
        setattr(b, waits, 1)
    assert of(people) == Attributed(a, CAUSE, certain=True)


def test_who_is_blocked_but_has_a_call_under_way_could_have(people: People) -> None:
    a = people.strand("A1", people.ada)
    a.blocked, a.calls = 1, 1
    assert of(people).strand is a


def test_with_a_pool_of_one_the_table_says_who_of_several_goes_on(people: People) -> None:
    """A has just committed and gives its connection back; B and C wait for it. All three could."""
    a, b, c = (people.strand(name, people.ada) for name in ("A1", "B1", "C1"))
    a.done.add("flight COMMIT")
    c.done.add("effect POST /v1/customers")
    people.sequels.learn(SIGN_UP, "request POST /sign-up", INSERT)
    people.sequels.learn(SIGN_UP, "flight COMMIT", "answer")
    assert of(people) == Attributed(b, CAUSE, certain=False)
    assert of(people, "answer").strand is a


def test_among_those_who_might_it_is_the_one_that_was_told_a_value_in_it(people: People) -> None:
    """Both wait at a poll of a job, silent; A began to wait first, and B was given the job's id."""
    a, b = people.strand("A1", people.ada), people.strand("B1", people.ada)
    people.sequels.learn(SIGN_UP, "request POST /sign-up", INSERT)
    a.silent = b.silent = True
    b.told.add("job-2")
    assert of(people, values=("job-2",)).strand is b
    assert of(people, values=("job-1",)).strand is a
    a.told.add("job-2")
    assert of(people, values=("job-2",)).strand is a, "both were told: whoever has waited longest"


def test_among_those_who_might_the_one_that_moves_goes_before_silent_ones(people: People) -> None:
    a, b = people.strand("A1", people.ada), people.strand("B1", people.bob)
    people.sequels.learn(SIGN_UP, "request POST /sign-up", INSERT)
    a.silent = True
    assert of(people).strand is b


def test_silent_ones_come_in_the_order_in_which_they_began_to_wait(people: People) -> None:
    names = ["B1", "A1", "C1"]
    strands = [people.strand(name, people.ada) for name in names]
    people.sequels.learn(SIGN_UP, "request POST /sign-up", INSERT)
    for strand in strands:
        strand.silent = True
    came = []
    for _ in names:
        found = of(people).strand
        assert found is not None
        came.append(found.name)
        found.executing += 1
    assert came == names


def test_where_the_table_knows_nothing_it_is_whoever_moved_last(people: People) -> None:
    people.strand("A1", people.ada)
    b = people.strand("B1", people.bob)
    assert of(people) == Attributed(b, CAUSE, certain=False)
    people.conductor.moved(people.strand("A1", is_open=False), "x")
    assert of(people).strand is not b


def test_rungs_that_disagree_are_counted_and_the_stronger_holds(people: People) -> None:
    people.strand("A1", people.ada)
    b = executing(people.strand("B1", people.bob))
    attribution = people.conductor.attribution
    assert of(people, values=(people.ada.id,)).rung == PLANTED
    assert attribution.disagreed == 0
    assert of(people, values=(people.bob.id,)) == Attributed(b, PLANTED, certain=True)
    assert attribution.disagreed == 1
    executing(people.strand("C1", people.bob))
    found = of(people, values=(people.bob.id,))
    assert (found.rung, found.strand is not None and found.strand.part is b.part) == (CAUSE, True)
    assert attribution.disagreed == 2


def test_what_carries_somebody_of_an_earlier_run_is_nobodys_here(people: People) -> None:
    a = people.strand("A1", people.ada)
    assert of(people, values=("x", people.earlier.email)) == Attributed(None, EARLIER)
    assert of(people, values=(people.earlier.id, people.ada.id)).strand is a, "one of ours says more"
    assert of(people, values=(people.earlier.id,), bound=a).strand is a


def test_what_is_of_an_earlier_run_goes_at_once_and_counts_as_late(people: People) -> None:
    people.strand("A1", people.ada)
    conductor, went = people.conductor, []
    conductor.controls = True
    found = conductor.attribute(INSERT, values=(people.earlier.id,))
    assert found.strand is not None
    assert (found.strand.name, found.rung) == (EARLIER, EARLIER)
    conductor.hold(found.strand, "flight", "insert profiles", lambda: went.append("earlier"))
    assert went == ["earlier"]
    assert (found.strand.held, conductor.late) == ([], 1)


def test_rungs_are_counted(people: People) -> None:
    a = people.strand("A1", people.ada)
    of(people, bound=a)
    of(people, values=(people.ada.id,))
    of(people)
    assert people.conductor.attribution.rungs == {TRANSACTION: 1, PLANTED: 1, CAUSE: 1}


def test_where_nobody_is_live_it_is_unattributed(people: People) -> None:
    people.strand("A1", people.ada, is_open=False)
    assert of(people) == Attributed(None, NONE)
    found = people.conductor.attribute(INSERT)
    assert found.strand is not None
    assert (found.strand.name, found.rung) == (UNATTRIBUTED, NONE)
    assert found.strand is people.conductor.attribute(INSERT).strand
    assert people.conductor.attribution.rungs[NONE] == 3


def test_what_is_unattributed_is_scheduled_all_the_same(people: People) -> None:
    conductor, hand, went = people.conductor, Hand(UNATTRIBUTED), []

    async def race() -> None:
        conductor.controls = True
        nobody = conductor.attribute(INSERT).strand
        assert nobody is not None
        conductor.hold(nobody, "flight", "insert profiles", lambda: went.append("?"))
        a = people.strand("A1", people.ada, is_open=False)
        conductor.hold(a, "act", "pay", lambda: went.append("A"))
        await conductor.conduct(hand, lambda: True)

    asyncio.run(race())
    assert went == ["?", "A"]
    assert hand.seen[0] == ("A1 act pay", "? flight insert profiles"), "it comes last by default"
