"""A deployment of a target that runs already: whatever of its wires the settings make ours.

Nothing is started and no database is made. At level 2 the simulator listens on a port that the target
has as its Stripe base, at level 3 the proxy on one that it has as its database; both stand before the
target is asked whether it is ready, so it may be started meanwhile. What is read is read from the
database that the DSN names, as it is; triggers never go there.
"""

from __future__ import annotations

import secrets
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from deadheat.engine.caller import http_client
from deadheat.engine.conduct.blocking import Blocking
from deadheat.engine.deployment import Deployment, endpoints_of
from deadheat.engine.leftovers import Leftovers
from deadheat.engine.levels import reach_of
from deadheat.engine.postgres import Dsn
from deadheat.engine.postgres.proxy import OpenGate, PostgresProxy
from deadheat.engine.postgres.tls import own_context
from deadheat.engine.stripe_server import StripeServer
from deadheat.engine.tables import Database
from deadheat.engine.target import open_target
from deadheat.stripe_sim import Account

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from deadheat.engine.deployment import Grounds
    from deadheat.engine.levels import Reach
    from deadheat.settings import Settings


@asynccontextmanager
async def open_standing(grounds: Grounds) -> AsyncIterator[Deployment]:
    """Give the target that runs at ``base-url``; SetupError when something that it needs is missing."""
    settings, reach = grounds.settings, reach_of(grounds.settings)
    dsn = Dsn.parse(settings.postgres, allow_hosts=settings.allow_hosts) if reach.database else None
    async with AsyncExitStack() as stack:
        account = Account(
            seed=settings.seed,
            started_at=int(time.time()),
            secret_key=settings.stripe_key or f"sk_test_{secrets.token_hex(12)}",
            events_version=settings.target.events_version,
        )
        server = await stack.enter_async_context(
            StripeServer(
                account,
                mock=grounds.mock,
                mode=settings.stripe_mock_mode,
                port=settings.stripe_port or 0,
                notice=grounds.notice,
            )
        )
        proxy = None
        if dsn is not None and settings.postgres_port is not None:
            proxy = PostgresProxy(
                dsn.address(),
                OpenGate(),
                port=settings.postgres_port,
                tls=own_context(),
                demand=dsn.demand(),
            )
            await stack.enter_async_context(proxy)
        grounds.notice(_started_with(grounds, server.url, reach))
        target = await stack.enter_async_context(
            open_target(
                settings.target,
                values={},
                log=grounds.logs / "target.log",
                allow_hosts=settings.allow_hosts,
            )
        )
        client = await stack.enter_async_context(http_client(target.base_url))
        database = blocking = None
        if dsn is not None:
            connection, asking = await dsn.connect(), await dsn.connect()
            stack.callback(connection.terminate)
            stack.callback(asking.terminate)
            database = await Database.described(connection, settings)
            blocking = Blocking(asking)
        yield Deployment(
            settings=settings,
            account=account,
            server=server,
            target=target,
            client=client,
            endpoints=endpoints_of(settings.target, target.base_url, _secrets(settings))
            if reach.stripe
            else {},
            database=database,
            reach=reach,
            proxy=proxy,
            blocking=blocking,
            leftovers=Leftovers(database) if database is not None else None,
            sequels=grounds.sequels,
        )


def _secrets(settings: Settings) -> dict[str, str]:
    """Give the secret of each endpoint, by its name; the settings were checked to have one for each."""
    return {hook.name: hook.secret or settings.webhook_secret or "" for hook in settings.target.webhooks}


def postgres_of(deployment: Deployment) -> str:
    """Say which server the database of a target that runs already is on: ``18.4 at 127.0.0.1:5432``."""
    if deployment.database is None:
        return "unseen"
    settings = deployment.settings
    version = str(deployment.database.connection.get_settings().server_version).split(" ")[0]
    return f"{version} at {Dsn.parse(settings.postgres, allow_hosts=settings.allow_hosts).where}"


def _started_with(grounds: Grounds, stripe_url: str, reach: Reach) -> str:
    """Say what the target has to be started with; its key and secret are its own."""
    settings = grounds.settings
    if not reach.stripe:
        return (
            "the target's Stripe key is out of sight, and what is raced makes customers and sessions there: "
            "be sure that it is a test key"
        )
    database = f" and its database at 127.0.0.1:{settings.postgres_port}" if reach.statements else ""
    return (
        f"{settings.target.base_url} is to run with its Stripe base at {stripe_url}{database}; it may be "
        "started now"
    )
