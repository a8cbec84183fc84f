"""Who has paid returns: before or behind the answer to checkout.session.completed, or only behind it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import httpx
import pytest
from engine_stage import SIGN_UP, Shop

from deadheat import Program, World
from deadheat.engine.conduct import sequels
from deadheat.engine.run import run_program
from deadheat.schedule import make_strategy, strand_key
from deadheat.settings import OperationSettings, Request
from deadheat.stripe_sim import MONTHLY, ApiRequest
from deadheat.stripe_sim.form import encode

if TYPE_CHECKING:
    from deadheat.engine.run import Ran
    from deadheat.program import Order

pytestmark = pytest.mark.slow  # what a target does after its answers is waited for until it is known

COMPLETED = "checkout.session.completed"


@pytest.fixture(autouse=True)
def _known_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequels, "UNKNOWN_MS", 20.0)  # it does nothing, and we know


def operation(name: str) -> OperationSettings:
    call = Request(method="POST", path=f"/{name}", json={"email": "{user.email}"}, success=(200,))
    return OperationSettings(name=name, calls=(call,), checkout_session="$.session")


@dataclass(eq=False)
class Store(Shop):
    """A shop that opens a checkout session, and notes who returns and what it was told of."""

    types: tuple[str, ...] = ()
    status: int = 200
    seen: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        names = ("check-out", "return")
        operations = {"sign-up": SIGN_UP, **{name: operation(name) for name in names}}
        self.settings = replace(self.settings, target=replace(self.settings.target, operations=operations))
        self.endpoints = {name: replace(one, types=self.types) for name, one in self.endpoints.items()}

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if request.url.path == "/check-out":
            return httpx.Response(200, json={"session": self._opens()})
        self.seen.append(body.get("type", "return"))
        return httpx.Response(self.status if "type" in body else 200, json={})

    def _opens(self) -> str:
        lines = [{"price": MONTHLY, "quantity": 1}]
        asked = {"mode": "subscription", "success_url": "https://a.test", "line_items": lines}
        headers = {
            "authorization": "Bearer sk_test_x",
            "content-type": "application/x-www-form-urlencoded",
        }
        request = ApiRequest(
            method="POST", path="/v1/checkout/sessions", headers=headers, body=encode(asked).encode()
        )
        call = self.account.received(self.account.parse(request))
        self.account.effect(call)
        return str(json.loads(self.account.response(call).body)["id"])

    def order(self) -> str:
        """Say what came first of the return and of the completed event; without either, who did not come."""
        came = [what for what in self.seen if what in ("return", COMPLETED)]
        self.seen.clear()
        return " ".join(dict.fromkeys(came))


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
    orders, _ = raced(Store(), strategy, runs, waits=False)
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
    (told,) = [step for step in ran.history.steps if step.label == "redirect"]
    assert "they never return" in told.data["not done"]
