"""The application: its endpoints, and the parts behind them, put together when it starts.

uvicorn reference_impl.app:app
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from reference_impl import answers, logs
from reference_impl.accounts import Accounts
from reference_impl.answers import Refusal
from reference_impl.auth import Auth
from reference_impl.checkout import CheckoutService
from reference_impl.closing import AccountClosing
from reference_impl.customer_service import AccountClosed, CustomerService
from reference_impl.database import Database, DatabaseUnavailable
from reference_impl.identity import require_own
from reference_impl.ledger import Ledger
from reference_impl.losers import Losers
from reference_impl.metrics import CONTENT_TYPE, Metrics
from reference_impl.profiles import Profiles
from reference_impl.sessions import CheckoutSessions
from reference_impl.settings import Settings
from reference_impl.stripe_calls import StripeCalls
from reference_impl.stripe_sync import StripeSync

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from uuid import UUID

    from starlette.requests import Request

WEBHOOK_BYTES_MAX = 2 * 1024 * 1024


class Application:
    """The parts of one process, and the endpoints that use them."""

    def __init__(self, settings: Settings, database: Database, stripe: StripeCalls, metrics: Metrics) -> None:
        self.settings = settings
        self.database = database
        self.stripe = stripe
        self.metrics = metrics
        ledger, profiles, sessions = Ledger(database), Profiles(database), CheckoutSessions(database)
        self.accounts = Accounts(database)
        losers = Losers(profiles, stripe, metrics)
        self.customers = CustomerService(
            profiles, losers, stripe, metrics, patience_s=settings.stripe_patience_s
        )
        self.auth = Auth(
            self.accounts,
            self.customers,
            session_secret=settings.session_secret,
            app_url=settings.app_url,
        )
        self.checkouts = CheckoutService(
            self.customers,
            sessions,
            ledger,
            stripe,
            app_url=settings.app_url,
            patience_s=settings.stripe_patience_s,
        )
        self.closing = AccountClosing(profiles, sessions, self.customers, self.checkouts)
        self.sync = StripeSync(ledger, losers, stripe, metrics, secret=settings.stripe_webhook_secret)

    async def create_customer(self, request: Request) -> Response:
        """``POST /api/auth/create-customer {userId, email, fullName?}``."""
        body = await answers.read_object(request)
        user, email = answers.user_id_of(body), answers.email_of(body, "email")
        full_name = answers.optional_text(body, "fullName")
        await self._admit(request, user, email)
        result = await self.customers.ensure_customer_exists(user, email, full_name)
        if result.stripe_customer_id is None or result.profile is None:
            if result.refused:
                raise Refusal(400, "customer_rejected", "Stripe does not accept these details")
            raise answers.unavailable("there is no customer yet")
        return JSONResponse(
            {
                "success": True,
                "stripeCustomerId": result.stripe_customer_id,
                "profileId": str(result.profile.id),
                "isNewCustomer": result.is_new_customer,
            }
        )

    async def check_out(self, request: Request) -> Response:
        """``POST /api/stripe/checkout {priceId, userId, userEmail, fullName?}``."""
        body = await answers.read_object(request)
        price, user = answers.price_of(body), answers.user_id_of(body)
        email, full_name = answers.email_of(body, "userEmail"), answers.optional_text(body, "fullName")
        await self._admit(request, user, email)
        session = await self.checkouts.start(user, email, price, full_name)
        return JSONResponse(
            {"sessionId": session.id, "url": session.url, "stripeCustomerId": session.customer}
        )

    async def checkout_done(self, request: Request) -> Response:
        """``GET /checkout/done?session_id=…``: where Stripe sends the browser after the payment."""
        session = answers.session_of(request.query_params)
        done = await self.checkouts.finish(
            session, lambda user: require_own(request, user, self.settings.session_secret)
        )
        return JSONResponse(
            {"status": done.status, "subscription": done.subscription, "stripeCustomerId": done.customer}
        )

    async def delete_account(self, request: Request) -> Response:
        """``POST /api/auth/delete-account {userId, email}``."""
        body = await answers.read_object(request)
        user, email = answers.user_id_of(body), answers.email_of(body, "email")
        await self._admit(request, user, email)
        await self.closing.close(user)
        return JSONResponse({"success": True})

    async def webhook(self, request: Request) -> Response:
        """``POST /api/stripe/webhook``: the raw body, as it was signed."""
        body = await answers.read_body(request, WEBHOOK_BYTES_MAX)
        outcome = await self.sync.deliver(body, request.headers.get("stripe-signature"))
        return JSONResponse({"received": True, "outcome": outcome})

    async def health(self, request: Request) -> Response:
        """``GET /healthz``: 200 when the database answers."""
        await self.database.ping()
        return JSONResponse({"status": "ok"})

    async def show_metrics(self, request: Request) -> Response:
        """``GET /metrics``: the counters of this process."""
        return Response(self.metrics.exposition(), headers={"Content-Type": CONTENT_TYPE})

    async def welcome(self, request: Request) -> Response:
        """``GET /welcome``: where the link in the mail leads to."""
        return PlainTextResponse("You are signed in.\n")

    async def _admit(self, request: Request, user: UUID, email: str) -> None:
        """Refusal 403 where the request is not the user's own."""
        require_own(request, user, self.settings.session_secret)
        verdict = await self.accounts.admit(user, email)
        if verdict != "welcome":
            raise Refusal(403, "not_your_account", "this is somebody else's account")


