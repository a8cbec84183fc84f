"""Programs as JSON data: what is written is read back the same, but for the people."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import deadheat
from deadheat import Dunning, Program, World
from deadheat.errors import ProgramError
from deadheat.portable import program_from_json, program_to_json
from deadheat.program import AtStripe, Deliveries, name_of


def shape(program: Program) -> Any:
    """Give a program with numbers in the place of its people."""
    numbers = {user: n for n, user in enumerate(program.users())}

    def told(operation: Any) -> Any:
        if isinstance(operation, Deliveries | AtStripe):
            return operation
        how = [getattr(operation, name, None) for name in ("waits", "decline")]
        return name_of(operation), numbers[operation.user], how

    return (
        [told(operation) for operation in program.before],
        [[told(operation) for operation in actor] for actor in program.race],
        [
            (f.route, f.status, f.times, f.nth, f.when, f.wait_ms, f.may_miss, numbers[f.user])
            for f in program.faults
        ],
    )


def again(program: Program, marker: str = "zz") -> Program:
    """Write a program down as text, and read it back in another world."""
    return program_from_json(json.loads(json.dumps(program_to_json(program))), World(marker))


faults = st.lists(
    st.fixed_dictionaries(
        {
            "route": st.sampled_from(["POST /v1/customers", "GET /v1/events"]),
            "status": st.sampled_from([500, 503]),
            "times": st.integers(1, 3),
            "nth": st.integers(1, 3),
            "when": st.sampled_from(["before", "after", "lost", "reset", "timeout", "slow", "locked"]),
            "may_miss": st.booleans(),
        }
    ),
    max_size=2,
)


@given(deadheat.programs(("sign-up", "check-out", "pay", "refund", "cancel"), users=3), faults, st.data())
def test_a_drawn_program_comes_back_the_same_but_for_its_people(
    program: Program, failing: list[dict[str, Any]], data: st.DataObject
) -> None:
    world, users = World("aa"), st.sampled_from(program.users())
    program = Program(
        before=program.before,
        race=program.race,
        faults=[world.stripe_fails(data.draw(users), **fault) for fault in failing],
    )
    back = again(program)
    assert shape(back) == shape(program)
    assert program_to_json(back) == program_to_json(program)
    assert [user.name.split(" ")[0] for user in back.users()] == [
        user.name.split(" ")[0] for user in program.users()
    ]
    assert not {user.id for user in back.users()} & {user.id for user in program.users()}
    assert all("zz" in user.email for user in back.users())


def test_every_kind_of_operation_comes_back() -> None:
    world = World("aa")
    ada, bob = world.user(), world.user()
    program = Program(
        before=[ada.do("sign-up"), world.at_stripe("product")],
        race=[
            [ada.pay(), ada.cancel(), ada.refund(), ada.renew(), ada.retry_payment()],
            [ada.pay(waits=True, promotion_code="SPRING"), ada.renew(decline="lost_card")],
            [ada.retry_payment(decline="lost_card"), ada.authenticate(), ada.authenticate(fails=True)],
            [bob.do("check-out")],
            [world.deliveries(order="reversed", duplicates=2, lost=1, forged="stale", every_type=True)],
            [world.deliveries(doubled=True)],
            [world.at_stripe("customer"), world.at_stripe("subscription")],
        ],
        dunning=Dunning(attempts=3, then="past_due"),
        frozen_time=1_550_000_000,
    )
    assert shape(again(program)) == shape(program)
    assert (again(program).dunning, again(program).frozen_time) == (program.dunning, program.frozen_time)
    names = {name_of(operation) for operation in again(program).operations()}
    assert names >= {"pay", "cancel", "refund", "renew", "at-stripe", "deliveries", "sign-up"}


def test_a_fault_of_somebody_who_does_nothing_is_left_out() -> None:
    world = World("aa")
    ada, idle = world.user(), world.user()
    program = Program(race=[[ada.do("sign-up")]], faults=[world.stripe_fails(idle, "POST /v1/customers")])
    assert again(program).faults == ()


def test_people_of_one_name_stay_two() -> None:
    world = World("aa")
    one, two = world.user("Ada"), world.user("Ada")
    back = again(Program(race=[[one.do("sign-up")], [two.do("sign-up")]]))
    assert len(back.users()) == 2


TOLD = program_to_json(Program(race=[[World("aa").user().do("sign-up")]]))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"users": 3},
        {"users": []},
        {"race": [[{"do": "sign-up"}]]},
        {"race": [[{"do": "sign-up", "user": "0"}]]},
        {"race": [["sign-up"]]},
        {"race": [[{"do": "deliveries", "speed": 3}]]},
        {"race": []},
        {"faults": [{"user": 0, "way": "x"}]},
        {"before": None},
    ],
)
def test_what_is_no_program_is_refused(wrong: dict[str, Any]) -> None:
    data = {**TOLD, **wrong} if wrong else {}
    with pytest.raises(ProgramError):
        program_from_json(data, World("zz"))
