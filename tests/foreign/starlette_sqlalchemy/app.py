"""A naive sign-up in Starlette and SQLAlchemy 2 (asyncpg beneath it): look first, act later.

Stripe is called with httpx alone. With TRUTH=1 each statement says at its end which request it is of.
"""

from __future__ import annotations

import os
import re
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import event, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

engine = create_async_engine(make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+asyncpg"))
stripe = httpx.AsyncClient(
    base_url=os.environ["STRIPE_API_BASE"],
    headers={"Authorization": f"Bearer {os.environ['STRIPE_SECRET_KEY']}"},
    timeout=30,
)
span: ContextVar[str] = ContextVar("span", default="")


async def healthz(request: Request) -> PlainTextResponse:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    return PlainTextResponse("ok")


async def sign_up(request: Request) -> JSONResponse:
    parent = re.fullmatch(r"00-[0-9a-f]{32}-([0-9a-f]{16})-01", request.headers.get("traceparent", ""))
    span.set(parent[1] if parent and os.environ.get("TRUTH") == "1" else "")
    body = await request.json()
    user, email = body["userId"], body["email"]
    async with engine.connect() as connection:
        found = await connection.scalar(
            text("SELECT stripe_customer_id FROM profiles WHERE user_id = :user"), {"user": user}
        )
    if found:
        return JSONResponse({"stripeCustomerId": found})
    customer = await create_customer(user, email)
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO profiles (user_id, email, stripe_customer_id) VALUES (:user, :email, :customer)"
            ),
            {"user": user, "email": email, "customer": customer},
        )
    return JSONResponse({"stripeCustomerId": customer})


async def create_customer(user: str, email: str) -> str:
    """Make the customer at Stripe; give its id."""
    made = await stripe.post("/v1/customers", data={"email": email, "metadata[user_id]": user})
    made.raise_for_status()
    return str(made.json()["id"])


@event.listens_for(engine.sync_engine, "before_cursor_execute", retval=True)
def truly(
    connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
) -> tuple[str, Any]:
    """Add the request's span to a statement, where the truth is asked for."""
    return (f"{statement} /* truth={span.get()} */" if span.get() else statement), parameters


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with stripe:
        yield
    await engine.dispose()


app = Starlette(
    routes=[Route("/healthz", healthz), Route("/sign-up", sign_up, methods=["POST"])], lifespan=lifespan
)
