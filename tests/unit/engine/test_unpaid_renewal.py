"""Renewals that are not paid, in races: what a program says of the account holds for its own runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from checkout_stage import Store

from deadheat import Dunning, Program, World
from deadheat.engine.conduct import sequels
from deadheat.engine.run import run_program
from deadheat.schedule import Replay, Schedule, make_strategy, steps_of

if TYPE_CHECKING:
    from deadheat.engine.run import Ran

pytestmark = pytest.mark.slow  # what a target does after its answers is waited for until it is known

FROZEN = 1_551_398_400


@pytest.fixture(autouse=True)
def _known_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequels, "UNKNOWN_MS", 20.0)  # it does nothing, and we know


def unpaid(number: int, *, paid_at_last: bool = False) -> Program:
    world = World(f"r{number}")
    ada = world.user()
    last = ada.retry_payment(decline=None if paid_at_last else "expired_card")
    return Program(
        before=[ada.do("check-out"), ada.pay()],
        race=[[ada.renew(decline="insufficient_funds"), last], [world.deliveries(order="any")]],
        dunning=Dunning(attempts=2, then="unpaid"),
        frozen_time=FROZEN,
    )


async def play(store: Store, program: Program, strategy: str = "random-walk") -> Ran:
    ran = await run_program(program, store, make_strategy(strategy, 7), number=1)  # type: ignore[arg-type]
    assert ran.settled is not None, ran.reason
    return ran


@pytest.mark.fidelity("A failed payment and its invoice")
@pytest.mark.parametrize("strategy", ["serial", "random-walk", "barrage"])
@pytest.mark.parametrize("paid_at_last", [False, True])
def test_a_renewal_fails_and_is_tried_again_in_a_race(strategy: str, paid_at_last: bool) -> None:
    store = Store()
    ran = asyncio.run(play(store, unpaid(1, paid_at_last=paid_at_last), strategy))
    assert ran.settled is not None
    (subscription,) = ran.settled.stripe.subscriptions
    assert subscription["status"] == ("active" if paid_at_last else "unpaid")
    types = [event["type"] for event in ran.settled.stripe.events]
    assert types.count("invoice.payment_failed") == (1 if paid_at_last else 2)
    told = [
        event["data"]["object"]["status"]
        for event in ran.settled.stripe.events
        if event["type"] == "customer.subscription.updated"
    ]
    assert told == ["active", "past_due", *(["active"] if paid_at_last else ["unpaid"])]
    assert {event["created"] for event in ran.settled.stripe.events} == {FROZEN}
    assert set(types) <= set(store.seen), "each was delivered"


@pytest.mark.fidelity("A renewal that asks for the customer: invoice.payment_action_required, past_due")
@pytest.mark.parametrize(("fails", "status"), [(False, "active"), (True, "past_due")])
def test_the_customer_is_asked_in_a_race(fails: bool, status: str) -> None:
    world = World("asked")
    ada = world.user()
    program = Program(
        before=[ada.do("check-out"), ada.pay()],
        race=[
            [ada.renew(decline="authentication_required"), ada.authenticate(fails=fails)],
            [world.deliveries(order="any")],
        ],
    )
    store = Store()
    ran = asyncio.run(play(store, program))
    assert ran.settled is not None
    (subscription,) = ran.settled.stripe.subscriptions
    assert subscription["status"] == status
    emitted = {event["type"] for event in ran.settled.stripe.events}
    assert {"invoice.payment_action_required", "invoice_payment.paid"} <= emitted
    assert emitted <= set(store.seen), "each was delivered"


def test_it_replays_20_of_20() -> None:
    async def all_of_them() -> tuple[Ran, list[Ran]]:
        store = Store()
        found = await play(store, unpaid(1))
        schedule = Schedule(scenario="s", source="0" * 8).recorded(found.trace)
        again = [
            await run_program(unpaid(100 + n), store, Replay(schedule), number=100 + n)  # type: ignore[arg-type]
            for n in range(20)
        ]
        return found, again

    found, again = asyncio.run(all_of_them())
    assert [one.diverged for one in again] == [None] * 20
    assert {steps_of(one.trace) for one in again} == {steps_of(found.trace)}


def test_the_next_run_is_one_of_its_own() -> None:
    async def both() -> Store:
        store = Store()
        await play(store, unpaid(1), "serial")
        await play(store, Program(race=[[World("r2").user().do("check-out")]]), "serial")
        return store

    account = asyncio.run(both()).account
    assert account.dunning == Dunning()
    assert account.now > FROZEN
