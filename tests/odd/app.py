"""Targets that are odd in one way each: the variable ODD says in which, `sign_ups` and below how.

POST /register       makes the user's row and two accounts
POST /sign-up        as the mode has it; 202 when it answers first
GET  /heard          once the listening connection was told of the user (mode listens)
POST /transfer/a|b   moves one between the user's accounts; a and b lock them in opposite order
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
from sign_ups import SIGN_UPS
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from wires import Wires, on_behalf_of, open_wires, truly

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

ODD = os.environ["ODD"]
HEARD_SECONDS_MAX = 3.0
ATTEMPTS = {"deadlock-retries": 10}


async def healthz(request: Request) -> PlainTextResponse:
    await wires_of(request).pool.execute("select 1")
    return PlainTextResponse("ok")


async def register(request: Request) -> JSONResponse:
    user, _ = await user_of(request)
    async with wires_of(request).pool.acquire() as connection, connection.transaction():
        await connection.execute(truly("insert into users values ($1)"), user)
        await connection.execute(truly("insert into accounts values ($1, 'a', 100), ($1, 'b', 100)"), user)
    return JSONResponse({})


async def sign_up(request: Request) -> JSONResponse:
    customer = await SIGN_UPS[ODD](wires_of(request), *await user_of(request))
    return JSONResponse({"stripeCustomerId": customer}) if customer else JSONResponse({}, 202)


async def heard(request: Request) -> JSONResponse:
    await asyncio.wait_for(
        wires_of(request).hearing_of(request.query_params["user"]).wait(), HEARD_SECONDS_MAX
    )
    return JSONResponse({})


async def transfer(request: Request) -> JSONResponse:
    """Move one from an account to the other; a deadlock is a 500 unless there are attempts left."""
    user, _ = await user_of(request)
    wires, first = wires_of(request), request.path_params["first"]
    for left in reversed(range(ATTEMPTS.get(ODD, 1))):
        try:
            await _transfer(wires, user, first, "b" if first == "a" else "a")
            break
        except asyncpg.DeadlockDetectedError:
            if not left:
                raise
    return JSONResponse({})


async def _transfer(wires: Wires, user: str, first: str, second: str) -> None:
    async with wires.pool.acquire() as connection, connection.transaction():
        for name, change in ((first, -1), (second, 1)):
            await connection.execute(
                truly("update accounts set balance = balance + $3 where user_id = $1 and name = $2"),
                user,
                name,
                change,
            )


async def user_of(request: Request) -> tuple[str, str]:
    """Give the id and the e-mail that a request names; whatever follows is on its behalf."""
    on_behalf_of(request.headers.get("traceparent", ""))
    body: dict[str, Any] = await request.json()
    return body["userId"], body["email"]


def wires_of(request: Request) -> Wires:
    """Give the target's ways out."""
    wires: Wires = request.app.state.wires
    return wires


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with open_wires(ODD) as app.state.wires:
        yield


app = Starlette(
    routes=[
        Route("/healthz", healthz),
        Route("/register", register, methods=["POST"]),
        Route("/sign-up", sign_up, methods=["POST"]),
        Route("/heard", heard),
        Route("/transfer/{first:str}", transfer, methods=["POST"]),
    ],
    lifespan=lifespan,
)
