"""An application of pages and forms: sessions, a token against forged requests, redirects, ids that count.

GET  /sign-up         a page whose form holds a token
POST /sign-up         makes the user and their customer; on to /welcome
GET  /welcome         says who is signed in, and which customer they are
POST /subscribe       on to Stripe's page
POST /portal          on to Stripe's portal
POST /hooks/billing   keeps subscriptions, by names of its own: paid, owing, ended
POST /hooks/credits   gives a credit for each paid invoice (twice, at times, with FORMS=credits-twice)
"""

from __future__ import annotations

import os
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import asyncpg
import httpx
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from stripe import SignatureVerificationError, WebhookSignature

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

TWICE = os.environ["FORMS"] == "credits-twice"
STATES = {"active": "paid", "trialing": "paid", "past_due": "owing", "canceled": "ended"}
SECRETS = {"billing": os.environ["BILLING_SECRET"], "credits": os.environ["CREDITS_SECRET"]}
PAGE = """<form method="post" action="/sign-up">
<input type="hidden" name="token" value="{token}"><input name="email"></form>"""


@dataclass(frozen=True)
class Wires:
    pool: asyncpg.Pool
    stripe: httpx.AsyncClient

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        answer = await self.stripe.request(method, path, **more)
        answer.raise_for_status()
        return answer.json()


def wires(request: Request) -> Wires:
    made: Wires = request.app.state.wires
    return made


async def healthz(request: Request) -> Response:
    await wires(request).pool.execute("select 1")
    return PlainTextResponse("ok")


async def page(request: Request) -> Response:
    token = secrets.token_urlsafe(9)
    answer = HTMLResponse(PAGE.format(token=token))
    answer.set_cookie("token", token)
    return answer


async def form_of(request: Request) -> dict[str, str] | None:
    """Give the form; None when it was not sent from a page of ours."""
    form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
    own = f"http://{request.headers['host']}"
    if request.headers.get("origin") != own or form.get("token") != request.cookies.get("token"):
        return None
    return form


async def sign_up(request: Request) -> Response:
    form = await form_of(request)
    if form is None or "email" not in form:
        return PlainTextResponse("forged", 403)
    email, there = form["email"], wires(request)
    async with there.pool.acquire() as db, db.transaction():
        # The row is locked, so a second tab waits here until the customer of the first is in it.
        user = await db.fetchrow(
            "insert into users (email) values ($1) on conflict (email) do update set email = $1 "
            "returning id, customer",
            email,
        )
        if user["customer"] is None:
            data = {"email": email, "metadata[user_id]": user["id"]}
            headers = {"idempotency-key": f"customer-{email}"}
            made = await there.ask("POST", "/v1/customers", data=data, headers=headers)
            await db.execute("update users set customer = $2 where id = $1", user["id"], made["id"])
    answer = RedirectResponse(f"/welcome?id={user['id']}", 303)
    answer.set_cookie("session", str(user["id"]))
    return answer


async def user_of(request: Request) -> Any:
    session = request.cookies.get("session", "")
    if not session.isdigit():
        return None
    return await wires(request).pool.fetchrow("select * from users where id = $1", int(session))


async def welcome(request: Request) -> Response:
    user = await user_of(request)
    if user is None:
        return RedirectResponse("/sign-up", 303)
    return HTMLResponse(f'<p data-user="{user["id"]}" data-customer="{user["customer"]}">Welcome!</p>')


async def subscribe(request: Request) -> Response:
    user, form = await user_of(request), await form_of(request)
    if user is None or form is None:
        return PlainTextResponse("forged", 403)
    made = await wires(request).ask(
        "POST",
        "/v1/checkout/sessions",
        data={
            "mode": "subscription",
            "customer": user["customer"],
            "line_items[0][price]": form["price"],
            "line_items[0][quantity]": "1",
            "success_url": "http://forms.example/welcome",
        },
    )
    return RedirectResponse(made["url"], 303)


async def portal(request: Request) -> Response:
    if await user_of(request) is None:
        return PlainTextResponse("who?", 403)
    return RedirectResponse("https://billing.example/portal", 303)


async def event_of(request: Request, hook: str) -> Any:
    """Give the event; None for one that is not signed with the secret of this endpoint."""
    body = (await request.body()).decode()
    try:
        WebhookSignature.verify_header(body, request.headers.get("stripe-signature", ""), SECRETS[hook], 300)
    except SignatureVerificationError:
        return None
    return await request.json()


async def billing(request: Request) -> Response:
    event = await event_of(request, "billing")
    if event is None:
        return PlainTextResponse("not signed", 400)
    there, name = wires(request), event["data"]["object"]["id"]
    async with there.pool.acquire() as db, db.transaction():
        await db.execute("select pg_advisory_xact_lock(hashtext($1))", name)
        now = await there.ask("GET", f"/v1/subscriptions/{name}")
        await db.execute(
            "insert into plans select $1, id, $2, $3 from users where customer = $2 "
            "on conflict (subscription) do update set state = $3",
            name,
            now["customer"],
            STATES[now["status"]],
        )
    return PlainTextResponse("kept")


async def credits(request: Request) -> Response:
    event = await event_of(request, "credits")
    if event is None:
        return PlainTextResponse("not signed", 400)
    invoice, pool = event["data"]["object"], wires(request).pool
    if TWICE and await pool.fetchval("select 1 from credits where invoice = $1", invoice["id"]):
        return PlainTextResponse("given already")
    await pool.execute(
        "insert into credits (user_id, invoice) select id, $2 from users where customer = $1 "
        "on conflict do nothing",
        invoice["customer"],
        invoice["id"],
    )
    return PlainTextResponse("given")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    headers = {"authorization": f"Bearer {os.environ['STRIPE_SECRET_KEY']}"}
    stripe = httpx.AsyncClient(base_url=os.environ["STRIPE_API_BASE"], headers=headers, timeout=20.0)
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=8) as pool, stripe:
        app.state.wires = Wires(pool, stripe)
        yield


app = Starlette(
    routes=[
        Route("/healthz", healthz),
        Route("/sign-up", page),
        Route("/sign-up", sign_up, methods=["POST"]),
        Route("/welcome", welcome),
        Route("/subscribe", subscribe, methods=["POST"]),
        Route("/portal", portal, methods=["POST"]),
        Route("/hooks/billing", billing, methods=["POST"]),
        Route("/hooks/credits", credits, methods=["POST"]),
    ],
    lifespan=lifespan,
)
