"""Yield points in a real Postgres: where a backend stands, what sees it, and that nothing of it stays."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from postgres_house import House, open_house

from deadheat.engine.conduct.blocking import Blocking
from deadheat.engine.postgres.parking import SCHEMA as OURS
from deadheat.engine.postgres.parking import TAGS, TRIGGER, Parking
from deadheat.errors import DatabaseLost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.slow

SCHEMA = """
    create table profiles (id int primary key, name text, seen text);
    insert into profiles (id, name) values (1, 'Ada'), (2, 'Bob');
    create table payments (id int, day date) partition by range (day);
    create table payments_2026 partition of payments for values from ('2026-01-01') to ('2027-01-01');
    create schema billing;
    create table billing.plans (id int primary key);
    create view names as select name from profiles;
    create sequence noted;
    create function note() returns trigger language plpgsql as $$
    begin
        perform nextval('noted');  -- seen by others at once
        new.seen := 'by the application';
        return new;
    end $$;
    create trigger zz_note before insert or update on profiles for each row execute function note();
"""
TRIGGERS = "select tgrelid::regclass::text from pg_trigger where tgname = $1 order by 1"
LOCKS = "select count(*) from pg_locks where locktype = 'advisory' and classid::int8 = any($1::int8[])"
DUPLICATE = """
    create function sign_up(email text) returns int language plpgsql as $$
    begin
        if not exists (select from people where mail = email) then insert into people values (email); end if;
        return (select count(*) from people where mail = email);
    end $$;
"""


class Yard:
    """One application session behind yield points, the session that asks, and the parking."""

    def __init__(self, house: House, parking: Parking, watcher: Any, app: Any) -> None:
        self.house = house
        self.parking = parking
        self.watcher = watcher
        self.blocking = Blocking(watcher)
        self.app = app

    @classmethod
    @asynccontextmanager
    async def of(cls, house: House) -> AsyncIterator[Yard]:
        """Put up the triggers, with the application held at its writes."""
        holder, builder, watcher, app = [await house.session() for _ in range(4)]
        parking = Parking(holder, builder)
        async with parking.installed(), parking.holding([app.get_server_pid()]):
            yield cls(house, parking, watcher, app)

    async def parked(self, session: Any = None) -> None:
        """Wait until a session stands at a yield point: blocked by the parking, and by nobody else."""
        pid = (session or self.app).get_server_pid()
        while not (by := (await self.blocking.of([pid]))[pid]):
            pass
        assert by == {self.parking.pid}

    async def parks(self, sql: str) -> int:
        """Run a statement of the application's, and count how often it stands at a yield point."""
        pid, parks = self.app.get_server_pid(), 0
        writing = asyncio.create_task(self.app.execute(sql))
        while not writing.done():
            if (await self.blocking.of([pid]))[pid]:
                parks += 1
                await self.let_through()
        await writing
        return parks

    async def let_through(self, session: Any = None, *, for_good: bool = False) -> None:
        """Let it through and wait until it has passed."""
        passed = asyncio.Event()
        pid = (session or self.app).get_server_pid()
        self.parking.let_through(pid, passed.set, for_good=for_good)
        await passed.wait()


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with open_house(SCHEMA) as made:
        yield made


