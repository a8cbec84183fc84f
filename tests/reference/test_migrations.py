"""The migrations: on an empty database, on a dirty one, again, and two at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from reference_impl.migrate import FOLDER, migrate, migrations

from .stage import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ADA, BOB, CLEO, DAN, EVE = (UUID(int=n) for n in range(1, 6))

# Users with several profiles and customers, a customer of two users, subscriptions twice, rows that
# name nobody, blanks for missing. Every customer and subscription id in it must be found afterwards.
DIRTY = f"""
insert into users (id, email, full_name) values
    ('{ADA}', 'ada@example.test', 'Ada'), ('{BOB}', 'bob@example.test', 'Bob'),
    ('{CLEO}', 'cleo@example.test', null), ('{DAN}', 'dan@example.test', 'Dan');
insert into profiles (user_id, email, full_name, created_at) values
    ('{ADA}', 'ada@example.test', null, '2025-01-01'),
    ('{ADA}', 'Ada@example.test', 'Ada', '2025-01-02'),
    ('{ADA}', null, 'Ada L.', '2025-01-03'),
    (null, 'BOB@example.test', 'Bob', '2025-01-01'),
    ('{BOB}', '', ' ', '2025-02-01'),
    (null, 'nobody@example.test', 'Nobody', '2025-01-01'),
    (null, null, null, null),
    ('{CLEO}', 'cleo@example.test', null, null);
insert into subscriptions
    (user_id, stripe_customer_id, stripe_subscription_id, status, event_created, created_at) values
    ('{ADA}', 'cus_ada_new', null, 'none', null, '2025-03-01'),
    ('{ADA}', 'cus_ada_live', 'sub_ada', 'active', 20, '2025-02-01'),
    ('{ADA}', 'cus_ada_live', 'sub_ada', 'incomplete', 10, '2025-02-01'),
    ('{ADA}', 'cus_ada_old', 'sub_ada_old', 'canceled', 5, '2025-01-01'),
    (null, 'cus_ada_old', 'sub_ada_older', 'canceled', 4, '2024-01-01'),
    ('{BOB}', 'cus_shared', 'sub_bob', 'active', 9, '2025-01-01'),
    ('{CLEO}', 'cus_shared', null, 'none', null, '2024-01-01'),
    ('{DAN}', 'cus_dan', 'sub_dan', 'past_due', 9, '2025-01-01'),
    ('{DAN}', ' ', null, null, null, null),
    ('{EVE}', 'cus_eve', null, 'none', null, '2025-01-01'),
    (null, 'cus_nobody', 'sub_nobody', 'active', 3, '2025-01-01'),
    (null, null, 'sub_nobody', 'incomplete', 2, '2025-01-01'),
    (null, 'cus_alone', null, 'none', null, '2025-01-01'),
    (null, null, null, null, null, null);
