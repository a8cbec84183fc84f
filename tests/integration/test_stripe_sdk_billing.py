"""Billing without checkout, by the official Python SDK, sync and async: cards, subscriptions, the portal."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import stripe
from sdk_ways import BOTH_WAYS, Sdk, staged
from stripe_stage import SDK_WARNING, checkout

from deadheat.stripe_sim import MONTHLY

pytestmark = [
    pytest.mark.filterwarnings(SDK_WARNING),
    pytest.mark.fidelity("stripe-python, sync"),
    pytest.mark.fidelity("stripe-python, async"),
]

ITEMS = {"items": [{"price": MONTHLY, "quantity": 1}]}
FAILS_LATER = "pm_card_chargeCustomerFail"
NO_FUNDS = "pm_card_visa_chargeDeclinedInsufficientFunds"


async def with_card(sdk: Sdk, card: str = "pm_card_visa") -> stripe.Customer:
    """Make a customer with a default card."""
    made = await sdk("customers.create", {"email": "ada@example.test"})
    attached = await sdk("payment_methods.attach", card, {"customer": made.id})
    assert attached.customer == made.id
    default = {"invoice_settings": {"default_payment_method": attached.id}}
    customer = await sdk("customers.update", made.id, default)
    assert isinstance(customer, stripe.Customer)
    return customer


@pytest.mark.fidelity("Creation by POST /v1/subscriptions")
@BOTH_WAYS
def test_a_subscription_on_a_card(way: str) -> None:
    async def story() -> None:
        async with staged(way) as (_, _server, sdk):
            customer = await with_card(sdk)
            asked = {"customer": customer.id, **ITEMS, "expand": ["latest_invoice"]}
            made = await sdk("subscriptions.create", asked)
            assert (made.status, made.latest_invoice.status) == ("active", "paid")
            cards = await sdk("customers.payment_methods.list", customer.id, {"type": "card"})
            assert [one.card.brand for one in cards.data] == ["visa"]

    asyncio.run(story())


@pytest.mark.fidelity("Creation by POST /v1/subscriptions")
@pytest.mark.fidelity("Subscriptions and money: incomplete")
@BOTH_WAYS
def test_a_first_payment_that_the_browser_confirms(way: str) -> None:
    async def story() -> None:
        async with staged(way) as (_, _server, sdk):
            customer = await sdk("customers.create", {"email": "ada@example.test"})
            made = await sdk(
                "subscriptions.create",
                {
                    "customer": customer.id,
                    **ITEMS,
                    "payment_behavior": "default_incomplete",
                    "expand": ["latest_invoice.payments"],
                },
            )
            assert (made.status, made.latest_invoice.status) == ("incomplete", "open")
            (payment,) = made.latest_invoice.payments.data
            asked = {"payment_method": "pm_card_visa"}
            paid = await sdk("payment_intents.confirm", payment.payment.payment_intent, asked)
            assert paid.status == "succeeded"
            now = await sdk("subscriptions.retrieve", made.id, {"expand": ["latest_invoice"]})
            assert (now.status, now.latest_invoice.status) == ("active", "paid")

    asyncio.run(story())


@pytest.mark.fidelity("Faults by rule or by step: declines by test card")
@pytest.mark.fidelity("stripe-python raises its own classes of errors")
@BOTH_WAYS
def test_declined_cards(way: str) -> None:
    async def story() -> None:
        async with staged(way) as (_, _server, sdk):
            customer = await with_card(sdk, FAILS_LATER)
            asked = {"customer": customer.id, **ITEMS}
            made = await sdk("subscriptions.create", asked)
            assert made.status == "incomplete"
            with pytest.raises(stripe.CardError) as declined:
                await sdk("subscriptions.create", {**asked, "payment_behavior": "error_if_incomplete"})
            assert (declined.value.http_status, declined.value.code) == (402, "card_declined")
            assert len((await sdk("subscriptions.list", {"status": "all"})).data) == 1
            with pytest.raises(stripe.CardError) as refused:
                await sdk("payment_methods.attach", NO_FUNDS, {"customer": customer.id})
            assert refused.value.error is not None
            assert refused.value.error.decline_code == "insufficient_funds"

    asyncio.run(story())


@pytest.mark.fidelity("Billing-portal sessions")
@BOTH_WAYS
def test_the_billing_portal(way: str) -> None:
    async def story() -> None:
        async with staged(way) as (_, _server, sdk):
            customer = await sdk("customers.create", {"email": "ada@example.test"})
            asked = {"customer": customer.id, "return_url": "https://app.test/account"}
            first, second = [await sdk("billing_portal.sessions.create", asked) for _ in range(2)]
            assert first.object == "billing_portal.session"
            assert (first.customer, first.return_url) == (customer.id, "https://app.test/account")
            assert first.url != second.url
            with pytest.raises(stripe.InvalidRequestError) as refused:
                await sdk("billing_portal.sessions.create", {"customer": "cus_no"})
            assert (refused.value.code, refused.value.param) == ("resource_missing", "customer")

    asyncio.run(story())


@BOTH_WAYS
def test_products_and_prices_of_one_s_own(way: str) -> None:
    async def story() -> None:
        async with staged(way) as (account, _server, sdk):
            product = await sdk("products.create", {"name": "Seats", "metadata": {"tier": "2"}})
            price = await sdk(
                "prices.create",
                {
                    "product": product.id,
                    "currency": "eur",
                    "unit_amount": 300,
                    "recurring": {"interval": "year"},
                    "lookup_key": "seats",
                },
            )
            (found,) = (await sdk("prices.list", {"lookup_keys": ["seats"]})).data
            assert (found.id, found.recurring.interval) == (price.id, "year")
            items = [{"price": price.id, "quantity": 4}]
            session = await sdk("checkout.sessions.create", checkout(line_items=items))
            assert (session.amount_total, session.currency) == (1200, "eur")
            account.complete_session(session.id)
            (subscription,) = (await sdk("subscriptions.list", {"price": price.id})).data
            assert subscription["items"].data[0].price.product == product.id
            assert not (await sdk("prices.update", price.id, {"active": False})).active

    asyncio.run(story())


@pytest.mark.fidelity("The webhook_endpoints API")
@BOTH_WAYS
def test_webhook_endpoints(way: str) -> None:
    """The secret is given once, and what is delivered is opened by it alone."""

    async def story() -> None:
        async with staged(way) as (account, _server, sdk):
            asked: dict[str, Any] = {"url": "https://app.test/hook", "enabled_events": ["customer.created"]}
            made = await sdk("webhook_endpoints.create", asked)
            other = await sdk("webhook_endpoints.create", {**asked, "enabled_events": ["*"]})
            assert "secret" not in await sdk("webhook_endpoints.retrieve", made.id)
            customer = await sdk("customers.create", {"email": "ada@example.test"})
            outbox = account.outbox(made.id)
            attempt = outbox.attempt(outbox.pending()[0], now=int(time.time()))
            signature = attempt.headers["stripe-signature"]
            event = stripe.Webhook.construct_event(attempt.body, signature, made.secret)
            assert (event.data.object["id"], event.pending_webhooks) == (customer.id, 2)
            with pytest.raises(stripe.SignatureVerificationError):
                stripe.Webhook.construct_event(attempt.body, signature, other.secret)
            changed = await sdk("webhook_endpoints.update", made.id, {"disabled": True})
            assert changed.status == "disabled"
            assert (await sdk("webhook_endpoints.delete", other.id)).deleted
            assert [one.id for one in (await sdk("webhook_endpoints.list")).data] == [made.id]

    asyncio.run(story())
