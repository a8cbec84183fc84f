"""The stage for the tests of the reference: a database of its own, a Stripe, and any number of processes.

A "process" is an `Application` with its own pool and its own connections to Stripe, reached through
ASGI; what they share is what real processes share, the database and Stripe.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import httpx
from starlette.applications import Starlette

from reference_impl import app as reference
from reference_impl.database import Database
from reference_impl.metrics import Metrics
from reference_impl.settings import Settings
from reference_impl.stripe_calls import StripeCalls

from .stripe_double import KEY, PRICE, WEBHOOK_SECRET, StripeDouble

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who uses the application."""

    id: str = field(default_factory=lambda: str(uuid4()))
    email: str = field(default_factory=lambda: f"ada.{uuid4().hex[:10]}@example.test")
    name: str = "Ada"


@dataclass(slots=True)
class Stage:
    """What a test plays on. ``apps`` are the parts of each process, ``clients`` its HTTP front."""

    stripe: StripeDouble
    db: asyncpg.Pool
    apps: list[reference.Application]
    clients: list[httpx.AsyncClient]

    async def create_customer(self, person: Person, process: int = 0, **changes: Any) -> httpx.Response:
        body = {"userId": person.id, "email": person.email, "fullName": person.name, **changes}
        return await self.clients[process].post("/api/auth/create-customer", json=body)

    async def check_out(
        self, person: Person, process: int = 0, price: str = PRICE, **changes: Any
    ) -> httpx.Response:
        body = {"userId": person.id, "userEmail": person.email, "priceId": price, **changes}
        return await self.clients[process].post("/api/stripe/checkout", json=body)

    async def register(self, person: Person, process: int = 0) -> tuple[str, str]:
        """Sign up; gives the user's id and the code of the link."""
        answer = await self.clients[process].post(
            "/auth/sign-up", json={"email": person.email, "fullName": person.name}
        )
        assert answer.status_code == 202, answer.text
        return answer.json()["userId"], answer.json()["code"]

    async def confirm(self, code: str, process: int = 0) -> httpx.Response:
        return await self.clients[process].get("/auth/callback", params={"code": code})

    async def deliver(self, event_id: str, process: int = 0) -> int:
        """Deliver an event once more, whatever became of it; gives the status."""
        attempt = self.stripe.outbox.duplicate(event_id, now=int(time.time()))
        return (await self.post_webhook(attempt.body, dict(attempt.headers), process)).status_code

    async def post_webhook(self, body: bytes, headers: dict[str, str], process: int = 0) -> httpx.Response:
        return await self.clients[process].post("/api/stripe/webhook", content=body, headers=headers)

    async def deliver_all(self) -> None:
        """Deliver every event in order of emission; each must be taken."""
        for event_id in self.stripe.outbox.emitted():
            assert await self.deliver(event_id) == 200

    async def subscribe(self, customer: str, price: str = PRICE, **metadata: str) -> str:
        """Subscribe a customer as somebody else would, past the application; gives the subscription."""
        params = {f"subscription_data[metadata][{name}]": value for name, value in metadata.items()}
        session = self.stripe.create(
            "/v1/checkout/sessions",
            mode="subscription",
            customer=customer,
            success_url="https://example.test",
            **{"line_items[0][price]": price, "line_items[0][quantity]": "1"},
            **params,
        )
        return str(self.stripe.account.complete_session(session["id"])["subscription"])

    def events(self, *types: str) -> list[str]:
        """The ids of the events of some types, in order of emission."""
        made = self.stripe.account.made_since(0).events
        return [event["id"] for event in made if event["type"] in types]

    async def rows(self, table: str, user: str | UUID | None = None) -> list[dict[str, Any]]:
        where = "" if user is None else " where user_id = $1"
        values = () if user is None else (UUID(str(user)),)
        return [dict(row) for row in await self.db.fetch(f"select * from {table}{where}", *values)]

    async def profile(self, user: str) -> dict[str, Any]:
        (row,) = await self.rows("profiles", user)
        return row


@contextlib.asynccontextmanager
async def stage(
    dsn: str,
    *,
    processes: int = 1,
    pool_size: int = 5,
    seed: int = 0,
    delays: bool = False,
    stripe_mock: str = "off",
) -> AsyncIterator[Stage]:
    """Set the stage over a migrated database."""
    async with contextlib.AsyncExitStack() as stack:
        double = StripeDouble(seed, Random(seed) if delays else None)
        stripe = await stack.enter_async_context(double.serving(stripe_mock))
        settings = Settings(
            database_url=dsn,
            stripe_api_base=stripe.url,
            stripe_secret_key=KEY,
            stripe_webhook_secret=WEBHOOK_SECRET,
            session_secret="secret of the tests",
            pool_size=pool_size,
            stripe_retry_base_s=0.002,
        )
        apps, clients = [], []
        for _ in range(processes):
            metrics = Metrics()
            database, calls = await Database.connect(settings, metrics), StripeCalls(settings, metrics)
            stack.push_async_callback(database.close)
            stack.push_async_callback(calls.close)
            front = Starlette(routes=reference.app.routes)
            front.state.application = reference.Application(settings, database, calls, metrics)
            apps.append(front.state.application)
            clients.append(
                await stack.enter_async_context(
                    httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url="http://app")
                )
            )
        db = await stack.enter_async_context(asyncpg.create_pool(dsn, min_size=0, max_size=4))
        yield Stage(stripe, db, apps, clients)


def run(coroutine: Any) -> Any:
    """Run a test's coroutine, a minute at most."""
    return asyncio.run(asyncio.wait_for(coroutine, 60))