"""


@contextlib.asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def dirty(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """The old schema with what the old code could leave in it."""
    await migrate(dsn, migrations("0001"))
    async with connected(dsn) as connection:
        await connection.execute(DIRTY)
        yield connection


async def dump(db: asyncpg.Connection, *tables: str) -> list[list[str]]:
    return [
        sorted(row[0] for row in await db.fetch(f"select to_jsonb(t)::text from {table} t"))
        for table in tables
    ]


def test_in_order_and_once(empty_dsn: str) -> None:
    async def play() -> None:
        names = list(migrations())
        assert [name[:4] for name in names] == ["0001", "0002", "0003", "0004", "0005", "0006", "0007"]
        assert await migrate(empty_dsn, migrations("0001")) == names[:1]
        assert await migrate(empty_dsn, migrations()) == names[1:]
        assert await migrate(empty_dsn, migrations()) == []

    run(play())


def test_four_at_once_apply_each_file_once(empty_dsn: str) -> None:
    async def play() -> None:
        applied = await asyncio.gather(*(migrate(empty_dsn, migrations()) for _ in range(4)))
        assert sorted(name for names in applied for name in names) == list(migrations())

    run(play())


def test_a_failing_file_leaves_nothing_behind(empty_dsn: str) -> None:
    async def play() -> None:
        bad = {"0001_a.sql": "create table a ()", "0002_b.sql": "create table b (); select 1/0"}
        try:
            await migrate(empty_dsn, bad)
        except asyncpg.DivisionByZeroError:
            pass
        else:
            raise AssertionError("it did not fail")
        assert await migrate(empty_dsn, {**bad, "0002_b.sql": "create table b ()"}) == ["0002_b.sql"]

    run(play())


def test_the_schema_as_it_was_takes_duplicates(empty_dsn: str) -> None:
    async def play() -> None:
        async with dirty(empty_dsn) as db:
            columns = {
                row[0]
                for row in await db.fetch(
                    "select column_name from information_schema.columns where table_name = 'profiles'"
                )
            }
            assert "stripe_customer_id" not in columns
            constraints = await db.fetch(
                """
                select conrelid::regclass::text from pg_constraint
                where contype in ('u', 'f', 'c') and connamespace = 'public'::regnamespace
                """
            )
            assert [row[0] for row in constraints] == ["users"]

    run(play())


def test_nothing_is_lost(empty_dsn: str) -> None:
    async def play() -> None:
        async with dirty(empty_dsn) as db:
            profiles, subscriptions = await dump(db, "profiles", "subscriptions")
            ids = {
                value
                for row in map(json.loads, subscriptions)
                for value in (row["stripe_customer_id"], row["stripe_subscription_id"])
                if value and value.strip()
            }
            await migrate(empty_dsn, migrations())
            after = await dump(db, "profiles", "subscriptions", "retired_customers", "merged_rows")
            everything = "\n".join(row for rows in after for row in rows)
            assert {id_ for id_ in ids if f'"{id_}"' not in everything} == set()
            assert len(after[0]) + merged(after[3], "profiles") == len(profiles) + made_for(
                after[0], DAN, EVE
            )
            assert len(after[1]) + merged(after[3], "subscriptions") == len(subscriptions)

    def merged(rows: list[str], source: str) -> int:
        return sum(json.loads(row)["source"] == source for row in rows)

    def made_for(rows: list[str], *users: UUID) -> int:
        return sum(json.loads(row)["user_id"] in map(str, users) for row in rows)

    run(play())


def test_each_user_ends_with_one_profile_and_the_best_customer(empty_dsn: str) -> None:
    async def play() -> None:
        async with dirty(empty_dsn) as db:
            await migrate(empty_dsn, migrations())
            found = {
                row["user_id"]: (row["email"], row["full_name"], row["stripe_customer_id"])
                for row in await db.fetch("select * from profiles")
            }
            assert found == {
                ADA: ("ada@example.test", "Ada L.", "cus_ada_live"),
                BOB: ("BOB@example.test", "Bob", "cus_shared"),
                CLEO: ("cleo@example.test", None, None),
                DAN: ("dan@example.test", "Dan", "cus_dan"),
                EVE: (None, None, "cus_eve"),
            }
            retired = await db.fetch("select stripe_customer_id, user_id from retired_customers order by 1")
            assert [tuple(row) for row in retired] == [("cus_ada_new", ADA), ("cus_ada_old", ADA)]
            rows: list[Any] = await db.fetch(
                """
                select stripe_subscription_id, user_id, stripe_customer_id, billed_customer_id, status
                from subscriptions where stripe_subscription_id is not null order by 1
                """
            )
            assert [tuple(row) for row in rows] == [
                ("sub_ada", ADA, "cus_ada_live", "cus_ada_live", "active"),
                ("sub_ada_old", ADA, "cus_ada_live", "cus_ada_old", "canceled"),
                ("sub_ada_older", ADA, "cus_ada_live", "cus_ada_old", "canceled"),
                ("sub_bob", BOB, "cus_shared", "cus_shared", "active"),
                ("sub_dan", DAN, "cus_dan", "cus_dan", "past_due"),
                ("sub_nobody", None, "cus_nobody", "cus_nobody", "active"),
            ]
            for path in sorted((FOLDER / "verify").glob("*.sql")):
                assert await db.fetch(path.read_text()) == [], path.name

    run(play())


def test_a_webhook_of_a_merged_customer_finds_its_user(empty_dsn: str) -> None:
    async def play() -> None:
        async with dirty(empty_dsn) as db:
            await migrate(empty_dsn, migrations())
            outcome = await db.fetchval(
                "select apply_subscription(1, 'sub_late', 'cus_ada_new', 'active', 'price_1', null, null)"
            )
            assert outcome == "applied"
            row = await db.fetchrow("select * from subscriptions where stripe_subscription_id = 'sub_late'")
            assert (row["user_id"], row["stripe_customer_id"]) == (ADA, "cus_ada_live")

    run(play())


def test_addresses_that_0002_took_for_different_ones_are_one(empty_dsn: str) -> None:
    """Up to 0005 addresses were compared as the locale sees fit; under C not beyond ASCII."""

    async def play() -> None:
        await migrate(empty_dsn, migrations("0001"))
        async with connected(empty_dsn) as db:
            await db.execute(f"insert into users (id, email) values ('{EVE}', 'éva@example.test')")
            await db.execute("insert into profiles (email, full_name) values ('ÉVA@example.test', 'Éva')")
            await migrate(empty_dsn, {n: s for n, s in migrations().items() if n < "0006"})
            assert await db.fetchval("select admit_user($1, 'ÉVA@example.test')", EVE) == "other e-mail"
            await migrate(empty_dsn, migrations())
            row = await db.fetchrow("select * from profiles")
            assert (row["user_id"], row["email"], row["full_name"]) == (EVE, "éva@example.test", "Éva")
            assert await db.fetchval("select merged_into from merged_rows") == row["id"]
            assert await db.fetchval("select admit_user($1, 'ÉVA@example.test')", EVE) == "welcome"
            assert await db.fetchval("select register_user('ÉVA@example.test', null)") == EVE

    run(play())


def test_subscriptions_kept_for_a_retired_customer_find_their_user(empty_dsn: str) -> None:
    async def play() -> None:
        await migrate(empty_dsn, {n: s for n, s in migrations().items() if n < "0006"})
        async with connected(empty_dsn) as db:
            await db.fetchval("select apply_subscription(1, 'sub_1', 'cus_2', 'active', 'p', null, null)")
            await db.execute("select create_customer_and_profile_atomic($1, 'a@b', 'cus_1')", ADA)
            await db.execute("select drop_loser('cus_2', $1)", ADA)
            await migrate(empty_dsn, migrations())
            row = await db.fetchrow("select * from subscriptions")
            assert (row["user_id"], row["stripe_customer_id"]) == (ADA, "cus_1")
            assert await db.fetchval("select removals_left from retired_customers") > 0

    run(play())


def test_every_look_up_has_an_index(empty_dsn: str) -> None:
    """With sequential scans forbidden, none is left in the plan of any look-up of the application."""
    look_ups = (
        "select from profiles where user_id = '00000000-0000-0000-0000-000000000000'",
        "select from profiles where stripe_customer_id = 'x'",
        "select from profiles where fold_email(email) = 'x'",
        "select from users where fold_email(email) = 'x'",
        "select from subscriptions where stripe_subscription_id = 'x'",
        "select from subscriptions where user_id = '00000000-0000-0000-0000-000000000000'",
        "select from subscriptions where billed_customer_id = 'x'",
        "select from retired_customers where stripe_customer_id = 'x'",
        "select from stripe_events where id = 'x'",
        "select from checkout_sessions where user_id = '00000000-0000-0000-0000-000000000000'",
        "select from confirmations where code = 'x'",
    )

    async def play() -> None:
        await migrate(empty_dsn, migrations())
        async with connected(empty_dsn) as db:
            await db.execute("set enable_seqscan = off")
            for look_up in look_ups:
                plan = "\n".join(row[0] for row in await db.fetch(f"explain {look_up}"))
                assert "Index" in plan, (look_up, plan)

    run(play())


def test_the_files_are_found_from_anywhere() -> None:
    assert Path(__file__).parents[2] / "sql" == FOLDER
