"""Stripe for the tests of the reference: the simulator's server behind a gate that takes orders.

Fail the next calls of a route, lose their answers, hold a call at a step until the test lets it go, or
let all of them take a little time, from a seeded random generator.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from deadheat.engine.stripe_mock import StripeMock
from deadheat.engine.stripe_server import StripeServer
from deadheat.history import StepKind
from deadheat.stripe_sim.account import Account
from deadheat.stripe_sim.outbox import Endpoint, Outbox
from deadheat.stripe_sim.wire import ApiRequest, Call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from random import Random

KEY = "sk_test_reference"
WEBHOOK_SECRET = "whsec_reference"
PRICE, OTHER_PRICE = "price_deadheat_monthly", "price_deadheat_yearly"
DELAY_S_MAX = 0.006


@dataclass(frozen=True, slots=True)
class Failure:
    """How a call is to fail."""

    when: Literal["before", "after", "lost"] = "before"
    status: int = 500


@dataclass(slots=True)
class Hold:
    """One call of a route, held before its effect or before its answer."""

    route: str
    kind: StepKind
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    taken: bool = False


class StripeDouble:
    """The gate, the account behind it, and an outbox of all its events."""

    def __init__(self, seed: int = 0, delays: Random | None = None) -> None:
        self.account = Account(seed=seed, started_at=int(time.time()), secret_key=KEY)
        self.outbox = Outbox(self.account, Endpoint(url="http://app", secret=WEBHOOK_SECRET))
        self.calls: list[Call] = []
        self.failures: dict[str, deque[Failure]] = {}
        self.holds: list[Hold] = []
        self.called = asyncio.Condition()
        self.url = ""
        self._delays = delays

    @contextlib.asynccontextmanager
    async def serving(self, mock_setting: str = "off") -> AsyncIterator[StripeDouble]:
        """Serve on a loopback port; stripe-mock, if asked for, judges every request."""
        async with StripeMock.open(mock_setting, notice=_complain) as mock:
            async with StripeServer(self.account, mock=mock, gate=self) as server:
                self.url = server.url
                yield self
            assert server.failure is None, server.failure

    async def hold(self, kind: StepKind, call: Call) -> None:
        """Keep a call before a step: the server asks."""
        if kind is StepKind.RECEIVED:
            async with self.called:
                self.calls.append(call)
                self.called.notify_all()
        if kind is StepKind.EFFECT and not call.decided and self.failures.get(call.route or ""):
            failure = self.failures[call.route or ""].popleft()
            self.account.fail(call, when=failure.when, status=failure.status)
        if self._delays is not None:
            await asyncio.sleep(self._delays.uniform(0, DELAY_S_MAX))
        for hold in self.holds:
            if (hold.route, hold.kind) == (call.route, kind) and not hold.taken:
                hold.taken = True
                hold.arrived.set()
                await hold.released.wait()
                return

    def crossed(self, kind: StepKind, call: Call) -> None:
        """Hear that a step was taken: the server tells."""

    def abandoned(self, call: Call) -> None:
        """Hear that a call came to no end: the server tells."""

    def fail(self, route: str, *failures: Failure) -> None:
        """Make the next calls of a route fail, one after the other."""
        self.failures.setdefault(route, deque()).extend(failures)

    def hold_next(self, route: str, at: Literal["effect", "answer"] = "effect") -> Hold:
        """Hold the next call of a route."""
        self.holds.append(Hold(route, StepKind.EFFECT if at == "effect" else StepKind.RESPONSE))
        return self.holds[-1]

    async def until_called(self, route: str, times: int) -> None:
        """Wait until so many calls of a route have arrived."""
        async with self.called:
            await self.called.wait_for(lambda: sum(c.route == route for c in self.calls) >= times)

    def living(self, kind: str = "customer") -> list[dict[str, Any]]:
        """The objects of a kind that were made and are not deleted."""
        made = getattr(self.account.made_since(0), f"{kind}s")
        return [dict(thing) for thing in made if not thing.get("deleted")]

    def create(self, path: str, **params: str) -> dict[str, Any]:
        """Make an object as somebody else would, at once."""
        return self._call("POST", path, urlencode(params).encode())

    def delete(self, path: str) -> None:
        """Delete an object as somebody else would, at once."""
        self._call("DELETE", path, b"")

    def _call(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {KEY}"}
        call = self.account.parse(ApiRequest(method=method, path=path, headers=headers, body=body))
        self.account.received(call)
        self.account.effect(call)
        answer: dict[str, Any] = json.loads(self.account.response(call).body)
        assert "error" not in answer, answer
        return answer


def _complain(text: str) -> None:
    raise AssertionError(text)
