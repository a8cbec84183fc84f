"""The target's tables through a real Postgres: whose rows are read, who is busy, and what goes wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from deadheat.engine.postgres import open_postgres
from deadheat.engine.tables import Database
from deadheat.errors import DatabaseLost, SettingsError, Trouble
from deadheat.invariants.settled import CustomerRow, EffectRow, SubscriptionRow, Tables

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from deadheat.engine.postgres import PostgresServer

pytestmark = pytest.mark.slow

ADA, BOB = "7c9e6679-7425-40de-944b-e07fc1f90ae7", "0e37df36-f698-11e6-8dd4-cb9ced3df976"
SCHEMA = f"""
    create table profiles (id uuid primary key, customer text, divisor int not null);
    create table plans (who uuid, subscription text, customer text, state text);
    create table credits (id int primary key, who uuid, event text, what text);
    insert into profiles values ('{ADA}', 'cus_a', 1), ('{BOB}', null, 0);
    insert into plans values ('{ADA}', 'sub_a', 'cus_a', 'active'), ('{BOB}', null, null, null);
    insert into credits values (1, '{ADA}', 'evt_a', 'credit'), (2, '{BOB}', 'evt_b', 'mail');
"""
CUSTOMERS = "select id as user_id, customer as stripe_customer_id from profiles"
SUBSCRIPTIONS = """
    select who as user_id, subscription as stripe_subscription_id, customer as stripe_customer_id,
           state as status
    from plans;
"""
A_CUSTOMER = CustomerRow(user_id=ADA, stripe_customer_id="cus_a")
B_CUSTOMER = CustomerRow(user_id=BOB, stripe_customer_id=None)


class House:
    """One server for all tests of this file, with the target's tables and sessions beside ours."""

    def __init__(self, runner: asyncio.Runner, server: PostgresServer) -> None:
        self.runner = runner
        self.server = server

    async def target(self) -> Any:
        return await self.server.connect("deadheat_tables")

    def run(self, test: Callable[[Any], Awaitable[None]]) -> None:
        """Run a test with a connection of ours."""

        async def connected() -> None:
            ours = await self.target()
            try:
                await test(ours)
            finally:
                ours.terminate()

        self.runner.run(connected())

    def read(self, tables: Mapping[str, str], *users: str, sources: tuple[str, ...] = ()) -> Tables:
        found: list[Tables] = []

        async def test(ours: Any) -> None:
            found.append(await (await Database.of(ours, tables)).read(users, sources))

        self.run(test)
        return found[0]


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with asyncio.Runner() as runner:
        opening = open_postgres("embedded")
        server = runner.run(opening.__aenter__())
        try:
            runner.run(server.create_database("deadheat_tables"))
            made = House(runner, server)
            made.run(lambda ours: ours.execute(SCHEMA))
            yield made
        finally:
            runner.run(opening.__aexit__(None, None, None))


def test_a_run_sees_the_rows_of_its_own_people(house: House) -> None:
    tables = {"customers": CUSTOMERS, "subscriptions": SUBSCRIPTIONS}
    ada = house.read(tables, ADA, "an-id-that-is-no-uuid")
    assert ada.customers == (A_CUSTOMER,)
    assert ada.subscriptions == (
        SubscriptionRow(
            user_id=ADA, stripe_subscription_id="sub_a", stripe_customer_id="cus_a", status="active"
        ),
    )
    bob = house.read(tables, BOB)
    assert bob.customers == (B_CUSTOMER,)
    assert [row.user_id for row in bob.subscriptions or ()] == [BOB]
    both = house.read(tables, BOB, ADA)
    assert both == house.read(tables, ADA, BOB)
    assert set(both.customers or ()) == {A_CUSTOMER, B_CUSTOMER}
    assert house.read(tables) == Tables(customers=(), subscriptions=())


def test_the_order_in_which_postgres_keeps_rows_is_no_difference(house: House) -> None:
    seen: list[Tables] = []

    async def test(ours: Any) -> None:
        database = await Database.of(ours, {"customers": CUSTOMERS})
        for who in (ADA, BOB, ADA):
            await ours.execute("update profiles set divisor = divisor where id = $1", who)
            seen.append(await database.read([ADA, BOB]))

    house.run(test)
    assert len(seen[0].customers or ()) == 2
    assert seen[0] == seen[1] == seen[2]


def test_what_is_not_mapped_is_none(house: House) -> None:
    read = house.read({"customers": CUSTOMERS}, ADA)
    assert (read.subscriptions, read.effects) == (None, None)


@pytest.mark.parametrize("end", [";", " -- all of them", ";\n"])
def test_a_query_may_end_as_people_end_them(house: House, end: str) -> None:
    assert house.read({"customers": CUSTOMERS + end}, ADA).customers == (A_CUSTOMER,)


