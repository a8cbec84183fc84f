"""The Postgres plane: whose a flight is, what holds it, and that nothing of it stays behind."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from conduct_stage import Yard, go
from sql_house import INSERT, UPDATE, House

from deadheat.engine.conduct.attribution import CAUSE, EARLIER, PLANTED, TRANSACTION
from deadheat.engine.conduct.sql_plane import PARKS_MAX, STATEMENT_CHARS_MAX, VALUE_CHARS_MAX
from deadheat.history import StepKind
from deadheat.pgwire import Transaction


@pytest.fixture
def house() -> House:
    return House()


def test_a_flight_that_executes_is_held_before_the_server_sees_it(house: House) -> None:
    house.one.send(INSERT, house.people.ada.id.encode())
    assert house.one.told == []
    (hold,) = house.a.held
    assert (str(hold.name), hold.kind) == ("A1 flight insert profiles", "flight")
    assert (hold.reads, hold.writes) == (frozenset(), frozenset({"profiles"}))
    assert (house.a.executing, len(house.recorder)) == (0, 0)
    go(house.a)
    assert house.one.told == ["released"]
    assert house.a.executing == 1


def test_its_answer_goes_on_at_once_where_it_was_not_blocked(house: House) -> None:
    house.sent(house.one, INSERT, house.people.ada.id)
    house.one.comes_back(tags=("INSERT 0 1",), rows=1)
    assert house.one.told == ["released"]
    assert house.nothing_left()
    assert house.conductor.pace.recheck, "who waited for it may go on now"


def test_outside_a_race_flights_go_at_once_and_are_counted_out_again() -> None:
    house = House(controls=False)
    house.one.send(INSERT, house.people.ada.id.encode())
    assert (house.one.told, house.a.executing) == (["released"], 1)
    house.one.comes_back()
    assert house.nothing_left()
    assert house.people.sequels.knows("sign-up", "request POST /sign-up", "flight insert profiles")


@pytest.mark.parametrize("value", ["text", "binary", "literal"])
def test_a_value_in_a_statement_says_whose_it_is(house: House, value: str) -> None:
    bob = house.people.bob
    if value == "literal":
        house.one.send(f"insert into profiles values ('it', '{bob.email}')")
    else:
        house.one.send(INSERT, bob.email.encode() if value == "text" else UUID(bob.id).bytes)
    assert house.b.held
    assert not house.a.held
    go(house.b)
    assert house.steps(StepKind.FLIGHT)[0].attribution == PLANTED


def test_parameters_that_are_null_or_no_text_say_nothing(house: House) -> None:
    house.b.executing = 1
    house.one.send(INSERT, None, b"\xff\xfe", b"\x00" * 16)
    assert house.a.held


def test_what_begins_a_transaction_passes_and_binds_its_connection(house: House) -> None:
    house.b.executing = 1
    house.one.send("begin")
    assert house.a.executing == 1, "it is under way"
    house.b.executing = 0
    house.one.comes_back(Transaction.OPEN)
    assert house.nothing_left()
    house.one.send(INSERT)
    go(house.a)
    assert house.steps(StepKind.FLIGHT)[0].attribution == TRANSACTION


@pytest.mark.parametrize("opened", [Transaction.OPEN, Transaction.FAILED])
def test_a_transaction_binds_until_it_ends(house: House, opened: Transaction) -> None:
    house.sent(house.one, UPDATE, house.people.ada.id)
    house.one.comes_back(opened)
    house.one.send("commit")
    assert house.a.held[0].name.label == "flight commit"
    go(house.a)
    house.one.comes_back(Transaction.IDLE)
    house.one.send(INSERT, house.people.bob.id.encode())
    assert house.b.held
    assert not house.a.held


def test_an_answer_without_a_status_leaves_the_transaction_as_it_is(house: House) -> None:
    house.sent(house.one, UPDATE, house.people.ada.id)
    house.one.comes_back(Transaction.OPEN)
    house.one.send(UPDATE)
    go(house.a)
    house.one.comes_back(None)
    house.one.send(INSERT, house.people.bob.id.encode())
    assert house.a.held, "its transaction says more than the value"


def test_what_passes_otherwise_is_nobodys_and_leaves_no_trace(house: House) -> None:
    house.one.send("show timezone")
    house.one.comes_back()
    assert house.nothing_left()
    assert len(house.recorder) == 0
    house.sent(house.one, INSERT, house.people.ada.id)
    house.one.comes_back()
    assert [s.kind for s in house.recorder.history()] == [StepKind.FLIGHT, StepKind.RESULT]


def test_a_flight_behind_one_of_the_targets_is_blocked(house: House) -> None:
    house.blocked()
    assert (house.b.executing, house.b.blocked) == (0, 1)
    assert house.two.hold_result
    assert not house.one.hold_result
    house.look()
    assert (house.b.executing, house.b.blocked) == (0, 1), "it is counted once"


def test_the_result_of_one_that_was_blocked_is_held_as_a_step(house: House) -> None:
    house.blocked()
    house.one.send("commit")
    go(house.a)
    house.one.comes_back()
    house.postgres.waits.clear()
    house.look()
    assert (house.b.executing, house.b.blocked) == (1, 0)
    house.two.comes_back(tags=("UPDATE 1",), rows=1)
    assert house.b.executing == 0
    assert str(house.b.held[0].name) == "B1 result update profiles"
    assert house.two.told == ["released"]
    assert [s.actor for s in house.steps(StepKind.RESULT)] == ["A", "A"]
    go(house.b)
    assert house.two.told == ["released", "result released"]
    assert house.steps(StepKind.RESULT)[-1].data["waited_for"] == ["A1"]
    assert house.nothing_left()


def test_it_may_come_back_before_anybody_asked_again(house: House) -> None:
    house.blocked()
    house.two.comes_back()
    assert (house.b.blocked, house.b.executing, len(house.b.held)) == (0, 0, 1)
    go(house.b)
    assert house.nothing_left()


def test_the_next_flight_of_that_connection_begins_anew(house: House) -> None:
    house.blocked()
    house.two.comes_back()
    go(house.b)
    house.sent(house.two, INSERT, house.people.bob.id)
    house.two.comes_back()
    assert "waited_for" not in house.steps(StepKind.RESULT)[-1].data
    assert house.nothing_left()


def test_a_slow_statement_is_not_blocked(house: House) -> None:
    house.sent(house.one, INSERT, house.people.ada.id)
    for _ in range(20):
        house.look()
    assert (house.a.executing, house.a.blocked, house.one.hold_result) == (1, 0, False)


def test_who_waits_for_a_stranger_is_told_of_and_is_not_blocked(house: House) -> None:
    house.sent(house.one, INSERT, house.people.ada.id)
    foreign = asyncio.run(house.plane.sort_out({101: frozenset({777})}))
    assert foreign == {777}
    assert (house.a.executing, house.a.blocked) == (1, 0)


def test_one_of_the_targets_counts_before_a_stranger(house: House) -> None:
    house.sent(house.one, INSERT, house.people.ada.id)
    assert asyncio.run(house.plane.sort_out({101: frozenset({102, 777})})) == set()
    assert house.a.blocked == 1


def test_backends_that_are_not_under_way_are_not_asked_about(house: House) -> None:
    house.look()
    assert house.postgres.polls == 0
    house.sent(house.one, INSERT, house.people.ada.id)
    assert house.plane.pids_under_way() == [101]
    house.one.comes_back()
    assert house.plane.pids_under_way() == []
    asyncio.run(house.plane.sort_out({101: frozenset({102}), 555: frozenset({102})}))
    assert house.nothing_left()


def test_a_backend_before_its_write_is_held_as_a_park_step(house: House) -> None:
    yard = house.parked()
    assert (house.b.executing, house.b.blocked) == (0, 1)
    assert str(house.b.held[0].name) == "B1 park insert profiles"
    house.look()
    assert len(house.b.held) == 1, "it is held once"
    go(house.b)
    assert yard.let == [(102, False)]
    assert (house.b.executing, house.b.blocked) == (1, 0)


def test_until_it_has_passed_it_does_not_park_again(house: House) -> None:
    yard = house.parked()
    go(house.b)
    house.look()
    assert not house.b.held, "the lock is still on its way through"
    yard.passed.pop()()
    house.look()
    assert str(house.b.held[0].name) == "B1 park insert profiles #2"


def test_what_was_asked_before_it_had_passed_does_not_count(house: House) -> None:
    yard = house.parked()
    go(house.b)
    (pid,) = house.plane.pids_under_way()
    yard.passed.pop()()
    asyncio.run(house.plane.sort_out({pid: frozenset({yard.pid})}))
    assert not house.b.held
    house.look()
    assert str(house.b.held[0].name) == "B1 park insert profiles #2", "asked anew, it stands at its next row"


@pytest.mark.parametrize("goes", [True, False])
def test_the_next_flight_is_sent_once_the_point_is_shut_behind_the_last(house: House, goes: bool) -> None:
    yard = house.parked()
    go(house.b)
    house.two.comes_back(sqlstate="23505", message="duplicate key")
    house.sent(house.two, UPDATE, house.people.bob.id)
    assert (house.two.told, house.b.executing) == (["released"], 1), "it counts as under way"
    if goes:
        yard.passed.pop()()
        assert house.two.told == ["released", "released"]
    else:
        house.two.closes()
        yard.passed.pop()()
        assert house.two.told == ["released"], "there is nobody to send it"
        assert house.nothing_left()


def test_the_third_park_of_a_flight_is_let_through_for_good(house: House) -> None:
    yard = house.parked()
    for _ in range(PARKS_MAX):
        go(house.b)
        yard.passed.pop()()
        house.look()
    assert [for_good for _, for_good in yard.let] == [False, False, True]


def test_parks_are_counted_anew_for_each_flight(house: House) -> None:
    yard = house.parked()
    go(house.b)
    yard.passed.pop()()
    house.postgres.waits.clear()
    house.two.comes_back()
    assert house.nothing_left()
    assert house.two.told == ["released"], "to park is not to be blocked: its result is not held"
    yard = house.parked()
    for _ in range(2):
        go(house.b)
        yard.passed.pop()()
        house.look()
    assert [for_good for _, for_good in yard.let] == [False, False]


def test_one_that_parks_after_it_was_blocked_is_counted_once(house: House) -> None:
    house.blocked()
    house.plane.parking = Yard()  # type: ignore[assignment]
    house.postgres.waits[102] = {9000}
    house.look()
    assert (house.b.executing, house.b.blocked, len(house.b.held)) == (0, 1, 1)
    go(house.b)
    house.two.comes_back()
    go(house.b)
    assert house.nothing_left()


def test_one_that_gives_up_while_parked_is_held_no_more(house: House) -> None:
    house.parked()
    house.two.comes_back(sqlstate="57014", message="canceling statement due to user request")
    assert house.nothing_left()


def closes_while_held(house: House) -> None:
    house.two.send(INSERT, house.people.bob.id.encode())


def closes_while_executing(house: House) -> None:
    house.sent(house.two, INSERT, house.people.bob.id)


def closes_while_its_result_is_held(house: House) -> None:
    house.blocked()
    house.two.comes_back()


@pytest.mark.parametrize(
    "stand",
    [closes_while_held, closes_while_executing, House.blocked, House.parked, closes_while_its_result_is_held],
    ids=["held", "executing", "blocked", "parked", "result"],
)
def test_a_connection_that_closes_leaves_nothing_behind(house: House, stand: object) -> None:
    stand(house)  # type: ignore[operator]
    house.conductor.pace.recheck = False
    house.two.closes()
    assert house.nothing_left()
    assert house.conductor.pace.recheck
    house.two.closes()
    assert house.nothing_left()
    house.postgres.waits = {102: {101}}
    asyncio.run(house.plane.sort_out({102: frozenset({101})}))
    assert house.nothing_left()


def test_one_that_closes_in_its_transaction_binds_nobody_after_it(house: House) -> None:
    house.sent(house.one, UPDATE, house.people.ada.id)
    house.one.comes_back(Transaction.OPEN)
    house.one.closes()
    house.one.send(INSERT, house.people.bob.id.encode())
    assert house.b.held


def test_a_begin_behind_a_flight_under_way_leaves_nothing_behind(house: House) -> None:
    house.sent(house.one, INSERT, house.people.ada.id)
    house.one.send("begin")
    house.one.comes_back()
    house.one.comes_back(Transaction.OPEN)
    assert house.nothing_left()


def test_what_passes_behind_a_flight_under_way_does_not_hide_its_result(house: House) -> None:
    house.sent(house.one, INSERT, house.people.ada.id)
    house.one.send("show timezone")
    house.one.comes_back(rows=1)
    house.one.comes_back()
    assert [s.data["rows"] for s in house.steps(StepKind.RESULT)] == [1]


def test_flights_of_a_connection_under_way_together_are_told_apart(house: House) -> None:
    house.sent(house.one, INSERT, house.people.ada.id)
    house.sent(house.one, UPDATE, house.people.bob.id)
    assert (house.a.executing, house.b.executing) == (1, 1)
    house.one.comes_back(rows=1)
    assert (house.a.executing, house.b.executing) == (0, 1)
    house.one.comes_back(rows=2)
    told = [(s.actor, s.label, s.data["rows"]) for s in house.steps(StepKind.RESULT)]
    assert told == [("A", "insert profiles", 1), ("B", "update profiles", 2)]
    assert house.nothing_left()


def test_a_transaction_binds_as_long_as_anything_of_it_is_under_way(house: House) -> None:
    house.sent(house.one, UPDATE, house.people.ada.id)
    house.one.comes_back(Transaction.OPEN)
    for sql in (UPDATE, "commit", "begin"):
        house.one.send(sql)
        if house.a.held:
            go(house.a)
    house.one.comes_back(Transaction.OPEN)
    house.one.comes_back(Transaction.IDLE)
    house.one.send(INSERT, house.people.bob.id.encode())
    assert house.a.held, "its next BEGIN is under way"
    assert not house.b.held


def test_a_connection_that_closes_with_several_under_way_leaves_nothing(house: House) -> None:
    for _ in range(3):
        house.sent(house.two, INSERT, house.people.bob.id)
    house.postgres.waits[102] = {101}
    house.look()
    house.two.closes()
    assert house.nothing_left()


def test_a_flight_of_an_earlier_run_goes_at_once_and_is_told_as_such(house: House) -> None:
    house.one.send(INSERT, house.people.earlier.id.encode())
    assert house.one.told == ["released"]
    assert not house.a.held
    assert not house.b.held
    house.one.comes_back(rows=1)
    flight, result = house.recorder.history()
    assert (flight.actor, flight.attribution, result.actor) == (EARLIER, EARLIER, EARLIER)
    assert house.conductor.late == 1
    assert house.nothing_left()


def test_who_sends_next_is_not_taken_for_the_earlier_run(house: House) -> None:
    house.one.send(INSERT, house.people.earlier.id.encode())
    house.one.comes_back()
    house.b.executing = 1
    house.two.send(INSERT)
    assert house.a.held, "it alone could have sent it"
    assert house.conductor.late == 1


def test_the_history_tells_what_a_flight_carried_and_what_came_of_it(house: House) -> None:
    house.sent(house.one, INSERT, house.people.ada.id)
    house.one.comes_back(
        tags=("INSERT 0 1",), rows=1, sample=(("1",),), columns=("id",), sqlstate="23505", message="twice"
    )
    flight, result = house.recorder.history()
    assert (flight.actor, flight.label, flight.conn) == ("A", "insert profiles", 1)
    assert flight.data == {"strand": "A1", "sql": [INSERT], "parameters": [house.people.ada.id]}
    assert result.data == {
        "strand": "A1",
        "tags": ["INSERT 0 1"],
        "rows": 1,
        "sample": [["1"]],
        "columns": ["id"],
        "sqlstate": "23505",
        "message": "twice",
    }


def test_what_is_long_is_cut_and_what_is_not_printable_left_out(house: House) -> None:
    house.b.executing = 1
    house.one.send(f"insert into profiles values ({'1, ' * 1000}1)", b"x" * 500, b"a\x00b")
    go(house.a)
    data = house.steps(StepKind.FLIGHT)[0].data
    assert len(data["sql"][0]) == STATEMENT_CHARS_MAX
    assert data["parameters"] == ["x" * VALUE_CHARS_MAX]


def test_what_only_cause_names_teaches_where_one_alone_could(house: House) -> None:
    house.one.send(INSERT)
    mover = next(s for s in (house.a, house.b) if s.held)
    assert mover.done.last == "flight insert profiles"
    assert not house.people.sequels.knows("sign-up", "request POST /sign-up", "flight insert profiles")
    other = house.b if mover is house.a else house.a
    house.two.send(INSERT)
    assert other.held
    assert house.people.sequels.knows("sign-up", "request POST /sign-up", "flight insert profiles")
    go(other)
    assert house.steps(StepKind.FLIGHT)[0].attribution == CAUSE
