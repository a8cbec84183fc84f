"""The conductor: one step at a time, in an order that a strategy chooses, and an end to waiting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from conduct_stage import Hand, People, Tabs, played, turns, until

from deadheat.engine.conduct import conductor as conducting
from deadheat.engine.conduct import pace, sequels
from deadheat.engine.conduct.conductor import REPEATS_MAX
from deadheat.errors import Trouble
from deadheat.schedule import RandomWalk, Replay, Schedule, Serial, StepName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deadheat.engine.conduct.strands import Hold
    from deadheat.schedule import Held


@pytest.fixture(autouse=True)
def _short_periods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here takes time of its own: what is waited out is waited out soon."""
    for module in (pace, sequels, conducting):
        monkeypatch.setattr(module, "QUIET_MS", 2.0)
    monkeypatch.setattr(sequels, "UNKNOWN_MS", 2.0)


def schedule(*steps: tuple[str, str]) -> Schedule:
    """Give the schedule of these steps of our own: strand and label, each the first of its kind."""
    keys = tuple(StepName(strand, f"act {label}").key for strand, label in steps)
    return Schedule(scenario="s", source="0" * 8, steps=keys)


@played
async def test_one_step_is_in_the_air_at_a_time() -> None:
    tabs = Tabs(People().conductor)
    order = await tabs.race(RandomWalk(3), A="abcde", B="abcde", C="abcde")
    assert tabs.at_once == 1
    assert sorted(order) == ["A"] * 5 + ["B"] * 5 + ["C"] * 5
    assert order != sorted(order)


@played
async def test_a_strategy_sees_all_that_is_held_in_default_order() -> None:
    hand = Hand("C", "B", "B")
    assert await Tabs(People().conductor).race(hand, A="x", B="xy", C="x") == ["C", "B", "B", "A"]
    assert hand.seen[0] == ("A1 act x", "B1 act x", "C1 act x")
    assert hand.seen[1:] == [("A1 act x", "B1 act x"), ("A1 act x", "B1 act y"), ("A1 act x",)]


@played
async def test_steps_of_a_strand_are_held_in_the_order_of_arrival_and_numbered_by_label() -> None:
    people, hand = People(), Hand()
    strand = people.strand("A1", is_open=False)
    conductor = people.conductor
    conductor.controls = True
    for label in ("x", "y", "x"):
        conductor.hold(strand, "flight", label, lambda: None)
    await conductor.conduct(hand, lambda: True)
    assert hand.seen[0] == ("A1 flight x", "A1 flight y", "A1 flight x #2")


@played
async def test_serial_lets_an_actor_end_before_the_next_begins() -> None:
    tabs = Tabs(People().conductor)
    assert await tabs.race(Serial(), B="xy", A="xyz") == ["B", "B", "A", "A", "A"]


@played
async def test_each_choice_is_in_the_trace_and_told_before_it_goes() -> None:
    people, told = People(), []
    conductor = people.conductor
    conductor.on_release = lambda hold: told.append((str(hold.name), len(conductor.trace)))
    await Tabs(conductor).race(Serial(), A="x", B="x")
    assert told == [("A1 act x", 1), ("B1 act x", 2)]
    assert [len(choice.held) for choice in conductor.trace] == [2, 1]
    assert {strand.name: strand.turns for strand in conductor.strands.values()} == {"A1": 1, "B1": 1}


class First:
    """A strategy that always takes what comes first by default, however often."""

    name = "first"
    controlled = True
    yields = False
    faults = 0

    def begin(self, run: int) -> None:
        del run

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        return (0,)


@played
async def test_who_repeats_a_step_goes_behind_all_others_until_one_has_moved() -> None:
    tabs = Tabs(People().conductor)
    order = await tabs.race(First(), A=["poll"] * 7, B=["x", "y"], C=["z"])
    assert "".join(order) == "AAABAAABAC"
    assert REPEATS_MAX == 3


