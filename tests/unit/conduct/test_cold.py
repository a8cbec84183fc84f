"""Who is waited for longer than usual: a target that was started again, and work that nobody waits for."""

from __future__ import annotations

import pytest
from conduct_stage import People, played

from deadheat.engine.conduct import pace, sequels
from deadheat.engine.conduct.sequels import SEEN_ENOUGH


@played
async def test_a_target_that_was_started_again_may_be_silent_for_longer() -> None:
    people = People()
    strand = people.strand("A1", people.ada)
    watching = people.conductor.pace
    began = strand.moved_at
    assert watching._due(strand, began, False) == pytest.approx(began + pace.QUIET_MS / 1000)
    watching.slow = True
    assert watching._due(strand, began, False) == pytest.approx(began + pace.SLOW_MS / 1000)


@played
async def test_after_a_caller_has_hung_up_the_target_is_waited_for_though_it_ends_with_its_answers() -> None:
    people = People()
    for _ in range(SEEN_ENOUGH):  # so much is known: after its answer it does nothing
        strand = people.strand("A1", people.ada)
        people.sequels.ended(strand.operation, strand.done)
        people.conductor.answered(strand)
        people.sequels.ended(strand.operation, strand.done)
    heard, hung_up = people.strand("A2", people.ada), people.strand("A3", people.ada)
    people.conductor.answered(heard)
    people.conductor.learns = False
    people.conductor.answered(hung_up, hung_up=True)
    assert heard.tail_until <= heard.moved_at + sequels.QUIET_MS / 1000
    assert hung_up.tail_until - hung_up.moved_at >= sequels.UNKNOWN_MS / 1000
    assert hung_up in people.conductor.live()
