"""The whole examination, in order, with everything that it starts taken down again."""

from __future__ import annotations

import os
import pwd
import secrets
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from deadheat.engine.deployment import Deployment, Grounds, open_deployment
from deadheat.engine.doctor.check import Check, Page
from deadheat.engine.doctor.control import Crossings, examine_control, examine_traffic
from deadheat.engine.doctor.machine import examine_machine
from deadheat.engine.doctor.operations import Trials
from deadheat.engine.doctor.plans import examine_plans
from deadheat.engine.doctor.target import examine_tables, examine_webhooks
from deadheat.engine.levels import reach_of
from deadheat.engine.postgres import Dsn, PostgresServer, open_postgres
from deadheat.engine.postgres.binaries import ordinary_account
from deadheat.engine.standing import open_standing
from deadheat.engine.stripe_mock import KEY, StripeMock
from deadheat.engine.traffic import StatementCount
from deadheat.errors import DeadheatError, SetupError
from deadheat.stripe_sim import ApiRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from deadheat.settings import Settings


async def examine(settings: Settings, tell: Callable[[Check], None]) -> tuple[Check, ...]:
    """Try everything that a run with these settings needs, telling each check as it is done."""
    checks: list[Check] = []

    def note(check: Check) -> None:
        checks.append(check)
        tell(check)

    here, plans, target, control = (Page(a, note) for a in ("machine", "settings", "target", "control"))
    reach = reach_of(settings)
    async with AsyncExitStack() as stack:
        await examine_machine(here, state_folder=settings.state_folder)
        postgres = await _examine_postgres(here, settings, stack)
        mock = await _examine_mock(here, settings, stack) if reach.stripe else None
        examine_plans(plans, settings)
        if postgres is None and settings.target.start is not None:
            target.warn("target", "not tried: there is no Postgres for it")
        elif (deployment := await _put_up(target, settings, postgres, mock, stack)) is not None:
            if await examine_traffic(control, deployment):
                crossings = await _examine_target(target, deployment, settings.target.tables)
                await examine_control(control, deployment, crossings)
            else:
                target.warn("operations", "not tried: with somebody else there no run is made either")
    return tuple(checks)


async def _examine_target(page: Page, deployment: Deployment, tables: Mapping[str, str]) -> Crossings:
    """Try the target; gives what crossed its wires meanwhile."""
    statements = StatementCount()
    if deployment.proxy is not None:
        deployment.proxy.gate = statements
    trials = Trials(deployment)
    await trials.examine(page)
    crossings = Crossings(statements=statements.flights, calls=sum(len(tried.calls) for tried in trials.done))
    try:
        await examine_webhooks(page, deployment)
        await examine_tables(page, deployment, tables, trials.done)
        deployment.check_alive()
    except DeadheatError as error:
        page.fail("target", str(error))
    return crossings


async def _examine_postgres(page: Page, settings: Settings, stack: AsyncExitStack) -> PostgresServer | None:
    """Open the server and make a database on it; None when that cannot be, or is not to be."""
    if settings.target.start is None:
        await _examine_own_database(page, settings)
        return None

    def notice(text: str) -> None:
        page.warn("postgres", text)

    began = time.perf_counter()
    try:
        if settings.postgres in ("auto", "embedded"):
            page.ok("postgres account", f"the embedded server runs as {_account()}")
        server = await stack.enter_async_context(
            open_postgres(settings.postgres, allow_hosts=settings.allow_hosts, notice=notice)
        )
        elapsed_s = time.perf_counter() - began
        name = f"deadheat_doctor_{secrets.token_hex(4)}"
        await server.create_database(name)
        await server.drop_database(name)
    except SetupError as error:
        page.fail("postgres", str(error))
        return None
    how = f"started in {elapsed_s:.1f} s" if server.provisioned else "reached"
    page.ok("postgres", f"{server.describe}, {how}; databases can be created and dropped")
    return server


