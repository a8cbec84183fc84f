"""Work after an answer that waits for somebody who is held, and whoever waits for the only connection."""

from __future__ import annotations

import asyncio

import pytest
from conduct_stage import Hand, People, go, played
from sql_house import INSERT, House

from deadheat.engine.conduct import conductor as conducting
from deadheat.engine.conduct import pace, sequels
from deadheat.engine.conduct.sequels import ANSWER, Done
from deadheat.pgwire import Transaction

UPDATE = "update profiles set name = $1"
LOOK = "select id from profiles where name = $1"


@pytest.fixture(autouse=True)
def _short_periods(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pace, sequels, conducting):
        monkeypatch.setattr(module, "QUIET_MS", 2.0)
    monkeypatch.setattr(sequels, "SURE_MS", 2.0)
    for module in (sequels, conducting):
        monkeypatch.setattr(module, "UNKNOWN_MS", 2.0)


class PoolOfOne(House):
    """A target with one connection, which A has; all statements are of one person's, so none tells whose."""

    def __init__(self) -> None:
        super().__init__()
        del self.pids[102]
        self.b.part = self.a.part
        self.user = self.people.ada.id.encode()

    def a_works(self) -> None:
        """Let A begin a transaction on the one connection."""
        self.plane._line(self.one).bound = self.a  # type: ignore[arg-type]  # its BEGIN has passed
        self.one.send(UPDATE, self.user)
        go(self.a)
        self.one.comes_back(Transaction.OPEN)

    def a_commits(self) -> None:
        self.one.send("commit")
        go(self.a)
        self.one.comes_back(Transaction.IDLE)


def works_on(people: People) -> Done:
    """Teach that a sign-up works on after its answer; gives what it has done by then."""
    done = Done()
    for label in ("request POST /sign-up", ANSWER):
        done.add(label)
    people.sequels.went_on("sign-up", done)
    people.sequels.learn("sign-up", "request POST /sign-up", "flight select profiles")
    return done


@played
async def test_work_after_an_answer_that_a_held_one_keeps_back_is_still_of_who_was_answered() -> None:
    house = PoolOfOne()
    works_on(house.people)
    house.a_works()
    house.conductor.hold(house.a, "call", "x", lambda: None)
    house.conductor.answered(house.b, to_be_continued=False)
    await house.conductor.pace.quiet()
    assert house.b.owing
    assert house.b not in house.conductor.live()
    go(house.a)
    house.a_commits()
    house.one.send(LOOK, house.user)
    assert [str(hold.name) for hold in house.b.held] == ["B1 flight select profiles"]
    assert not house.b.owing


@played
async def test_what_was_kept_back_does_not_teach_that_nothing_comes() -> None:
    house = PoolOfOne()
    done = works_on(house.people)
    house.a_works()
    house.conductor.hold(house.a, "call", "x", lambda: None)
    for _ in range(3):
        house.conductor.answered(house.b, to_be_continued=False)
        await house.conductor.pace.quiet()
    assert house.people.sequels._by_all["sign-up", frozenset(done.labels.items())].ends == 0


@played
async def test_what_is_owed_when_the_race_is_over_is_waited_for_once_more_and_then_given_up() -> None:
    house = PoolOfOne()
    done = works_on(house.people)
    house.a.is_open = house.b.is_open = False
    house.b.done, house.b.owing = done, True
    await house.conductor.conduct(Hand(), lambda: True)
    assert not house.b.owing
    assert house.people.sequels._by_all["sign-up", frozenset(done.labels.items())].ends == 1


@played
async def test_who_takes_the_only_connection_when_it_is_given_back_is_not_late() -> None:
    house = PoolOfOne()
    house.a_works()
    await house.conductor.pace.quiet()
    assert house.b.silent
    house.conductor.pace.in_air = house.a
    house.a_commits()
    house.one.send(LOOK, house.user)
    assert (house.conductor.late, len(house.b.held)) == (0, 1)


@played
async def test_who_shows_itself_while_a_connection_is_free_all_the_time_is_late() -> None:
    house = PoolOfOne()
    house.wire(103)
    house.a_works()
    await house.conductor.pace.quiet()
    house.conductor.pace.in_air = house.a
    house.a_commits()
    house.one.send(LOOK, house.user)
    house.conductor.moved(house.b, "flight x")
    assert house.conductor.late == 1


@played
async def test_the_next_choice_waits_for_who_may_be_about_to_take_the_connection() -> None:
    house = PoolOfOne()
    house.a_works()
    await house.conductor.pace.quiet()
    house.a_commits()
    house.conductor.answered(house.a, to_be_continued=False)
    house.a.tail_until = 0.0
    asyncio.get_running_loop().call_later(0.001, house.one.send, LOOK, house.user)
    await house.conductor.pace.quiet()
    assert house.b.held


@played
async def test_nobody_begins_while_somebody_waits_for_a_connection() -> None:
    house = PoolOfOne()
    house.a_works()
    house.conductor.hold(house.a, "call", "x", lambda: None)
    newcomer = house.people.strand("C1", house.people.ada, is_open=False)
    house.conductor.hold(newcomer, "request", "POST /sign-up", lambda: None)
    assert len(house.conductor._eligible()) == 2
    house.b.silent = True
    assert [hold.strand for hold in house.conductor._eligible()] == [house.a]
    house.wire(103)
    assert len(house.conductor._eligible()) == 2, "a connection is free: it waits for something else"


@played
async def test_who_waited_for_the_connection_goes_before_who_gave_it_back() -> None:
    """Nobody was ever seen to do this: without the connection's word it would be who moved last."""
    house = PoolOfOne()
    house.b.silent = True
    house.conductor.moved(house.a)
    house.one.send(INSERT, b"x")
    assert house.a.held
    go(house.a)
    house.one.comes_back(Transaction.IDLE)
    house.one.send(LOOK, b"x")
    assert house.b.held


def test_of_those_that_were_told_a_value_it_is_the_one_that_goes_on_so() -> None:
    people = People()
    a, b, c = (people.strand(name, people.ada) for name in ("A1", "B1", "C1"))
    people.sequels.learn("sign-up", "request POST /sign-up", "flight x")
    a.told, b.told = {"in_1"}, {"in_1"}
    b.done.add("flight y")
    a.silent = True
    assert c.moved_at >= a.moved_at, "C could go on so as well, and does not even wait"
    assert people.conductor.attribute("flight x", values=["in_1"]).strand is a
    a.told = set()
    a.moved_at = 0.0
    assert people.conductor.attribute("flight x", values=["in_1"]).strand is b, "it alone was told"


def test_work_in_the_background_is_known_whether_it_was_seen_to_begin_before_the_answer_or_after() -> None:
    people = People()
    seen = people.strand("A1", people.ada)
    people.conductor.moved(seen, "flight x")
    people.strand("A1", people.ada, is_open=False).is_open = False
    b, c = people.strand("B1", people.ada), people.strand("C1", people.bob)
    people.conductor.answered(b)
    people.conductor.moved(c, "flight y")
    assert people.conductor.attribute("flight x").strand is b


@played
async def test_an_answer_does_not_hide_what_comes_before_the_work() -> None:
    people = People()
    seen = people.strand("A1", people.ada)
    people.conductor.answered(seen, to_be_continued=False)
    people.conductor.moved(seen, "flight x")
    assert people.sequels.knows("sign-up", ANSWER, "flight x")
    assert people.sequels.knows("sign-up", "request POST /sign-up", "flight x")
