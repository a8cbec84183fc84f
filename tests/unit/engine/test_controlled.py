"""Whole runs under control, against a target without sockets that checks first and creates then."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from engine_stage import Shop

from deadheat import Program, World
from deadheat.engine.conduct import sequels
from deadheat.engine.run import run_program
from deadheat.history import Plane, StepKind
from deadheat.invariants import judge
from deadheat.schedule import Replay, Schedule, make_strategy, steps_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.engine.run import Ran

pytestmark = pytest.mark.slow  # what a target does after its answers is waited for until it is known

SEED = 7


@pytest.fixture(autouse=True)
def _known_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequels, "UNKNOWN_MS", 20.0)  # it does nothing, and we know


def two_tabs(number: int) -> Program:
    ada = World(f"r{number}").user()
    return Program(race=[[ada.do("sign-up")], [ada.do("sign-up")]])


def with_deliveries(number: int) -> Program:
    world = World(f"r{number}")
    ada = world.user()
    return Program(
        race=[[ada.do("sign-up")], [ada.do("sign-up")], [world.deliveries(order="any", duplicates=1)]]
    )


async def runs(
    build: Callable[[int], Program], strategy: str, count: int, shop: Shop | None = None
) -> list[Ran]:
    """Run so many programs at one shop, which has warmed up."""
    shop = shop or Shop()
    await shop.play(build(0), "barrage", number=0)
    made = make_strategy(strategy, SEED)
    return [
        await run_program(build(n), shop, made, number=n)  # type: ignore[arg-type]
        for n in range(1, count + 1)
    ]


def customers(ran: Ran) -> int:
    assert ran.settled is not None, ran.reason
    return len(ran.settled.stripe.customers)


def violated(ran: Ran) -> set[str]:
    assert ran.settled is not None, ran.reason
    return {violation.invariant for violation in judge(ran.settled, {}).violations}


def goes_on_after_c(ran: Ran) -> bool:
    """Whether one of the tabs still has a step after the first delivery's."""
    actors = "".join(step.actor for choice in ran.trace for step in choice.steps)
    return bool(actors.partition("C")[2].strip("C"))


def test_serial_is_clean_and_the_same_every_time() -> None:
    ran = asyncio.run(runs(two_tabs, "serial", 5))
    assert [customers(one) for one in ran] == [1] * 5
    assert not any(one.raced() for one in ran)
    assert len({steps_of(one.trace) for one in ran}) == 1
    actors = [step.actor for choice in ran[0].trace for step in choice.steps]
    assert actors == ["A"] * 3 + ["B"]  # request, effect, response; the second finds its customer


# B's request must come before A's response: two draws of A or B must not both be A. At odds t to turn
# that is 1 - (1-t)^2: 3 in 4 of the runs without inertia (t = 1/2), 0.44, 0.23, 0.10 and 0.05 of those
# with it, and 0.48 of all. 24 runs have 11 on average, with a deviation of 2.4.
def test_random_walk_finds_the_check_before_the_create() -> None:
    ran = asyncio.run(runs(two_tabs, "random-walk", 24))
    found = [customers(one) == 2 for one in ran]
    assert 4 <= sum(found) <= 19, "within three deviations"
    assert all(
        ("answers-agree" in violated(one)) == one_found for one, one_found in zip(ran, found, strict=True)
    )
    assert all(one.late == one.unattributed == 0 for one in ran)


# A preemption in the middle of A needs a depth of 2 at least, 18 of 24 runs: 1 in 2 * 8 there at least.
def test_pct_finds_it_too() -> None:
    assert 2 in [customers(one) for one in asyncio.run(runs(two_tabs, "pct", 24))]


def test_a_recorded_schedule_replays_the_same_steps_20_of_20() -> None:
    async def play() -> tuple[Ran, list[Ran]]:
        shop = Shop()
        found = next(r for r in await runs(with_deliveries, "random-walk", 12, shop) if customers(r) == 2)
        schedule = Schedule(scenario="s", source="0" * 8).recorded(found.trace)
        again = [
            await run_program(with_deliveries(100 + n), shop, Replay(schedule), number=100 + n)  # type: ignore[arg-type]
            for n in range(20)
        ]
        return found, again

    found, again = asyncio.run(play())
    assert [one.diverged for one in again] == [None] * 20
    assert {steps_of(one.trace) for one in again} == {steps_of(found.trace)}
    assert [customers(one) for one in again] == [2] * 20


def test_its_token_replays_it_as_well() -> None:
    async def play() -> tuple[Ran, Ran]:
        shop = Shop()
        found = next(r for r in await runs(two_tabs, "random-walk", 12, shop) if customers(r) == 2)
        token = Schedule(scenario="s", source="0" * 8).recorded(found.trace).token()
        assert token is not None
        return found, await run_program(two_tabs(100), shop, Replay(Schedule.parse(token)), number=100)  # type: ignore[arg-type]

    found, again = asyncio.run(play())
    assert again.diverged is None
    assert steps_of(again.trace) == steps_of(found.trace)