ENDPOINTS = (
    ("POST", "/auth/sign-up", logs.AUTH_CALLBACK, lambda app: app.auth.sign_up),
    ("GET", "/auth/callback", logs.AUTH_CALLBACK, lambda app: app.auth.callback),
    ("POST", "/api/auth/create-customer", logs.CUSTOMER_SERVICE, lambda app: app.create_customer),
    ("POST", "/api/stripe/checkout", logs.CHECKOUT, lambda app: app.check_out),
    ("POST", "/api/auth/delete-account", logs.CUSTOMER_SERVICE, lambda app: app.delete_account),
    ("GET", "/checkout/done", logs.CHECKOUT, lambda app: app.checkout_done),
    ("POST", "/api/stripe/webhook", logs.STRIPE_SYNC, lambda app: app.webhook),
    ("GET", "/healthz", logs.APPLICATION, lambda app: app.health),
    ("GET", "/metrics", logs.APPLICATION, lambda app: app.show_metrics),
    ("GET", "/welcome", logs.APPLICATION, lambda app: app.welcome),
)


def endpoint(path: str, prefix: str, pick: Callable[[Any], Callable[[Request], Awaitable[Response]]]) -> Any:
    """Give the Starlette endpoint of a route: the part's answer, or its refusal, counted and timed.

    An error that nobody foresaw is logged, counted and answered 500, as JSON like every refusal.
    """

    async def answer(request: Request) -> Response:
        app = request.app.state.application
        began = time.perf_counter()
        try:
            response = await pick(app)(request)
        except Refusal as refusal:
            response = refusal.response()
        except AccountClosed:
            response = Refusal(410, "account_closed", "this account has been deleted").response()
        except DatabaseUnavailable:
            response = answers.unavailable("the database does not answer").response()
        except Exception as error:
            app.metrics.count("reference_failures_total", route=path)
            logs.failure(prefix, error, route=path)
            response = Refusal(500, "internal_error", "this went wrong on our side").response()
        app.metrics.count("reference_requests_total", route=path, status=str(response.status_code))
        app.metrics.count("reference_request_seconds_total", time.perf_counter() - began, route=path)
        return response

    return answer


@contextlib.asynccontextmanager
async def lifespan(starlette: Starlette) -> AsyncIterator[None]:
    """Open the database and Stripe when the process starts, close them when it ends."""
    logs.start_logging()
    settings, metrics = Settings.from_environ(), Metrics()
    database, stripe = await Database.connect(settings, metrics), StripeCalls(settings, metrics)
    starlette.state.application = Application(settings, database, stripe, metrics)
    try:
        yield
    finally:
        await stripe.close()
        await database.close()


app = Starlette(
    routes=[
        Route(path, endpoint(path, prefix, pick), methods=[method])
        for method, path, prefix, pick in ENDPOINTS
    ],
    lifespan=lifespan,
)
