"""The locust process: how it is started, and what it says when it ends badly.

Importing locust patches sockets, locks and threads of the whole process, so it never happens in
ours. It runs headless from a folder of its own, where no stray ``locust.conf`` lies, with nothing of
``LOCUST_…`` from outside, under a watcher (`deadheat.engine.watch`) like everything that we start.
"""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from deadheat.engine.loopback import LOOPBACK, free_port
from deadheat.engine.soak.wire import DESK
from deadheat.engine.watch import spawn
from deadheat.errors import SetupError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from deadheat.engine.watch import Watched

STOP_SECONDS = 5.0
DRAIN_SECONDS = 40
"""How long operations may take to end once the time is up; it outlasts the time-out of a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much load: for how many seconds, how many users at once, how many a second come."""

    seconds: float = 60.0
    users: int = 20
    spawn_rate: float = 20.0
    processes: int = 1


def check_locust() -> None:
    """SetupError when locust is not installed."""
    if find_spec("locust") is None:
        raise SetupError('a soak needs locust, which is not installed: pip install "deadheat[soak]"')


def command(plan: Plan, *, locustfile: Path, host: str) -> list[str]:
    """Give locust's command line. Its own end of time is only for a locustfile that never ends."""
    port = str(free_port())
    several = ["--processes", str(plan.processes)] if plan.processes > 1 else []
    bound = ["--master-bind-host", LOOPBACK, "--master-bind-port", port, "--master-port", port]
    return [
        *(sys.executable, "-m", "locust", "--locustfile", str(locustfile), "--host", host),
        *("--headless", "--only-summary", "--loglevel", "INFO"),
        *("--users", str(plan.users), "--spawn-rate", f"{plan.spawn_rate:g}"),
        *("--run-time", f"{round(plan.seconds) + 2 * DRAIN_SECONDS}s", "--exit-code-on-error", "0"),
        *several,
        *(bound if several else ()),
    ]


def environment(desk: str, outside: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Give locust's environment: ours, without what would change what it does."""
    kept = {name: value for name, value in outside.items() if not name.startswith(("LOCUST_", "DEADHEAT_"))}
    return {**kept, DESK: desk, "PYTHONUNBUFFERED": "1"}


@asynccontextmanager
async def open_locust(
    plan: Plan, *, locustfile: Path, host: str, desk: str, folder: Path
) -> AsyncIterator[Watched]:
    """Run locust for as long as the block lasts; what it prints goes to ``locust.log`` in ``folder``."""
    home = folder / "locust"
    home.mkdir(parents=True, exist_ok=True)
    argv = command(plan, locustfile=locustfile, host=host)
    log = folder / "locust.log"
    async with spawn(argv, env=environment(desk), cwd=home, output=log, grace_s=STOP_SECONDS) as process:
        yield process
