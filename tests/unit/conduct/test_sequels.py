"""The table of what follows what: what it learns, and how long to wait after an answer."""

from __future__ import annotations

import pytest

from deadheat.engine.conduct.sequels import QUIET_MS, SEEN_ENOUGH, TAIL_MS_MIN, Sequels


def test_what_followed_in_an_operation_is_known_of_that_operation_and_label_alone() -> None:
    sequels = Sequels()
    sequels.learn("sign-up", "a", "b")
    assert sequels.knows("sign-up", "a", "b")
    assert sequels.has_sequel("sign-up", "a")
    assert not sequels.knows("sign-up", "b", "a")
    assert not sequels.knows("sign-up", "a", "c")
    assert not sequels.knows("check-out", "a", "b")
    assert not sequels.has_sequel("check-out", "a")


def test_asking_teaches_nothing() -> None:
    sequels = Sequels()
    sequels.knows("sign-up", "answer", "b")
    sequels.has_sequel("sign-up", "answer")
    for _ in range(SEEN_ENOUGH):
        sequels.tail_ms("sign-up", "answer")
    assert not sequels.has_sequel("sign-up", "answer")
    assert sequels.tail_ms("sign-up", "answer") == QUIET_MS


def test_nothing_is_waited_for_after_it_ended_there_often_enough() -> None:
    sequels = Sequels()
    waited = []
    for _ in range(SEEN_ENOUGH + 1):
        waited.append(sequels.tail_ms("sign-up", "answer"))
        sequels.ended("sign-up", "answer")
    assert waited == [QUIET_MS] * SEEN_ENOUGH + [0.0]
    assert sequels.tail_ms("check-out", "answer") == QUIET_MS


@pytest.mark.parametrize(
    ("gaps", "waits"),
    [
        ([0.1], TAIL_MS_MIN),
        ([8.0], 16.0),
        ([8.0, 12.0], 24.0),
        ([40.0], QUIET_MS),
    ],
    ids=["at-least", "twice", "the-longest", "at-most"],
)
def test_work_after_an_answer_is_waited_for_twice_as_long_as_it_took(gaps: list[float], waits: float) -> None:
    sequels = Sequels()
    for gap in gaps:
        sequels.learn("sign-up", "answer", "flight insert mails", gap)
    assert sequels.tail_ms("sign-up", "answer") == waits


def test_work_that_was_seen_once_is_waited_for_however_often_there_was_none() -> None:
    sequels = Sequels()
    for _ in range(SEEN_ENOUGH):
        sequels.ended("sign-up", "answer")
    sequels.learn("sign-up", "answer", "flight insert mails", 4.0)
    assert sequels.tail_ms("sign-up", "answer") == 8.0


def test_one_hiccup_is_not_for_ever() -> None:
    sequels = Sequels()
    waits = []
    for gap in [20.0, *[1.0] * 30]:
        sequels.learn("sign-up", "answer", "flight insert mails", gap)
        waits.append(sequels.tail_ms("sign-up", "answer"))
    assert waits[0] == 40.0
    assert 20.0 < waits[1] < 40.0
    assert waits[-1] == TAIL_MS_MIN
