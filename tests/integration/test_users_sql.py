"""A team's SQL through a real Postgres: whose rows it gives, whose it deletes, and what is refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from postgres_house import open_house

from deadheat.engine.tables import Database
from deadheat.errors import DatabaseLost, SettingsError, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from postgres_house import House

pytestmark = pytest.mark.slow

ADA, BOB = "7c9e6679-7425-40de-944b-e07fc1f90ae7", "0e37df36-f698-11e6-8dd4-cb9ced3df976"
SCHEMA = f"""
    create table users (id uuid primary key, number bigint, email text);
    create table debts (id int, user_id uuid references users, amount int, due date);
    insert into users values ('{ADA}', 1, 'ada'), ('{BOB}', 2, 'bob');
    insert into debts values (1, '{ADA}', 5, '2026-01-02'), (2, '{BOB}', 7, null), (3, null, 1, null);
"""


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with open_house(SCHEMA) as made:
        yield made


def run(house: House, test: Callable[[Any, House], Any]) -> Any:
    found: list[Any] = []

    async def connected(there: House) -> None:
        found.append(await test(await there.session(), there))

    house.run(connected)
    return found[0]


def offenders(house: House, sql: str, *users: str) -> Any:
    async def test(connection: Any, there: House) -> Any:
        database = await Database.of(connection, {}, own={"no-debt": sql})
        return (await database.offenders(users))["no-debt"]

    return run(house, test)


DEBT = {"user_id": ADA, "amount": 5, "due": "2026-01-02"}


@pytest.mark.parametrize(
    "sql",
    [
        "select user_id, amount, due from debts where user_id = any(:users)",
        "select user_id, amount, due from debts where user_id::text = any(:users)",
        "select user_id, amount, due from debts join users u on u.id = user_id where number = any(:users)",
        "with d as (select * from debts where user_id = any(:users)) select user_id, amount, due from d",
    ],
)
def test_users_are_of_the_type_that_postgres_wants(house: House, sql: str) -> None:
    assert offenders(house, sql, "no-uuid", ADA, "1") == (DEBT,)
    assert offenders(house, sql) == ()


def test_a_column_of_users_does_as_well_and_rows_of_nobody_count(house: House) -> None:
    found = offenders(house, "select user_id, amount from debts order by id", BOB)
    assert found == ({"user_id": BOB, "amount": 7}, {"user_id": None, "amount": 1})


def test_a_query_that_fails_is_that_invariants_trouble(house: House) -> None:
    found = offenders(house, "select user_id, 1 / (amount - 5) from debts where user_id = any(:users)", ADA)
    assert isinstance(found, Trouble)
    assert "its query fails on what the run left: division by zero" in str(found)
    assert offenders(house, "select user_id, 1 / (amount - 5) from debts where user_id = any(:users)") == ()


def test_a_query_cannot_write(house: House) -> None:
    async def test(connection: Any, there: House) -> Any:
        sql = "with d as (delete from debts where user_id = any(:users) returning *) select * from d"
        found = (await (await Database.of(connection, {}, own={"x": sql})).offenders([ADA]))["x"]
        assert "read-only transaction" in str(found)
        return await connection.fetchval("select count(*) from debts")

    assert run(house, test) == 3


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ("select amount from debts", r"invariants\.x\] sql: nothing ties its rows to a run.*column user_id"),
        ("select amnt from debts where user_id = any(:users)", r"invariants\.x\] sql: Postgres does not"),
        ("select 1 where :users is null", r"invariants\.x\] sql: Postgres does not"),
        ("select user_id from debts where user_id = :users", r"stands where Postgres wants uuid, "),
        ("select user_id from debts where due = any(:users)", r":users stands where .* wants date\[\]"),
    ],
)  # fmt: skip
def test_a_query_that_cannot_do_is_refused_before_anything_runs(house: House, own: str, says: str) -> None:
    async def test(connection: Any, there: House) -> Any:
        with pytest.raises(SettingsError, match=says):
            await Database.of(connection, {}, own={"x": own})

    run(house, test)


CLEANUP = ("delete from debts where user_id = any(:users)", "delete from users where id = any(:users)")


async def left(connection: Any) -> Mapping[str, Any]:
    return {
        "users": [str(r["id"]) for r in await connection.fetch("select id from users order by number")],
        "debts": [r["id"] for r in await connection.fetch("select id from debts order by id")],
    }


def test_a_cleanup_takes_these_users_rows_and_no_others(house: House) -> None:
    async def test(connection: Any, there: House) -> Any:
        database = await Database.of(connection, {}, cleanup=CLEANUP)
        await database.clean_up(["no-uuid"])
        assert await left(connection) == {"users": [ADA, BOB], "debts": [1, 2, 3]}
        await database.clean_up([ADA, "1"])
        return await left(connection)

    assert run(house, test) == {"users": [BOB], "debts": [2, 3]}


def test_a_cleanup_that_fails_takes_nothing(house: House) -> None:
    async def test(connection: Any, there: House) -> Any:
        only_half = ("delete from debts where user_id = any(:users) and id <> 1", CLEANUP[1])
        database = await Database.of(connection, {}, cleanup=only_half)
        with pytest.raises(
            Trouble, match=r"^\[target\.cleanup\] failed, and nothing was taken away: .*foreign key"
        ):
            await database.clean_up([ADA])
        return await left(connection)

    assert run(house, test) == {"users": [ADA, BOB], "debts": [1, 2, 3]}


def test_a_cleanup_that_postgres_does_not_take_is_refused_before_anything_runs(house: House) -> None:
    async def test(connection: Any, there: House) -> Any:
        with pytest.raises(
            SettingsError, match=r"\[target\.cleanup\] sql: Postgres does not take it: .*nowhere"
        ):
            await Database.of(connection, {}, cleanup=["delete from nowhere where user_id = any(:users)"])

    run(house, test)


def test_a_database_that_goes_away_meanwhile_is_lost(house: House) -> None:
    async def test(connection: Any, there: House) -> Any:
        database = await Database.of(connection, {}, own={"x": "select user_id from debts"}, cleanup=CLEANUP)
        other = await there.session()
        await other.execute("select pg_terminate_backend($1, 5000)", connection.get_server_pid())
        with pytest.raises(DatabaseLost, match="went away while we asked x"):
            await database.offenders([ADA])
        with pytest.raises(DatabaseLost, match="went away while we cleaned up"):
            await database.clean_up([ADA])
        await asyncio.sleep(0)

    run(house, test)
