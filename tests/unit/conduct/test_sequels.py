"""The table of what follows what: what it learns, and how long to wait after an answer."""

from __future__ import annotations

from deadheat.engine.conduct.sequels import ANSWER, QUIET_MS, SEEN_ENOUGH, SURE_MS, UNKNOWN_MS, Sequels

MAILS = "flight insert mails"


def ended(sequels: Sequels, times: int) -> None:
    for _ in range(times):
        sequels.ended("sign-up", ANSWER)


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
        assert sequels.tail_ms("sign-up", ANSWER) == UNKNOWN_MS


def test_nothing_is_waited_for_after_it_ended_there_often_enough() -> None:
    sequels = Sequels()
    waited = []
    for _ in range(SEEN_ENOUGH + 1):
        waited.append(sequels.tail_ms("sign-up", ANSWER))
        ended(sequels, 1)
    assert waited == [UNKNOWN_MS] * SEEN_ENOUGH + [0.0]
    assert sequels.tail_ms("check-out", ANSWER) == UNKNOWN_MS
    assert sequels.tail_ms("sign-up", MAILS) == UNKNOWN_MS


def test_work_that_was_seen_once_is_waited_for_however_often_there_was_none() -> None:
    sequels = Sequels()
    ended(sequels, SEEN_ENOUGH)
    sequels.learn("sign-up", ANSWER, MAILS)
    assert sequels.tail_ms("sign-up", ANSWER) == QUIET_MS
    ended(sequels, 100)
    assert sequels.tail_ms("sign-up", ANSWER) == QUIET_MS


def test_work_that_always_came_is_waited_for_long_until_it_once_does_not_come() -> None:
    sequels = Sequels()
    waited = []
    for _ in range(3):
        sequels.learn("sign-up", ANSWER, MAILS)
        waited.append(sequels.tail_ms("sign-up", ANSWER))
    ended(sequels, 1)
    assert waited == [SURE_MS] * 3
    assert sequels.tail_ms("sign-up", ANSWER) == QUIET_MS < UNKNOWN_MS < SURE_MS
    assert sequels.tail_ms("sign-up", MAILS) == UNKNOWN_MS, "of what comes after it nothing is known"
