"""What an application asks of Stripe every day, by the official Python SDK, sync and async."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import stripe
from sdk_ways import BOTH_WAYS, LATEST, Sdk, staged
from stripe_stage import SDK_WARNING, START, checkout

from deadheat.stripe_sim import API_VERSION, MONTHLY, PRODUCT, YEARLY, Account

pytestmark = [
    pytest.mark.filterwarnings(SDK_WARNING),
    pytest.mark.fidelity("stripe-python, sync"),
    pytest.mark.fidelity("stripe-python, async"),
]

VERSIONS = pytest.mark.parametrize("version", [API_VERSION, LATEST])


def ids(found: Any) -> list[str]:
    return [one.id for one in found.data]


async def subscribed(account: Account, sdk: Sdk, **customer: Any) -> stripe.Subscription:
    """Sign a customer up, check out and pay, and give the subscription."""
    made = await sdk("customers.create", {"email": "ada@example.test", **customer})
    session = await sdk("checkout.sessions.create", checkout(customer=made.id))
    account.complete_session(session.id)
    (found,) = (await sdk("subscriptions.list", {"customer": made.id})).data
    assert isinstance(found, stripe.Subscription)
    return found


@BOTH_WAYS
@VERSIONS
def test_customers(way: str, version: str) -> None:
    async def story() -> None:
        async with staged(way, version=version) as (_, _server, sdk):
            asked = {"email": "ada@example.test", "name": "Ada", "metadata": {"user_id": "u1", "plan": "a"}}
            made = await sdk("customers.create", asked)
            assert isinstance(made, stripe.Customer)
            assert (made.created, made.livemode, made.object) == (START, False, "customer")
            twin = await sdk("customers.create", asked)
            assert twin.id != made.id
            merged = await sdk("customers.update", made.id, {"metadata": {"plan": "", "seats": "3"}})
            assert merged.metadata.to_dict() == {"user_id": "u1", "seats": "3"}
            assert (await sdk("customers.retrieve", made.id)).metadata.to_dict() == merged.metadata.to_dict()
            unset = await sdk("customers.update", made.id, {"metadata": "", "name": ""})
            assert (unset.metadata.to_dict(), unset.name) == ({}, None)
            assert ids(await sdk("customers.list", {"email": "ada@example.test"})) == [twin.id, made.id]
            gone = await sdk("customers.delete", made.id)
            assert (gone.id, gone.deleted) == (made.id, True)
            assert (await sdk("customers.retrieve", made.id)).deleted
            assert ids(await sdk("customers.list")) == [twin.id]

    asyncio.run(story())


@BOTH_WAYS
@VERSIONS
def test_checkout_sessions(way: str, version: str) -> None:
    async def story() -> None:
        async with staged(way, version=version) as (account, _server, sdk):
            customer = await sdk("customers.create", {"email": "ada@example.test"})
            asked = checkout(
                customer=customer.id,
                client_reference_id="u1",
                metadata={"cart": "7"},
                subscription_data={"metadata": {"user_id": "u1"}},
            )
            paid, left = [await sdk("checkout.sessions.create", asked) for _ in range(2)]
            assert (paid.status, paid.payment_status, paid.client_reference_id) == ("open", "unpaid", "u1")
            assert paid.url != left.url
            items = await sdk("checkout.sessions.line_items.list", paid.id, {"limit": 5})
            assert [(item.price.id, item.quantity) for item in items.data] == [(MONTHLY, 1)]
            account.complete_session(paid.id)
            done = await sdk(
                "checkout.sessions.retrieve", paid.id, {"expand": ["customer", "subscription", "line_items"]}
            )
            assert (done.status, done.payment_status, done.url) == ("complete", "paid", None)
            assert isinstance(done.customer, stripe.Customer)
            assert isinstance(done.subscription, stripe.Subscription)
            assert done.subscription.metadata.to_dict() == {"user_id": "u1"}
            assert [item.price.id for item in done.line_items.data] == [MONTHLY]
            updated = await sdk("checkout.sessions.update", left.id, {"metadata": {"cart": "8"}})
            assert updated.metadata.to_dict() == {"cart": "8"}
            assert (await sdk("checkout.sessions.expire", left.id)).status == "expired"
            by_customer = {"customer": customer.id}
            assert ids(await sdk("checkout.sessions.list", by_customer)) == [left.id, paid.id]
            assert ids(await sdk("checkout.sessions.list", {**by_customer, "status": "open"})) == []

    asyncio.run(story())


@pytest.mark.fidelity("Objects: API versions see their own shapes: words of a session's ui_mode")
@BOTH_WAYS
@pytest.mark.parametrize(
    ("version", "hosted", "embedded", "of_another"),
    [(API_VERSION, "hosted", "embedded", "hosted_page"), (LATEST, "hosted_page", "embedded_page", "hosted")],
)
def test_ui_modes(way: str, version: str, hosted: str, embedded: str, of_another: str) -> None:
    async def story() -> None:
        async with staged(way, version=version) as (_, _server, sdk):
            for asked in ({}, {"ui_mode": hosted}):
                session = await sdk("checkout.sessions.create", checkout(**asked))
                assert (session.ui_mode, session.client_secret) == (hosted, None)
            within = {"mode": "subscription", "line_items": checkout()["line_items"]}
            within |= {"ui_mode": embedded, "return_url": "https://app.test/done"}
            session = await sdk("checkout.sessions.create", within)
            assert (session.ui_mode, session.url) == (embedded, None)
            assert session.client_secret.startswith(session.id)
            with pytest.raises(stripe.InvalidRequestError) as refused:
                await sdk("checkout.sessions.create", checkout(ui_mode=of_another))
            assert refused.value.param == "ui_mode"

    asyncio.run(story())


@BOTH_WAYS
@VERSIONS
def test_subscriptions(way: str, version: str) -> None:
    async def story() -> None:
        async with staged(way, version=version) as (account, _server, sdk):
            subscription = await subscribed(account, sdk)
            (item,) = subscription["items"].data
            changed = await sdk(
                "subscriptions.update",
                subscription.id,
                {"items": [{"id": item.id, "price": YEARLY, "quantity": 2}], "metadata": {"seats": "2"}},
            )
            assert [(i.price.id, i.quantity) for i in changed["items"].data] == [(YEARLY, 2)]
            ending = await sdk("subscriptions.update", subscription.id, {"cancel_at_period_end": True})
            assert (ending.status, ending.cancel_at_period_end) == ("active", True)
            asked = {"expand": ["customer", "latest_invoice", "items.data.price.product"]}
            full = await sdk("subscriptions.retrieve", subscription.id, asked)
            assert full.customer.email == "ada@example.test"
            assert full.latest_invoice.status == "paid"
            assert full["items"].data[0].price.product.name == "Deadheat"
            for status, found in (("active", 1), ("canceled", 0), ("all", 1)):
                listed = await sdk("subscriptions.list", {"status": status, "price": YEARLY})
                assert len(listed.data) == found, status
            ended = await sdk("subscriptions.cancel", subscription.id)
            assert (ended.status, ended.ended_at) == ("canceled", START)
            assert ids(await sdk("subscriptions.list")) == []
            assert ids(await sdk("subscriptions.list", {"status": "canceled"})) == [subscription.id]

    asyncio.run(story())


@BOTH_WAYS
@VERSIONS
def test_invoices_payments_and_refunds(way: str, version: str) -> None:
    async def story() -> None:
        async with staged(way, version=version) as (account, _server, sdk):
            subscription = await subscribed(account, sdk)
            (invoice,) = (await sdk("invoices.list", {"subscription": subscription.id})).data
            assert (invoice.status, invoice.amount_paid, invoice.amount_remaining) == ("paid", 2000, 0)
            assert invoice.parent.subscription_details.subscription == subscription.id
            full = await sdk("invoices.retrieve", invoice.id, {"expand": ["payments", "customer"]})
            assert full.customer.id == subscription.customer
            name = full.payments.data[0].payment.payment_intent
            intent = await sdk("payment_intents.retrieve", name, {"expand": ["latest_charge"]})
            assert (intent.status, intent.amount_received) == ("succeeded", 2000)
            charge = intent.latest_charge
            assert isinstance(charge, stripe.Charge)
            assert (charge.paid, charge.refunded) == (True, False)
            assert ids(await sdk("payment_intents.list", {"customer": subscription.customer})) == [name]
            assert ids(await sdk("charges.list", {"payment_intent": name})) == [charge.id]
            asked = {"payment_intent": name, "amount": 500, "metadata": {"why": "half"}}
            half = await sdk("refunds.create", asked)
            assert (half.status, half.metadata.to_dict()) == ("succeeded", {"why": "half"})
            rest = await sdk("refunds.create", {"charge": charge.id})
            assert rest.amount == 1500
            assert (await sdk("refunds.retrieve", rest.id)).charge == charge.id
            assert ids(await sdk("refunds.list", {"charge": charge.id})) == [rest.id, half.id]
            after = await sdk("charges.retrieve", charge.id)
            assert (after.amount_refunded, after.refunded) == (2000, True)

    asyncio.run(story())


@BOTH_WAYS
@VERSIONS
def test_events(way: str, version: str) -> None:
    async def story() -> None:
        async with staged(way, version=version) as (_account, _server, sdk):
            made = await sdk("customers.create", {"email": "old@example.test"}, {"idempotency_key": "k"})
            await sdk("customers.update", made.id, {"email": "new@example.test"})
            updated, created = (
                await sdk("events.list", {"types": ["customer.created", "customer.updated"]})
            ).data
            assert (created.type, updated.type) == ("customer.created", "customer.updated")
            assert created.data.object["email"] == "old@example.test"
            assert updated.data.previous_attributes.to_dict() == {"email": "old@example.test"}
            assert created.request.idempotency_key == "k"
            again = await sdk("events.retrieve", created.id)
            assert again.to_dict() == created.to_dict()

    asyncio.run(story())


@BOTH_WAYS
@VERSIONS
def test_prices_and_products(way: str, version: str) -> None:
    async def story() -> None:
        async with staged(way, version=version) as (_account, _server, sdk):
            prices = await sdk("prices.list", {"product": PRODUCT, "active": True, "type": "recurring"})
            assert set(ids(prices)) == {MONTHLY, YEARLY}
            asked = {"lookup_keys": ["deadheat_yearly"], "expand": ["data.product"]}
            (yearly,) = (await sdk("prices.list", asked)).data
            assert (yearly.id, yearly.product.id) == (YEARLY, PRODUCT)
            price = await sdk("prices.retrieve", MONTHLY)
            assert (price.unit_amount, price.recurring.interval) == (2000, "month")
            assert (await sdk("products.retrieve", PRODUCT)).active
            assert PRODUCT in ids(await sdk("products.list", {"active": True}))

    asyncio.run(story())
