"""The official Python SDK both ways: each call by its sync or its async method, behind one await."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pytest
import stripe
from stripe_stage import KEY, client, stage, sync_client

from deadheat.engine.stripe_server import OpenGate
from deadheat.history import StepKind
from deadheat.stripe_sim import API_VERSION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from deadheat.engine.stripe_server import StripeServer
    from deadheat.stripe_sim import Account, Call

LATEST: str = stripe.api_version
"""The version that the SDK speaks unless it is told another."""
BOTH_WAYS = pytest.mark.parametrize("way", ["sync", "async"])


class Sdk:
    """A `stripe.StripeClient`: ``await sdk("customers.create", {…})``, ``await sdk.paged(page)``."""

    def __init__(self, made: stripe.StripeClient, thread: ThreadPoolExecutor | None) -> None:
        self._services = made.v1
        self._thread = thread

    async def __call__(self, method: str, *args: Any) -> Any:
        """Call a method of a service by its name."""
        if self._thread is None:
            return await attrgetter(f"{method}_async")(self._services)(*args)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, attrgetter(method)(self._services), *args)

    async def paged(self, page: Any) -> list[Any]:
        """Give everything that a page and those behind it hold."""
        if self._thread is None:
            return [found async for found in page.auto_paging_iter()]
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: list(page.auto_paging_iter()))


@asynccontextmanager
async def sdk(
    way: str, server: StripeServer, *, retries: int = 0, key: str = KEY, version: str = API_VERSION
) -> AsyncIterator[Sdk]:
    """Give the SDK one way; its sync methods run in one thread of their own, whose session is closed."""
    if way == "async":
        yield Sdk(client(server, retries=retries, key=key, version=version), None)
        return
    with ThreadPoolExecutor(1) as thread:
        opened = sync_client(server, retries=retries, key=key, version=version)
        loop = asyncio.get_running_loop()
        try:
            yield Sdk(await loop.run_in_executor(thread, opened.__enter__), thread)
        finally:
            await loop.run_in_executor(thread, opened.__exit__, None, None, None)


@asynccontextmanager
async def staged(
    way: str, *, retries: int = 0, version: str = API_VERSION
) -> AsyncIterator[tuple[Account, StripeServer, Sdk]]:
    """Run a simulator with the SDK in front of it, one way."""
    async with stage() as (account, server), sdk(way, server, retries=retries, version=version) as called:
        yield account, server, called


class FailFirst(OpenGate):
    """Makes the first calls fail, each by a ``fault`` of `Account.fail`; later ones pass. Counts all."""

    def __init__(self, account: Account, *faults: dict[str, Any]) -> None:
        self._account = account
        self._faults = list(faults)
        self.calls: list[Call] = []

    def crossed(self, kind: StepKind, call: Call) -> None:
        """Fail a call that was just received, if its turn is one that fails."""
        if kind is StepKind.RECEIVED:
            self.calls.append(call)
            if self._faults:
                self._account.fail(call, **self._faults.pop(0))
