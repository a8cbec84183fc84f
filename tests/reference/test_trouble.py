"""Trouble that is nobody's fault but ours: no connection free, poisoned events, errors unforeseen."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest
from stripe import WebhookSignature

from reference_impl import database
from reference_impl.metrics import Metrics

from .stage import Person, run, stage
from .stripe_double import WEBHOOK_SECRET

if TYPE_CHECKING:
    import asyncpg


def signed(event: object) -> tuple[bytes, dict[str, str]]:
    body = json.dumps(event)
    return body.encode(), {
        "stripe-signature": WebhookSignature.generate_signature_header(body, WEBHOOK_SECRET)
    }


class CountingPool:
    """A pool that counts how often it is asked for a connection."""

    def __init__(self, inner: asyncpg.Pool) -> None:
        self.inner = inner
        self.asked = 0

    async def acquire(self) -> asyncpg.Connection:
        self.asked += 1
        return await self.inner.acquire()

    async def release(self, connection: asyncpg.Connection, *, timeout: float) -> None:
        await self.inner.release(connection, timeout=timeout)


def test_no_free_connection_is_told_in_time_and_tried_once(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert database.PING_S_MAX <= 2 < database.RUN_S_MAX <= 10

    async def play() -> None:
        async with stage(dsn, pool_size=1) as on:
            app = on.apps[0]
            app.database._patience_s = 0.1
            monkeypatch.setattr(database, "PING_S_MAX", 0.02)
            pool = CountingPool(app.database._pool)
            async with pool.inner.acquire():
                app.database._pool = pool
                answers = [await on.clients[0].get("/healthz"), await on.create_customer(Person())]
                app.database._pool = pool.inner
            assert [a.status_code for a in answers] == [503, 503]
            assert all(int(a.headers["retry-after"]) > 0 for a in answers)
            assert pool.asked == 2  # who does not get one does not queue again
            assert (await on.clients[0].get("/healthz")).status_code == 200

    run(play())


def test_a_statement_that_never_ends_is_given_up_in_time(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn, pool_size=1) as on:
            on.apps[0].database._patience_s = 0.05
            with pytest.raises(database.DatabaseUnavailable):
                await on.apps[0].database.value("select pg_sleep(60)")
            on.apps[0].database._patience_s = 5
            assert await on.apps[0].database.value("select 7") == 7  # the connection is back

    run(play())


def test_a_subscription_on_somebody_elses_customer_poisons_nothing(dsn: str) -> None:
    """The row is Ada's by its metadata, the customer is Bob's, and Ada has none."""

    async def play() -> None:
        async with stage(dsn) as on:
            ada, bob = Person(), Person()
            adas = (await on.create_customer(ada)).json()["stripeCustomerId"]
            theirs = on.stripe.create("/v1/customers", email=bob.email)["id"]
            await on.subscribe(theirs, user_id=ada.id)
            await on.deliver_all()
            assert len(await on.rows("subscriptions", ada.id)) == 1
            await on.apps[0].customers.create_customer_and_profile(bob.id, bob.email, theirs)
            on.stripe.delete(f"/v1/customers/{adas}")
            await on.deliver_all()
            assert (await on.profile(ada.id))["stripe_customer_id"] is None
            await on.db.execute("delete from stripe_events")
            await on.deliver_all()
            assert (await on.profile(bob.id))["stripe_customer_id"] == theirs
            assert len(await on.rows("subscriptions", ada.id)) == 1

    run(play())


EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "customer.subscription.updated",
    "created": 1,
    "data": {"object": {"id": "sub_1", "object": "subscription", "customer": "cus_1"}},
}


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "evt\0"},
        {"id": "evt\ud800"},
        {"id": "e" * 256},
        {"type": "a\0b"},
        {"created": 2**63},
        {"created": -1},
        {"created": "1"},
        {"data": {"object": {"id": "sub\0", "object": "subscription"}}},
        {"data": {"object": {"id": "../customers", "object": "subscription"}}},
        {"data": {"object": {"id": "cus_\0", "object": "customer"}}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_signed_events_that_no_row_can_hold_are_refused(dsn: str, changes: dict[str, object]) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            answer = await on.post_webhook(*signed({**EVENT, **changes}))
            assert answer.status_code == 400
            assert on.stripe.calls == []
            assert await on.rows("stripe_events") == []

    run(play())


def test_what_nobody_foresaw_is_logged_counted_and_answered(
    dsn: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        async with stage(dsn) as on:

            async def broken(*_: object) -> str:
                raise ZeroDivisionError("ada@example.test")

            monkeypatch.setattr(on.apps[0].accounts, "admit", broken)
            answer = await on.create_customer(Person())
            assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
            metrics = (await on.clients[0].get("/metrics")).text
            assert 'reference_failures_total{route="/api/auth/create-customer"' in metrics
            assert 'route="/api/auth/create-customer",status="500"' in metrics

    with caplog.at_level(logging.INFO, "reference_impl"):
        run(play())
    (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert line.startswith("[CUSTOMER SERVICE] failed: ZeroDivisionError at ")
    assert "app.py:" in line
    assert "ada@example.test" not in line


def test_counters_are_exact() -> None:
    metrics = Metrics()
    metrics.count("reference_webhooks_total", 1_234_567, type="a", outcome="applied")
    metrics.count("reference_webhooks_total", type="a", outcome="applied")
    metrics.count("reference_request_seconds_total", 1234567.25, route="/")
    values = [line.rsplit(" ", 1)[1] for line in metrics.exposition().splitlines() if line[0] != "#"]
    assert values == ["1234567.25", "1234568"]


def test_a_webhook_that_gives_bobs_customer_to_eve_is_no_poison(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            bob = Person()
            bobs = (await on.create_customer(bob)).json()["stripeCustomerId"]
            eve, _ = await on.register(Person())
            (created,) = on.events("customer.created")
            body = json.loads(on.stripe.outbox.duplicate(created, now=0).body)
            body["data"]["object"]["metadata"] = {"user_id": eve}
            assert (await on.post_webhook(*signed(body))).status_code == 200
            assert await on.rows("profiles", eve) == []
            assert (await on.profile(bob.id))["stripe_customer_id"] == bobs
            assert [customer["id"] for customer in on.stripe.living()] == [bobs]

    run(play())
