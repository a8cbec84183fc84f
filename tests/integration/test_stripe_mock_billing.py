"""stripe-mock has nothing against what billing code sends to the routes of billing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import stripe
from stripe_mock_binary import mock_binary
from stripe_stage import SDK_WARNING, client, stage

from deadheat.engine.stripe_mock import StripeMock
from deadheat.stripe_sim import MONTHLY, PRODUCT

if TYPE_CHECKING:
    from deadheat.stripe_sim import Account

pytestmark = pytest.mark.filterwarnings(SDK_WARNING)


@pytest.mark.slow
def test_the_routes_of_billing_pass_it() -> None:
    notices: list[str] = []

    async def run() -> None:
        async with (
            StripeMock.open(mock_binary(), notice=notices.append) as mock,
            stage(mock=mock, mode="enforce", notice=notices.append) as (account, server),
        ):
            v1 = client(server).v1
            customer = await _cards(v1)
            await _set_up(v1, customer)
            await _catalog(v1)
            await _subscriptions(v1, account, customer)
            await _invoices(v1, account, customer)
            await _discounts(v1)
            await _invoice_items(v1, customer)
            await _portal(v1, customer)

    asyncio.run(run())
    assert notices == []


async def _cards(v1: stripe._v1_services.V1Services) -> str:
    customer = await v1.customers.create_async({"email": "a@b.c"})
    first = await v1.payment_methods.attach_async("pm_card_mastercard", {"customer": customer.id})
    asked: Any = {"type": "card", "card": {"token": "tok_visa"}}
    second = await v1.payment_methods.create_async(asked)
    await v1.payment_methods.attach_async(second.id, {"customer": customer.id})
    await v1.payment_methods.detach_async(first.id)
    settings: Any = {"invoice_settings": {"default_payment_method": second.id}, "balance": -100}
    await v1.customers.update_async(customer.id, settings)
    intent = await v1.payment_intents.create_async(
        {"amount": 500, "currency": "usd", "customer": customer.id, "payment_method_types": ["card"]}
    )
    await v1.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa"})
    unpaid = await v1.payment_intents.create_async({"amount": 500, "currency": "usd"})
    await v1.payment_intents.cancel_async(unpaid.id)
    await v1.customers.balance_transactions.create_async(customer.id, {"amount": -100, "currency": "usd"})
    return customer.id


async def _set_up(v1: stripe._v1_services.V1Services, customer: str) -> None:
    made = await v1.setup_intents.create_async(
        {"customer": customer, "usage": "off_session", "payment_method_types": ["card"]}
    )
    await v1.setup_intents.update_async(made.id, {"metadata": {"user": "u1"}})
    back = {"payment_method": "pm_card_authenticationRequired", "return_url": "https://app.test"}
    waits = await v1.setup_intents.confirm_async(made.id, back)  # type: ignore[arg-type]
    assert waits.status == "requires_action"
    await v1.setup_intents.cancel_async(made.id, {"cancellation_reason": "abandoned"})
    session = await v1.checkout.sessions.create_async(
        {"mode": "setup", "currency": "usd", "customer": customer, "success_url": "https://app.test"}
    )
    assert session.setup_intent


async def _catalog(v1: stripe._v1_services.V1Services) -> None:
    product = await v1.products.create_async({"name": "Pro", "metadata": {"tier": "2"}})
    price = await v1.prices.create_async(
        {
            "currency": "usd",
            "unit_amount": 500,
            "recurring": {"interval": "month", "interval_count": 3},
            "product": product.id,
            "lookup_key": "pro",
        }
    )
    await v1.prices.update_async(price.id, {"active": False, "nickname": "old"})
    await v1.products.update_async(product.id, {"name": "Pro+", "default_price": price.id})


async def _subscriptions(v1: stripe._v1_services.V1Services, account: Account, customer: str) -> None:
    made = await v1.subscriptions.create_async(
        {
            "customer": customer,
            "items": [{"price": MONTHLY, "quantity": 2, "metadata": {"seat": "a"}}],
            "payment_behavior": "error_if_incomplete",
            "cancel_at_period_end": False,
            "off_session": True,
            "metadata": {"user_id": "u"},
        }
    )
    added = await v1.subscription_items.create_async({"subscription": made.id, "price_data": _monthly()})
    await v1.subscription_items.update_async(added.id, {"quantity": 3, "proration_behavior": "none"})
    await v1.subscription_items.delete_async(added.id)
    await v1.subscriptions.update_async(made.id, {"pause_collection": {"behavior": "void"}})
    await v1.subscriptions.update_async(made.id, {"pause_collection": "", "cancel_at": account.now + 9})
    other = await v1.customers.create_async({})
    trial = await v1.subscriptions.create_async(
        {
            "customer": other.id,
            "items": [{"price_data": _monthly()}],
            "trial_period_days": 7,
            "trial_settings": {"end_behavior": {"missing_payment_method": "pause"}},
        }
    )
    account.renew_subscription(trial.id)
    assert (await v1.subscriptions.resume_async(trial.id, {"billing_cycle_anchor": "now"})).status == "paused"


def _monthly() -> Any:
    return {"currency": "usd", "product": PRODUCT, "unit_amount": 5, "recurring": {"interval": "month"}}


async def _invoices(v1: stripe._v1_services.V1Services, account: Account, customer: str) -> None:
    made = await v1.subscriptions.create_async({"customer": customer, "items": [{"price": MONTHLY}]})
    unpaid = []
    for _ in range(3):
        account.renew_subscription(made.id, decline="insufficient_funds")
        unpaid.append(account.made_since(0).invoices[-1]["id"])
    await v1.credit_notes.create_async({"invoice": unpaid[0], "amount": 100, "reason": "duplicate"})
    assert (await v1.invoices.pay_async(unpaid[0], {"off_session": True})).status == "paid"
    await v1.credit_notes.create_async({"invoice": unpaid[0], "amount": 100, "refund_amount": 100})
    assert (await v1.invoices.void_invoice_async(unpaid[1])).status == "void"
    assert (await v1.invoices.mark_uncollectible_async(unpaid[2])).status == "uncollectible"
    await v1.subscriptions.update_async(made.id, {"pause_collection": {"behavior": "keep_as_draft"}})
    account.renew_subscription(made.id)
    draft = account.made_since(0).invoices[-1]["id"]
    assert (await v1.invoices.finalize_invoice_async(draft, {"auto_advance": False})).status == "open"


async def _discounts(v1: stripe._v1_services.V1Services) -> None:
    """Coupons and codes, named wherever they can be."""
    flat: Any = {"amount_off": 100, "currency": "usd", "duration": "repeating", "duration_in_months": 3}
    coupon = await v1.coupons.create_async(
        {**flat, "max_redemptions": 9, "applies_to": {"products": [PRODUCT]}}
    )
    await v1.coupons.update_async(coupon.id, {"name": "Early"})
    code = await v1.promotion_codes.create_async(
        {
            "promotion": {"type": "coupon", "coupon": coupon.id},
            "code": "EARLY",
            "restrictions": {"first_time_transaction": True},
        }
    )
    customer = await v1.customers.create_async({"payment_method": "pm_card_visa"})
    card = (await v1.customers.payment_methods.list_async(customer.id)).data[0].id
    made = await v1.subscriptions.create_async(
        {
            "customer": customer.id,
            "items": [{"price": MONTHLY}],
            "default_payment_method": card,
            "discounts": [{"promotion_code": code.id}],
        }
    )
    item = made["items"].data[0].id
    details: Any = {"items": [{"id": item, "quantity": 2}], "proration_behavior": "always_invoice"}
    said = await v1.invoices.create_preview_async({"subscription": made.id, "subscription_details": details})
    after = await v1.subscriptions.update_async(made.id, {**details, "expand": ["latest_invoice"]})
    assert isinstance(after.latest_invoice, stripe.Invoice)
    assert after.latest_invoice.total == said.total == 2000
    await v1.subscriptions.delete_discount_async(made.id)
    session: Any = {"mode": "subscription", "success_url": "https://app.test", "allow_promotion_codes": True}
    await v1.checkout.sessions.create_async({**session, "line_items": [{"price": MONTHLY, "quantity": 1}]})
    await v1.promotion_codes.update_async(code.id, {"active": False})
    await v1.coupons.delete_async(coupon.id)


async def _invoice_items(v1: stripe._v1_services.V1Services, customer: str) -> None:
    item = await v1.invoice_items.create_async({"customer": customer, "amount": 500, "currency": "usd"})
    await v1.invoice_items.update_async(item.id, {"amount": 700, "description": "Setup"})
    made = await v1.invoices.create_async(
        {
            "customer": customer,
            "collection_method": "send_invoice",
            "days_until_due": 14,
            "pending_invoice_items_behavior": "include",
        }
    )
    assert [line.amount for line in made.lines.data][-1] == 700  # after the prorations that waited
    line: Any = {"amount": 50, "description": "More"}
    assert (await v1.invoices.add_lines_async(made.id, {"lines": [line]})).total == made.total + 50
    assert (await v1.invoices.send_invoice_async(made.id)).status == "open"
    draft = await v1.invoices.create_async({"customer": customer, "auto_advance": False})
    assert (await v1.invoices.delete_async(draft.id)).deleted


async def _portal(v1: stripe._v1_services.V1Services, customer: str) -> None:
    own = await v1.billing_portal.configurations.create_async(
        {"features": {"invoice_history": {"enabled": True}}}
    )
    await v1.billing_portal.configurations.update_async(own.id, {"default_return_url": "https://a.test"})
    session = await v1.billing_portal.sessions.create_async(
        {"customer": customer, "configuration": own.id, "return_url": "https://app.test"}
    )
    assert session.url
