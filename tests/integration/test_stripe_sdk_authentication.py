"""Payments that need their customer, setup intents and invoice payments, by the official Python SDK."""

from __future__ import annotations

import asyncio

import pytest
import stripe
from sdk_ways import BOTH_WAYS, staged
from stripe_stage import SDK_WARNING

from deadheat.stripe_sim import MONTHLY

pytestmark = [
    pytest.mark.filterwarnings(SDK_WARNING),
    pytest.mark.fidelity("stripe-python, sync"),
    pytest.mark.fidelity("stripe-python, async"),
]

ASKS = "pm_card_authenticationRequired"
UNTIL_SET_UP = "pm_card_authenticationRequiredOnSetup"


@BOTH_WAYS
def test_a_first_invoice_that_asks_for_the_customer(way: str) -> None:
    async def story() -> None:
        async with staged(way) as (account, _server, sdk):
            customer = await sdk("customers.create", {"email": "ada@example.test"})
            card = await sdk("payment_methods.attach", ASKS, {"customer": customer.id})
            made = await sdk(
                "subscriptions.create",
                {
                    "customer": customer.id,
                    "default_payment_method": card.id,
                    "expand": ["latest_invoice.payments", "latest_invoice.confirmation_secret"],
                    "items": [{"price": MONTHLY}],
                },
            )
            assert made.status == "incomplete"
            (payment,) = made.latest_invoice.payments.data
            waits = await sdk("payment_intents.retrieve", payment.payment.payment_intent)
            assert (waits.status, waits.next_action.type) == ("requires_action", "use_stripe_sdk")
            assert waits.client_secret == made.latest_invoice.confirmation_secret.client_secret
            account.authenticate(waits.id)
            paid = await sdk("invoice_payments.retrieve", payment.id, {"expand": ["invoice"]})
            assert (paid.status, paid.invoice.status) == ("paid", "paid")
            assert (await sdk("subscriptions.retrieve", made.id)).status == "active"

    asyncio.run(story())


@pytest.mark.fidelity("stripe-python raises its own classes of errors")
@BOTH_WAYS
def test_a_card_is_set_up_and_charged_without_its_customer(way: str) -> None:
    async def story() -> None:
        async with staged(way) as (account, _server, sdk):
            customer = await sdk("customers.create", {"email": "ada@example.test"})
            paid = {"amount": 500, "currency": "usd", "confirm": True, "off_session": True}
            with pytest.raises(stripe.CardError) as refused:
                await sdk("payment_intents.create", {**paid, "payment_method": UNTIL_SET_UP})
            assert (refused.value.http_status, refused.value.code) == (402, "authentication_required")
            assert refused.value.error is not None
            assert refused.value.error.payment_intent is not None
            assert refused.value.error.payment_intent["status"] == "requires_payment_method"
            asked = {"customer": customer.id, "payment_method_types": ["card"], "usage": "off_session"}
            made = await sdk("setup_intents.create", asked)
            waits = await sdk("setup_intents.confirm", made.id, {"payment_method": UNTIL_SET_UP})
            assert waits.status == "requires_action"
            card = account.authenticate(made.id)["payment_method"]
            (known,) = (await sdk("setup_intents.list", {"customer": customer.id})).data
            assert (known.id, known.status, known.payment_method) == (made.id, "succeeded", card)
            charged = await sdk(
                "payment_intents.create", {**paid, "customer": customer.id, "payment_method": card}
            )
            assert charged.status == "succeeded"
            with pytest.raises(stripe.InvalidRequestError) as over:
                await sdk("setup_intents.cancel", made.id)
            assert over.value.code == "setup_intent_unexpected_state"

    asyncio.run(story())
