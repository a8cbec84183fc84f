"""The SQL functions under real concurrency, and the verification queries on planted faults."""

from __future__ import annotations

import asyncio
import contextlib
import unicodedata
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from reference_impl.database import Database
from reference_impl.metrics import Metrics
from reference_impl.migrate import FOLDER
from reference_impl.profiles import Profiles
from reference_impl.sessions import CheckoutSessions
from reference_impl.settings import Settings

from .stage import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AT_ONCE = 24


@contextlib.asynccontextmanager
async def pool(dsn: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool whose connections are all open, so that what starts together runs together."""
    async with asyncpg.create_pool(dsn, min_size=AT_ONCE, max_size=AT_ONCE) as opened:
        yield opened


async def ensure(db: Any, user: UUID, email: str = "ada@example.test") -> Any:
    return await db.fetchrow("select * from ensure_stripe_customer_atomic($1, $2)", user, email)


async def record(db: Any, user: UUID, customer: str, name: str | None = None) -> Any:
    return await db.fetchrow(
        "select * from create_customer_and_profile_atomic($1, $2, $3, $4)",
        user,
        "ada@example.test",
        customer,
        name,
    )


def test_ensure_makes_one_placeholder(dsn: str) -> None:
    async def play() -> None:
        async with pool(dsn) as db:
            for _ in range(20):
                user = uuid4()
                rows = await asyncio.gather(
                    *(ensure(db, user, f"ada{n}@example.test") for n in range(AT_ONCE))
                )
                assert {tuple(row.keys()) for row in rows} == {
                    ("stripe_customer_id", "profile_id", "was_created")
                }
                assert sum(row["was_created"] for row in rows) == 1
                assert len({row["profile_id"] for row in rows}) == 1
                assert {row["stripe_customer_id"] for row in rows} == {None}

    run(play())


def test_record_keeps_the_first_of_many_customers(dsn: str) -> None:
    async def play() -> None:
        async with pool(dsn) as db:
            for with_placeholder in (False, True) * 10:
                user = uuid4()
                if with_placeholder:
                    await ensure(db, user)
                rows = await asyncio.gather(
                    *(record(db, user, f"cus_{user.hex}_{n}", f"Ada {n}") for n in range(AT_ONCE))
                )
                (winner,) = [n for n, row in enumerate(rows) if row["created_customer"]]
                assert sum(row["created_profile"] for row in rows) == (not with_placeholder)
                assert len({row["profile_id"] for row in rows}) == 1
                kept = await db.fetchval("select stripe_customer_id from profiles where user_id = $1", user)
                assert kept == f"cus_{user.hex}_{winner}"

    run(play())


def test_ensure_and_record_together(dsn: str) -> None:
    async def play() -> None:
        async with pool(dsn) as db:
            for _ in range(20):
                user, customer = uuid4(), f"cus_{uuid4().hex}"
                rows = await asyncio.gather(
                    *(ensure(db, user) if n % 2 else record(db, user, customer) for n in range(AT_ONCE))
                )
                assert sum(bool(row.get("created_customer")) for row in rows) == 1
                assert sum(bool(row.get("was_created") or row.get("created_profile")) for row in rows) == 1
                assert (await ensure(db, user))["stripe_customer_id"] == customer

    run(play())


def test_record_again_says_that_nothing_was_created(dsn: str) -> None:
    async def play() -> None:
        async with pool(dsn) as db:
            user = uuid4()
            first = await record(db, user, "cus_1")
            assert (first["created_customer"], first["created_profile"]) == (True, True)
            version = await db.fetchval("select version from profiles")
            for customer in ("cus_1", "cus_2"):
                again = await record(db, user, customer)
                assert (again["profile_id"], again["created_customer"], again["created_profile"]) == (
                    first["profile_id"],
                    False,
                    False,
                )
            assert await db.fetchval("select version from profiles") == version  # not even touched
            await record(db, user, "cus_1", "Ada")
            assert await db.fetchval("select full_name from profiles") == "Ada"

    run(play())


def test_a_retired_customer_is_never_recorded_again(dsn: str) -> None:
    async def play() -> None:
        async with pool(dsn) as db:
            for n in range(20):
                user, customer = uuid4(), f"cus_gone_{n}"
                await record(db, user, customer)
                await asyncio.gather(
                    db.execute("select retire_customer($1, null)", customer),
                    *(record(db, user, customer) for _ in range(6)),
                )
                assert (await ensure(db, user))["stripe_customer_id"] is None
                assert not (await record(db, user, customer))["created_customer"]
                row = await db.fetchrow(
                    "select user_id, reason from retired_customers where stripe_customer_id = $1", customer
                )
                assert tuple(row) == (user, "deleted")
                assert (
                    await db.fetchval("select customer_attempt from profiles where user_id = $1", user) == 2
                )  # once, however many asked

    run(play())


@pytest.mark.parametrize("arguments", ["null, 'a@b', 'cus_1'", "gen_random_uuid(), 'a@b', ''"])
def test_record_needs_a_user_and_a_customer(dsn: str, arguments: str) -> None:
    async def play() -> None:
        async with pool(dsn) as db:
            with pytest.raises(asyncpg.NullValueNotAllowedError):
                await db.fetchrow(f"select * from create_customer_and_profile_atomic({arguments})")

    run(play())


def test_one_customer_is_never_two_users(dsn: str) -> None:
    async def play() -> None:
        async with pool(dsn) as db:
            results = await asyncio.gather(
                *(record(db, uuid4(), "cus_1") for _ in range(AT_ONCE)), return_exceptions=True
            )
            refused = [r for r in results if isinstance(r, asyncpg.UniqueViolationError)]
            assert len(refused) == AT_ONCE - 1
            assert await db.fetchval("select count(*) from profiles") == 1

    run(play())


def test_tickets_keep_the_newest_reading(dsn: str) -> None:
    async def play() -> None:
        async with pool(dsn) as db:
            for n in range(20):
                user, subscription = uuid4(), f"sub_{n}"
                await record(db, user, f"cus_{n}")
                statuses = ["incomplete", *["active"] * (AT_ONCE - 2), "canceled"]
                await asyncio.gather(
                    *(
                        db.fetchval(
                            "select apply_subscription($1, $2, $3, $4, 'price_1', null, null)",
                            1000 * n + ticket,
                            subscription,
                            f"cus_{n}",
                            status,
                        )
                        for ticket, status in enumerate(statuses)
                    )
                )
                rows = await db.fetch("select user_id, status from subscriptions where user_id = $1", user)
                assert [tuple(row) for row in rows] == [(user, "canceled")]

    run(play())


def test_folding_agrees_with_python_on_every_letter(dsn: str) -> None:
    """Whatever the locale: a letter, its lower case and its simple case folding are one address."""

    async def play() -> None:
        letters = [chr(n) for n in range(33, 0x1E944) if not 0xD800 <= n < 0xE000 and chr(n).isalpha()]
        cased = [c for c in letters if c.lower() != c or len(c.casefold()) == 1 != c.casefold().find(c) + 1]
        assert len(cased) > 1400
        async with pool(dsn) as db:
            different = await db.fetch(
                """
                select a, b from unnest($1::text[], $2::text[]) one (a, b)
                where fold_email(a || '@b') <> fold_email(b || '@B')
                """,
                [c for c in cased for _ in range(2)],
                [f for c in cased for f in (c.lower(), c.casefold() if len(c.casefold()) == 1 else c)],
            )
            assert [tuple(row) for row in different] == []
            kept = letters[:52] + [c for c in letters if c not in set(cased) and c == c.lower()][:5000]
            folded = await db.fetchval("select count(distinct fold_email(a)) from unnest($1::text[]) a", kept)
            assert folded == len({unicodedata.normalize("NFC", c).casefold() for c in kept})

    run(play())


VERIFY = sorted(path.stem for path in (FOLDER / "verify").glob("*.sql"))

PLANTED = {
    "duplicate_profiles": """
        alter table profiles drop constraint profiles_user_id_key;
        insert into profiles (user_id) select user_id from profiles where stripe_customer_id = 'cus_1';
    """,
    "customer_differs": "update subscriptions set stripe_customer_id = 'cus_else'",
    "customer_differs_or_missing": "update subscriptions set stripe_customer_id = null",
    "duplicate_subscriptions": """
        alter table subscriptions drop constraint subscriptions_stripe_subscription_id_key;
        insert into subscriptions (user_id, stripe_customer_id, stripe_subscription_id, status)
        select user_id, stripe_customer_id, stripe_subscription_id, 'canceled' from subscriptions;
    """,
    "shared_customers": """
        alter table profiles drop constraint profiles_stripe_customer_id_key;
        insert into profiles (user_id, stripe_customer_id) values (gen_random_uuid(), 'cus_1');
    """,
    "subscriptions_without_profile": "delete from profiles",
    "kept_events_with_user": """
        insert into stripe_events (id, type, stripe_subscription_id, outcome)
        values ('evt_1', 'customer.subscription.created', 'sub_1', 'kept')
    """,
    "two_live_subscriptions": """
        insert into subscriptions (user_id, stripe_customer_id, stripe_subscription_id, status)
        select user_id, stripe_customer_id, 'sub_2', 'trialing' from subscriptions
    """,
}


@pytest.mark.parametrize("name", VERIFY)
def test_a_verification_query_finds_what_was_planted_and_nothing_else(dsn: str, name: str) -> None:
    async def play() -> None:
        query = (FOLDER / "verify" / f"{name}.sql").read_text()
        async with pool(dsn) as db:
            await record(db, uuid4(), "cus_1")
            await db.fetchval(
                "select apply_subscription(1, 'sub_1', 'cus_1', 'active', 'price_1', null, null)"
            )
            await record(db, uuid4(), "cus_2")
            assert await db.fetch(query) == []
            await db.execute(PLANTED[name])
            assert len(await db.fetch(query)) == 1

    run(play())


def test_unequal_does_not_see_what_is_missing(dsn: str) -> None:
    async def play() -> None:
        queries = [(FOLDER / "verify" / f"{n}.sql").read_text() for n in ("customer_differs",)]
        async with pool(dsn) as db:
            await record(db, uuid4(), "cus_1")
            await db.fetchval(
                "select apply_subscription(1, 'sub_1', 'cus_1', 'active', 'price_1', null, null)"
            )
            await db.execute("update subscriptions set stripe_customer_id = null")
            assert [await db.fetch(query) for query in queries] == [[]]

    run(play())


async def until_blocked(db: Any, waiting: asyncio.Task[Any], pid: int) -> None:
    """Wait until the backend waits for another one; or until ``waiting`` is over, which is a failure."""
    while not await db.fetchval("select cardinality(pg_blocking_pids($1)) > 0", pid):
        assert not waiting.done(), "it did not wait for the transaction that is open"
        await asyncio.sleep(0)


@pytest.mark.parametrize("hinted", [True, False])
def test_a_profile_waits_for_the_event_that_is_being_kept(dsn: str, hinted: bool) -> None:
    """Neither would see the other otherwise: the row is not there yet, nor is the profile."""

    async def play() -> None:
        user = uuid4()
        async with pool(dsn) as db, db.acquire() as keeping, db.acquire() as appearing:
            async with keeping.transaction():
                outcome = await keeping.fetchval(
                    "select apply_subscription(1, 'sub_1', 'cus_1', 'active', 'price_1', null, $1)",
                    user if hinted else None,
                )
                assert outcome == "kept"
                if hinted:
                    coming = asyncio.ensure_future(ensure(appearing, user))
                else:
                    coming = asyncio.ensure_future(record(appearing, user, "cus_1"))
                await until_blocked(db, coming, appearing.get_server_pid())
            await coming
            assert await db.fetchval("select user_id from subscriptions") == user

    run(play())


def test_an_attempt_and_a_generation_are_left_once(dsn: str) -> None:
    """Who saw the same end of a key or a session moves on together, not one after the other."""

    async def play() -> None:
        settings = Settings(
            database_url=dsn,
            stripe_api_base="",
            stripe_secret_key="",
            stripe_webhook_secret="",
            session_secret="",
        )
        database = await Database.connect(settings, Metrics())
        user = uuid4()
        profiles, sessions = Profiles(database), CheckoutSessions(database)
        await profiles.ensure_profile(user, "ada@example.test")
        await asyncio.gather(*(profiles.next_attempt(user, 1) for _ in range(5)))
        profile = await profiles.read(user)
        assert profile is not None
        assert profile.customer_attempt == 2

        unrecorded = await sessions.current(user, "cus_1", "price_1")
        assert await sessions.record(user, 1, "cs_1")
        await sessions.leave(user, unrecorded, "cus_1", "price_2")  # somebody has recorded one meanwhile
        recorded = await sessions.current(user, "cus_1", "price_2")
        assert (recorded.generation, recorded.session_id, recorded.price) == (1, "cs_1", "price_1")
        await asyncio.gather(*(sessions.leave(user, recorded, "cus_1", "price_2") for _ in range(5)))
        left = await sessions.current(user, "cus_1", "price_1")
        assert (left.generation, left.session_id, left.price) == (2, None, "price_2")
        assert not await sessions.record(user, 1, "cs_1")
        await database.close()

    run(play())
