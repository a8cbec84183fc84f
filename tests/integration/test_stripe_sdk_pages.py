"""The official Python SDK goes through pages by itself: forwards, backwards, and through search."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import stripe
from sdk_ways import BOTH_WAYS, Sdk, staged
from stripe_stage import SDK_WARNING, checkout

from deadheat.stripe_sim.search import LAG

pytestmark = [
    pytest.mark.filterwarnings(SDK_WARNING),
    pytest.mark.fidelity("stripe-python pages through lists and search by itself"),
]


async def people(sdk: Sdk, number: int, **more: Any) -> list[str]:
    """Make customers and give their ids, newest first."""
    asked = {"email": "ada@example.test", **more}
    return [(await sdk("customers.create", asked)).id for _ in range(number)][::-1]


@BOTH_WAYS
def test_forwards(way: str) -> None:
    async def story() -> None:
        async with staged(way) as (_, server, sdk):
            made = await people(sdk, 7)
            await people(sdk, 1, email="eve@example.test")
            asked: list[str] = []
            server.gate.crossed = lambda kind, call: asked.append(call.request.query)  # type: ignore[method-assign]
            page = await sdk("customers.list", {"email": "ada@example.test", "limit": 3})
            assert (len(page.data), page.has_more) == (3, True)
            assert [one.id for one in await sdk.paged(page)] == made
            cursors = [query for query in dict.fromkeys(asked) if "starting_after" in query]
            assert len(cursors) == 2
            assert all("email=ada%40example.test" in query for query in cursors)

    asyncio.run(story())


@BOTH_WAYS
def test_backwards(way: str) -> None:
    """With ending_before the SDK goes from that object to the newest."""

    async def story() -> None:
        async with staged(way) as (_, _server, sdk):
            made = await people(sdk, 7)
            page = await sdk("customers.list", {"limit": 2, "ending_before": made[-1]})
            assert [one.id for one in page.data] == made[4:6]
            assert page.has_more
            assert [one.id for one in await sdk.paged(page)] == made[5::-1]

    asyncio.run(story())


@BOTH_WAYS
def test_full_last_pages_and_empty_ones(way: str) -> None:
    async def story() -> None:
        async with staged(way) as (_, _server, sdk):
            assert await sdk.paged(await sdk("customers.list")) == []
            made = await people(sdk, 4)
            page = await sdk("customers.list", {"limit": 2})
            assert [one.id for one in await sdk.paged(page)] == made

    asyncio.run(story())


@BOTH_WAYS
def test_search(way: str) -> None:
    async def story() -> None:
        async with staged(way) as (account, _server, sdk):
            made = await people(sdk, 7, metadata={"team": "x"})
            await people(sdk, 2, metadata={"team": "y"})
            asked = {"query": "metadata['team']:'x'", "limit": 3}
            assert await sdk.paged(await sdk("customers.search", asked)) == []
            account.tick(LAG)
            page = await sdk("customers.search", asked)
            assert (page.object, len(page.data), page.has_more) == ("search_result", 3, True)
            found = [one.id for one in await sdk.paged(page)]
            assert sorted(found) == sorted(made)

    asyncio.run(story())


@BOTH_WAYS
def test_search_for_subscriptions(way: str) -> None:
    async def story() -> None:
        async with staged(way) as (account, _server, sdk):
            for user in ("u1", "u2", "u1"):
                data = {"metadata": {"user_id": user}}
                session = await sdk("checkout.sessions.create", checkout(subscription_data=data))
                account.complete_session(session.id)
            listed = [one.id for one in (await sdk("subscriptions.list")).data]
            await sdk("subscriptions.cancel", listed[2])
            account.tick(LAG)
            asked = {"query": "metadata['user_id']:'u1'", "limit": 1}
            found = await sdk.paged(await sdk("subscriptions.search", asked))
            assert sorted(one.id for one in found) == sorted([listed[0], listed[2]])
            both = {"query": "status:'active' AND metadata['user_id']:'u1'"}
            assert [one.id for one in (await sdk("subscriptions.search", both)).data] == [listed[0]]

    asyncio.run(story())


@BOTH_WAYS
def test_events(way: str) -> None:
    async def story() -> None:
        async with staged(way) as (_, _server, sdk):
            made = await people(sdk, 5)
            page = await sdk("events.list", {"type": "customer.created", "limit": 2})
            assert [event.data.object["id"] for event in await sdk.paged(page)] == made
            first = (await sdk("events.list", {"limit": 100})).data[-1].id
            page = await sdk("events.list", {"limit": 2, "ending_before": first})
            assert [event.data.object["id"] for event in await sdk.paged(page)] == made[3::-1]

    asyncio.run(story())


@BOTH_WAYS
def test_line_items(way: str) -> None:
    """The parts of one object page as lists do, first to last."""

    async def story() -> None:
        async with staged(way) as (_, _server, sdk):
            made = {"currency": "eur", "product_data": {"name": "Mug"}}
            items = [{"price_data": {**made, "unit_amount": n}, "quantity": 1} for n in range(1, 13)]
            asked = {"expand": ["line_items"], "mode": "payment", "line_items": items}
            session = await sdk("checkout.sessions.create", checkout(**asked))
            assert (len(session.line_items.data), session.line_items.has_more) == (10, True)
            page = await sdk("checkout.sessions.line_items.list", session.id, {"limit": 5})
            found = await sdk.paged(page)
            assert [one.amount_total for one in found] == list(range(1, 13))
            before = {"limit": 2, "ending_before": found[3].id}
            page = await sdk("checkout.sessions.line_items.list", session.id, before)
            assert ([one.amount_total for one in page.data], page.has_more) == ([2, 3], True)
            with pytest.raises(stripe.InvalidRequestError) as refused:
                await sdk("checkout.sessions.line_items.list", session.id, {"starting_after": "li_no"})
            assert refused.value.param == "starting_after"

    asyncio.run(story())
