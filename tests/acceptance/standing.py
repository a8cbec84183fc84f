"""A target that its own people run: a database, a Stripe, and the application as it was in front of them.

Its Stripe at levels 0 and 1 is a ``deadheat serve`` that nobody races: it answers and sends webhooks as a
test-mode account would, and ``deadheat run`` knows nothing of it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
from conftest import CHECKOUT, Ended, environment
from serving import DEADLINE_S, eventually, serving

from deadheat.engine.loopback import free_port, is_taken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "sk_" + "test_" + "of_the_teams_own"
SECRET = "whsec_" + "of_the_teams_own"
BEFORE = CHECKOUT / "reference_impl" / "before" / "deadheat.toml"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where it is, and in which folder ``deadheat.toml`` says so."""

    folder: Path
    dsn: str
    port: int
    stripe_port: int
    postgres_port: int

    def configured(self, level: int, more_toml: str = "") -> None:
        """Write the file of `before` for a target that runs already, with what makes the level."""
        operations = BEFORE.read_text()
        operations = operations[operations.index("[target.operations.sign-up]") :]
        more = ['stripe-mock = "off"\n']
        if level >= 1:
            more.append(f'postgres = "{self.dsn}"\n')
        if level >= 2:
            more.append(f'stripe-port = {self.stripe_port}\nstripe-key = "{KEY}"\n')
            more.append(f'webhook-secret = "{SECRET}"\n')
        if level >= 3:
            more.append(f"postgres-port = {self.postgres_port}\n")
        target = f'[target]\nbase-url = "http://127.0.0.1:{self.port}"\nready = "/healthz"\n\n'
        (self.folder / "deadheat.toml").write_text("".join(more) + target + operations + more_toml)

    def runs(
        self,
        level: int,
        *arguments: str,
        wired: int | None = None,
        more_toml: str = "",
        timeout: float = 300,
    ) -> Ended:
        """Run ``deadheat`` against the target, which is started as the level asks, or as ``wired`` does."""
        self.configured(level, more_toml)
        level = level if wired is None else wired
        with ExitStack() as stack:
            dsn, stripe = self.dsn, f"http://127.0.0.1:{self.stripe_port}"
            key, secret = KEY, SECRET
            if level < 2:
                forward = f"http://127.0.0.1:{self.port}/api/stripe/webhook"
                given = ("--stripe-port", "0", "--stripe-mock", "off", "--postgres", self.dsn)
                elsewhere = self.folder / "stripe"
                elsewhere.mkdir(exist_ok=True)
                up = stack.enter_context(serving(*given, "--forward-to", forward, folder=elsewhere))
                stripe, key = up.env["STRIPE_API_BASE"], up.env["STRIPE_SECRET_KEY"]
                secret = up.env["STRIPE_WEBHOOK_SECRET"]
            racing = subprocess.Popen(
                [sys.executable, "-m", "deadheat", *arguments],
                cwd=self.folder,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            if level >= 3:
                login, name = self.dsn.partition("@")[0], self.dsn.rpartition("/")[2]
                dsn = f"{login}@127.0.0.1:{self.postgres_port}/{name}"
                eventually(
                    lambda: is_taken(self.postgres_port) or racing.poll() is not None, "the proxy is up"
                )
            stack.enter_context(_application(self.port, dsn, stripe, key, secret))
            out, err = racing.communicate(timeout=timeout)
        return Ended(racing.returncode, out, err, self.folder)


@contextmanager
def _application(port: int, dsn: str, stripe: str, key: str, secret: str) -> Iterator[None]:
    """Run the application as it was until the block ends."""
    process = subprocess.Popen(
        [
            sys.executable, "-m", "uvicorn", "reference_impl.before.app:app", "--app-dir", CHECKOUT,
            "--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--log-level", "error",
        ],
        env={
            "PATH": os.environ["PATH"],
            "DATABASE_URL": dsn,
            "STRIPE_API_BASE": stripe,
            "STRIPE_SECRET_KEY": key,
            "STRIPE_WEBHOOK_SECRET": secret,
            "SESSION_SECRET": "not-a-secret",
        },
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE_S)


def standing(folder: Path, server_dsn: str) -> Standing:
    """Make a database of the team's own, migrated, on a server that runs."""
    name = f"team_{secrets.token_hex(4)}"
    dsn = f"{server_dsn.rpartition('/')[0]}/{name}"

    async def make() -> None:
        connection = await asyncpg.connect(server_dsn)
        await connection.execute(f"create database {name}")
        await connection.close()

    asyncio.run(make())
    subprocess.run(
        [sys.executable, CHECKOUT / "reference_impl" / "migrate.py", "--only", "0001"],
        env={"PATH": os.environ["PATH"], "DATABASE_URL": dsn},
        check=True,
        capture_output=True,
    )
    return Standing(folder, dsn, free_port(), free_port(), free_port())