async def _examine_own_database(page: Page, settings: Settings) -> None:
    """Reach the database of a target that runs already; it is read, and nothing is made on its server."""
    if not reach_of(settings).database:
        page.warn("postgres", "no database is named: what the target writes is not read", "--postgres DSN")
        return
    try:
        dsn = Dsn.parse(settings.postgres, allow_hosts=settings.allow_hosts)
        connection = await dsn.connect()
    except SetupError as error:
        page.fail("postgres", str(error))
        return
    try:
        version = str(await connection.fetchval("show server_version")).split(" ")[0]
    finally:
        await connection.close()
    page.ok("postgres", f"{version} at {dsn.where}, database {dsn.database}: the target's own, only read")


def _account() -> str:
    account = ordinary_account()
    uid = os.geteuid() if account is None else account.uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


async def _examine_mock(page: Page, settings: Settings, stack: AsyncExitStack) -> StripeMock | None:
    """Start or reach stripe-mock and let it answer a call; None where there is none."""
    notices: list[str] = []
    try:
        mock = await stack.enter_async_context(
            StripeMock.open(settings.stripe_mock, notice=notices.append, allow_hosts=settings.allow_hosts)
        )
    except SetupError as error:
        page.fail("stripe-mock", str(error))
        return None
    if mock is None:
        page.warn(
            "stripe-mock",
            notices[0] if notices else "off, as the settings say: only modelled routes are validated",
            "make test in a checkout builds it, or name one: DEADHEAT_STRIPE_MOCK=PATH.",
        )
        return None
    bearer = {"authorization": f"Bearer {KEY}"}
    answer = await mock.answer(ApiRequest(method="GET", path="/v1/customers", headers=bearer))
    spec = f", of API version {mock.spec_version}" if mock.spec_version else ""
    if answer is None or answer.status != 200:
        page.warn("stripe-mock", f"{mock.version}{spec} answers {answer.status if answer else 'nothing'}")
    else:
        page.ok("stripe-mock", f"{mock.version}{spec}, answers")
    return mock


async def _put_up(
    page: Page,
    settings: Settings,
    postgres: PostgresServer | None,
    mock: StripeMock | None,
    stack: AsyncExitStack,
) -> Deployment | None:
    """Put the target up as a run would, without its mapped queries; None when that fails."""
    logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="deadheat-doctor-")))
    grounds = Grounds(
        settings=replace(settings, target=replace(settings.target, tables={})),
        postgres=postgres,
        mock=mock,
        logs=logs,
        run_id=f"doctor-{secrets.token_hex(4)}",
        notice=lambda text: page.ok("to start", text),
    )
    if settings.target.start is None:
        return await _find(page, grounds, stack)
    grounds.notice = lambda text: page.warn("simulator", text)
    return await _start(page, grounds, stack)


async def _find(page: Page, grounds: Grounds, stack: AsyncExitStack) -> Deployment | None:
    """Reach a target that runs already."""
    target = grounds.settings.target
    try:
        deployment = await stack.enter_async_context(open_standing(grounds))
    except DeadheatError as error:
        page.fail("target", str(error))
        return None
    page.ok("target", f"{target.base_url}{target.ready} answers; it runs already, and is not started")
    return deployment


async def _start(page: Page, grounds: Grounds, stack: AsyncExitStack) -> Deployment | None:
    """Migrate and start a target."""
    target = grounds.settings.target
    began = time.perf_counter()
    try:
        deployment = await stack.enter_async_context(open_deployment(grounds, 0))
    except DeadheatError as error:
        page.fail("migrate" if str(error).startswith("[target] migrate") else "start", str(error))
        return None
    if target.migrate is None:
        page.warn("migrate", "there is no [target] migrate: the target's database begins empty")
    else:
        page.ok("migrate", "ran to its end")
    elapsed_s = time.perf_counter() - began
    page.ok("start", f"{target.ready} answers, {elapsed_s:.1f} s after an empty database")
    return deployment
