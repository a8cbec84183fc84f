"""A stage without sockets: a target that is a function, and the real account, gate and courier.

The target knows one operation, ``sign-up``: it makes a customer at Stripe for the e-mail that it is
given, crossing the gate as the simulator's server would, and answers with its id. How it answers
webhooks is the test's to say.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx

from deadheat.engine.conduct import Sequels
from deadheat.engine.levels import WHOLE, Reach
from deadheat.engine.quiet import Habits
from deadheat.engine.run import Ran, run_program
from deadheat.history import StepKind
from deadheat.schedule import make_strategy
from deadheat.settings import OperationSettings, Request, Settings, TargetSettings, WebhookSettings
from deadheat.stripe_sim import Account, ApiRequest, Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat import Program

SIGN_UP = OperationSettings(
    name="sign-up",
    calls=(Request(method="POST", path="/sign-up", json={"email": "{user.email}"}, success=(200,)),),
    customer="$.customer",
    session="cookie:session",
)


@dataclass(eq=False)
class Stage:
    """What a run needs of a deployment; ``hooks`` answers a delivery, given its event's id."""

    hooks: Callable[[str], int] = lambda event_id: 200
    account: Account = field(
        default_factory=lambda: Account(seed=1, started_at=1_700_000_000, secret_key="sk_test_x")
    )
    fails_with: Exception | None = None
    seen: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    database: Any = None
    troubled: Exception | None = None
    unfit_for: str | None = None
    turned_away_once: bool = False
    turned_away_for_ever: bool = False
    turned_away: set[str] = field(default_factory=set)
    habits: Habits = field(default_factory=Habits)
    sequels: Sequels = field(default_factory=Sequels)
    controlled: bool = False
    reach: Reach = WHOLE
    leftovers: None = None
    endpoints: dict[str, Endpoint] = field(
        default_factory=lambda: {"": Endpoint(url="http://t/hook", secret="whsec_x")}
    )
    blocking: None = None
    parking: None = None
    past: deque[str] = field(default_factory=deque)
    warm: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.server = SimpleNamespace(gate=None, failure=None)
        # There is no process to kill, and none that could want the processor.
        self.target = SimpleNamespace(is_ours=False, wants_processor=lambda: False)
        # A run is conducted where there is a proxy; no statement ever crosses this one.
        self.proxy = SimpleNamespace(gate=None, pids=dict) if self.controlled else None
        target = TargetSettings(
            folder=Path(),
            start="x",
            operations={"sign-up": SIGN_UP},
            webhooks=(WebhookSettings(path="/hook"),),
        )
        self.settings = Settings(target=target)
        self.client = httpx.AsyncClient(base_url="http://t", transport=httpx.MockTransport(self._answer))

    async def check_there(self) -> None:
        self.check_alive()

    async def end_stuck(self) -> str:
        return ""

    def check_alive(self) -> None:
        if self.troubled is not None:
            raise self.troubled

    async def unfit(self) -> str | None:
        return self.unfit_for

    async def play(self, program: Program, strategy: str = "serial", number: int = 1) -> Ran:
        """Run a program here."""
        return await run_program(program, self, make_strategy(strategy, 7), number=number)  # type: ignore[arg-type]

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if request.url.path == "/hook":
            self.received.append(body["id"])
            return httpx.Response(self.hooks(body["id"]))
        if self.fails_with is not None:
            raise self.fails_with
        self.seen.append(f"begin {body['email']}")
        made = await self._create(body["email"])
        self.seen.append(f"end {body['email']}")
        spent = body["email"] in self.turned_away
        if (self.turned_away_once or self.turned_away_for_ever) and (
            "id" not in made or (spent and self.turned_away_for_ever)
        ):
            self.turned_away.add(body["email"])
            return httpx.Response(503)
        headers = {"set-cookie": "session=abc; Path=/"}
        return httpx.Response(200, json={"customer": made.get("id")}, headers=headers)

    async def _create(self, email: str) -> dict[str, Any]:
        return await self._call("POST", "/v1/customers", {"email": email})

    async def _call(self, method: str, path: str, params: dict[str, str]) -> dict[str, Any]:
        request = ApiRequest(
            method=method,
            path=path,
            query="",
            headers={
                "authorization": "Bearer sk_test_x",
                "content-type": "application/x-www-form-urlencoded",
            },
            body=urlencode(params).encode(),
        )
        gate = self.server.gate
        call = self.account.parse(request)
        await gate.hold(StepKind.RECEIVED, call)
        self.account.received(call)
        gate.crossed(StepKind.RECEIVED, call)
        await gate.hold(StepKind.EFFECT, call)
        self.account.effect(call)
        gate.crossed(StepKind.EFFECT, call)
        await gate.hold(StepKind.RESPONSE, call)
        response = self.account.response(call)
        gate.crossed(StepKind.RESPONSE, call)
        loaded: dict[str, Any] = json.loads(response.body)
        return loaded


@dataclass(eq=False)
class Shop(Stage):
    """Makes a customer for who has none yet: it looks before the call and writes after it."""

    controlled: bool = True
    customers: dict[str, str] = field(default_factory=dict)
    careful: bool = False  # one after the other for each person: what it should do
    doors: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/hook":
            return await super()._answer(request)
        email = json.loads(request.content)["email"]
        async with self.doors[email] if self.careful else nullcontext():
            return await self._sign_up(email)

    async def _sign_up(self, email: str) -> httpx.Response:
        if email not in self.customers:
            made = await self._create(email)
            if "id" not in made:
                return httpx.Response(503)
            self.customers[email] = made["id"]
        return httpx.Response(200, json={"customer": self.customers[email]})
