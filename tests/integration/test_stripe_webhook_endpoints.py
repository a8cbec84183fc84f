"""The webhook_endpoints API by the official SDK, stripe-mock behind it: from its making to its end."""

from __future__ import annotations

import asyncio
import time

import pytest
import stripe
from sdk_ways import BOTH_WAYS, sdk
from stripe_mock_binary import mock_binary
from stripe_stage import SDK_WARNING, stage

from deadheat.engine.stripe_mock import StripeMock

pytestmark = [pytest.mark.filterwarnings(SDK_WARNING), pytest.mark.slow]


@pytest.mark.fidelity("The webhook_endpoints API")
@BOTH_WAYS
def test_an_application_makes_its_own_endpoint(way: str) -> None:
    async def story() -> None:
        told: list[str] = []
        async with (
            StripeMock.open(mock_binary(), notice=told.append) as mock,
            stage(mock=mock, notice=told.append) as (account, server),
            sdk(way, server) as called,
        ):
            made = await called(
                "webhook_endpoints.create",
                {
                    "url": "https://app.test/hook",
                    "enabled_events": ["customer.created", "customer.deleted"],
                    "api_version": "2024-06-20",
                    "metadata": {"of": "app"},
                },
            )
            assert (await called("webhook_endpoints.retrieve", made.id)).metadata["of"] == "app"
            customer = await called("customers.create", {"email": "ada@example.test"})
            await called("webhook_endpoints.update", made.id, {"enabled_events": ["*"], "disabled": True})
            await called("customers.delete", customer.id)
            (listed,) = (await called("webhook_endpoints.list")).data
            assert (listed.status, listed.enabled_events) == ("disabled", ["*"])
            await called("webhook_endpoints.update", made.id, {"disabled": False})
            outbox = account.outbox(made.id)
            (event_id,) = outbox.emitted()
            attempt = outbox.attempt(event_id, now=int(time.time()))
            opened = stripe.Webhook.construct_event(
                attempt.body, attempt.headers["stripe-signature"], made.secret
            )
            assert (opened.type, opened.api_version) == ("customer.created", "2024-06-20")
            assert (await called("webhook_endpoints.delete", made.id)).deleted
            with pytest.raises(stripe.InvalidRequestError, match="No such"):
                await called("webhook_endpoints.retrieve", made.id)
            wrong = {"url": "https://app.test/hook", "enabled_events": ["customer.sneezed"]}
            with pytest.raises(stripe.InvalidRequestError) as refused:
                await called("webhook_endpoints.create", wrong)
            assert (refused.value.param or "").startswith("enabled_events")
        assert told == []

    asyncio.run(story())
