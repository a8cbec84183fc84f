"""Coupons, invoice items and prorations by the official Python SDK, sync and async."""

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
SESSION = {
    "mode": "subscription",
    "success_url": "https://app.test/done",
    "line_items": [{"price": MONTHLY, "quantity": 1}],
    "allow_promotion_codes": True,
}


@BOTH_WAYS
def test_a_code_an_item_and_a_change(way: str) -> None:
    async def story() -> None:
        async with staged(way) as (account, _server, sdk):
            coupon = await sdk("coupons.create", {"percent_off": 25, "duration": "once"})
            promotion = {"type": "coupon", "coupon": coupon.id}
            code = await sdk("promotion_codes.create", {"promotion": promotion, "max_redemptions": 1})
            session = await sdk("checkout.sessions.create", SESSION)
            paid = account.complete_session(session.id, promotion_code=code.code)
            assert paid["amount_total"] == 1500
            asked = {"expand": ["discounts.source.coupon", "lines"]}
            invoice = await sdk("invoices.retrieve", paid["invoice"], asked)
            assert invoice.discounts[0].source.coupon.id == coupon.id
            assert invoice.total_discount_amounts[0].amount == 500
            item = {"customer": paid["customer"], "amount": 300, "currency": "usd"}
            await sdk("invoice_items.create", item)
            subscription = await sdk("subscriptions.retrieve", paid["subscription"])
            of_item = {"id": subscription["items"].data[0].id, "quantity": 2}
            asked = {"items": [of_item], "proration_behavior": "always_invoice"}
            changed = await sdk("subscriptions.update", subscription.id, asked)
            bill = await sdk("invoices.retrieve", changed.latest_invoice)
            assert [line.amount for line in bill.lines.data] == [300, -2000, 4000]
            assert (bill.status, bill.amount_paid) == ("paid", 2300)
            with pytest.raises(stripe.InvalidRequestError) as refused:
                await sdk("promotion_codes.update", code.id, {"active": True})
            assert refused.value.param == "active"

    asyncio.run(story())
