"""What every mode of the odd target has: a pool, Stripe over plain HTTP, and work that goes on.

With TRUTH=1 each statement says at its end which request it is of, as ``/* truth=<span> */``; work
that a request leaves behind is still of that request.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

_SPAN: ContextVar[str] = ContextVar("span", default="")


@dataclass(frozen=True, slots=True)
class Wires:
    """The target's ways out. ``heard`` is whom the listening connection was told of."""

    pool: asyncpg.Pool
    stripe: httpx.AsyncClient
    heard: dict[str, asyncio.Event] = field(default_factory=dict)
    working: set[asyncio.Task[None]] = field(default_factory=set)

    async def customer_of(self, user: str) -> str | None:
        """Look for the customer of a user, on a connection taken for this statement alone."""
        return await self.pool.fetchval(
            truly("select stripe_customer_id from profiles where user_id = $1"), user
        )

    async def insert_profile(self, user: str, customer: str) -> None:
        """Insert a profile, on a connection taken for this statement alone."""
        await self.pool.execute(truly("insert into profiles values ($1, $2)"), user, customer)

    async def create_customer(self, user: str, email: str) -> str:
        """Make a customer at Stripe; give its id."""
        made = await self.stripe.post("/v1/customers", data={"email": email, "metadata[user_id]": user})
        made.raise_for_status()
        return str(made.json()["id"])

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Let work go on by itself."""
        task = asyncio.create_task(work)
        self.working.add(task)
        task.add_done_callback(self.working.discard)

    def hearing_of(self, user: str) -> asyncio.Event:
        """Give what is set once the listening connection was told of a user."""
        return self.heard.setdefault(user, asyncio.Event())


@asynccontextmanager
async def open_wires(odd: str) -> AsyncIterator[Wires]:
    """Open what a mode needs: one connection only, or many, or one more that listens."""
    url = os.environ["DATABASE_URL"]
    least, most = (1, 1) if odd == "pool-of-one" else (2, 8)
    async with (
        asyncpg.create_pool(url, min_size=least, max_size=most) as pool,
        httpx.AsyncClient(
            base_url=os.environ["STRIPE_API_BASE"],
            headers={"Authorization": f"Bearer {os.environ['STRIPE_SECRET_KEY']}"},
            timeout=30,
        ) as stripe,
    ):
        wires = Wires(pool, stripe)
        if odd != "listens":
            yield wires
            return
        listening = await asyncpg.connect(url)
        await listening.add_listener("signed_up", lambda *told: wires.hearing_of(told[3]).set())
        yield wires
        await listening.close()


def on_behalf_of(traceparent: str) -> None:
    """Take all that follows in this task for the work of the request with this header."""
    span = re.fullmatch(r"00-[0-9a-f]{32}-([0-9a-f]{16})-01", traceparent)
    _SPAN.set(span[1] if span and os.environ.get("TRUTH") == "1" else "")


def truly(sql: str) -> str:
    """Add the request's span to a statement, where the truth is asked for."""
    return f"{sql} /* truth={_SPAN.get()} */" if _SPAN.get() else sql
