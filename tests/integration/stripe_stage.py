"""A simulator with the official SDK in front of it, and the stripe-mock of this machine."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import stripe

from deadheat.engine.stripe_server import StripeServer
from deadheat.stripe_sim import API_VERSION, MONTHLY, Account

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SDK_WARNING = "ignore:Use 'content=<...>' to upload raw bytes/text content:DeprecationWarning"
"""What httpx says about the way in which Stripe's own library sends its forms."""
KEY = "sk_test_stage"
START = 1_700_000_000


_OPEN: list[stripe.HTTPXClient] = []


def client(
    server: StripeServer, *, version: str = API_VERSION, retries: int = 0, key: str = KEY
) -> stripe.StripeClient:
    """Give an SDK client for async calls; `closing_clients`, and so `stage`, closes it."""
    http = stripe.HTTPXClient()
    _OPEN.append(http)
    return stripe.StripeClient(
        key,
        base_addresses={"api": server.url},
        max_network_retries=retries,
        stripe_version=version,
        http_client=http,
    )


@contextmanager
def sync_client(
    server: StripeServer, *, version: str = API_VERSION, retries: int = 0, key: str = KEY
) -> Iterator[stripe.StripeClient]:
    """Give an SDK client for sync calls, for one thread."""
    http = stripe.RequestsClient()
    try:
        yield stripe.StripeClient(
            key,
            base_addresses={"api": server.url},
            max_network_retries=retries,
            stripe_version=version,
            http_client=http,
        )
    finally:
        http.close()  # type: ignore[no-untyped-call]


@asynccontextmanager
async def closing_clients() -> AsyncIterator[None]:
    try:
        yield
    finally:
        while _OPEN:
            await _OPEN.pop().close_async()  # type: ignore[no-untyped-call]


@asynccontextmanager
async def stage(**options: Any) -> AsyncIterator[tuple[Account, StripeServer]]:
    """Run a simulator and check that nothing of ours failed meanwhile."""
    account = Account(seed=3, started_at=START, secret_key=KEY)
    async with closing_clients(), StripeServer(account, **options) as server:
        yield account, server
        assert server.failure is None


def checkout(**params: Any) -> dict[str, Any]:
    return {
        "mode": "subscription",
        "success_url": "https://app.test/done",
        "line_items": [{"price": MONTHLY, "quantity": 1}],
        **params,
    }
