"""A small shop that has never heard of Deadheat: Starlette, asyncpg, Stripe's library, a schema of its own.

It looks for a person's customer before it makes one, and nothing keeps a second tab from looking too.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import stripe
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

billing = stripe.StripeClient(
    os.environ["STRIPE_SECRET_KEY"], base_addresses={"api": os.environ["STRIPE_API_BASE"]}
).v1


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Keep a pool for as long as the shop is open."""
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=2, max_size=8) as pool:
        app.state.pool = pool
        yield


async def open_for_business(request: Request) -> PlainTextResponse:
    """Say that the shop is open."""
    return PlainTextResponse("open")


async def join(request: Request) -> JSONResponse:
    """Take a person in, with a customer at Stripe."""
    body = await request.json()
    person = await request.app.state.pool.fetchrow(
        "insert into people (email) values ($1) on conflict (email) do update set email = excluded.email "
        "returning id, customer",
        body["email"],
    )
    customer = person["customer"]
    if customer is None:
        made = await billing.customers.create_async(
            {"email": body["email"], "metadata": {"person": str(person["id"])}}
        )
        customer = made.id
        await request.app.state.pool.execute(
            "update people set customer = $2 where id = $1", person["id"], customer
        )
    return JSONResponse({"person": {"id": person["id"], "customer": customer}}, status_code=201)


async def buy(request: Request) -> JSONResponse:
    """Open a checkout session for somebody who has joined."""
    body = await request.json()
    customer = await request.app.state.pool.fetchval(
        "select customer from people where id = $1", int(body["person"])
    )
    if customer is None:
        return JSONResponse({"sorry": "join first"}, status_code=409)
    session = await billing.checkout.sessions.create_async(
        {
            "mode": "subscription",
            "customer": customer,
            "line_items": [{"price": body["price"], "quantity": 1}],
            "success_url": "https://shop.example/thanks",
        }
    )
    return JSONResponse({"session": session.id})


async def hear(request: Request) -> PlainTextResponse:
    """Take a webhook of Stripe's."""
    try:
        event: Any = stripe.Webhook.construct_event(
            await request.body(),
            request.headers.get("stripe-signature", ""),
            os.environ["STRIPE_WEBHOOK_SECRET"],
        )
    except (ValueError, stripe.SignatureVerificationError):
        return PlainTextResponse("no", status_code=400)
    if event["type"].startswith("customer.subscription."):
        plan = event["data"]["object"]
        await request.app.state.pool.execute(
            "insert into plans (subscription, customer, status) values ($1, $2, $3) "
            "on conflict (subscription) do update set status = excluded.status",
            plan["id"],
            plan["customer"],
            plan["status"],
        )
    return PlainTextResponse("ok")


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/open", open_for_business),
        Route("/join", join, methods=["POST"]),
        Route("/buy", buy, methods=["POST"]),
        Route("/stripe", hear, methods=["POST"]),
    ],
)
