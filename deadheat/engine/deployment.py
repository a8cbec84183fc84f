"""A deployment: one target with a database, a Stripe account and a simulator of its own.

The Postgres server and stripe-mock are shared by all deployments of an invocation (`Grounds`); a
deployment is one worker's and is used by one run at a time, so that the Stripe account's clock and
the gate belong to that run alone.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from deadheat.engine.caller import Unanswered, exchange, http_client
from deadheat.engine.conduct.blocking import Blocking
from deadheat.engine.conduct.sequels import Sequels
from deadheat.engine.levels import WHOLE, Reach, reach_of
from deadheat.engine.postgres import open_postgres
from deadheat.engine.postgres.parking import Parking
from deadheat.engine.postgres.proxy import OpenGate, PostgresProxy
from deadheat.engine.postgres.tls import own_context
from deadheat.engine.quiet import Habits
from deadheat.engine.stripe_mock import StripeMock
from deadheat.engine.stripe_server import StripeServer
from deadheat.engine.tables import Database
from deadheat.engine.target import Target, migrate_target, open_target
from deadheat.errors import DatabaseLost, PostgresUnavailable, TargetLost, Trouble
from deadheat.stripe_sim import Account, Endpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    import httpx

    from deadheat.engine.leftovers import Leftovers
    from deadheat.engine.postgres import PostgresServer
    from deadheat.settings import Settings, TargetSettings


FIT_SECONDS_MAX = 5.0
ENDING_SECONDS = 0.5  # between a target's last connection and the end of its process
WEBHOOK_SECRET = "stripe.webhook-secret"
PAST_MAX = 64  # ids and addresses of people of the latest runs


@dataclass(slots=True, kw_only=True)
class Grounds:
    """What all deployments of an invocation stand on; no server of ours where the target runs already.

    The target's migrations run once, in a template database that each deployment's is a copy of.
    """

    settings: Settings
    postgres: PostgresServer | None
    mock: StripeMock | None
    logs: Path
    run_id: str
    notice: Callable[[str], None]
    sequels: Sequels = field(default_factory=Sequels)
    _template: str | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        *,
        run_id: str,
        logs: Path,
        progress: Callable[[str], None],
        notice: Callable[[str], None],
    ) -> AsyncIterator[Grounds]:
        """Start Postgres and stripe-mock as the settings say."""
        async with AsyncExitStack() as stack:
            postgres = None
            if settings.target.start is not None:
                progress("Postgres")
                postgres = await stack.enter_async_context(
                    open_postgres(settings.postgres, allow_hosts=settings.allow_hosts, notice=notice)
                )
            mock = None
            if reach_of(settings).stripe:
                progress("stripe-mock")
                mock = await stack.enter_async_context(
                    StripeMock.open(settings.stripe_mock, notice=notice, allow_hosts=settings.allow_hosts)
                )
            yield cls(
                settings=settings, postgres=postgres, mock=mock, logs=logs, run_id=run_id, notice=notice
            )

    @property
    def server(self) -> PostgresServer:
        """The server that a target which Deadheat starts has its database on."""
        assert self.postgres is not None  # one that runs already has its own
        return self.postgres

    def name(self, of: str) -> str:
        """Give the name of a database of this invocation."""
        return f"deadheat_{self.run_id.replace('-', '_')}_{of}"

    async def template(self, values: Mapping[str, str]) -> str:
        """Give the migrated database to copy, made at the first call with that call's values."""
        if self._template is None:
            name = self.name("template")
            await self.server.create_database(name)
            there = {**values, "postgres.url": self.server.dsn_for(name)}
            await migrate_target(self.settings.target, values=there, log=self.logs / "migrate.log")
            self._template = name
        return self._template


@dataclass(slots=True, kw_only=True)
class Deployment:
    """One target, ready to be raced. ``endpoints`` are those that we deliver webhooks to, by name.

    ``proxy`` stands between it and its database, ``blocking`` asks who waits for whom there; without
    them no statement can be ordered. ``parking`` holds writes inside their statement. ``leftovers`` is
    there where the database is not ours.
    """

    settings: Settings
    account: Account
    server: StripeServer
    target: Target
    client: httpx.AsyncClient
    endpoints: Mapping[str, Endpoint]
    database: Database | None
    reach: Reach = WHOLE
    proxy: PostgresProxy | None = None
    blocking: Blocking | None = None
    parking: Parking | None = None
    sequels: Sequels = field(default_factory=Sequels)
    habits: Habits = field(default_factory=Habits)
    leftovers: Leftovers | None = None
    past: deque[str] = field(default_factory=lambda: deque(maxlen=PAST_MAX))
    warm: set[str] = field(default_factory=set)  # operations that have been done at full concurrency

    def check_alive(self) -> None:
        """Raise TargetLost when the target's process is gone, Trouble when our simulator failed."""
        if self.server.failure is not None:
            raise Trouble(f"an error of Deadheat's own in the simulator: {self.server.failure!r}")
        if not self.target.alive():
            lines = self.target.log_tail().strip().splitlines()
            last = f"; the last line of its log: {lines[-1].strip()}" if lines else ""
            raise TargetLost(f"the target is gone{last}")

    async def check_there(self) -> None:
        """Do as `check_alive` once nothing answers: a process that just ends is waited for."""
        await self.target.ends_within(ENDING_SECONDS)
        self.check_alive()

    async def end_stuck(self) -> str:
        """End what the target's sessions are stuck in after a run that came to nothing; says so."""
        if self.proxy is None or self.blocking is None:
            return ""
        ended = await self.blocking.end_stuck(self.proxy.pids())
        sessions = "1 session" if ended == 1 else f"{ended} sessions"
        return f"; {sessions} that it left in a statement or a transaction had to be ended" if ended else ""

    async def unfit(self) -> str | None:
        """Say why nothing more can be run here; None when target and database answer."""
        if not self.target.alive():
            return "the target is gone"
        ready = self.settings.target.ready
        answer = await exchange(self.client, "GET", ready, headers={}, seconds=FIT_SECONDS_MAX)
        if isinstance(answer, Unanswered):
            return f"the target does not answer {ready}: {answer.why}"
        try:
            if self.database is not None:
                await asyncio.wait_for(self.database.busy(), FIT_SECONDS_MAX)
        except (DatabaseLost, TimeoutError):
            return "the database does not answer"
        return None