def test_effects_without_a_user_are_those_of_the_runs_objects(house: House) -> None:
    effects = {"effects": "select event as source_id, what as kind from credits"}
    assert house.read(effects, ADA, sources=("evt_b", "in_9")).effects == (
        EffectRow(source_id="evt_b", kind="mail"),
    )
    assert house.read(effects, ADA, BOB).effects == ()


def test_effects_with_a_user_are_those_of_the_runs_people(house: House) -> None:
    effects = {"effects": "select who as user_id, id as source_id, what as kind from credits"}
    assert house.read(effects, ADA, sources=("2",)).effects == (EffectRow(source_id="1", kind="credit"),)


def test_a_query_that_lacks_a_column_is_told_the_closest(house: House) -> None:
    lacking = {"customers": "select id as user_id, customer as stripe_customer from profiles"}
    with pytest.raises(SettingsError) as refused:
        house.read(lacking, ADA)
    assert str(refused.value) == (
        "[target.tables] customers must give the columns user_id, stripe_customer_id; stripe_customer_id is "
        'missing, it gives user_id, stripe_customer. Did you mean "stripe_customer"?'
    )


def test_a_query_that_postgres_does_not_take_is_named(house: House) -> None:
    with pytest.raises(SettingsError, match=r'\[target\.tables\] effects: .*"nowhere" does not exist'):
        house.read({"customers": CUSTOMERS, "effects": "select * from nowhere"}, ADA)


def test_a_query_that_fails_on_what_a_run_left_is_trouble_that_names_it(house: House) -> None:
    dividing = "select id as user_id, (1 / divisor)::text as stripe_customer_id from profiles"
    tables = {"subscriptions": SUBSCRIPTIONS, "customers": dividing}
    assert house.read(tables, ADA).customers == (CustomerRow(user_id=ADA, stripe_customer_id="1"),)
    with pytest.raises(Trouble, match=r"^\[target\.tables\] customers: .*division by zero") as failed:
        house.read(tables, BOB)
    assert not isinstance(failed.value, DatabaseLost)


def test_a_session_is_busy_while_it_runs_a_statement_or_holds_a_transaction_open(house: House) -> None:
    async def test(ours: Any) -> None:
        database = await Database.of(ours, {})
        holding, waiting = await house.target(), await house.target()
        elsewhere = await house.server.connect("postgres")
        try:
            await elsewhere.execute("begin; select 1")
            assert await database.busy() == 0, "two idle sessions, our own, and one of another database"
            await holding.execute("begin")
            await holding.execute("select pg_advisory_xact_lock(7)")
            assert await database.busy() == 1, "idle in transaction"
            statement = asyncio.create_task(waiting.execute("select pg_advisory_lock(7)"))
            async with asyncio.timeout(10):
                while not await ours.fetchval("select exists (select from pg_locks where not granted)"):
                    pass
            assert await database.busy() == 2, "and one that waits for its lock"
            await holding.execute("commit")
            await statement
            assert await database.busy() == 0
        finally:
            for connection in (holding, waiting, elsewhere):
                connection.terminate()

    house.run(test)


def test_a_failed_transaction_that_stays_open_is_busy(house: House) -> None:
    async def test(ours: Any) -> None:
        database = await Database.of(ours, {})
        failed = await house.target()
        try:
            await failed.execute("begin")
            with pytest.raises(asyncpg.DivisionByZeroError):
                await failed.execute("select 1 / 0")
            assert await database.busy() == 1
            await failed.execute("rollback")
            assert await database.busy() == 0
        finally:
            failed.terminate()

    house.run(test)


def test_a_connection_that_is_cut_is_a_database_lost(house: House) -> None:
    async def test(ours: Any) -> None:
        database = await Database.of(ours, {"customers": CUSTOMERS})
        other = await house.target()
        await other.execute("select pg_terminate_backend($1, 5000)", ours.get_server_pid())
        other.terminate()
        with pytest.raises(DatabaseLost, match="went away while we read customers"):
            await database.read([ADA])
        with pytest.raises(DatabaseLost, match="the database went away"):
            await database.busy()

    house.run(test)


def test_a_server_that_is_gone_is_a_database_lost() -> None:
    async def test() -> None:
        async with open_postgres("embedded") as server:
            database = await Database.of(
                await server.connect("postgres"),
                {"customers": "select 'u' as user_id, 'cus' as stripe_customer_id"},
            )
            assert (await database.read(["u"])).customers == (
                CustomerRow(user_id="u", stripe_customer_id="cus"),
            )
        with pytest.raises(DatabaseLost):
            await database.busy()
        with pytest.raises(DatabaseLost):
            await database.read(["u"])

    asyncio.run(test())
