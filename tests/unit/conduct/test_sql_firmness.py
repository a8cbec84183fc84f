"""A transaction that was taken for somebody's by cause alone: what overrules it, and what does not."""

from __future__ import annotations

import pytest
from conduct_stage import go
from sql_house import INSERT, UPDATE, House

from deadheat.engine.conduct.attribution import CAUSE, PLANTED, TRANSACTION, span_of
from deadheat.history import StepKind
from deadheat.pgwire import Transaction


@pytest.fixture
def house() -> House:
    """Give a house in which A alone could have opened the transaction that is open on its first wire."""
    house = House()
    house.b.executing = 1
    house.one.send("begin")
    house.b.executing = 0
    house.one.comes_back(Transaction.OPEN)
    return house


def attributions(house: House) -> list[tuple[str, str | None]]:
    return [(step.data["strand"], step.attribution) for step in house.steps(StepKind.FLIGHT)]


def test_a_value_of_another_one_says_whose_the_transaction_is(house: House) -> None:
    house.one.send(INSERT, house.people.bob.id.encode())
    assert house.b.held
    assert not house.a.held
    go(house.b)
    house.one.comes_back(Transaction.OPEN)
    house.one.send("commit")
    assert house.b.held, "the connection is theirs from there on"
    go(house.b)
    house.one.comes_back(Transaction.IDLE)
    assert attributions(house) == [("B1", PLANTED), ("B1", TRANSACTION)]
    assert house.conductor.attribution.disagreed == 1
    assert house.nothing_left()


def test_it_is_overruled_once(house: House) -> None:
    for user in (house.people.bob, house.people.ada):
        house.one.send(INSERT, user.id.encode())
        go(house.b)
        house.one.comes_back(Transaction.OPEN)
    assert attributions(house) == [("B1", PLANTED), ("B1", TRANSACTION)]
    assert house.conductor.attribution.disagreed == 1


def test_values_of_two_or_of_nobody_overrule_nothing(house: House) -> None:
    ada, bob = house.people.ada.id.encode(), house.people.bob.id.encode()
    for values in ((ada, bob), (b"x",), ()):
        house.one.send(INSERT, *values)
        go(house.a)
        house.one.comes_back(Transaction.OPEN)
    assert attributions(house) == [("A1", TRANSACTION)] * 3
    assert house.conductor.attribution.disagreed == 0


def test_the_next_transaction_is_weighed_anew(house: House) -> None:
    house.one.send("commit")
    go(house.a)
    house.one.comes_back(Transaction.IDLE)
    house.one.send(f"begin /*traceparent='00-{'0' * 32}-{span_of(house.a)}-01'*/")
    house.one.comes_back(Transaction.OPEN)
    house.one.send(INSERT, house.people.bob.id.encode())
    assert house.a.held, "its BEGIN said whose it is"


def test_one_that_a_flight_with_a_value_opened_is_firm() -> None:
    house = House()
    house.sent(house.one, UPDATE, house.people.ada.id)
    house.one.comes_back(Transaction.OPEN)
    house.one.send(INSERT, house.people.bob.id.encode())
    assert house.a.held
    assert house.conductor.attribution.disagreed == 0


def test_cause_alone_is_what_makes_it_doubtful(house: House) -> None:
    assert house.conductor.attribution.rungs == {CAUSE: 1}


def test_one_that_a_value_opened_is_firm_whatever_the_last_one_was(house: House) -> None:
    house.one.send("commit")
    go(house.a)
    house.one.comes_back(Transaction.IDLE)
    house.sent(house.one, UPDATE, house.people.ada.id)
    house.one.comes_back(Transaction.OPEN)
    house.one.send(INSERT, house.people.bob.id.encode())
    assert house.a.held


def test_what_was_overruled_before_begin_was_answered_stays_so() -> None:
    house = House()
    house.b.executing = 1
    house.one.send("begin")
    house.b.executing = 0
    house.one.send(INSERT, house.people.bob.id.encode())  # in a pipeline
    go(house.b)
    house.one.comes_back(Transaction.OPEN)
    house.one.send(UPDATE)
    assert house.b.held