@played
async def test_alone_it_may_repeat_itself() -> None:
    assert await Tabs(People().conductor).race(First(), A=["poll"] * 7) == ["A"] * 7


@played
async def test_different_steps_are_no_repetition() -> None:
    order = await Tabs(People().conductor).race(First(), A="abcdabcd", B="x")
    assert "".join(order) == "A" * 8 + "B"


@played
async def test_two_actors_that_repeat_themselves_do_not_stop_each_other() -> None:
    order = await Tabs(People().conductor).race(First(), A=["poll"] * 6, B=["poll"] * 6)
    assert "".join(order) == "AAABAAABBBBB"


@played
async def test_what_comes_of_a_silent_strand_while_another_is_in_the_air_is_late() -> None:
    people = People()
    conductor, holds = people.conductor, []
    conductor.on_release = holds.append
    b = people.strand("B1", people.bob)  # its request is out, and it shows nothing
    a = people.strand("A1", people.ada, is_open=False)
    conductor.controls = True

    def late() -> None:
        conductor.hold(b, "flight", "insert", lambda: conductor.answered(b, to_be_continued=False))

    conductor.hold(a, "act", "x", late)
    await conductor.conduct(First(), lambda: True)
    assert [hold.strand.name for hold in holds] == ["A1", "B1"]
    assert conductor.late == 1


@played
async def test_a_step_is_late_though_it_was_attributed_before_it_is_held() -> None:
    people = People()
    conductor = people.conductor
    b = people.strand("B1", people.bob)
    conductor.controls, conductor.pace.in_air, b.silent = True, people.strand("A1", people.ada), True
    conductor.moved(b, "flight insert")  # as the wires do
    conductor.hold(b, "flight", "insert", lambda: None)
    assert conductor.late == 1


@played
async def test_what_comes_of_the_strand_in_the_air_is_not_late_nor_what_comes_in_time() -> None:
    people = People()
    conductor = people.conductor
    a, b = people.strand("A1", people.ada, is_open=False), people.strand("B1", people.bob)
    conductor.controls = True
    conductor.hold(b, "flight", "x", lambda: conductor.answered(b, to_be_continued=False))
    conductor.hold(a, "act", "x", lambda: conductor.hold(a, "act", "y", lambda: None))
    await conductor.conduct(Serial(), lambda: True)
    assert (conductor.late, len(conductor.trace)) == (0, 3)


class Watched(Replay):
    """A replay that calls ``on_wait`` whenever what it needs is not held."""

    waits = 0

    def __init__(self, schedule: Schedule) -> None:
        super().__init__(schedule)
        self.on_wait = lambda: None

    def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
        chosen = super().choose(held)
        if not chosen:
            self.waits += 1
            self.on_wait()
        return chosen


@played
async def test_a_replay_waits_for_the_step_that_its_schedule_names() -> None:
    people = People()
    conductor = people.conductor
    b = people.strand("B1", people.bob)
    a = people.strand("A1", people.ada, is_open=False)
    replay = Watched(schedule(("B1", "x"), ("A1", "x")))

    def comes_late() -> None:
        conductor.hold(b, "act", "x", lambda: conductor.answered(b, to_be_continued=False))

    replay.on_wait = lambda: asyncio.get_running_loop().call_soon(comes_late)  # type: ignore[assignment]
    conductor.controls = True
    conductor.hold(a, "act", "x", lambda: None)
    await conductor.conduct(replay, lambda: True)
    assert replay.waits == 1
    assert replay.finished() is None
    assert [str(choice.steps[0].name) for choice in conductor.trace] == ["B1 act x", "A1 act x"]


@played
async def test_it_gives_up_in_the_end_and_says_that_it_diverged() -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(conducting, "NAMED_SECONDS_MAX", 0.02)
        replay = Watched(schedule(("A1", "x"), ("Z1", "never"), ("B1", "x")))
        assert await Tabs(People().conductor).race(replay, A="xy", B="x") == ["A", "A", "B"]
    diverged = replay.finished()
    assert diverged is not None
    assert diverged.startswith("step 2 was to be ")
    assert "which never came; held: A1 act y" in diverged


