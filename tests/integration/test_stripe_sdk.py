"""The official SDK, sync and async, as the simulator's client: it cannot tell the difference."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import stripe
from stripe_stage import SDK_WARNING, START, checkout, client, stage, sync_client

from deadheat.stripe_sim import MONTHLY, PRODUCT, YEARLY, Endpoint, Outbox

pytestmark = pytest.mark.filterwarnings(SDK_WARNING)


@pytest.mark.fidelity("stripe-python, async")
@pytest.mark.fidelity("Checkout: a session is open, then complete")
def test_sign_up_check_out_pay_cancel_refund_async() -> None:
    async def story() -> None:
        async with stage() as (account, server):
            v1 = client(server).v1
            customer = await v1.customers.create_async(
                {"email": "ada@example.test", "metadata": {"user_id": "u1"}}
            )
            assert (customer.created, customer.livemode) == (START, False)
            same = await v1.customers.list_async({"email": "ada@example.test"})
            assert [c.id for c in same.data] == [customer.id]
            session = await v1.checkout.sessions.create_async(
                checkout(customer=customer.id, subscription_data={"metadata": {"user_id": "u1"}})  # type: ignore[arg-type]
            )
            assert session.status == "open"
            assert session.url
            account.complete_session(session.id)
            session = await v1.checkout.sessions.retrieve_async(
                session.id, {"expand": ["line_items", "subscription.latest_invoice.payments", "customer"]}
            )
            assert session.line_items is not None
            assert [item.price.id for item in session.line_items.data if item.price] == [MONTHLY]
            assert isinstance(session.customer, stripe.Customer)
            subscription = session.subscription
            assert isinstance(subscription, stripe.Subscription)
            assert (subscription.status, subscription.metadata.to_dict()) == ("active", {"user_id": "u1"})
            invoice = subscription.latest_invoice
            assert isinstance(invoice, stripe.Invoice)
            assert (invoice.billing_reason, invoice.status) == ("subscription_create", "paid")
            assert invoice.payments is not None
            intent = invoice.payments.data[0].payment.payment_intent
            assert isinstance(intent, str)
            refund = await v1.refunds.create_async({"payment_intent": intent})
            assert refund.amount == invoice.total == 2000
            ended = await v1.subscriptions.cancel_async(subscription.id)
            assert ended.status == "canceled"
            left = await v1.subscriptions.list_async({"customer": customer.id})
            assert left.data == []

    asyncio.run(story())


@pytest.mark.fidelity("stripe-python, sync")
@pytest.mark.fidelity("A session expires, by its time or by a call")
def test_the_same_calls_through_the_sync_client() -> None:
    async def story() -> None:
        async with stage() as (account, server):

            def calls() -> None:
                with sync_client(server) as sdk:
                    v1 = sdk.v1
                    customer = v1.customers.create({"email": "ada@example.test"})
                    updated = v1.customers.update(customer.id, {"name": "Ada", "metadata": {"k": "v"}})
                    assert (updated.name, updated.metadata.to_dict()) == ("Ada", {"k": "v"})  # type: ignore[union-attr]
                    session = v1.checkout.sessions.create(checkout(customer=customer.id))  # type: ignore[arg-type]
                    account.complete_session(session.id)
                    (subscription,) = v1.subscriptions.list({"customer": customer.id}).data
                    v1.subscriptions.update(subscription.id, {"metadata": {"a": "b"}})
                    v1.subscriptions.cancel(subscription.id)
                    open_session = v1.checkout.sessions.create(checkout(customer=customer.id))  # type: ignore[arg-type]
                    assert v1.checkout.sessions.expire(open_session.id).status == "expired"
                    assert v1.customers.delete(customer.id).deleted
                    assert v1.customers.retrieve(customer.id).deleted
                    types = [event.type for event in v1.events.list({"limit": 5}).data]
                    assert types == [
                        "customer.deleted",
                        "checkout.session.expired",
                        "customer.subscription.deleted",
                        "customer.subscription.updated",
                        "checkout.session.completed",
                    ]

            await asyncio.to_thread(calls)

    asyncio.run(story())


@pytest.mark.fidelity("stripe-python pages through lists and search by itself")
def test_auto_pagination() -> None:
    async def story() -> None:
        async with stage() as (_, server):
            v1 = client(server).v1
            ids = [(await v1.customers.create_async({"email": "a@b.c"})).id for _ in range(7)]
            await v1.customers.create_async({"email": "x@y.z"})
            page = await v1.customers.list_async({"email": "a@b.c", "limit": 3})
            assert page.has_more
            assert [c.id async for c in page.auto_paging_iter()] == ids[::-1]
            events = await v1.events.list_async({"type": "customer.created", "limit": 3})
            assert len([event async for event in events.auto_paging_iter()]) == 8

    asyncio.run(story())


def test_seeded_catalog() -> None:
    async def story() -> None:
        async with stage() as (_, server):
            v1 = client(server).v1
            prices = await v1.prices.list_async({"product": PRODUCT, "active": True})
            assert {p.id for p in prices.data} == {MONTHLY, YEARLY}
            yearly = await v1.prices.list_async(
                {"lookup_keys": ["deadheat_yearly"], "expand": ["data.product"]}
            )
            (price,) = yearly.data
            assert isinstance(price.product, stripe.Product)
            assert price.recurring is not None
            assert (price.id, price.recurring.interval) == (YEARLY, "year")
            assert (await v1.products.retrieve_async(PRODUCT)).name == "Deadheat"

    asyncio.run(story())


@pytest.mark.fidelity("stripe-python raises its own classes of errors")
@pytest.mark.parametrize(
    ("params", "error", "code"),
    [
        ({"nonsense": "1"}, stripe.InvalidRequestError, "parameter_unknown"),
        ({"email": "nobody"}, stripe.InvalidRequestError, "email_invalid"),
    ],
)
def test_errors_have_stripe_s_shape(params: Any, error: type[stripe.StripeError], code: str) -> None:
    async def story() -> None:
        async with stage() as (_, server):
            with pytest.raises(error) as refused:
                await client(server).v1.customers.create_async(params)
            assert refused.value.code == code
            assert refused.value.request_id
            with pytest.raises(stripe.InvalidRequestError) as missing:
                await client(server).v1.customers.retrieve_async("cus_no")
            assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")
            wrong = client(server, key="sk_test_wrong")
            with pytest.raises(stripe.AuthenticationError):
                await wrong.v1.customers.list_async()

    asyncio.run(story())


@pytest.mark.fidelity("stripe-python raises its own classes of errors")
@pytest.mark.fidelity("A key replays status and body")
def test_idempotency_errors_and_replays() -> None:
    async def story() -> None:
        async with stage() as (account, server):
            v1 = client(server).v1
            first = await v1.customers.create_async({"email": "a@b.c"}, {"idempotency_key": "k"})
            again = await v1.customers.create_async({"email": "a@b.c"}, {"idempotency_key": "k"})
            assert again.id == first.id
            assert again.last_response is not None
            assert again.last_response.headers["idempotent-replayed"] == "true"
            with pytest.raises(stripe.IdempotencyError):
                await v1.customers.create_async({"email": "x@y.z"}, {"idempotency_key": "k"})
            assert len(account.made_since(0).customers) == 1

    asyncio.run(story())


@pytest.mark.fidelity("stripe-python checks signatures")
@pytest.mark.fidelity("request.id and request.idempotency_key name the call that caused it")
def test_webhooks_are_verified_by_the_sdk() -> None:
    async def story() -> None:
        async with stage() as (account, server):
            secret = "whsec_stage"
            outbox = Outbox(account, Endpoint(url="http://app.test/hook", secret=secret))
            customer = await client(server).v1.customers.create_async(
                {"email": "a@b.c"}, {"idempotency_key": "key-1"}
            )
            (event_id,) = outbox.pending()
            attempt = outbox.attempt(event_id, now=int(time.time()))
            event = stripe.Webhook.construct_event(attempt.body, attempt.headers["stripe-signature"], secret)
            assert (event.type, event.data.object["id"]) == ("customer.created", customer.id)
            assert event.request is not None
            assert event.request.idempotency_key == "key-1"
            assert customer.last_response is not None
            assert event.request.id == customer.last_response.request_id
            assert event.pending_webhooks == 1

    asyncio.run(story())
