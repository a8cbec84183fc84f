"""The endpoints as they were: right whenever things happen one after the other, and only then.

What is wrong with it, and stays wrong on purpose:

- the callback uses the link up, then works, and carries on without a customer;
- look first, act later: two at once both find nothing, and both create;
- check-out answers first and writes its rows afterwards, in the background;
- the webhook that finds no row is logged, acknowledged and lost; the payload is taken for the state;
- deleting an account deletes what is there at that moment, and what is under way makes it anew;
- the customer is known from ``subscriptions`` only, and no table has a constraint.
"""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
from typing import TYPE_CHECKING, Any

import asyncpg
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from stripe import HTTPXClient, StripeClient, StripeError, WebhookSignature

from reference_impl import answers
from reference_impl.answers import Refusal
from reference_impl.identity import require_own, set_session
from reference_impl.settings import Settings
from reference_impl.stripe_calls import API_VERSION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from uuid import UUID

    from starlette.requests import Request

LOG = logging.getLogger("reference_impl.before")
LIVE = ("active", "trialing", "past_due")


class Before:
    """The endpoints, over a pool and a Stripe client."""

    def __init__(self, settings: Settings, pool: asyncpg.Pool, stripe: StripeClient) -> None:
        self.settings = settings
        self.pool = pool
        self.stripe = stripe.v1

    async def sign_up(self, request: Request) -> Response:
        """``POST /auth/sign-up``: the auth provider's part, which was right."""
        body = await answers.read_object(request)
        user = await self.pool.fetchval(
            """
            insert into users (email, full_name) values ($1, $2)
            on conflict (email) do update set email = excluded.email
            returning id
            """,
            answers.email_of(body, "email").lower(),
            answers.optional_text(body, "fullName"),
        )
        code = secrets.token_urlsafe(32)
        await self.pool.execute("insert into confirmations (code, user_id) values ($1, $2)", code, user)
        return JSONResponse({"userId": str(user), "code": code}, 202)

    async def callback(self, request: Request) -> Response:
        """``GET /auth/callback?code=…``: always a session, with a customer or without."""
        code = request.query_params.get("code", "")
        first = await self.pool.fetchval(
            "update confirmations set used_at = now() where code = $1 and used_at is null returning user_id",
            code,
        )
        user = first or await self.pool.fetchval("select user_id from confirmations where code = $1", code)
        if user is None:
            raise Refusal(404, "unknown_code", "there is no such link")
        if first is not None:
            await self._set_up(user)
        customer = await self._customer(user)
        response = RedirectResponse("/welcome", 303)
        if customer is not None:
            response.headers["Stripe-Customer-Id"] = customer
        set_session(response, user, self.settings.session_secret, secure=False)
        return response

    async def create_customer(self, request: Request) -> Response:
        """``POST /api/auth/create-customer``."""
        body = await answers.read_object(request)
        user, email = answers.user_id_of(body), answers.email_of(body, "email")
        full_name = answers.optional_text(body, "fullName")
        require_own(request, user, self.settings.session_secret)
        customer = await self._customer(user)
        is_new = customer is None
        if customer is None:
            customer = await self._create_at_stripe(user, email, full_name)
            await self._insert_rows(user, email, full_name, customer)
        profile = await self.pool.fetchval("select id from profiles where user_id = $1", user)
        return JSONResponse(
            {
                "success": True,
                "stripeCustomerId": customer,
                "profileId": str(profile),
                "isNewCustomer": is_new,
            }
        )

    async def check_out(self, request: Request) -> Response:
        """``POST /api/stripe/checkout``: answers, then writes."""
        body = await answers.read_object(request)
        price, user = answers.price_of(body), answers.user_id_of(body)
        email, full_name = answers.email_of(body, "userEmail"), answers.optional_text(body, "fullName")
        require_own(request, user, self.settings.session_secret)
        customer = await self._customer(user)
        if customer is not None and await self._subscribed(customer):
            raise Refusal(409, "already_subscribed", "there is a subscription already")
        if customer is None:
            customer = await self._create_at_stripe(user, email, full_name)
        session = await self.stripe.checkout.sessions.create_async(
            params={
                "mode": "subscription",
                "customer": customer,
                "client_reference_id": str(user),
                "line_items": [{"price": price, "quantity": 1}],
                "subscription_data": {"metadata": {"user_id": str(user)}},
                "success_url": f"{self.settings.app_url}/checkout/done",
                "cancel_url": f"{self.settings.app_url}/checkout/cancelled",
            }
        )
        return JSONResponse(
            {"sessionId": session.id, "url": session.url, "stripeCustomerId": customer},
            background=BackgroundTask(self._after_check_out, user, email, full_name, customer),
        )

    async def checkout_done(self, request: Request) -> Response:
        """``GET /checkout/done?session_id=…``: does the webhook's work if it has not been."""
        session = await self.stripe.checkout.sessions.retrieve_async(request.query_params["session_id"])
        if session.status != "complete" or session.subscription is None:
            raise Refusal(409, "not_paid", "this checkout has not been paid")
        subscription, customer = str(session.subscription), str(session.customer)
        known = await self.pool.fetchval(
            "select id from subscriptions where stripe_subscription_id = $1", subscription
        )
        if known is None:
            await self._apply(customer, subscription, None, session.created)
        return JSONResponse({"status": "active", "subscription": subscription, "stripeCustomerId": customer})

    async def delete_account(self, request: Request) -> Response:
        """``POST /api/auth/delete-account``: deletes what it finds at that moment."""
        body = await answers.read_object(request)
        user = answers.user_id_of(body)
        require_own(request, user, self.settings.session_secret)
        customer = await self._customer(user)
        if customer is not None:
            await self.stripe.customers.delete_async(customer)
        await self.pool.execute("delete from subscriptions where user_id = $1", user)
        await self.pool.execute("delete from profiles where user_id = $1", user)
        return JSONResponse({"success": True})

    async def webhook(self, request: Request) -> Response:
        """``POST /api/stripe/webhook``: the payload is the state, if there is a row to put it in."""
        body = await answers.read_body(request, 2 * 1024 * 1024)
        try:
            WebhookSignature.verify_header(
                body, request.headers.get("stripe-signature"), self.settings.stripe_webhook_secret, 300
            )
        except Exception as error:
            raise Refusal(400, "bad_signature", "not a signed event of Stripe") from error
        event = json.loads(body)
        thing = event["data"]["object"]
        if event["type"].startswith("customer.subscription."):
            await self._apply(thing["customer"], thing["id"], thing["status"], event["created"])
        elif event["type"] == "checkout.session.completed" and thing.get("subscription"):
            await self._apply(thing["customer"], thing["subscription"], None, event["created"])
        return JSONResponse({"received": True})

    async def health(self, request: Request) -> Response:
        """``GET /healthz``."""
        await self.pool.fetchval("select 1")
        return JSONResponse({"status": "ok"})

    async def _set_up(self, user: UUID) -> None:
        if await self.pool.fetchval("select id from profiles where user_id = $1", user) is not None:
            return
        known = await self.pool.fetchrow("select email, full_name from users where id = $1", user)
        try:
            customer = await self._create_at_stripe(user, known["email"], known["full_name"])
        except StripeError:
            LOG.warning("[AUTH CALLBACK] no customer, carrying on user=%s", user)
            return
        await self._insert_profile(user, known["email"], known["full_name"])
        await self._insert_subscription(user, customer)

    async def _customer(self, user: UUID) -> str | None:
        customer: str | None = await self.pool.fetchval(
            """
            select stripe_customer_id from subscriptions
            where user_id = $1 and stripe_customer_id is not null
            order by created_at desc limit 1
            """,
            user,
        )
        return customer

    async def _subscribed(self, customer: str) -> bool:
        status = await self.pool.fetchval(
            "select status from subscriptions where stripe_customer_id = $1 and status = any($2)",
            customer,
            LIVE,
        )
        if status is not None:
            return True
        page = await self.stripe.subscriptions.list_async(params={"customer": customer, "limit": 100})
        return any(subscription.status in LIVE for subscription in page.data)

    async def _create_at_stripe(self, user: UUID, email: str, full_name: str | None) -> str:
        customer = await self.stripe.customers.create_async(
            params={"email": email, "name": full_name or "", "metadata": {"user_id": str(user)}}
        )
        return customer.id

    async def _insert_rows(self, user: UUID, email: str, full_name: str | None, customer: str) -> None:
        if await self.pool.fetchval("select id from profiles where user_id = $1", user) is None:
            await self._insert_profile(user, email, full_name)
        if await self._customer(user) != customer:
            await self._insert_subscription(user, customer)

    async def _insert_profile(self, user: UUID, email: str, full_name: str | None) -> None:
        await self.pool.execute(
            "insert into profiles (user_id, email, full_name) values ($1, $2, $3)", user, email, full_name
        )

    async def _insert_subscription(self, user: UUID, customer: str) -> None:
        await self.pool.execute(
            "insert into subscriptions (user_id, stripe_customer_id, status) values ($1, $2, 'none')",
            user,
            customer,
        )

    async def _after_check_out(self, user: UUID, email: str, full_name: str | None, customer: str) -> None:
        with contextlib.suppress(StripeError):
            await self.stripe.customers.update_async(customer, params={"metadata": {"checked_out": "yes"}})
        await self._insert_rows(user, email, full_name, customer)

    async def _apply(self, customer: str, subscription: str, status: str | None, created: int) -> None:
        """Put a subscription's status into its row, else into the customer's empty row, else a new one.

        ``status`` None says only that it exists.
        """
        row = await self.pool.fetchrow(
            """
            select id, user_id, stripe_subscription_id, event_created from subscriptions
            where stripe_subscription_id = $2 or stripe_customer_id = $1
            order by stripe_subscription_id is distinct from $2,
                stripe_subscription_id is not null, created_at
            limit 1
            """,
            customer,
            subscription,
        )
        if row is None:
            LOG.warning("[STRIPE SYNC] no row for customer=%s subscription=%s", customer, subscription)
            return
        if row["stripe_subscription_id"] not in (None, subscription):
            await self.pool.execute(
                """
                insert into subscriptions
                    (user_id, stripe_customer_id, stripe_subscription_id, status, event_created)
                values ($1, $2, $3, $4, $5)
                """,
                row["user_id"],
                customer,
                subscription,
                status or "active",
                created,
            )
            return
        if created < (row["event_created"] or 0) or (status is None and row["stripe_subscription_id"]):
            return
        await self.pool.execute(
            """
            update subscriptions
            set stripe_subscription_id = $2, status = $3, event_created = $4, updated_at = now()
            where id = $1
            """,
            row["id"],
            subscription,
            status or "active",
            created,
        )


