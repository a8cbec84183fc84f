"""A connection to Postgres that is cut: before the server saw the flight, or when its answer is there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from conduct_stage import Hand, go, played, turns, until
from sql_house import INSERT, UPDATE, House
from test_faults import fail, kinds

from deadheat.errors import Trouble
from deadheat.history import StepKind
from deadheat.pgwire import Transaction

if TYPE_CHECKING:
    from conduct_stage import Wire


def sends(house: House, sql: str = INSERT) -> Wire:
    house.one.send(sql, house.people.ada.id.encode())
    return house.one


def ends(house: House) -> None:
    """Let the backend of the cut connection take note."""
    house.postgres.lets_end.set()


@played
async def test_before_it_the_server_never_sees_the_flight() -> None:
    house = House()
    wire = sends(house)
    assert kinds(house.a) == ["cut before", "cut after"]
    assert str(fail(house.a, "cut before").name) == f"A1 fault cut before flight {wire.flights[0].label}"
    assert wire.told == ["closed"]
    assert house.nothing_left()
    assert house.steps(StepKind.FLIGHT) == ()
    ends(house)
    await until(lambda: house.postgres.has_ended == [101])


@played
async def test_after_it_the_flight_is_executed_and_its_answer_never_arrives() -> None:
    house = House()
    wire = sends(house)
    fail(house.a, "cut after")
    assert wire.told == ["released"]
    assert wire.hold_result, "nothing of the answer may reach the target"
    wire.comes_back(tags=("INSERT 0 1",))
    assert wire.told == ["released", "closed"]
    assert [step.data["tags"] for step in house.steps(StepKind.RESULT)] == [["INSERT 0 1"]]
    assert house.nothing_left()
    ends(house)
    await until(lambda: house.postgres.has_ended == [101])


@played
async def test_one_that_is_blocked_first_is_cut_when_it_comes_back_and_not_held_again() -> None:
    house = House()
    house.sent(house.two, UPDATE, house.people.bob.id)
    house.two.comes_back(Transaction.OPEN)
    wire = sends(house, UPDATE)
    fail(house.a, "cut after")
    house.postgres.waits[101] = {102}
    await house.conductor.pace.look()
    assert house.a.blocked == 1
    wire.comes_back()
    assert wire.told == ["released", "closed"]
    assert house.nothing_left()
    ends(house)
    await turns(3)


@played
async def test_the_next_choice_waits_for_the_backend_to_end() -> None:
    house, hand = House(), Hand("cut before", faults=1)
    for strand in (house.a, house.b):
        strand.is_open = False
    sends(house)
    house.two.send(INSERT, house.people.bob.id.encode())
    conducting = asyncio.create_task(house.conductor.conduct(hand, lambda: True))
    await until(lambda: house.one.told == ["closed"])
    await turns(20)
    assert len(hand.went) == 1, "its locks are still there"
    ends(house)
    await until(lambda: house.two.told == ["released"])
    house.two.comes_back()
    await conducting


@played
async def test_a_backend_that_does_not_end_is_told() -> None:
    house = House()

    async def ended(pid: int) -> None:
        raise Trouble(f"backend {pid} is still there")

    house.postgres.ended = ended  # type: ignore[method-assign]
    for strand in (house.a, house.b):
        strand.is_open = False
    sends(house)
    with pytest.raises(Trouble, match="backend 101 is still there"):
        await house.conductor.conduct(Hand("cut before", faults=1), lambda: True)


@played
async def test_whoever_was_cut_is_given_time_to_connect_again() -> None:
    house = House()
    sends(house)
    before = house.a.moved_at
    fail(house.a, "cut before")
    assert house.a.moved_at - before > 0.2
    ends(house)
    await turns(3)


def test_go_is_what_it_was() -> None:
    house = House()
    wire = sends(house)
    go(house.a)
    wire.comes_back()
    assert wire.told == ["released"]