def test_a_schedule_of_another_program_diverges_and_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deadheat.engine.conduct.conductor.NAMED_SECONDS_MAX", 0.05)

    async def play() -> Ran:
        shop = Shop()
        found = next(r for r in await runs(with_deliveries, "random-walk", 12, shop) if goes_on_after_c(r))
        schedule = Schedule(scenario="s", source="0" * 8).recorded(found.trace)
        return await run_program(two_tabs(100), shop, Replay(schedule), number=100)  # type: ignore[arg-type]

    ran = asyncio.run(play())
    assert ran.settled is not None, "it goes on by the default policy"
    assert ran.diverged is not None
    assert "which never came" in ran.diverged


def test_one_step_is_in_the_air_at_a_time() -> None:
    """Between two choices only the chosen actor records anything."""

    async def play() -> list[tuple[str, str]]:
        shop = Shop()
        await shop.play(with_deliveries(0), "barrage", number=0)
        moved: list[tuple[str, str]] = []
        released: list[str] = []
        await run_program(
            with_deliveries(1),
            shop,  # type: ignore[arg-type]
            make_strategy("random-walk", SEED),
            number=1,
            on_release=lambda hold: released.append(hold.strand.actor),
            sink=lambda step: moved.append((released[-1] if released else "", step.actor)),
        )
        return moved

    moved = asyncio.run(play())
    race = [(chosen, actor) for chosen, actor in moved if actor in ("A", "B", "C")]
    assert {chosen for chosen, _ in race} == {"A", "B", "C"}
    assert all(chosen == actor for chosen, actor in race)


@pytest.mark.parametrize("order", ["any", "emitted", "reversed"])
def test_a_stream_under_control_delivers_each_event_and_its_duplicate(order: str) -> None:
    def build(number: int) -> Program:
        world = World(f"r{number}")
        people = [[world.user().do("sign-up")] for _ in range(3)]
        return Program(race=[*people, [world.deliveries(order=order, duplicates=1)]])  # type: ignore[arg-type]

    for ran in asyncio.run(runs(build, "random-walk", 6)):
        assert ran.settled is not None, ran.reason
        emitted = [event["id"] for event in ran.settled.stripe.events]
        race = [d.event_id for d in ran.settled.deliveries if d.phase == "race"]
        assert Counter(race) == dict.fromkeys(emitted, 2)
        in_turn = list(dict.fromkeys(race))
        if order != "any":
            assert in_turn == (emitted if order == "emitted" else emitted[::-1])
        assert not [d for d in ran.settled.deliveries if d.phase == "settling"]
    assert {"C", "D"} <= {step.actor for choice in ran.trace for step in choice.steps}


def test_dropped_operations_take_no_part() -> None:
    async def play() -> Ran:
        shop = Shop()
        return await run_program(
            with_deliveries(1),
            shop,
            make_strategy("serial", 1),
            number=1,
            dropped=("B1", "C1"),  # type: ignore[arg-type]
        )

    ran = asyncio.run(play())
    assert {step.actor for choice in ran.trace for step in choice.steps} == {"A"}
    assert [name for name in ran.strands if name[0] in "ABC"] == ["A1"]


def test_every_step_is_told_in_the_history_with_its_strand() -> None:
    (ran,) = asyncio.run(runs(two_tabs, "serial", 1))
    crossings = ran.history.of(Plane.STRIPE)[:3]
    assert [step.kind for step in crossings] == [StepKind.RECEIVED, StepKind.EFFECT, StepKind.RESPONSE]
    told = {(step.actor, step.data["strand"], step.attribution) for step in crossings}
    assert told == {("A", "A1", "cause")}, "both tabs are Ada's: her address does not say which"


@pytest.mark.parametrize(
    ("when", "wait_ms", "customers_made"),
    [
        ("before", None, 2),
        ("after", None, 3),
        ("lost", None, 2),
        ("reset", None, 2),
        ("timeout", 100, 2),
        ("slow", 100, 2),
    ],
)
def test_a_fault_strikes_under_control(when: str, wait_ms: int | None, customers_made: int) -> None:
    """Who was turned away, or got no answer, came again."""

    def build(number: int) -> Program:
        world = World(f"r{number}")
        ada = world.user()
        fails = world.stripe_fails(
            ada,
            "POST /v1/customers",
            when=when,  # type: ignore[arg-type]
            wait_ms=wait_ms,
        )
        return Program(race=[[ada.do("sign-up")], [world.user().do("sign-up")]], faults=[fails])

    (ran,) = asyncio.run(runs(build, "random-walk", 1))
    assert ran.settled is not None, ran.reason
    assert len(ran.history.of(Plane.FAULT)) == 1
    assert customers(ran) == customers_made


@pytest.mark.fidelity("Two events for one change")
@pytest.mark.parametrize("doubled", [False, True])
def test_a_change_can_be_told_by_two_events_in_a_race(doubled: bool) -> None:
    shop = Shop()

    def build(number: int) -> Program:
        world = World(f"r{number}")
        return Program(race=[[world.user().do("sign-up")], [world.deliveries(doubled=doubled)]])

    (ran,) = asyncio.run(runs(build, "random-walk", 1, shop))
    assert ran.settled is not None, ran.reason
    raced = [d for d in ran.settled.deliveries if d.phase == "race"]
    assert [d.event_type for d in raced] == ["customer.created"] * (2 if doubled else 1)
    assert len({d.event_id for d in raced}) == len(raced)
    asyncio.run(shop.play(two_tabs(9), "serial", number=9))
    assert not shop.account.ledger.doubles_events, "the next run is one of its own"