def endpoint(name: str) -> Callable[[Request], Awaitable[Response]]:
    """Give the Starlette endpoint for one of `Before`'s."""

    async def answer(request: Request) -> Response:
        try:
            response: Response = await getattr(request.app.state.before, name)(request)
            return response
        except Refusal as refusal:
            return refusal.response()
        except StripeError:
            LOG.exception("Stripe failed")
            return JSONResponse({"success": False, "error": "Stripe failed"}, 500)

    return answer


@contextlib.asynccontextmanager
async def lifespan(starlette: Starlette) -> AsyncIterator[None]:
    """Open the database and Stripe when the process starts, close them when it ends."""
    settings = Settings.from_environ()
    http: Any = HTTPXClient()
    stripe = StripeClient(
        settings.stripe_secret_key,
        stripe_version=API_VERSION,
        base_addresses={"api": settings.stripe_api_base},
        max_network_retries=0,
        http_client=http,
    )
    async with asyncpg.create_pool(settings.database_url, min_size=1, max_size=settings.pool_size) as pool:
        starlette.state.before = Before(settings, pool, stripe)
        yield
    await http.close_async()


app = Starlette(
    routes=[
        Route("/auth/sign-up", endpoint("sign_up"), methods=["POST"]),
        Route("/auth/callback", endpoint("callback"), methods=["GET"]),
        Route("/api/auth/create-customer", endpoint("create_customer"), methods=["POST"]),
        Route("/api/stripe/checkout", endpoint("check_out"), methods=["POST"]),
        Route("/api/auth/delete-account", endpoint("delete_account"), methods=["POST"]),
        Route("/checkout/done", endpoint("checkout_done"), methods=["GET"]),
        Route("/api/stripe/webhook", endpoint("webhook"), methods=["POST"]),
        Route("/healthz", endpoint("health"), methods=["GET"]),
    ],
    lifespan=lifespan,
)
