"""What an earlier run left in Postgres, and yield points that are shut behind who went for good."""

from __future__ import annotations

import asyncio

import pytest
from conduct_stage import go
from sql_house import UPDATE, House

from deadheat.engine.conduct import pace
from deadheat.engine.conduct.sql_plane import PARKS_MAX
from deadheat.errors import Trouble
from deadheat.pgwire import Transaction

STRANGER = 777


@pytest.fixture
def house() -> House:
    return House()


def gone_for_good(house: House) -> list[object]:
    """Let B's insert through for good; gives what is to be called once it is shut again."""
    yard = house.parked()
    for _ in range(PARKS_MAX):
        go(house.b)
        yard.passed.pop()()
        house.look()
    house.postgres.waits.clear()
    house.two.comes_back(rows=200)
    assert yard.shut_behind == [102]
    return yard.passed  # type: ignore[return-value]


def behind_one_of_an_earlier_run(house: House) -> None:
    """Let A wait for a backend that sends nothing in this run."""
    house.sent(house.one, UPDATE, house.people.ada.id)
    house.postgres.waits[101] = {102}
    house.look()
    assert house.a.blocked == 1


def test_who_blocks_and_is_not_of_this_run_is_asked_about_too(house: House) -> None:
    behind_one_of_an_earlier_run(house)
    assert house.plane.pids_under_way() == [101, 102]
    house.postgres.waits.clear()
    house.look()
    assert house.plane.pids_under_way() == [101], "it blocks nobody any more"


def test_who_blocks_in_this_run_is_asked_about_once(house: House) -> None:
    house.blocked()
    house.sent(house.one, UPDATE, house.people.ada.id)
    assert sorted(house.plane.pids_under_way()) == [101, 102]


def test_a_stranger_behind_it_is_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "FOREIGN_SECONDS_MAX", -1.0)
    behind_one_of_an_earlier_run(house)
    house.postgres.waits[102] = {STRANGER}
    with pytest.raises(Trouble, match=rf"a foreign session holds: session {STRANGER} \(application 'psql'\)"):
        house.look()


def test_neither_the_target_nor_the_yield_point_is_a_stranger(house: House) -> None:
    yard = house.parked()
    go(house.b)
    waits = {101: frozenset({102}), 555: frozenset({yard.pid, 102})}
    assert asyncio.run(house.plane.sort_out(waits)) == set()


def test_the_next_flight_waits_until_the_point_is_shut_behind_who_went_for_good(house: House) -> None:
    passed = gone_for_good(house)
    house.sent(house.two, UPDATE, house.people.bob.id)
    assert house.two.told == ["released"], "it would slip by"
    assert house.b.executing == 1
    passed.pop()()  # type: ignore[operator]
    assert house.two.told == ["released", "released"]
    house.two.comes_back()
    assert house.nothing_left()


def test_it_parks_again_once_the_point_is_shut(house: House) -> None:
    passed = gone_for_good(house)
    house.sent(house.two, UPDATE, house.people.bob.id)
    house.postgres.waits[102] = {9000}
    house.look()
    assert not house.b.held
    passed.pop()()  # type: ignore[operator]
    house.look()
    assert str(house.b.held[0].name) == "B1 park update profiles"


def test_a_flight_waits_for_every_turn_of_the_lock_that_is_under_way(house: House) -> None:
    yard = house.parked()
    for _ in range(PARKS_MAX - 1):
        go(house.b)
        yard.passed.pop()()
        house.look()
    go(house.b)
    house.two.comes_back()
    assert (len(yard.passed), yard.shut_behind) == (2, [102])
    house.sent(house.two, UPDATE, house.people.bob.id)
    yard.passed.pop(0)()
    assert house.two.told == ["released"], "open for the rest of it, and not shut yet"
    yard.passed.pop(0)()
    assert house.two.told == ["released", "released"]


def test_who_parked_less_often_is_not_shut_in_anew(house: House) -> None:
    yard = house.parked()
    go(house.b)
    yard.passed.pop()()
    house.two.comes_back(Transaction.OPEN)
    assert (yard.shut_behind, yard.passed) == ([], [])


def test_who_is_left_over_is_not_who_has_sent_something(house: House) -> None:
    behind_one_of_an_earlier_run(house)
    assert house.plane.left_over() == {102}
    house.sent(house.two, UPDATE, house.people.bob.id)
    assert house.plane.left_over() == set(), "it takes part in this run"


def test_an_idle_transaction_of_an_earlier_run_is_named(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "LEFT_SECONDS_MAX", -1.0)
    house.postgres.idle.add(102)
    with pytest.raises(Trouble, match=r"a transaction that an earlier run left open: session 102"):
        behind_one_of_an_earlier_run(house)


def test_work_of_an_earlier_run_that_goes_on_is_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "LEFT_SECONDS_MAX", -1.0)
    behind_one_of_an_earlier_run(house)