@played
async def test_offers_are_asked_for_before_each_choice() -> None:
    people, hand = People(), Hand()
    conductor = people.conductor
    strand = people.strand("C1", is_open=False)
    labels = iter("xyz")

    def offer() -> None:
        if not strand.held and (label := next(labels, None)) is not None:
            conductor.hold(strand, "delivery", label, lambda: None)

    conductor.offers.append(offer)
    await conductor.conduct(hand, lambda: True)
    assert hand.went == ["C1 delivery x", "C1 delivery y", "C1 delivery z"]


@played
async def test_what_is_withdrawn_is_not_chosen_and_may_be_withdrawn_twice() -> None:
    people, hand, went = People(), Hand(), []
    conductor = people.conductor
    a = people.strand("A1", is_open=False)
    conductor.controls = True
    conductor.hold(a, "flight", "x", lambda: went.append("x"))
    conductor.hold(a, "flight", "y", lambda: went.append("y"))
    gone: list[Hold] = [a.held[0]]
    conductor.withdraw(gone)
    conductor.withdraw(gone)
    await conductor.conduct(hand, lambda: True)
    assert (went, hand.seen) == (["y"], [("A1 flight y",)])


@played
async def test_outside_a_race_steps_go_at_once_and_are_counted_by_name() -> None:
    people, went = People(), []
    conductor = people.conductor
    strand = people.strand("A1", people.ada)
    conductor.hold(strand, "flight", "x", lambda: went.append("x"))
    await conductor.take(strand, "act", "y")
    assert went == ["x"]
    assert (strand.held, conductor.trace, conductor.late) == ([], [], 0)
    assert strand.labels == {"flight x": 1, "act y": 1}


@played
async def test_in_a_race_that_follows_names_go_on_from_there() -> None:
    people, hand = People(), Hand()
    strand = people.strand("A1", is_open=False)
    people.conductor.hold(strand, "flight", "x", lambda: None)
    people.conductor.controls = True
    people.conductor.hold(strand, "flight", "x", lambda: None)
    await people.conductor.conduct(hand, lambda: True)
    assert hand.went == ["A1 flight x #2"]


@played
async def test_nothing_that_moves_is_trouble_that_names_who_shows_nothing() -> None:
    people = People()
    people.strand("A1", people.ada)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(conducting, "STUCK_SECONDS_MAX", 0.02)
        with pytest.raises(
            Trouble, match=r"nothing moved for 0 s: A1 \(sign-up\) shows nothing after 'request"
        ):
            await people.conductor.conduct(First(), lambda: True)


@played
async def test_who_is_in_our_hands_for_ever_is_trouble_too() -> None:
    people = People()
    people.conductor.between.add("A")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pace, "REST_SECONDS_MAX", 0.0)
        with pytest.raises(Trouble, match=r"no rest within 0 s: \['A'\] are about to go on"):
            await people.conductor.conduct(Serial(), lambda: True)


@played
async def test_a_silent_strand_that_moves_in_the_end_is_waited_for() -> None:
    people, hand = People(), Hand()
    conductor = people.conductor
    strand = people.strand("A1", people.ada)
    task = asyncio.create_task(conductor.conduct(hand, lambda: True))
    await until(lambda: strand.silent)
    await turns(3)
    assert not task.done()
    conductor.hold(strand, "flight", "x", lambda: None)
    await until(lambda: bool(hand.went))
    await until(lambda: strand.silent)
    conductor.hold(strand, "flight", "y", lambda: conductor.answered(strand, to_be_continued=False))
    await task
    assert hand.went == ["A1 flight x", "A1 flight y"]
    assert conductor.late == 0, "nobody else was in the air"


