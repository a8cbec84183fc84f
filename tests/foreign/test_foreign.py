"""The same naive sign-up in three foreign stacks: each starts, is right when things happen one after
the other, and says whose each of its statements is.

Barrage showed the race of each stack in 12 of 12 runs: the window is as wide as a call to Stripe.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from foreign_stage import STACKS, raced, settings_of

from deadheat.engine.postgres import open_postgres
from deadheat.engine.target import open_target
from deadheat.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

RACED = {"answers-agree", "one-customer-per-user", "one-profile-per-user"}
SPAN = "00f067aa0ba902b7"
LOCKED_SECONDS_MAX = 10.0


@pytest.mark.parametrize("stack", STACKS)
def test_one_after_the_other_it_is_clean(stack: str, tmp_path: Path) -> None:
    code, summary, said = raced(
        settings_of(stack), "--strategy", "serial", "--schedules", "2", folder=tmp_path
    )
    assert code == 0, said
    assert {s["name"]: s["runs"] for s in summary["scenarios"]} == {
        "foreign.twice": 2,
        "foreign.two-people": 2,
    }
    assert all(summary["invariants"][checked]["checked"] == 4 for checked in RACED)


@pytest.mark.parametrize("stack", STACKS)
def test_each_statement_says_whose_it_is(stack: str, tmp_path: Path) -> None:
    """What a controlled run's attribution is compared with: first the select is caught, then the insert."""
    select, insert = asyncio.run(_statements(settings_of(stack), tmp_path))
    assert select.startswith("SELECT stripe_customer_id FROM profiles")
    assert insert.startswith("INSERT INTO profiles")
    assert select.endswith(f" /* truth={SPAN} */")
    assert insert.endswith(f" /* truth={SPAN} */")


async def _statements(toml: Path, folder: Path) -> tuple[str, str]:
    settings = load_settings(options={"target": toml}, environ={"TRUTH": "1"}, cwd=folder)
    with a_stripe() as stripe_url:
        async with open_postgres("embedded") as server:
            await server.create_database("app")
            values = {
                "postgres.url": server.dsn_for("app"),
                "stripe.url": stripe_url,
                "stripe.key": "sk_test_x",
            }
            async with (
                open_target(settings.target, values=values, log=folder / "target.log") as target,
                connected(server) as first,
                connected(server) as second,
                connected(server) as watching,
                httpx.AsyncClient(base_url=target.base_url, timeout=20) as browser,
                asyncio.TaskGroup() as tasks,
            ):
                reading = first.transaction()
                await reading.start()
                await first.execute("lock table profiles in access exclusive mode")
                answer = tasks.create_task(
                    browser.post(
                        "/sign-up",
                        json={"userId": "u", "email": "u@example.test"},
                        headers={"traceparent": f"00-{'a' * 32}-{SPAN}-01"},
                    )
                )
                select = await waiting(watching, "SELECT%")
                writing = second.transaction()
                await writing.start()
                queued = tasks.create_task(second.execute("lock table profiles in share mode"))
                await waiting(watching, "lock table%")
                await reading.rollback()
                await queued
                insert = await waiting(watching, "INSERT%")
                await writing.rollback()
                assert (await answer).json() == {"stripeCustomerId": "cus_stub"}
    return select, insert


async def waiting(watching: Any, like: str) -> str:
    """Give the text of the statement that waits for a lock, once there is one."""
    async with asyncio.timeout(LOCKED_SECONDS_MAX):
        while True:
            text: str | None = await watching.fetchval(
                "select query from pg_stat_activity where wait_event_type = 'Lock' and query like $1", like
            )
            if text is not None:
                return text


@asynccontextmanager
async def connected(server: Any) -> AsyncIterator[Any]:
    connection = await server.connect("app")
    try:
        yield connection
    finally:
        await connection.close()


class _Stripe(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = b'{"id": "cus_stub", "object": "customer"}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None: ...


@contextmanager
def a_stripe() -> Iterator[str]:
    """Serve a Stripe that makes the same customer again and again."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Stripe) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
