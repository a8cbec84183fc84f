"""The forms as their own people run them: a run takes its rows away again, or says which it leaves."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from forms_stage import HERE, a_server, explore, settings_of

from deadheat.engine.events import Verdict
from deadheat.engine.loopback import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deadheat.engine.events import SuiteFinished

pytestmark = pytest.mark.slow

KEY = "sk_" + "test_" + "of_the_forms"
SECRETS = {"": "whsec_" + "of_the_billing", "credits": "whsec_" + "of_the_credits"}
SOMEBODY = "insert into users (email, customer) values ('somebody@example.test', 'cus_somebody')"


class Standing:
    """An application that runs, its database with somebody's row in it, and the port of its Stripe."""

    def __init__(self, server: str) -> None:
        self.dsn = f"{server.rpartition('/')[0]}/team"
        self.port, self.stripe_port = free_port(), free_port()
        self.env = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": self.dsn,
            "STRIPE_API_BASE": f"http://127.0.0.1:{self.stripe_port}",
            "STRIPE_SECRET_KEY": KEY,
            "BILLING_SECRET": SECRETS[""],
            "CREDITS_SECRET": SECRETS["credits"],
            "FORMS": "",
        }

    def migrate(self, server: str) -> None:
        asyncio.run(execute(server, "create database team"))
        subprocess.run([sys.executable, "migrate.py"], cwd=HERE, env=self.env, check=True)
        asyncio.run(execute(self.dsn, SOMEBODY))

    @contextmanager
    def running(self) -> Iterator[None]:
        words = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(self.port), "--log-level", "error"]
        process = subprocess.Popen(words, cwd=HERE, env=self.env)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)

    def rows(self) -> dict[str, list[Any]]:
        """Give everything that is in the database, as Postgres keeps it: with where each row lies."""
        return {
            table: asyncio.run(execute(self.dsn, f"select ctid::text, * from {table} order by 1"))
            for table in ("users", "plans", "credits")
        }

    def raced(self, folder: Path, *, cleanup: bool) -> SuiteFinished:
        settings = settings_of(folder, self.dsn)
        target = replace(
            settings.target, start=None, migrate=None, env={}, base_url=f"http://127.0.0.1:{self.port}",
            webhooks=tuple(replace(hook, secret=SECRETS[hook.name]) for hook in settings.target.webhooks),
            cleanup=settings.target.cleanup if cleanup else (),
        )  # fmt: skip
        settings = replace(
            settings, target=target, own_invariants=(), stripe_port=self.stripe_port, stripe_key=KEY,
        )  # fmt: skip
        explored = explore(settings, ("leaving", "credit"), {"serial": 1, "barrage": 2})
        for name, exploration in explored.scenarios.items():
            assert exploration.verdict is Verdict.CLEAN, (name, exploration.reason, explored.violated(name))
        return explored.finished


async def execute(dsn: str, sql: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def team() -> Iterator[Standing]:
    with a_server() as server:
        made = Standing(server)
        made.migrate(server)
        with made.running():
            yield made


def test_what_a_run_made_is_taken_away_and_nothing_else(team: Standing, tmp_path: Path) -> None:
    before = team.rows()
    assert len(before["users"]) == 1
    left = team.raced(tmp_path, cleanup=True).left
    assert left is not None
    assert (left.rows, left.problem) == ({"customers": 0, "subscriptions": 0, "effects": 0}, None)
    assert left.users == 6  # one in each run
    assert team.rows() == before


def test_without_a_cleanup_it_is_told_what_is_left_and_how_to_find_it(team: Standing, tmp_path: Path) -> None:
    before = team.rows()
    left = team.raced(tmp_path, cleanup=False).left
    assert left is not None
    after = team.rows()
    new = [row for row in after["users"] if row not in before["users"]]
    assert left.rows == {
        "customers": len(new),
        "subscriptions": len(after["plans"]),
        "effects": len(after["credits"]),
    }
    assert left.users == len(new)
    assert left.rows["subscriptions"] > 0
    assert left.rows["effects"] > 0  # the second endpoint, with a secret of its own, was delivered to
    alike = asyncio.run(execute(team.dsn, f"select email from users where email like '{left.like}'"))
    assert sorted(email for (email,) in alike) == sorted(row[2] for row in new)
    assert [row for row in after["users"] if row not in new] == before["users"]