def endpoints_of(target: TargetSettings, base_url: str, secrets_by: Mapping[str, str]) -> dict[str, Endpoint]:
    """Give the webhook endpoints of a target that answers at a base URL, by their names."""
    return {
        hook.name: Endpoint(
            url=base_url + hook.path,
            secret=secrets_by[hook.name],
            types=hook.types,
            api_version=hook.api_version,
        )
        for hook in target.webhooks
    }


def _secret_values(secrets_by: Mapping[str, str]) -> dict[str, str]:
    """Give the secrets by placeholder; the first endpoint's stands without a name, too, never empty."""
    named = {f"{WEBHOOK_SECRET}.{name}": secret for name, secret in secrets_by.items() if name}
    return {WEBHOOK_SECRET: next(iter(secrets_by.values()), _fresh_secret()), **named}


def _fresh_secret() -> str:
    return f"whsec_{secrets.token_hex(16)}"


async def _drop(grounds: Grounds, name: str) -> None:
    """Drop a database; when its server is gone there is nothing left to do but say so."""
    try:
        await grounds.server.drop_database(name)
    except PostgresUnavailable as error:
        grounds.notice(f"the database {name} was not dropped: {error}")


async def _parking(stack: AsyncExitStack, grounds: Grounds, name: str) -> Parking:
    """Give what holds writes inside their statement; the database is ours on every server."""
    holder, builder = await grounds.server.connect(name), await grounds.server.connect(name)
    stack.callback(holder.terminate)
    stack.callback(builder.terminate)
    return Parking(holder, builder)


@asynccontextmanager
async def open_deployment(
    grounds: Grounds, index: int, *, controlled: bool = True
) -> AsyncIterator[Deployment]:
    """Copy the migrated database, start the simulator and the target.

    Not ``controlled``, nothing of ours stands between the target and its database.
    """
    settings = grounds.settings
    key = f"sk_test_{secrets.token_hex(12)}"
    webhook_secrets = {hook.name: _fresh_secret() for hook in settings.target.webhooks}
    account = Account(
        seed=settings.seed + index,
        started_at=int(time.time()),
        secret_key=key,
        events_version=settings.target.events_version,
    )
    async with AsyncExitStack() as stack:
        name = grounds.name(str(index))
        server = await stack.enter_async_context(
            StripeServer(account, mock=grounds.mock, mode=settings.stripe_mock_mode, notice=grounds.notice)
        )
        values = {
            "postgres.url": grounds.server.dsn_for(name),
            "stripe.url": server.url,
            "stripe.key": key,
            **_secret_values(webhook_secrets),
        }
        await grounds.server.create_database(name, template=await grounds.template(values))
        stack.push_async_callback(_drop, grounds, name)
        proxy = None
        if controlled:
            proxy = PostgresProxy(
                grounds.server.address(), OpenGate(), tls=own_context(), demand=grounds.server.demand()
            )
            await stack.enter_async_context(proxy)
            values["postgres.url"] = grounds.server.dsn_through(proxy.port, name)
        log = grounds.logs / f"target-{index}.log"
        target = await stack.enter_async_context(
            open_target(
                settings.target, values=values, log=log, allow_hosts=settings.allow_hosts, migrated=True
            )
        )
        client = await stack.enter_async_context(http_client(target.base_url))
        connection = await grounds.server.connect(name)
        stack.callback(connection.terminate)
        database = await Database.described(connection, settings)
        asking = await grounds.server.connect(name)
        stack.callback(asking.terminate)
        yield Deployment(
            settings=settings,
            account=account,
            server=server,
            target=target,
            client=client,
            endpoints=endpoints_of(settings.target, target.base_url, webhook_secrets),
            database=database,
            reach=WHOLE if proxy is not None else replace(WHOLE, statements=False),
            proxy=proxy,
            blocking=Blocking(asking),
            parking=await _parking(stack, grounds, name) if proxy is not None else None,
            sequels=grounds.sequels,
        )
