"""The tables of what comes next: what they learn, and how long to wait after an answer."""

from __future__ import annotations

from conduct_stage import People, played

from deadheat.engine.conduct.sequels import (
    ANSWER,
    QUIET_MS,
    RARELY,
    SEEN_ENOUGH,
    SURE_MS,
    UNKNOWN_MS,
    Done,
    Sequels,
)

MAILS = "flight insert mails"


def did(*labels: str) -> Done:
    done = Done()
    for label in labels:
        done.add(label)
    return done


ANSWERED = did("request POST /", ANSWER)


def ended(sequels: Sequels, times: int, done: Done = ANSWERED) -> None:
    for _ in range(times):
        sequels.ended("sign-up", done)


def test_what_followed_in_an_operation_is_known_of_that_operation_and_label_alone() -> None:
    sequels = Sequels()
    sequels.learn("sign-up", "a", "b")
    assert sequels.knows("sign-up", "a", "b")
    assert not sequels.knows("sign-up", "b", "a")
    assert not sequels.knows("sign-up", "a", "c")
    assert not sequels.knows("check-out", "a", "b")


def test_asking_teaches_nothing() -> None:
    sequels = Sequels()
    for _ in range(10 * SEEN_ENOUGH):
        sequels.knows("sign-up", ANSWER, MAILS)
        assert sequels.tail_ms("sign-up", ANSWERED) == UNKNOWN_MS


def test_nothing_is_waited_for_after_it_ended_there_often_enough() -> None:
    sequels = Sequels()
    waited = []
    for _ in range(SEEN_ENOUGH + 1):
        waited.append(sequels.tail_ms("sign-up", ANSWERED))
        ended(sequels, 1)
    assert waited == [UNKNOWN_MS] * SEEN_ENOUGH + [0.0]
    assert sequels.tail_ms("check-out", ANSWERED) == UNKNOWN_MS
    assert sequels.tail_ms("sign-up", did("request POST /", ANSWER, MAILS)) == UNKNOWN_MS


def test_work_that_was_seen_once_is_waited_for_however_often_there_was_none() -> None:
    sequels = Sequels()
    ended(sequels, SEEN_ENOUGH)
    assert not sequels.works_on
    sequels.went_on("sign-up", ANSWERED)
    assert sequels.works_on
    assert sequels.tail_ms("sign-up", ANSWERED) == QUIET_MS
    ended(sequels, 100)
    assert sequels.tail_ms("sign-up", ANSWERED) == QUIET_MS


def test_work_that_nearly_always_came_is_waited_for_long() -> None:
    sequels = Sequels()
    waited = []
    for _ in range(RARELY):
        sequels.went_on("sign-up", ANSWERED)
        waited.append(sequels.tail_ms("sign-up", ANSWERED))
    ended(sequels, 1)
    waited.append(sequels.tail_ms("sign-up", ANSWERED))
    assert waited == [SURE_MS] * (RARELY + 1)
    ended(sequels, 1)
    assert sequels.tail_ms("sign-up", ANSWERED) == QUIET_MS < UNKNOWN_MS < SURE_MS


def test_work_in_the_background_is_over_in_whatever_order_it_went_beside_the_answer() -> None:
    sequels = Sequels()
    early, late = did("request POST /", MAILS, ANSWER), did("request POST /", ANSWER, MAILS)
    sequels.went_on("sign-up", ANSWERED)
    ended(sequels, SEEN_ENOUGH, late)
    assert sequels.tail_ms("sign-up", early) == 0.0, "the mails are out already"
    assert sequels.tail_ms("sign-up", ANSWERED) == SURE_MS


def test_where_such_a_set_was_never_seen_its_last_label_is_asked() -> None:
    sequels = Sequels()
    ended(sequels, SEEN_ENOUGH)
    assert sequels.tail_ms("sign-up", did("request POST /", "flight select users", ANSWER)) == 0.0


@played
async def test_who_works_on_gets_each_request_on_a_connection_of_its_own() -> None:
    people = People()
    strand = people.strand("A1", people.ada)
    assert set(people.conductor.headers(strand)) == {"traceparent"}
    people.conductor.answered(strand)
    people.conductor.moved(strand, "flight insert")
    assert people.conductor.headers(strand)["connection"] == "close"
