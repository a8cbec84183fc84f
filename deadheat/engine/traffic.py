"""Foreign traffic: who else uses a database that is not ours, while nothing is asked of the target.

To hold a statement is to hold whatever waits for it, so control needs a deployment that nobody else uses
meanwhile. Other people's sessions are seen in ``pg_stat_activity`` (PostgreSQL documentation, "The
Cumulative Statistics System"); what the target itself sends unasked is seen on its wires, and may be a
job of its own as well as somebody's request.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncpg

from deadheat.engine.postgres.proxy import OpenGate as OpenSqlGate
from deadheat.engine.stripe_server import OpenGate as OpenStripeGate
from deadheat.errors import DatabaseLost, Refused
from deadheat.history import StepKind

if TYPE_CHECKING:
    from deadheat.engine.deployment import Deployment
    from deadheat.engine.postgres.proxy import ControlledConnection
    from deadheat.pgwire import Flight
    from deadheat.stripe_sim import Call

LISTEN_SECONDS = 2.0
POLL_SECONDS = 0.02
SHOWN = 3

# A session is foreign when it runs a statement while we listen, or holds a transaction open.
_OTHERS = """
    select pid, format('%s (application %L, user %s)', pid, application_name, usename) as who
    from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend' and pid <> all($1::int[])
      and (state is distinct from 'idle' or query_start >= $2)
"""


class StatementCount(OpenSqlGate):
    """Lets every flight go and counts them."""

    def __init__(self) -> None:
        self.flights = 0

    def offered(self, connection: ControlledConnection, flight: Flight) -> None:
        """Count it and release it."""
        self.flights += 1
        super().offered(connection, flight)


class CallCount(OpenStripeGate):
    """Lets every Stripe call pass and counts them."""

    def __init__(self) -> None:
        self.calls = 0

    def crossed(self, kind: StepKind, call: Call) -> None:
        """Count it once."""
        self.calls += kind is StepKind.RECEIVED


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What went on unasked: other people's ``sessions`` by name, the target's statements and calls."""

    sessions: tuple[str, ...] = field(default_factory=tuple)
    statements: int = 0
    calls: int = 0


async def listen(deployment: Deployment, seconds: float = LISTEN_SECONDS) -> Traffic:
    """Ask nothing of the target and see who else is there; DatabaseLost when there is no asking."""
    assert deployment.database is not None  # there is no level of control without one
    sql, stripe = StatementCount(), CallCount()
    if deployment.proxy is not None:
        deployment.proxy.gate = sql
    deployment.server.gate = stripe
    connection = deployment.database.connection
    found: dict[int, str] = {}
    try:
        began: Any = await connection.fetchval("select clock_timestamp()")
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            for row in await connection.fetch(_OTHERS, _ours(deployment), began):
                found.setdefault(row["pid"], row["who"])
            await asyncio.sleep(POLL_SECONDS)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise DatabaseLost(f"the database went away: {error}") from error
    return Traffic(sessions=tuple(found.values()), statements=sql.flights, calls=stripe.calls)


async def refuse_others(deployment: Deployment) -> str | None:
    """Refuse control of a database that somebody else uses; gives what the target does unasked, if any."""
    traffic = await listen(deployment)
    if traffic.sessions:
        raise Refused(
            f"the target's database is not ours alone: within {LISTEN_SECONDS:.0f} s "
            f"{', '.join(traffic.sessions[:SHOWN])} used it, and to hold a statement may hold theirs. End "
            "them meanwhile, or race without --postgres-port."
        )
    return unasked(traffic)


def unasked(traffic: Traffic) -> str | None:
    """Say what crossed the target's wires although nothing was asked of it; None for nothing."""
    if not traffic.statements and not traffic.calls:
        return None
    return (
        f"within {LISTEN_SECONDS:.0f} s {traffic.statements} SQL flights and {traffic.calls} Stripe calls of "
        "the target's came unasked: a job of its own, or somebody uses it. They are ordered with the rest."
    )


def _ours(deployment: Deployment) -> list[int]:
    """Give the backends that are ours, or serve the target through our proxy."""
    assert deployment.database is not None
    pids = {deployment.database.connection.get_server_pid()}
    if deployment.blocking is not None:
        pids.add(deployment.blocking.pid)
    if deployment.proxy is not None:
        pids.update(deployment.proxy.pids())
    return sorted(pids)