WRITES = {
    "insert": "insert into profiles values (3, 'Cleo')",
    "upsert": "insert into profiles values (1, 'Ada') on conflict (id) do update set name = 'Eve'",
    "upsert-nothing": "insert into profiles values (1, 'Ada') on conflict do nothing",
    "update": "update profiles set name = 'Dan' where id = 1",
    "delete": "delete from profiles where id = 1",
    "partition": "insert into payments values (1, '2026-05-01')",
    "partition-itself": "insert into payments_2026 values (1, '2026-05-01')",
    "schema": "insert into billing.plans values (1)",
    "select-into": "with made as (insert into billing.plans values (2) returning id) select id from made",
    "copy-like": "insert into billing.plans select 7",
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_stands_before_its_effect_until_it_is_let_through(house: House, write: str) -> None:
    async def test(house: House) -> None:
        async with Yard.of(house) as yard:
            writing = asyncio.create_task(yard.app.execute(write))
            await yard.parked()
            assert not writing.done()
            while not writing.done():
                await yard.let_through()
                await asyncio.sleep(0)
            await writing

    house.run(test)


def test_what_it_writes_is_what_it_would_have_written(house: House) -> None:
    async def test(house: House) -> None:
        async with Yard.of(house) as yard:
            for write in WRITES.values():
                writing = asyncio.create_task(yard.app.execute(write))
                while not writing.done():
                    await yard.let_through()
            rows = await yard.watcher.fetch("select id, name, seen from profiles order by id")
            names = [(row["id"], row["name"]) for row in rows]
            assert names == [(2, "Bob"), (3, "Cleo")], "inserted, changed twice, and the first deleted"
            assert rows[1]["seen"] == "by the application"
            assert await yard.watcher.fetchval("select count(*) from payments") == 2

    house.run(test)


def test_triggers_of_the_application_run_before_the_park(house: House) -> None:
    async def test(house: House) -> None:
        async with Yard.of(house) as yard:
            assert not await yard.watcher.fetchval("select is_called from noted")
            writing = asyncio.create_task(yard.app.execute(WRITES["insert"]))
            await yard.parked()
            assert await yard.watcher.fetchval("select is_called from noted")
            await yard.let_through()
            await writing
            triggers = await yard.watcher.fetch(
                "select tgname from pg_trigger where tgrelid = 'profiles'::regclass order by tgname"
            )
            assert [row["tgname"] for row in triggers] == ["zz_note", TRIGGER]

    house.run(test)


def test_each_row_parks(house: House) -> None:
    async def test(house: House) -> None:
        async with Yard.of(house) as yard:
            assert await yard.parks("insert into billing.plans select generate_series(1, 200)") == 200
            assert await yard.parks("delete from billing.plans where id <= 50") == 50

    house.run(test)


def test_an_upsert_parks_as_often_every_time(house: House) -> None:
    """It is about to insert, finds the row there, and is about to update it."""

    async def test(house: House) -> None:
        async with Yard.of(house) as yard:
            assert [await yard.parks(WRITES["upsert"]) for _ in range(10)] == [2] * 10
            assert [await yard.parks(WRITES["upsert-nothing"]) for _ in range(3)] == [1] * 3

    house.run(test)


ROLLED_BACK = {
    "transaction": ("begin", "insert into billing.plans values (1)", "rollback"),
    "odd-transaction": ("begin", "insert into billing.plans values (1), (2), (3)", "rollback"),
    "savepoint": ("begin", "savepoint s", "insert into billing.plans values (1)", "rollback to s", "commit"),
    "error": ("insert into billing.plans select 1 from generate_series(1, 2)",),
}


@pytest.mark.parametrize("before", ROLLED_BACK.values(), ids=ROLLED_BACK)
def test_what_was_rolled_back_does_not_confuse_the_turns(house: House, before: tuple[str, ...]) -> None:
    """Whose turn it is goes back with the transaction, while the locks do not."""

    async def test(house: House) -> None:
        async with Yard.of(house) as yard:
            for _ in range(3):
                for sql in before:
                    with suppress(asyncpg.UniqueViolationError):
                        await yard.parks(sql)
                assert await yard.parks("insert into billing.plans values (1), (2)") == 2
                assert await yard.parks("delete from billing.plans") == 2

    house.run(test)


def test_for_good_means_never_again(house: House) -> None:
    async def test(house: House) -> None:
        async with Yard.of(house) as yard:
            rows = "insert into billing.plans select generate_series(1, 5)"
            writing = asyncio.create_task(yard.app.execute(rows))
            await yard.parked()
            await yard.let_through(for_good=True)
            assert await writing == "INSERT 0 5"
            assert await yard.app.execute("insert into billing.plans values (6)") == "INSERT 0 1"

    house.run(test)


def test_who_went_for_good_stands_again_once_the_point_is_shut(house: House) -> None:
    async def test(house: House) -> None:
        async with Yard.of(house) as yard:
            pid, insert = yard.app.get_server_pid(), "insert into billing.plans values (1), (2)"
            for _ in range(2):
                writing = asyncio.create_task(yard.app.execute(insert))
                await yard.parked()
                await yard.let_through(for_good=True)
                await writing
                await yard.watcher.execute("truncate billing.plans")
                for _ in range(2):  # what is shut already stays as it is
                    shut = asyncio.Event()
                    yard.parking.shut(pid, shut.set)
                    await shut.wait()
                assert await yard.watcher.fetchval(LOCKS, TAGS) == 2
            assert await yard.parks(insert) == 2
        assert yard.parking.failure is None
        assert await yard.watcher.fetchval(LOCKS, TAGS) == 0

    house.run(test)


def test_reads_and_other_sessions_do_not_park(house: House) -> None:
    async def test(house: House) -> None:
        async with Yard.of(house) as yard:
            assert await yard.app.fetchval("select count(*) from profiles") == 2
            await yard.app.execute("update profiles set name = 'x' where id = 99")
            other = await house.session()
            assert await other.execute(WRITES["insert"]) == "INSERT 0 1"
            await yard.parking.hold(other.get_server_pid())
            writing = asyncio.create_task(other.execute(WRITES["delete"]))
            await yard.parked(other)
            await yard.let_through(other)
            await writing

    house.run(test)


def test_a_check_and_an_insert_in_one_function_are_split(house: House) -> None:
    """One flight each: one after the other there is no duplicate, parked in between there is."""

    async def test(house: House) -> None:
        async with Yard.of(house) as yard:
            await yard.watcher.execute("create table people (mail text)")
            await yard.watcher.execute(DUPLICATE)
        holder, builder = [await house.session() for _ in range(2)]
        parking = Parking(holder, builder)
        one, two = [await house.session() for _ in range(2)]
        async with parking.installed(), parking.holding([one.get_server_pid()]):
            yard = Yard(house, parking, yard.watcher, one)
            first = asyncio.create_task(one.fetchval("select sign_up('ada')"))
            await yard.parked()
            assert await two.fetchval("select sign_up('ada')") == 1
            await yard.let_through()
            assert await first == 2
            assert await two.fetchval("select sign_up('bob')") == 1

    house.run(test)


def test_triggers_are_there_only_inside(house: House) -> None:
    async def test(house: House) -> None:
        holder, builder, watcher = [await house.session() for _ in range(3)]
        parking = Parking(holder, builder)

        async def tables() -> list[str]:
            return [row[0] for row in await watcher.fetch(TRIGGERS, TRIGGER)]

        assert await tables() == []
        for _ in range(2):
            async with parking.installed():
                assert await tables() == ["billing.plans", "payments", "payments_2026", "profiles"]
            assert await tables() == []
        with pytest.raises(ZeroDivisionError):
            async with parking.installed():
                raise ZeroDivisionError
        assert await tables() == []
        assert not await watcher.fetchval("select count(*) from pg_namespace where nspname = $1", OURS)

    house.run(test)


def test_nothing_is_held_afterwards_and_who_stands_there_goes_on(house: House) -> None:
    async def test(house: House) -> None:
        holder, builder, watcher, app = [await house.session() for _ in range(4)]
        parking = Parking(holder, builder)
        async with parking.installed():
            async with parking.holding([app.get_server_pid()]) as held:
                assert held is parking
                assert await watcher.fetchval(LOCKS, TAGS) == 2, "one for each turn"
                writing = asyncio.create_task(app.execute(WRITES["schema"]))
                await house.until_waiting(watcher, app)
            await writing
            assert await watcher.fetchval(LOCKS, TAGS) == 0
            async with parking.holding([app.get_server_pid()]):
                writing = asyncio.create_task(app.execute("insert into billing.plans values (2)"))
                await house.until_waiting(watcher, app)
            await writing

    house.run(test)


def test_a_backend_that_is_killed_while_it_stands_there_leaves_nothing(house: House) -> None:
    async def test(house: House) -> None:
        async with Yard.of(house) as yard:
            writing = asyncio.create_task(yard.app.execute(WRITES["schema"]))
            await yard.parked()
            await yard.watcher.execute("select pg_terminate_backend($1)", yard.app.get_server_pid())
            await asyncio.gather(writing, return_exceptions=True)
        assert await yard.watcher.fetchval(LOCKS, TAGS) == 0
        assert await yard.watcher.fetchval("select count(*) from billing.plans") == 0

    house.run(test)


def test_a_role_without_rights_may_write_past_a_yield_point(house: House) -> None:
    async def test(house: House) -> None:
        async with Yard.of(house) as yard:
            await yard.watcher.execute(
                "drop role if exists deadheat_app; create role deadheat_app; "
                "grant usage on schema billing to deadheat_app; grant insert on billing.plans to deadheat_app"
            )
            try:
                await yard.app.execute("set role deadheat_app")
                writing = asyncio.create_task(yard.app.execute(WRITES["schema"]))
                await yard.parked()
                await yard.let_through()
                assert await writing == "INSERT 0 1"
            finally:
                await yard.app.execute("reset role")
                await yard.watcher.execute("drop owned by deadheat_app; drop role deadheat_app")

    house.run(test)


def test_where_the_triggers_cannot_be_put_up_the_database_is_lost(house: House) -> None:
    async def test(house: House) -> None:
        holder, builder = [await house.session() for _ in range(2)]
        builder.terminate()
        with pytest.raises(DatabaseLost, match="the database went away"):
            async with Parking(holder, builder).installed():
                pytest.fail("it must not get here")

    house.run(test)
