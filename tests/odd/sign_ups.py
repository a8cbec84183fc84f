"""A sign-up for each mode. Each gives the customer to answer with, or None when it answers first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from wires import Wires, truly

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

POLL_SECONDS = 0.1
POLLED_SECONDS_MAX = 3.0
LATER_SECONDS = 0.02


async def naive(wires: Wires, user: str, email: str) -> str:
    """Look first, act later; ``pool-of-one`` does it with three requests for one connection."""
    customer = await wires.customer_of(user)
    if customer is None:
        customer = await wires.create_customer(user, email)
        await wires.insert_profile(user, customer)
    return customer


async def polls(wires: Wires, user: str, email: str) -> str:
    """Look first, leave the work to the background, and poll until it is done."""
    customer = await wires.customer_of(user)
    if customer is None:
        job = await wires.pool.fetchval(truly("insert into jobs (customer) values (null) returning id"))
        wires.later(_work(wires, job, user, email))
        async with asyncio.timeout(POLLED_SECONDS_MAX):
            while customer is None:
                await asyncio.sleep(POLL_SECONDS)
                customer = await wires.pool.fetchval(truly("select customer from jobs where id = $1"), job)
        await wires.insert_profile(user, customer)
    return customer


async def _work(wires: Wires, job: int, user: str, email: str) -> None:
    customer = await wires.create_customer(user, email)
    await wires.pool.execute(truly("update jobs set customer = $2 where id = $1"), job, customer)


async def works_on(wires: Wires, user: str, email: str) -> None:
    """Answer first; look and act 20 ms after that."""

    async def after_the_answer() -> None:
        await asyncio.sleep(LATER_SECONDS)
        await naive(wires, user, email)

    wires.later(after_the_answer())


async def foreign_lock(wires: Wires, user: str, email: str) -> str:
    """Pass a gate that somebody else may hold locked, then look first, act later."""
    await wires.pool.execute(truly("update gate set passed = passed + 1 where id = 1"))
    return await naive(wires, user, email)


async def slow_statement(wires: Wires, user: str, email: str) -> str:
    """Look first, wait for a statement that is slow and not blocked, act later."""
    customer = await wires.customer_of(user)
    if customer is None:
        await wires.pool.execute(truly("select pg_sleep(0.1)"))
        customer = await wires.create_customer(user, email)
        await wires.insert_profile(user, customer)
    return customer


async def row_lock(wires: Wires, user: str, email: str) -> str:
    """Hold the user's row from the look to the insert, over the call to Stripe: right."""
    async with wires.pool.acquire() as connection, connection.transaction():
        locked = await connection.fetchval(
            truly("select user_id from users where user_id = $1 for update"), user
        )
        if locked is None:
            raise LookupError(f"nobody registered {user}")
        customer = await connection.fetchval(
            truly("select stripe_customer_id from profiles where user_id = $1"), user
        )
        if customer is None:
            customer = await wires.create_customer(user, email)
            await connection.execute(truly("insert into profiles values ($1, $2)"), user, customer)
    return customer


async def listens(wires: Wires, user: str, email: str) -> str:
    """Claim the user by a unique index, COPY and NOTIFY in the same transaction: right."""
    async with wires.pool.acquire() as connection, connection.transaction():
        claimed = await connection.fetchval(
            truly("insert into profiles (user_id) values ($1) on conflict do nothing returning true"), user
        )
        if not claimed:
            return await connection.fetchval(
                truly("select stripe_customer_id from profiles where user_id = $1"), user
            )
        customer = await wires.create_customer(user, email)
        await connection.execute(
            truly("update profiles set stripe_customer_id = $2 where user_id = $1"), user, customer
        )
        pages = [(user, "/"), (user, "/sign-up")]
        await connection.copy_records_to_table("visits", records=pages, columns=["user_id", "page"])
        await connection.execute(truly("select pg_notify('signed_up', $1)"), user)
    return customer


SIGN_UPS: dict[str, Callable[[Wires, str, str], Awaitable[str | None]]] = {
    "pool-of-one": naive,
    "polls": polls,
    "works-on": works_on,
    "foreign-lock": foreign_lock,
    "slow-statement": slow_statement,
    "row-lock": row_lock,
    "listens": listens,
    "deadlock": naive,
    "deadlock-retries": naive,
}
