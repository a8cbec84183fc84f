"""Webhooks: whatever comes, as often and in whatever order, the rows end where Stripe is."""

from __future__ import annotations

import asyncio
import json
import time
from random import Random

import pytest
from stripe import WebhookSignature

from .stage import Person, Stage, run, stage
from .stripe_double import WEBHOOK_SECRET, Failure

READ = "GET /v1/subscriptions/:id"


async def subscriber(on: Stage) -> tuple[Person, str]:
    """Somebody who has bought; none of the events has been delivered."""
    ada = Person()
    session = (await on.check_out(ada)).json()["sessionId"]
    return ada, str(on.stripe.account.complete_session(session)["subscription"])


async def state(on: Stage) -> list[list[dict[str, object]]]:
    return [await on.rows("profiles"), await on.rows("subscriptions")]


def signed(event: object) -> tuple[bytes, dict[str, str]]:
    body = json.dumps(event)
    return body.encode(), {
        "stripe-signature": WebhookSignature.generate_signature_header(body, WEBHOOK_SECRET)
    }


def test_payment_reaches_the_row_and_again_changes_nothing(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada, subscription = await subscriber(on)
            await on.deliver_all()
            (row,) = await on.rows("subscriptions", ada.id)
            profile = await on.profile(ada.id)
            assert row["stripe_subscription_id"] == subscription
            assert row["stripe_customer_id"] == row["billed_customer_id"] == profile["stripe_customer_id"]
            assert (row["status"], row["price_id"]) == ("active", "price_deadheat_monthly")
            settled = await state(on)
            await on.deliver_all()
            assert await state(on) == settled

    run(play())


@pytest.mark.parametrize("seed", range(8))
def test_any_order_any_number_at_once(dsn: str, seed: int) -> None:
    """All events carry the same second; a payload taken for the state would win at random."""

    async def play() -> None:
        chance = Random(seed)
        async with stage(dsn, processes=3, seed=seed, delays=True) as on:
            ada, subscription = await subscriber(on)
            deliveries = list(on.stripe.outbox.emitted()) * 2
            chance.shuffle(deliveries)

            async def cancel_meanwhile() -> None:
                await asyncio.sleep(0.01)
                on.stripe.account.cancel_subscription(subscription)
                await asyncio.gather(
                    *(on.deliver(e, 1) for e in on.events("customer.subscription.deleted") * 2)
                )

            statuses = await asyncio.gather(
                *(on.deliver(event, n % 3) for n, event in enumerate(deliveries)), cancel_meanwhile()
            )
            assert set(statuses) == {200, None}
            (row,) = await on.rows("subscriptions", ada.id)
            assert row["status"] == "canceled"
            settled = await state(on)
            await on.deliver_all()
            assert await state(on) == settled

    run(play())


def test_a_slow_old_reading_does_not_overwrite_a_newer_one(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn, processes=2) as on:
            ada, subscription = await subscriber(on)
            hold = on.stripe.hold_next(READ, at="answer")
            (created,) = on.events("customer.subscription.created")
            slow = asyncio.ensure_future(on.deliver(created, 0))  # has read: active
            await hold.arrived.wait()
            on.stripe.account.cancel_subscription(subscription)
            (deleted,) = on.events("customer.subscription.deleted")
            assert await on.deliver(deleted, 1) == 200
            hold.released.set()
            assert await slow == 200
            (row,) = await on.rows("subscriptions", ada.id)
            assert row["status"] == "canceled"

    run(play())


@pytest.mark.parametrize("failure", [Failure("before", 500), Failure("lost"), Failure("before", 429)])
def test_trouble_is_sent_again_and_leaves_nothing_half_done(dsn: str, failure: Failure) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada, _ = await subscriber(on)
            (created,) = on.events("customer.subscription.created")
            on.apps[0].sync._patience_s = 0.2
            on.stripe.fail(READ, *[failure] * 500)
            assert await on.deliver(created) == 503
            assert await on.rows("stripe_events") == await on.rows("subscriptions") == []
            on.stripe.failures.clear()
            assert await on.deliver(created) == 200
            assert len(await on.rows("subscriptions", ada.id)) == 1

    run(play())


def test_an_event_of_nobody_is_kept_until_the_profile_appears(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            customer = on.stripe.create("/v1/customers", email=ada.email)["id"]
            subscription = await on.subscribe(customer)
            await on.deliver_all()
            (row,) = await on.rows("subscriptions")
            assert (row["user_id"], row["stripe_subscription_id"]) == (None, subscription)
            assert {e["outcome"] for e in await on.rows("stripe_events")} == {"kept", "ignored"}
            result = await on.apps[0].customers.create_customer_and_profile(ada.id, ada.email, customer)
            assert result.success
            (row,) = await on.rows("subscriptions", ada.id)
            assert (row["status"], row["stripe_customer_id"]) == ("active", customer)
            assert {e["outcome"] for e in await on.rows("stripe_events")} == {"applied", "ignored"}

    run(play())


@pytest.mark.parametrize("seed", range(10))
def test_keeping_and_appearing_at_once_loses_nothing(dsn: str, seed: int) -> None:
    async def play() -> None:
        async with stage(dsn, processes=2, seed=seed, delays=True) as on:
            ada = Person()
            customer = on.stripe.create("/v1/customers", email=ada.email)["id"]
            await on.subscribe(customer)
            events = on.events("customer.subscription.created", "invoice.paid")

            async def appear() -> None:
                await asyncio.sleep(Random(seed).uniform(0, 0.02))
                await on.apps[1].customers.create_customer_and_profile(ada.id, ada.email, customer)

            statuses = await asyncio.gather(*(on.deliver(e, 0) for e in events), appear())
            assert set(statuses) == {200, None}
            assert len(await on.rows("subscriptions", ada.id)) == 1
            assert {e["outcome"] for e in await on.rows("stripe_events")} == {"applied"}

    run(play())


def test_metadata_finds_a_user_who_has_no_customer_yet(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            user, code = await on.register(ada)
            customer = on.stripe.create("/v1/customers", email="else@example.test")["id"]
            await on.subscribe(customer, user_id=user)
            await on.deliver_all()
            assert (await on.profile(user))["stripe_customer_id"] == customer
            assert len(await on.rows("subscriptions", user)) == 1
            assert (await on.confirm(code)).headers["stripe-customer-id"] == customer

    run(play())


def test_a_hint_at_a_user_never_seen_waits_for_that_user(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada = Person()
            customer = on.stripe.create("/v1/customers", email="else@example.test")["id"]
            await on.subscribe(customer, user_id=ada.id)
            await on.deliver_all()
            assert await on.rows("profiles") == []
            answer = await on.create_customer(ada)
            assert answer.json()["stripeCustomerId"] == customer  # the one that pays, not another one
            (row,) = await on.rows("subscriptions", ada.id)
            assert row["stripe_customer_id"] == customer

    run(play())


def test_webhooks_of_a_retired_customer_still_find_the_user(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            ada, subscription = await subscriber(on)
            old = (await on.profile(ada.id))["stripe_customer_id"]
            on.stripe.delete(f"/v1/customers/{old}")
            new = (await on.create_customer(ada)).json()["stripeCustomerId"]
            await on.deliver_all()
            (row,) = await on.rows("subscriptions", ada.id)
            assert (row["stripe_subscription_id"], row["status"]) == (subscription, "canceled")
            assert (row["stripe_customer_id"], row["billed_customer_id"]) == (new, old)

    run(play())


@pytest.mark.parametrize("kind", ["unsigned", "badly-signed", "stale"])
def test_forgeries_are_refused_and_change_nothing(dsn: str, kind: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            await subscriber(on)
            before = await state(on)
            for event in on.stripe.outbox.emitted():
                forged = on.stripe.outbox.forge(event, kind, now=int(time.time()))  # type: ignore[arg-type]
                answer = await on.post_webhook(forged.body, dict(forged.headers))
                assert answer.status_code == 400
            assert await state(on) == before
            assert await on.rows("stripe_events") == []

    run(play())


@pytest.mark.parametrize(
    "header", ["", "t=1", "v1=é", "t=x,v1=00", "t=99999999999,v1=é", "t,v1", "t=1,v1=" + "0" * 64]
)
def test_headers_that_are_no_signature(dsn: str, header: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            answer = await on.clients[0].post(
                "/api/stripe/webhook", content=b"{}", headers={"stripe-signature": header.encode("latin-1")}
            )
            assert answer.status_code == 400

    run(play())


def test_what_is_signed_and_unknown_is_acknowledged(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn) as on:
            unknown = {
                "id": "evt_1",
                "object": "event",
                "type": "radar.early_fraud_warning.created",
                "created": 1,
                "data": {"object": {"id": "issfr_1", "object": "radar.early_fraud_warning"}},
            }
            gone = {
                **unknown,
                "id": "evt_2",
                "type": "customer.subscription.updated",
                "data": {"object": {"id": "sub_none", "object": "subscription", "customer": "cus_none"}},
            }
            for event in (unknown, gone):
                assert (await on.post_webhook(*signed(event))).status_code == 200
            assert await on.rows("subscriptions") == []
            for nonsense in ([], {}, {**unknown, "id": 7}, {**unknown, "data": None}):
                assert (await on.post_webhook(*signed(nonsense))).status_code == 400

    run(play())


def test_more_deliveries_than_connections_do_not_lock_up(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn, pool_size=2) as on:
            ada, _ = await subscriber(on)
            (created,) = on.events("customer.subscription.created")
            hold = on.stripe.hold_next(READ)
            first = asyncio.ensure_future(on.deliver(created))
            await hold.arrived.wait()
            others = await asyncio.gather(*(on.deliver(created) for _ in range(20)))
            assert set(others) == {200}  # while the first is still at Stripe
            assert (await on.create_customer(ada)).status_code == 200
            hold.released.set()
            assert await first == 200
            assert len(await on.rows("subscriptions", ada.id)) == 1

    run(play())


def test_an_event_is_applied_once_however_often_it_comes_at_once(dsn: str) -> None:
    async def play() -> None:
        async with stage(dsn, processes=2, delays=True) as on:
            await subscriber(on)
            (created,) = on.events("customer.subscription.created")
            attempt = on.stripe.outbox.duplicate(created, now=int(time.time()))
            answers = await asyncio.gather(
                *(on.post_webhook(attempt.body, dict(attempt.headers), n % 2) for n in range(8))
            )
            assert sorted(a.json()["outcome"] for a in answers) == ["applied", *["duplicate"] * 7]
            assert len(await on.rows("stripe_events")) == 1
            called = len(on.stripe.calls)
            assert await on.deliver(created) == 200
            assert len(on.stripe.calls) == called  # what is in the ledger asks Stripe nothing

    run(play())
