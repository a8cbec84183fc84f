"""The code before its fixes: right one after the other, wrong at once, in the four known ways."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette
from stripe import HTTPXClient, StripeClient

from reference_impl.before import app as before
from reference_impl.migrate import migrate, migrations
from reference_impl.settings import Settings
from reference_impl.stripe_calls import API_VERSION

from .stage import Person, run
from .stripe_double import KEY, PRICE, WEBHOOK_SECRET, Failure, StripeDouble

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Old:
    """One process of the old code. A call returns when its background work is done, too."""

    def __init__(self, stripe: StripeDouble, db: Any, client: httpx.AsyncClient) -> None:
        self.stripe = stripe
        self.db = db
        self.client = client

    async def register(self, person: Person) -> tuple[str, str]:
        answer = await self.client.post("/auth/sign-up", json={"email": person.email, "fullName": "Ada"})
        return answer.json()["userId"], answer.json()["code"]

    async def confirm(self, code: str) -> httpx.Response:
        self.client.cookies.clear()
        return await self.client.get("/auth/callback", params={"code": code})

    async def check_out(self, user: str, email: str) -> httpx.Response:
        body = {"userId": user, "userEmail": email, "priceId": PRICE}
        return await self.client.post("/api/stripe/checkout", json=body)

    async def deliver_all(self) -> None:
        for event_id in self.stripe.outbox.emitted():
            attempt = self.stripe.outbox.duplicate(event_id, now=int(time.time()))
            answer = await self.client.post(
                "/api/stripe/webhook", content=attempt.body, headers=dict(attempt.headers)
            )
            assert answer.status_code == 200

    async def rows(self, table: str, user: str) -> list[dict[str, Any]]:
        found = await self.db.fetch(f"select * from {table} where user_id = $1", UUID(user))
        return [dict(row) for row in found]


@contextlib.asynccontextmanager
async def old(dsn: str) -> AsyncIterator[Old]:
    await migrate(dsn, migrations("0001"))
    async with StripeDouble().serving() as stripe, asyncpg.create_pool(dsn, min_size=1, max_size=5) as db:
        settings = Settings(
            database_url=dsn,
            stripe_api_base=stripe.url,
            stripe_secret_key=KEY,
            stripe_webhook_secret=WEBHOOK_SECRET,
            session_secret="secret of the tests",
        )
        http: Any = HTTPXClient()
        client = StripeClient(
            KEY, stripe_version=API_VERSION, base_addresses={"api": stripe.url}, http_client=http
        )
        front = Starlette(routes=before.app.routes)
        front.state.before = before.Before(settings, db, client)
        transport = httpx.ASGITransport(front)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as browser:
            yield Old(stripe, db, browser)
        await http.close_async()


def test_coming_back_before_the_webhook_writes_its_row_once(empty_dsn: str) -> None:
    async def play() -> None:
        async with old(empty_dsn) as on:
            user, code = await on.register(ada := Person())
            await on.confirm(code)
            session = (await on.check_out(user, ada.email)).json()["sessionId"]
            path = f"/checkout/done?session_id={session}"
            assert (await on.client.get(path)).status_code == 409
            paid = on.stripe.account.complete_session(session)
            assert (await on.client.get(path)).json()["subscription"] == paid["subscription"]
            (row,) = await on.rows("subscriptions", user)
            assert (row["stripe_subscription_id"], row["status"]) == (paid["subscription"], "active")
            await on.deliver_all()
            assert len(await on.rows("subscriptions", user)) == 1

    run(play())


def test_deleting_an_account_leaves_nothing_when_nothing_is_under_way(empty_dsn: str) -> None:
    async def play() -> None:
        async with old(empty_dsn) as on:
            user, code = await on.register(ada := Person())
            await on.confirm(code)
            body = {"userId": user, "email": ada.email}
            assert (await on.client.post("/api/auth/delete-account", json=body)).status_code == 200
            assert on.stripe.living() == []
            assert await on.rows("profiles", user) == await on.rows("subscriptions", user) == []

    run(play())


def test_one_after_the_other_it_is_right(empty_dsn: str) -> None:
    async def play() -> None:
        async with old(empty_dsn) as on:
            ada = Person()
            user, first = await on.register(ada)
            again, second = await on.register(ada)
            assert user == again
            answers = [await on.confirm(code) for code in (first, first, second)]
            (customer,) = on.stripe.living()
            assert {a.headers["stripe-customer-id"] for a in answers} == {customer["id"]}
            for round_ in range(2):
                bought = await on.check_out(user, ada.email)
                assert bought.json()["stripeCustomerId"] == customer["id"]
                paid = on.stripe.account.complete_session(bought.json()["sessionId"])
                assert (await on.check_out(user, ada.email)).status_code == 409  # before its webhooks
                await on.deliver_all()
                (row,) = [
                    r
                    for r in await on.rows("subscriptions", user)
                    if r["stripe_subscription_id"] == paid["subscription"]
                ]
                assert row["status"] == "active"
                assert (await on.check_out(user, ada.email)).status_code == 409
                on.stripe.account.cancel_subscription(paid["subscription"])
                await on.deliver_all()
                rows = await on.rows("subscriptions", user)
                assert [r["status"] for r in rows] == ["canceled"] * (round_ + 1)
            await on.deliver_all()
            assert [(r["id"], r["status"]) for r in await on.rows("subscriptions", user)] == [
                (r["id"], r["status"]) for r in rows
            ]
            assert len(await on.rows("profiles", user)) == 1

    run(play())


def test_a_user_never_seen_buys_at_once(empty_dsn: str) -> None:
    async def play() -> None:
        async with old(empty_dsn) as on:
            ada = Person()
            answers = [await on.check_out(ada.id, ada.email) for _ in range(2)]
            assert len({a.json()["stripeCustomerId"] for a in answers}) == len(on.stripe.living()) == 1
            assert len(await on.rows("profiles", ada.id)) == 1
            assert len(await on.rows("subscriptions", ada.id)) == 1

    run(play())


@pytest.mark.parametrize("failure", [None, Failure()])
def test_the_callback_carries_on(empty_dsn: str, failure: Failure | None) -> None:
    async def play() -> None:
        async with old(empty_dsn) as on:
            user, code = await on.register(Person())
            if failure is None:
                hold = on.stripe.hold_next("POST /v1/customers")
                first = asyncio.ensure_future(on.confirm(code))
                await hold.arrived.wait()
                carried_on = await on.confirm(code)
                hold.released.set()
                assert "stripe-customer-id" in (await first).headers
            else:
                on.stripe.fail("POST /v1/customers", failure)
                carried_on = await on.confirm(code)
                assert await on.rows("profiles", user) == []
            assert carried_on.status_code == 303
            assert "session=" in carried_on.headers["set-cookie"]
            assert "stripe-customer-id" not in carried_on.headers

    run(play())


def test_two_sign_ups_at_once_are_two_of_everything(empty_dsn: str) -> None:
    async def play() -> None:
        async with old(empty_dsn) as on:
            ada = Person()
            (user, first), (_, second) = await on.register(ada), await on.register(ada)
            hold = on.stripe.hold_next("POST /v1/customers")
            slow = asyncio.ensure_future(on.confirm(first))
            await hold.arrived.wait()
            quick = await on.confirm(second)
            hold.released.set()
            assert (await slow).headers["stripe-customer-id"] != quick.headers["stripe-customer-id"]
            assert len(on.stripe.living()) == len(await on.rows("profiles", user)) == 2

    run(play())


def test_two_tabs_of_a_new_user_are_two_customers(empty_dsn: str) -> None:
    async def play() -> None:
        async with old(empty_dsn) as on:
            ada = Person()
            hold = on.stripe.hold_next("POST /v1/customers")
            slow = asyncio.ensure_future(on.check_out(ada.id, ada.email))
            await hold.arrived.wait()
            quick = await on.check_out(ada.id, ada.email)
            hold.released.set()
            assert (await slow).json()["stripeCustomerId"] != quick.json()["stripeCustomerId"]

    run(play())


def test_the_webhook_that_finds_no_row_is_lost(empty_dsn: str) -> None:
    async def play() -> None:
        async with old(empty_dsn) as on:
            ada = Person()
            hold = on.stripe.hold_next("POST /v1/customers/:id")  # after the answer, before the rows
            bought = asyncio.ensure_future(on.check_out(ada.id, ada.email))
            await hold.arrived.wait()
            (session,) = on.stripe.living("session")
            on.stripe.account.complete_session(session["id"])
            await on.deliver_all()  # each answered 200
            hold.released.set()
            assert (await bought).status_code == 200
            (row,) = await on.rows("subscriptions", ada.id)
            assert (row["stripe_subscription_id"], row["status"]) == (None, "none")

    run(play())