@played
async def test_an_error_lets_everything_go_that_is_held() -> None:
    class Broken(First):
        def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
            raise ZeroDivisionError(len(held))

    people, went = People(), []
    conductor = people.conductor
    conductor.controls = True
    for name in ("A1", "B1"):
        strand = people.strand(name, is_open=False)
        conductor.hold(strand, "flight", "x", lambda name=name: went.append(name))  # type: ignore[misc]
    with pytest.raises(ZeroDivisionError):
        await conductor.conduct(Broken(), lambda: True)
    assert went == ["A1", "B1"]
    assert not any(strand.held for strand in conductor.strands.values())
    assert (conductor.controls, conductor.pace.in_air, conductor.between) == (False, None, set())
    conductor.hold(people.strand("A1"), "flight", "y", lambda: went.append("y"))
    assert went[-1] == "y", "what comes afterwards goes at once"


@played
async def test_two_that_go_together_are_counted_as_not_ordered() -> None:
    class Both(First):
        def choose(self, held: Sequence[Held]) -> tuple[int, ...]:
            return (1, 0) if len(held) > 1 else (0,)

    people = People()
    tabs = Tabs(people.conductor)
    assert await tabs.race(Both(), A="x", B="x") == ["B", "A"]
    assert tabs.at_once == 2
    assert people.conductor.unordered == 1
    assert [len(choice.chosen) for choice in people.conductor.trace] == [2]


@played
async def test_what_a_strand_does_is_learned_with_the_time_that_it_took() -> None:
    people = People()
    strand = people.strand("A1", people.ada)
    people.conductor.moved(strand, "flight x")
    people.conductor.moved(strand, "flight y", learn=False)
    people.conductor.answered(strand, to_be_continued=False)
    knows = people.sequels.knows
    assert knows("sign-up", "request POST /sign-up", "flight x")
    assert not knows("sign-up", "flight x", "flight y")
    assert knows("sign-up", "flight y", "answer")


@played
async def test_after_an_answer_more_is_waited_for_until_it_is_known_that_nothing_comes() -> None:
    people = People()
    lives = []
    for n in range(sequels.SEEN_ENOUGH + 1):
        strand = people.strand(f"A{n}", people.ada)
        people.conductor.answered(strand)
        lives.append(strand in people.conductor.live())
        await people.conductor.rest()
    assert lives == [True] * sequels.SEEN_ENOUGH + [False]


def test_the_next_call_of_an_operation_is_no_work_after_its_answer() -> None:
    people = People()
    strand = people.strand("A1", people.ada)
    people.conductor.answered(strand)
    people.conductor.opened(strand, "request GET /account")
    assert not people.sequels.knows("sign-up", "answer", "request GET /account")


def test_while_everybody_runs_at_once_nothing_is_learned() -> None:
    people = People()
    people.conductor.learns = False
    strand = people.strand("A1", people.ada)
    people.conductor.moved(strand, "flight x")
    assert not people.sequels.knows("sign-up", "request POST /sign-up", "flight x")
    assert strand.done.last == "flight x"


@played
async def test_work_after_an_answer_belongs_to_who_was_answered() -> None:
    people = People()
    strand = people.strand("A1", people.ada)
    people.conductor.answered(strand)
    assert people.conductor.attribute("flight insert mails").strand is strand


@pytest.mark.slow
def test_the_quiet_period_is_waited_out_only_for_who_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pace, sequels, conducting):
        monkeypatch.setattr(module, "QUIET_MS", 200.0)

    async def choose(*, shows: bool) -> float:
        people = People()
        conductor = people.conductor
        a, b = people.strand("A1", people.ada, is_open=False), people.strand("B1", people.bob)
        conductor.controls = True
        conductor.hold(a, "act", "x", lambda: None)
        if shows:
            conductor.hold(b, "flight", "x", lambda: None)
        began = asyncio.get_running_loop().time()
        await conductor.pace.quiet()
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(choose(shows=True)) < 0.1
    assert 0.19 < asyncio.run(choose(shows=False)) < 1.0
