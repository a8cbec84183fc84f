"""The table of what follows what: what it learns, and how long to wait after an answer."""

from __future__ import annotations

import pytest

from deadheat.engine.conduct.sequels import QUIET_MS, RARE, SEEN_ENOUGH, TAIL_MS_MIN, Sequels

MAILS = "flight insert mails"


def ended(sequels: Sequels, times: int) -> None:
    for _ in range(times):
        sequels.ended("sign-up", "answer")


def test_what_followed_in_an_operation_is_known_of_that_operation_and_label_alone() -> None:
    sequels = Sequels()
    sequels.learn("sign-up", "a", "b")
    assert sequels.knows("sign-up", "a", "b")
    assert not sequels.knows("sign-up", "b", "a")
    assert not sequels.knows("sign-up", "a", "c")
    assert not sequels.knows("check-out", "a", "b")


def test_asking_teaches_nothing() -> None:
    sequels = Sequels()
    for _ in range(RARE * SEEN_ENOUGH):
        sequels.knows("sign-up", "answer", MAILS)
        assert sequels.tail_ms("sign-up", "answer") == QUIET_MS


def test_nothing_is_waited_for_after_it_ended_there_often_enough() -> None:
    sequels = Sequels()
    waited = []
    for _ in range(SEEN_ENOUGH + 1):
        waited.append(sequels.tail_ms("sign-up", "answer"))
        ended(sequels, 1)
    assert waited == [QUIET_MS] * SEEN_ENOUGH + [0.0]
    assert sequels.tail_ms("check-out", "answer") == QUIET_MS
    assert sequels.tail_ms("sign-up", MAILS) == QUIET_MS


@pytest.mark.parametrize(
    ("gap", "waits"),
    [(0.1, TAIL_MS_MIN), (8.0, 16.0), (QUIET_MS, QUIET_MS)],
    ids=["at-least", "twice", "at-most"],
)
def test_work_after_an_answer_is_waited_for_twice_as_long_as_it_takes(gap: float, waits: float) -> None:
    sequels = Sequels()
    for _ in range(3):
        sequels.learn("sign-up", "answer", MAILS, gap)
    assert sequels.tail_ms("sign-up", "answer") == pytest.approx(waits)


def test_one_hiccup_is_not_for_ever() -> None:
    sequels = Sequels()
    for gap in [20.0, *[1.0] * 50]:
        sequels.learn("sign-up", "answer", MAILS, gap)
    assert sequels.tail_ms("sign-up", "answer") == TAIL_MS_MIN


def test_work_that_takes_longer_now_is_waited_for_longer() -> None:
    sequels = Sequels()
    for gap in [1.0, *[20.0] * 50]:
        sequels.learn("sign-up", "answer", MAILS, gap)
    assert sequels.tail_ms("sign-up", "answer") == pytest.approx(40.0, rel=0.05)


def test_work_that_hardly_ever_comes_is_not_waited_for() -> None:
    sequels = Sequels()
    sequels.learn("sign-up", "answer", MAILS, 4.0)
    ended(sequels, RARE - 1)
    assert sequels.tail_ms("sign-up", "answer") == 8.0
    ended(sequels, 1)
    assert sequels.tail_ms("sign-up", "answer") == 0.0
    sequels.learn("sign-up", "answer", MAILS, 4.0)
    assert sequels.tail_ms("sign-up", "answer") == 8.0
