"""What a development machine needs to run a billing application by hand: Postgres, Stripe, webhooks.

`serve` puts up Postgres (or takes the database that a DSN names, as it is), stripe-mock where there is
one, and the Stripe simulator on a port of the caller's choice, brings its events to a local address,
and tells the environment that the application is to be started with. There is no proxy before Postgres
yet, and nothing is raced: whoever runs the application owns the order of things.

The simulator is the one that runs use, with three additions. Its clock follows the real one. The
``url`` of a checkout session leads to a page here (`checkout_page`), since nobody can pay a simulated
session at Stripe: where an answer says https://checkout.stripe.com, it says this server's address. And
`deadheat stripe` has a desk to ask at (`stripe_desk`).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from deadheat.engine import stripe_desk
from deadheat.engine.checkout_page import CheckoutPages
from deadheat.engine.courier import COMPLETED
from deadheat.engine.events import Notice
from deadheat.engine.forward import Answered, Forwarder, Sent
from deadheat.engine.postgres import Dsn, open_postgres
from deadheat.engine.stripe_mock import StripeMock
from deadheat.engine.stripe_server import OpenGate, StripeServer
from deadheat.errors import SettingsError
from deadheat.history import StepKind
from deadheat.safety import check_url
from deadheat.stripe_sim import MONTHLY, YEARLY, Account, Endpoint, Outbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from deadheat.engine.stripe_connection import Serving
    from deadheat.settings import Settings
    from deadheat.stripe_sim import ApiRequest, ApiResponse, Call

STRIPE_PORT = 12113
"""Where the simulator listens: next to 12111 and 12112, which stripe-mock takes when run by hand."""
DATABASE = "deadheat_serve"
CHECKOUT = b"https://checkout.stripe.com/"
CLOCK_SECONDS = 1.0
REDIRECT_SECONDS_MAX = 10.0
"""How long Checkout waits for the webhook endpoint before it sends a customer who has paid on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to serve beside what the settings say.

    ``stripe_port`` 0 stands for any; ``forward_to`` is the URL of a webhook endpoint on this machine,
    None for no deliveries; ``types`` are the event types that go there, none for every type.
    """

    stripe_port: int = STRIPE_PORT
    forward_to: str | None = None
    types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Everything is up. ``environment`` is what the application is to be started with."""

    environment: Mapping[str, str]
    postgres: str
    stripe_mock: str
    stripe_url: str
    prices: tuple[str, ...]
    forward_to: str | None


Told = Served | Sent | Answered | Notice


