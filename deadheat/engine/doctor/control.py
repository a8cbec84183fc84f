"""Which wires are ours: by what was seen to cross them, and by who else is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deadheat.engine.levels import Reach
from deadheat.engine.traffic import LISTEN_SECONDS, listen, unasked
from deadheat.errors import DatabaseLost

if TYPE_CHECKING:
    from deadheat.engine.deployment import Deployment
    from deadheat.engine.doctor.check import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossings:
    """How many SQL flights and Stripe calls crossed our wires while operations were done."""

    statements: int
    calls: int


async def examine_traffic(page: Page, deployment: Deployment) -> bool:
    """Listen while nothing is asked; False when somebody else is there, and control is refused."""
    if not deployment.reach.statements:
        return True
    try:
        traffic = await listen(deployment)
    except DatabaseLost as error:
        page.fail("foreign traffic", str(error))
        return False
    if deployment.leftovers is not None and traffic.sessions:
        page.fail(
            "foreign traffic",
            f"within {LISTEN_SECONDS:.0f} s the database was used by {', '.join(traffic.sessions)}",
            "Control is refused: end them meanwhile, or race without --postgres-port.",
        )
        return False
    if told := unasked(traffic):
        page.warn("foreign traffic", told)
    else:
        page.ok("foreign traffic", f"none within {LISTEN_SECONDS:.0f} s")
    return True


async def examine_control(page: Page, deployment: Deployment, crossings: Crossings) -> None:
    """Say what of the target is ours: which wires, and the level that comes of it; nobody else is there."""
    reach = deployment.reach
    page.ok("operations", "started one by one (serial) or all at once (barrage)")
    if reach.stripe:
        _tell_stripe(page, deployment, crossings)
    if reach.statements:
        _tell_statements(page, deployment, crossings)
        _tell_tls(page, deployment)
    found = Reach(
        database=reach.database,
        stripe=reach.stripe and crossings.calls > 0,
        statements=reach.statements and crossings.statements > 0,
    )
    page.ok("level", str(found))
    for line in found.cannot():
        page.warn("not ours", line)


def _tell_stripe(page: Page, deployment: Deployment, crossings: Crossings) -> None:
    """Say whether Stripe calls arrive; that a started target makes none was told with its operations."""
    if crossings.calls:
        page.ok("Stripe calls", f"{crossings.calls} arrived: ordered, made to fail, their answers lost")
    else:
        page.fail(
            "Stripe calls",
            f"none arrived at {deployment.server.url} while operations were done",
            "Start the target with that as its Stripe base.",
        )
    if deployment.endpoints:
        page.ok("webhooks", "delivered by us: in any order, more than once, forged")


def _tell_statements(page: Page, deployment: Deployment, crossings: Crossings) -> None:
    if crossings.statements:
        page.ok("SQL statements", f"{crossings.statements} flights crossed the proxy: each can be held")
        return
    assert deployment.proxy is not None  # statements are within reach
    page.fail(
        "SQL statements",
        f"none crossed the proxy at 127.0.0.1:{deployment.proxy.port} while operations were done",
        "Hand the target {postgres.url} in [target.env]; one that runs already: this host and port in its "
        "DATABASE_URL.",
    )


def _tell_tls(page: Page, deployment: Deployment) -> None:
    """Say whether a target that wants TLS to its database gets it; the server's own is reached or is not."""
    assert deployment.proxy is not None  # statements are within reach
    if deployment.proxy.demand is not None:
        page.ok("TLS", "spoken to the database server; the target has to do without (sslmode=disable)")
    elif deployment.proxy.tls is None:
        page.warn(
            "TLS",
            "not offered to the target: trustme is not installed, so one that insists on it cannot connect",
            "pip install 'deadheat[tls]', or sslmode=disable in the target's database URL.",
        )
    else:
        page.ok("TLS", "offered to the target, with a certificate of this run (channel binding cannot pass)")
