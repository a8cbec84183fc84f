"""Replay: a schedule makes the choices of the run that it was taken from, or says where it could not."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_world import LOCKED, SCHEDULE, SIGN_UPS, Operation, Toy, locked_sign_up, play, sign_up, steps

from deadheat.schedule import (
    PCT,
    Held,
    Overlap,
    RandomWalk,
    Released,
    Replay,
    Schedule,
    Serial,
    StepName,
    Strategy,
    Switch,
    context_switches,
    default_choice,
    steps_of,
    switches_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

operations: st.SearchStrategy[Operation] = st.one_of(
    st.integers(1, 4).map(steps), st.sampled_from([sign_up, locked_sign_up])
)
toys = st.builds(
    lambda actors, deliveries: Toy(
        actors=dict(zip("ABC", actors, strict=False)),
        deliveries={f"D1/customer.created/{n}": steps(2, "delivery") for n in range(1, deliveries + 1)},
        violated=lambda shared: False,
    ),
    st.lists(st.lists(operations, min_size=1, max_size=2).map(tuple), min_size=1, max_size=3),
    st.integers(0, 3),
)
makers: st.SearchStrategy[Callable[[int], Strategy]] = st.sampled_from([RandomWalk, PCT, Overlap, Serial])
seeds = st.integers(0, 10_000)


def strict(schedule: Schedule) -> Replay:
    return Replay(schedule)


def lenient(schedule: Schedule) -> Replay:
    return Replay(schedule, strict=False)


def named(text: str) -> StepName:
    strand, label = text.split(" ")
    return StepName(strand, label)


def held(*names: str) -> tuple[Held, ...]:
    """Give held flights by strand and label: "A1 read"."""
    made = [named(name) for name in names]
    return tuple(Held(name=name, actor=name.strand[0], kind="flight") for name in made)


def key(name: str) -> str:
    return named(name).key


class TestEquivalence:
    @given(toys, makers, seeds, st.sampled_from([strict, lenient]))
    def test_switches_make_the_same_choices(
        self,
        toy: Toy,
        maker: Callable[[int], Strategy],
        seed: int,
        way: Callable[[Schedule], Replay],
    ) -> None:
        first = play(toy, maker(seed), 4)
        replay = way(replace(SCHEDULE.recorded(first.trace), steps=()))
        assert play(toy, replay).trace == first.trace
        assert replay.finished() is None

    @given(toys, makers, seeds, st.sampled_from([strict, lenient]))
    def test_steps_make_the_same_choices(
        self,
        toy: Toy,
        maker: Callable[[int], Strategy],
        seed: int,
        way: Callable[[Schedule], Replay],
    ) -> None:
        first = play(toy, maker(seed), 4)
        replay = way(SCHEDULE.recorded(first.trace))
        assert play(toy, replay).trace == first.trace
        assert replay.finished() is None

    @given(toys, makers, seeds)
    def test_a_token_makes_the_same_choices(
        self, toy: Toy, maker: Callable[[int], Strategy], seed: int
    ) -> None:
        first = play(toy, maker(seed), 4)
        if token := SCHEDULE.recorded(first.trace).token():
            replay = Replay(Schedule.parse(token))
            assert play(toy, replay).trace == first.trace
            assert replay.finished() is None

    @given(toys)
    def test_a_serial_run_has_no_switches(self, toy: Toy) -> None:
        assert switches_of(play(toy, Serial()).trace) == ()

    @given(toys, seeds)
    def test_there_are_no_more_switches_than_choices_off_the_default(self, toy: Toy, seed: int) -> None:
        trace = play(toy, RandomWalk(seed)).trace
        last, off = None, 0
        for choice in trace:
            off += choice.chosen != (default_choice(choice.held, last),)
            last = choice.steps[-1].name.strand
        assert len(switches_of(trace)) == off


class TestTrace:
    ONE = Released(held("A1 read", "B1 read"), (1,))
    BOTH = Released(held("A1 read", "B1 write"), (1, 0))

    def test_a_choice_off_the_default_is_a_switch(self) -> None:
        assert switches_of([self.ONE]) == (Switch(key("A1 read"), (key("B1 read"),)),)

    def test_two_that_went_together_are_one_switch_and_one_entry(self) -> None:
        trace = [self.ONE, self.BOTH]
        assert switches_of(trace)[1] == Switch(key("B1 write"), (key("B1 write"), key("A1 read")))
        assert steps_of(trace) == (key("B1 read"), f"{key('B1 write')}+{key('A1 read')}")

    @given(toys, seeds)
    def test_context_switches_are_changes_of_the_actor(self, toy: Toy, seed: int) -> None:
        played = play(toy, Overlap(seed))
        assert context_switches(played.trace) == sum(a != b for a, b in pairwise(played.order))


class TestWaiting:
    """A step that is not there yet is waited for, under strict replay."""

    SCHEDULE = replace(SCHEDULE, switches=(Switch(key("A1 read"), (key("B1 read"),)),))

    @pytest.mark.parametrize(
        "schedule", [SCHEDULE, replace(SCHEDULE, switches=(), steps=(key("B1 read"), key("A1 read")))]
    )
    def test_it_comes(self, schedule: Schedule) -> None:
        replay = Replay(schedule)
        assert replay.choose(held("A1 read")) == ()
        assert replay.choose(held("A1 read", "B1 read")) == (1,)
        assert replay.choose(held("A1 read")) == (0,)
        assert replay.finished() is None

    def test_a_switch_stays_due_when_the_default_becomes_another(self) -> None:
        replay = Replay(replace(SCHEDULE, switches=(Switch(key("B1 read"), (key("C1 read"),)),)))
        assert replay.choose(held("B1 read")) == ()
        assert replay.choose(held("A1 read", "B1 read")) == ()
        assert replay.choose(held("A1 read", "B1 read", "C1 read")) == (2,)

    def test_both_of_two_are_waited_for(self) -> None:
        replay = Replay(replace(SCHEDULE, steps=(f"{key('B1 read')}+{key('A1 read')}",)))
        assert replay.choose(held("B1 read")) == ()
        assert replay.choose(held("A1 read", "B1 read")) == (1, 0)

    def test_lenient_replay_does_not_wait(self) -> None:
        replay = Replay(self.SCHEDULE, strict=False)
        assert replay.choose(held("A1 read")) == (0,)
        assert replay.choose(held("A1 write", "B1 read")) == (0,)
        assert replay.finished() is None

    def test_lenient_replay_goes_on_to_the_next_switch_of_that_step(self) -> None:
        switches = (Switch(key("A1 read"), (key("B1 read"),)), Switch(key("A1 read"), (key("C1 read"),)))
        replay = Replay(replace(SCHEDULE, switches=switches), strict=False)
        assert replay.choose(held("A1 read", "C1 read")) == (1,)

    def test_lenient_replay_takes_the_earliest_wish_that_is_held(self) -> None:
        replay = Replay(
            replace(SCHEDULE, steps=(key("B1 read"), key("C1 read"), key("A1 read"))), strict=False
        )
        assert replay.choose(held("A1 read", "C1 read")) == (1,)
        assert replay.choose(held("A1 read", "B1 read")) == (1,)
        assert replay.choose(held("A1 other", "D1 read")) == (0,)


class TestDivergence:
    """What came otherwise is named, once, and the default policy goes on from there."""

    def test_a_step_that_never_came(self) -> None:
        replay = Replay(replace(SCHEDULE, steps=(key("A1 read"), key("B1 read"), key("A1 write"))))
        assert replay.choose(held("A1 read")) == (0,)
        assert replay.choose(held("A1 write")) == ()
        replay.give_up()
        assert replay.choose(held("A1 write")) == (0,)
        assert replay.finished() == (
            f"step 2 was to be {key('B1 read')}, which never came; held: A1 write ({key('A1 write')})"
        )

    def test_a_switch_that_never_came(self) -> None:
        replay = Replay(TestWaiting.SCHEDULE)
        assert replay.choose(held("A1 read")) == ()
        replay.give_up()
        assert replay.choose(held("A1 read")) == (0,)
        assert replay.finished() == (
            f"step 1 was to be {key('B1 read')}, which never came; held: A1 read ({key('A1 read')})"
        )

    def test_a_step_too_many(self) -> None:
        replay = Replay(replace(SCHEDULE, steps=(key("A1 read"),)))
        assert replay.choose(held("A1 read")) == (0,)
        assert replay.choose(held("A1 write")) == (0,)
        assert replay.finished() == (
            f"step 2 was to be none, the schedule being at its end; held: A1 write ({key('A1 write')})"
        )

    def test_a_run_that_ended_early(self) -> None:
        replay = Replay(replace(SCHEDULE, steps=(key("A1 read"), key("B1 read"), key("A1 write"))))
        assert replay.choose(held("A1 read")) == (0,)
        assert replay.finished() == (
            f"the run ended after 1 steps, before {key('B1 read')}; 2 steps of the schedule were left"
        )

    def test_switches_left_over(self) -> None:
        replay = Replay(TestWaiting.SCHEDULE)
        assert replay.choose(held("C1 read")) == (0,)
        assert replay.finished() == (
            f"the run ended after 1 steps, without a switch to {key('B1 read')}; "
            "1 switches of the schedule were left"
        )

    def test_other_steps_under_the_same_switches(self) -> None:
        token = replace(SCHEDULE, steps=(key("A1 read"), key("A1 write"))).token()
        assert token
        replay = Replay(Schedule.parse(token))
        assert replay.choose(held("A1 read")) == (0,)
        assert replay.choose(held("A1 delete")) == (0,)
        said = replay.finished()
        assert said
        assert said.startswith("every switch was made, and yet the 2 steps of the run are not those recorded")

    def test_the_first_divergence_is_the_one_named(self) -> None:
        replay = Replay(replace(SCHEDULE, steps=(key("A1 read"), key("B1 read"))))
        assert replay.choose(held("A1 write")) == ()
        replay.give_up()
        first = replay.diverged
        assert replay.choose(held("A1 write")) == (0,)
        replay.give_up()
        assert replay.finished() == first

    def test_a_new_run_starts_afresh(self) -> None:
        schedule = SCHEDULE.recorded(play(SIGN_UPS, RandomWalk(1)).trace)
        replay = Replay(schedule)
        assert play(LOCKED, replay).trace
        assert replay.finished()
        play(SIGN_UPS, replay)
        assert replay.finished() is None

    @given(seeds)
    def test_a_schedule_of_something_else_is_played_to_its_end(self, seed: int) -> None:
        replay = Replay(SCHEDULE.recorded(play(SIGN_UPS, RandomWalk(seed)).trace))
        assert len(play(LOCKED, replay).trace) == 6
        assert replay.finished()


def test_yields_are_the_schedules() -> None:
    assert Replay(replace(SCHEDULE, yields=True)).yields
    assert not Replay(SCHEDULE).yields


def test_the_default_policy_is_asked_of_what_is_held() -> None:
    offered: Sequence[Held] = held("B1 read", "A1 read")
    assert Replay(SCHEDULE).choose(offered) == (0,)