async def serve(settings: Settings, order: Order, tell: Callable[[Told], None]) -> None:
    """Serve until cancelled, then stop everything; SetupError when something cannot be put up."""
    if order.forward_to is not None:
        check_forward_to(order.forward_to)
    key, secret = f"sk_test_{secrets.token_hex(12)}", f"whsec_{secrets.token_hex(16)}"
    version = settings.target.events_version
    account = Account(seed=settings.seed, started_at=int(time.time()), secret_key=key, events_version=version)
    own = None
    if order.forward_to is not None:
        endpoint = Endpoint(
            url=order.forward_to,
            secret=secret,
            types=order.types,
            api_version=version,
        )
        own = Outbox(account, endpoint)
    forwarder = Forwarder(account=account, own=own, tell=tell)
    async with AsyncExitStack() as stack:
        mock = await stack.enter_async_context(_mock(settings, tell))
        server = ServedStripe(
            account,
            desk=stripe_desk.Desk(account=account, secret=secret, forwarder=forwarder),
            mock=mock,
            mode=settings.stripe_mock_mode,
            gate=Bell(forwarder.news),
            port=order.stripe_port,
            notice=lambda text: tell(Notice(text=text)),
        )
        await stack.enter_async_context(server)
        url, postgres = await stack.enter_async_context(_database(settings, tell))
        tell(
            Served(
                environment={
                    "DATABASE_URL": url,
                    "STRIPE_API_BASE": server.url,
                    "STRIPE_SECRET_KEY": key,
                    "STRIPE_WEBHOOK_SECRET": secret,
                },
                postgres=postgres,
                stripe_mock=mock.version if mock else "off",
                stripe_url=server.url,
                prices=(MONTHLY, YEARLY),
                forward_to=order.forward_to,
            )
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(_keep_time(account, forwarder.news))
            group.create_task(forwarder.forward())


def check_forward_to(url: str) -> None:
    """Refuse an address that is not this machine's; SettingsError for one that is no web address."""
    if not url.startswith(("http://", "https://")):
        raise SettingsError(
            f"--forward-to {url}: not the URL of a webhook endpoint, as in "
            "http://127.0.0.1:8000/api/stripe/webhook"
        )
    check_url(url, where="--forward-to")


class ServedStripe(StripeServer):
    """The simulator with the checkout pages of its account, and a desk."""

    def __init__(self, account: Account, *, desk: stripe_desk.Desk, **options: Any) -> None:
        super().__init__(account, **options)
        self._desk = desk
        self._pages = CheckoutPages(account)

    def _serve(self, request: ApiRequest) -> Serving:
        """Answer a browser with a page, and an API call with addresses of ours in place of Checkout's."""
        catch_up(self.account)
        mark = self.account.mark()
        page = self._pages.answer(request)
        if page is not None:
            self._ring()
            if paid := self._completed_since(mark):
                yield self._desk.forwarder.taken(paid, seconds=REDIRECT_SECONDS_MAX)
            return page
        if request.path.startswith(stripe_desk.PATH):
            ours: ApiResponse | None = yield self._desk.answer(request)
            self._ring()
            return ours
        answer = yield from super()._serve(request)
        if answer is None or CHECKOUT not in answer.body:
            return answer
        return replace(answer, body=answer.body.replace(CHECKOUT, f"{self.url}/".encode()))

    def _ring(self) -> None:
        if isinstance(self.gate, Bell):
            self.gate.ring()

    def _completed_since(self, mark: int) -> list[str]:
        """Give the events by which sessions have become complete since a mark."""
        events = [self.account.event_json(e) for kind, e in self.account.ids_since(mark) if kind == "event"]
        return [event["id"] for event in events if event["type"] == COMPLETED]


class Bell(OpenGate):
    """Lets everything pass, and rings after each effect: there may be events."""

    def __init__(self, news: asyncio.Event) -> None:
        self._news = news

    def ring(self) -> None:
        """Say that there may be events."""
        self._news.set()

    def crossed(self, kind: StepKind, call: Call) -> None:
        """Ring after an effect."""
        if kind is StepKind.EFFECT:
            self.ring()


def catch_up(account: Account) -> None:
    """Set the account's clock to the real one; sessions whose time is up expire."""
    behind = int(time.time()) - account.now
    if behind > 0:
        account.tick(behind)


async def _keep_time(account: Account, news: asyncio.Event) -> None:
    while True:
        await asyncio.sleep(CLOCK_SECONDS)
        mark = account.mark()
        catch_up(account)
        if account.mark() != mark:
            news.set()


@asynccontextmanager
async def _mock(settings: Settings, tell: Callable[[Told], None]) -> AsyncIterator[StripeMock | None]:
    opening = StripeMock.open(
        settings.stripe_mock, notice=lambda text: tell(Notice(text=text)), allow_hosts=settings.allow_hosts
    )
    async with opening as mock:
        yield mock


@asynccontextmanager
async def _database(settings: Settings, tell: Callable[[Told], None]) -> AsyncIterator[tuple[str, str]]:
    """Give the URL of a database, and which server it is on: an empty one of ours, or the one named."""
    if "://" in settings.postgres:
        dsn = Dsn.parse(settings.postgres, allow_hosts=settings.allow_hosts)
        connection = await dsn.connect()
        try:
            version = str(await connection.fetchval("show server_version")).split(" ")[0]
        finally:
            await connection.close()
        yield settings.postgres, f"{version} at {dsn.where}"
        return
    opening = open_postgres(
        settings.postgres, allow_hosts=settings.allow_hosts, notice=lambda text: tell(Notice(text=text))
    )
    async with opening as postgres:
        await postgres.create_database(DATABASE)
        yield postgres.dsn_for(DATABASE), postgres.describe
