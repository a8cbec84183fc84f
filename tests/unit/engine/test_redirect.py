"""Who has paid returns: before or behind the answer to checkout.session.completed, or only behind it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from checkout_stage import COMPLETED, Store

from deadheat import Program, World
from deadheat.engine.conduct import sequels
from deadheat.engine.run import run_program
from deadheat.schedule import make_strategy, strand_key

if TYPE_CHECKING:
    from deadheat.engine.run import Ran
    from deadheat.program import Order

pytestmark = pytest.mark.slow  # what a target does after its answers is waited for until it is known


@pytest.fixture(autouse=True)
def _known_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequels, "UNKNOWN_MS", 20.0)  # it does nothing, and we know


def program(number: int, *, waits: bool, order: Order = "any") -> Program:
    world = World(f"r{number}")
    ada = world.user()
    return Program(
        race=[
            [ada.do("check-out"), ada.pay(waits=waits), ada.do("return")],
            [world.deliveries(order=order)],
        ]
    )


def raced(
    store: Store,
    strategy: str,
    count: int,
    *,
    waits: bool,
    order: Order = "any",
    dropped: tuple[str, ...] = (),
) -> tuple[list[str], list[Ran]]:
    """Run so often; gives what came first in each race."""

    async def play() -> tuple[list[str], list[Ran]]:
        made, orders, ran = make_strategy(strategy, 7), [], []
        for n in range(1, count + 1):
            one = await run_program(
                program(n, waits=waits, order=order),
                store,  # type: ignore[arg-type]
                made,
                number=n,
                dropped=[strand_key(name) for name in dropped],
            )
            assert one.settled is not None, one.reason
            orders.append(store.order())
            ran.append(one)
        return orders, ran

    return asyncio.run(play())


# The random walk draws the same every time. Under barrage the redirect and the delivery each take a time
# of the same distribution: 20 runs without one of the two orders have a chance of 2 in a million.
@pytest.mark.parametrize(("strategy", "runs"), [("random-walk", 8), ("barrage", 20)])
def test_in_a_schedule_ten_seconds_are_as_short_as_any_time(strategy: str, runs: int) -> None:
    orders, _ = raced(Store(types=(COMPLETED,)), strategy, runs, waits=False)
    assert set(orders) == {f"return {COMPLETED}", f"{COMPLETED} return"}


@pytest.mark.fidelity("The redirect waits for checkout.session.completed to be answered")
@pytest.mark.parametrize(
    ("strategy", "runs"), [("serial", 1), ("random-walk", 5), ("pct", 3), ("barrage", 6)]
)
@pytest.mark.parametrize("order", ["any", "emitted", "reversed"])
def test_who_waits_returns_behind_the_answer(strategy: str, runs: int, order: Order) -> None:
    orders, ran = raced(Store(), strategy, runs, waits=True, order=order)
    assert set(orders) == {f"{COMPLETED} return"}
    assert all({"A3"} <= one.strands.keys() for one in ran if strategy != "barrage")


def test_without_control_the_event_is_brought_to_who_waits() -> None:
    orders, _ = raced(Store(controlled=False), "serial", 1, waits=True)
    assert orders == [f"{COMPLETED} return"]


def test_an_answer_that_is_none_ends_the_wait_after_ten_seconds() -> None:
    orders, ran = raced(Store(status=500), "random-walk", 4, waits=True)
    assert set(orders) == {f"{COMPLETED} return"}
    assert all(one.settled is not None and one.settled.refused for one in ran)


def test_nobody_waits_for_an_event_that_no_endpoint_asks_for() -> None:
    orders, _ = raced(Store(types=("invoice.paid",)), "random-walk", 4, waits=True)
    assert set(orders) == {"return"}


@pytest.mark.parametrize("strategy", ["serial", "random-walk"])
def test_who_is_not_sent_on_in_the_race_never_returns(strategy: str) -> None:
    """So a finding that needs the return keeps the delivery that comes before it."""
    dropped = (f"B1/{COMPLETED}/1",)
    orders, (ran,) = raced(Store(), strategy, 1, waits=True, dropped=dropped)
    assert orders == [COMPLETED], "while settling"
    (told,) = [step for step in ran.history if step.label == "redirect"]
    assert "they never return" in told.data["not done"]
