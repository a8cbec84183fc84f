"""Programs and scenarios: plain values that refuse nonsense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deadheat import Dunning, Program, Scenario, World, scenario
from deadheat.errors import ProgramError
from deadheat.program import name_of


def test_users_are_fresh_and_carry_the_marker() -> None:
    world = World("beef1")
    ada, bob = world.user(), world.user()
    assert ada.id != bob.id
    assert ada.email != bob.email
    assert all("beef1" in text for text in (ada.email, ada.name, bob.email, bob.name))
    assert world.users == (ada, bob)


@given(st.text("0123456789abcdef", min_size=1, max_size=12), st.text("0123456789abcdef", min_size=1))
def test_another_marker_makes_other_users(one: str, other: str) -> None:
    ada, again = World(one).user(), World(other).user()
    assert (ada == again) == (one == other)
    assert (ada.id == again.id) == (one == other)


def test_a_program_without_actors_is_refused() -> None:
    with pytest.raises(ProgramError, match="at least one actor"):
        Program(race=[])
    with pytest.raises(ProgramError, match="at least one actor"):
        Program(race=[[]])


def test_what_is_not_an_operation_is_named() -> None:
    with pytest.raises(ProgramError, match="not an operation: 'sign-up'"):
        Program(race=[["sign-up"]])  # type: ignore[list-item]


def test_recast_keeps_the_plot_and_changes_the_people() -> None:
    world = World("aa")
    ada, bob = world.user(), world.user()
    program = Program(
        before=[ada.do("sign-up")],
        race=[[ada.do("check-out"), ada.pay()], [bob.cancel()], [world.deliveries(duplicates=1)]],
        faults=[world.stripe_fails(ada, "POST /v1/customers")],
    )
    again = program.recast(World("bb"))
    assert [type(o) for o in again.operations()] == [type(o) for o in program.operations()]
    assert not set(again.users()) & set(program.users())
    ada_again = again.users()[0]
    assert [o.user for o in again.race[0]] == [ada_again, ada_again]  # type: ignore[union-attr]
    assert again.before[0].user == ada_again  # type: ignore[union-attr]
    assert again.faults[0].user == ada_again
    assert again.race[2] == program.race[2]


def test_a_scenario_is_named_by_module_and_function() -> None:
    @scenario(needs=("sign-up",))
    def two_at_once(world: World) -> Program:
        """Two tabs."""
        return Program(race=[[world.user().do("sign-up")]])

    assert isinstance(two_at_once, Scenario)
    assert two_at_once.name == "program.two-at-once"
    assert two_at_once.needs == ("sign-up",)
    assert two_at_once.about == "Two tabs."
    assert two_at_once(World("aa")).race[0][0].operation == "sign-up"  # type: ignore[union-attr]


def test_a_scenario_that_returns_no_program_is_named() -> None:
    @scenario()
    def nothing(world: World) -> Program:
        return None  # type: ignore[return-value]

    with pytest.raises(ProgramError, match=r"program\.nothing returned None"):
        nothing(World("aa"))


def test_a_scenario_names_the_two_that_race() -> None:
    @scenario(needs=("sign-up",), races=("sign-up", "deliveries"))
    def met(world: World) -> Program:
        return Program(race=[[world.user().do("sign-up")], [world.deliveries()]])

    assert met.races == ("sign-up", "deliveries")
    assert met(World("aa")).race


@pytest.mark.parametrize("races", [("sign-up",), ("a", "b", "c"), "ab"])
def test_a_race_is_between_two(races: tuple[str, ...]) -> None:
    with pytest.raises(ProgramError, match="between two operations"):
        scenario(races=races)


def test_a_race_of_what_nobody_does_is_refused() -> None:
    @scenario(races=("check-out", "pay"))
    def mistaken(world: World) -> Program:
        ada = world.user()
        return Program(before=[ada.pay()], race=[[ada.do("check-out")], [ada.do("checkout")]])

    with pytest.raises(ProgramError, match=r"program\.mistaken says that it races pay, and no actor"):
        mistaken(World("aa"))


def test_every_operation_has_a_name() -> None:
    world = World("aa")
    ada = world.user()
    operations = [ada.do("x"), ada.pay(), ada.cancel(), ada.refund(), ada.renew(), ada.retry_payment()]
    others = [ada.authenticate(), world.deliveries(), world.at_stripe("customer")]
    names = [name_of(o) for o in (*operations, *others)]
    assert names[:6] == ["x", "pay", "cancel", "refund", "renew", "retry-payment"]
    assert names[6:] == ["authenticate", "deliveries", "at-stripe"]


@pytest.mark.parametrize("act", ["renew", "retry_payment"])
def test_a_decline_code_is_one_of_stripes(act: str) -> None:
    assert getattr(World("aa").user(), act)(decline="expired_card").decline == "expired_card"
    with pytest.raises(ProgramError, match=r"card_declined.*generic_decline"):
        getattr(World("aa").user(), act)(decline="card_declined")


def test_who_waits_for_the_completed_event_needs_somebody_who_brings_it() -> None:
    world = World("aa")
    ada = world.user()
    with pytest.raises(ProgramError, match=r"a race with world\.deliveries"):
        Program(race=[[ada.pay(waits=True), ada.do("return")]])
    with pytest.raises(ProgramError, match=r"a race with world\.deliveries"):
        Program(before=[ada.pay(waits=True)], race=[[ada.do("return")], [world.deliveries()]])
    Program(race=[[ada.pay(waits=True), ada.do("return")], [world.deliveries()]])


def test_recast_keeps_how_stripe_stands_and_what_is_done_there() -> None:
    world = World("aa")
    ada = world.user()
    program = Program(
        race=[[ada.pay(waits=True), ada.renew(decline="lost_card")], [world.deliveries()]],
        dunning=Dunning(attempts=2, then="unpaid"),
        frozen_time=1_550_000_000,
    )
    again = program.recast(World("bb"))
    assert (again.dunning, again.frozen_time) == (program.dunning, program.frozen_time)
    assert [getattr(o, "waits", getattr(o, "decline", None)) for o in again.race[0]] == [True, "lost_card"]


def test_recast_leaves_the_dashboard_alone() -> None:
    world = World("aa")
    act = world.at_stripe("product")
    program = Program(race=[[world.user().do("sign-up")], [act], [world.deliveries(lost=1)]])
    assert len(program.users()) == 1
    again = program.recast(World("bb"))
    assert again.race[1:] == program.race[1:]
