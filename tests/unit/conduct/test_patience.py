"""How many are in the air at once, and how long who shows nothing is waited for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from conduct_stage import Hand, People, played

from deadheat.engine.conduct import conductor as conducting
from deadheat.engine.conduct import pace, sequels
from deadheat.engine.conduct.conductor import IN_AIR_MAX
from deadheat.engine.conduct.pace import PATIENCE_MS
from deadheat.engine.conduct.sequels import QUIET_MS
from deadheat.schedule import Exhaustive, Frontier, RandomWalk, Serial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.schedule import Held, Strategy

ACTORS = "ABCDEFGH"
KINDS = ["request", "delivery"]


@pytest.fixture(autouse=True)
def _short_periods(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pace, sequels, conducting):
        monkeypatch.setattr(module, "QUIET_MS", 2.0)
    for name in ("UNKNOWN_MS", "SURE_MS"):
        monkeypatch.setattr(sequels, name, 2.0)


class Crowd:
    """Actors that each hold a first step, then a flight, and are done once that has gone."""

    def __init__(self, kind: str) -> None:
        self.people = People()
        self.conductor = self.people.conductor
        self.conductor.controls = True
        self.open_at_once = 0
        for actor in ACTORS:
            self._comes(actor, kind)

    def _comes(self, actor: str, kind: str) -> None:
        conductor = self.conductor
        strand = self.people.strand(f"{actor}1", is_open=False)

        def begins() -> None:
            conductor.opened(strand, kind)
            open_now = sum(other.is_open for other in conductor.strands.values())
            self.open_at_once = max(self.open_at_once, open_now)
            conductor.hold(
                strand, "flight", "insert", lambda: conductor.answered(strand, to_be_continued=False)
            )

        conductor.hold(strand, kind, "go", begins)


@pytest.mark.parametrize("kind", KINDS)
def test_no_more_than_so_many_operations_and_deliveries_are_begun_at_once(kind: str) -> None:
    crowd, hand = Crowd(kind), Hand(*ACTORS)  # each actor's first step, before anybody's second
    asyncio.run(crowd.conductor.conduct(hand, lambda: True))
    assert crowd.open_at_once == IN_AIR_MAX < len(ACTORS)
    assert hand.seen[IN_AIR_MAX] == tuple(f"{actor}1 flight insert" for actor in ACTORS[:IN_AIR_MAX])
    assert len(hand.went) == 2 * len(ACTORS), "all of them went in the end"


@played
async def test_where_all_in_the_air_wait_one_more_may_begin() -> None:
    people, hand = People(), Hand()
    strands = [people.strand(f"{actor}1") for actor in ACTORS[:IN_AIR_MAX]]
    late = people.strand("Z1", is_open=False)
    people.conductor.controls = True

    def wakes_them() -> None:
        for strand in strands:
            people.conductor.answered(strand, to_be_continued=False)

    people.conductor.hold(late, "request", "go", wakes_them)
    await people.conductor.conduct(hand, lambda: True)
    assert hand.went == ["Z1 request go"]


@played
async def test_the_next_request_of_an_operation_that_has_begun_is_no_beginning() -> None:
    people, hand = People(), Hand("A1 request second")
    for actor in ACTORS[1:IN_AIR_MAX]:
        strand = people.strand(f"{actor}1")
        people.conductor.controls = True
        people.conductor.hold(
            strand, "flight", "x", lambda s=strand: people.conductor.answered(s, to_be_continued=False)
        )
    first = people.strand("A1")
    first.turns = 1
    done = lambda: people.conductor.answered(first, to_be_continued=False)  # noqa: E731
    people.conductor.hold(first, "request", "second", done)
    await people.conductor.conduct(hand, lambda: True)
    assert hand.went[0] == "A1 request second"


@pytest.mark.parametrize(("strategy", "patient"), [(Serial(), True), (RandomWalk(1), False)])
def test_only_a_serial_run_is_patient(
    monkeypatch: pytest.MonkeyPatch, strategy: Strategy, patient: bool
) -> None:
    people, noted, choose = People(), [], strategy.choose

    def noting(held: Sequence[Held]) -> tuple[int, ...]:
        noted.append(people.conductor.pace.patient)
        return choose(held)

    monkeypatch.setattr(strategy, "choose", noting)
    people.conductor.controls = True
    people.conductor.hold(people.strand("A1", is_open=False), "act", "x", lambda: None)
    asyncio.run(people.conductor.conduct(strategy, lambda: True))
    assert noted == [patient]
    assert not people.conductor.pace.patient, "only while it races"


@pytest.mark.parametrize(("strategy", "slow"), [(Exhaustive(Frontier()), True), (RandomWalk(1), False)])
def test_an_exhaustive_search_gives_who_is_silent_more_time(strategy: Strategy, slow: bool) -> None:
    people = People()
    asyncio.run(people.conductor.conduct(strategy, lambda: True))
    assert people.conductor.pace.slow == slow


@pytest.mark.parametrize(("patient", "waits_ms"), [(True, PATIENCE_MS), (False, 2.0)])
def test_who_shows_nothing_is_waited_for_as_long_as_the_pace_is_patient(
    patient: bool, waits_ms: float
) -> None:
    people = People()
    strand = people.strand("A1", people.ada)
    people.conductor.pace.patient = patient
    # Past the time for it, it is looked at once more.
    for ms, is_silent in ((waits_ms - 1.0, False), (waits_ms + 1.0, False), (waits_ms + 1.0, True)):
        wait_s = people.conductor.pace._wait_s(strand.moved_at + ms / 1000, to_rest=False)
        assert (wait_s is None, strand.silent) == (is_silent, is_silent)
    assert PATIENCE_MS > 10 * QUIET_MS


@played
async def test_in_a_serial_run_what_comes_after_the_quiet_period_still_goes_first() -> None:
    """It comes ten quiet periods late, and another actor could have gone all that time."""
    people = People()
    conductor = people.conductor
    a, b = people.strand("A1", people.ada), people.strand("B1", people.bob, is_open=False)
    conductor.controls = True
    conductor.hold(b, "act", "x", lambda: None)
    conductor.pace.in_air = a

    def comes() -> None:
        conductor.hold(a, "flight", "x", lambda: conductor.answered(a, to_be_continued=False))

    asyncio.get_running_loop().call_later(0.02, comes)
    await conductor.conduct(Serial(), lambda: True)
    assert [str(choice.steps[0].name) for choice in conductor.trace] == ["A1 flight x", "B1 act x"]
    assert conductor.late == 0
