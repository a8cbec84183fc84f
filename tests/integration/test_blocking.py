"""Who waits for whom, asked of a real Postgres."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from postgres_house import House, open_house

from deadheat.engine.conduct import blocking as asking_module
from deadheat.engine.conduct.blocking import Blocking
from deadheat.errors import DatabaseLost, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

SCHEMA = "create table profiles (id int primary key, n int); insert into profiles values (1, 0), (2, 0)"
WAITS_FOR = "select wait_event from pg_stat_activity where pid = $1"
UPDATE = "update profiles set n = n + 1 where id = $1"


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with open_house(SCHEMA) as made:
        yield made


def pid(session: Any) -> int:
    return int(session.get_server_pid())


def test_who_waits_for_a_row_waits_for_its_owner_until_the_commit(house: House) -> None:
    async def test(house: House) -> None:
        asking, one, two = [await house.session() for _ in range(3)]
        blocking = Blocking(asking)
        transaction = one.transaction()
        await transaction.start()
        await one.execute(UPDATE, 1)
        waiting = asyncio.create_task(two.execute(UPDATE, 1))
        await house.until_waiting(one, two)
        assert await blocking.of([pid(one), pid(two)]) == {
            pid(one): frozenset(),
            pid(two): frozenset({pid(one)}),
        }
        await transaction.commit()
        await waiting
        assert await blocking.of([pid(two)]) == {pid(two): frozenset()}
        assert blocking.polls == 2

    house.run(test)


def test_a_unique_key_and_a_queue_block_as_well(house: House) -> None:
    async def test(house: House) -> None:
        asking, one, two, three = [await house.session() for _ in range(4)]
        transaction = one.transaction()
        await transaction.start()
        await one.execute("insert into profiles values (3, 0)")
        second = asyncio.create_task(two.execute("insert into profiles values (3, 0) on conflict do nothing"))
        await house.until_waiting(one, two)
        third = asyncio.create_task(three.execute("begin; lock table profiles; commit"))
        await house.until_waiting(one, two, three)
        waits = await Blocking(asking).of([pid(two), pid(three)])
        assert waits[pid(two)] == {pid(one)}
        assert pid(one) in waits[pid(three)]
        await transaction.commit()
        await asyncio.gather(second, third)

    house.run(test)


def test_advisory_locks_block_as_well(house: House) -> None:
    async def test(house: House) -> None:
        asking, one, two = [await house.session() for _ in range(3)]
        await one.execute("select pg_advisory_lock(7)")
        waiting = asyncio.create_task(two.execute("select pg_advisory_lock(7)"))
        await house.until_waiting(one, two)
        assert (await Blocking(asking).of([pid(two)]))[pid(two)] == {pid(one)}
        await one.execute("select pg_advisory_unlock(7)")
        await waiting

    house.run(test)


def test_who_works_slowly_waits_for_nobody(house: House) -> None:
    async def test(house: House) -> None:
        asking, one = [await house.session() for _ in range(2)]
        working = asyncio.create_task(one.execute("select pg_sleep(30)"))
        while await asking.fetchval(WAITS_FOR, pid(one)) != "PgSleep":
            pass
        assert await Blocking(asking).of([pid(one)]) == {pid(one): frozenset()}
        working.cancel()

    house.run(test)


def test_a_backend_that_is_gone_waits_for_nobody(house: House) -> None:
    async def test(house: House) -> None:
        asking = await house.session()
        assert await Blocking(asking).of([2_000_000]) == {2_000_000: frozenset()}
        assert await Blocking(asking).of([]) == {}

    house.run(test)


def test_a_backend_has_ended_when_its_transaction_and_its_locks_have(house: House) -> None:
    async def test(house: House) -> None:
        asking, one, two = [await house.session() for _ in range(3)]
        blocking = Blocking(asking)
        await one.transaction().start()
        await one.execute(UPDATE, 1)
        waiting = asyncio.create_task(two.execute(UPDATE, 1))
        await house.until_waiting(one, two)
        ended = asyncio.create_task(blocking.ended(gone := pid(one)))
        assert await blocking.of([gone]) != {}  # both ask on one connection, in turn
        assert not ended.done(), "its client is there"
        one.terminate()
        await ended
        assert not await blocking._is_there(gone)
        await waiting  # nobody holds the row any more

    house.run(test)


def test_a_backend_that_does_not_end_is_trouble(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking_module, "END_SECONDS_MAX", 0.01)

    async def test(house: House) -> None:
        asking, one = [await house.session() for _ in range(2)]
        with pytest.raises(Trouble, match=f"backend {pid(one)} is still there"):
            await Blocking(asking).ended(pid(one))

    house.run(test)


def test_a_session_is_named_for_people(house: House) -> None:
    async def test(house: House) -> None:
        asking, other = [await house.session() for _ in range(2)]
        await other.execute("set application_name = 'psql'")
        blocking = Blocking(asking)
        named = await blocking.who(pid(other))
        assert named.startswith(f"{pid(other)} (application 'psql', user ")
        assert named.endswith("database deadheat_house)")
        assert await blocking.who(2_000_000) == "2000000"

    house.run(test)


def test_where_there_is_no_asking_the_database_is_lost(house: House) -> None:
    async def test(house: House) -> None:
        asking, other = [await house.session() for _ in range(2)]
        blocking = Blocking(asking)
        await blocking.of([pid(other)])
        asking.terminate()
        with pytest.raises(DatabaseLost, match="the database went away"):
            await blocking.of([pid(other)])

    house.run(test)


def test_what_is_stuck_is_ended_and_nothing_else(house: House) -> None:
    """A statement is cancelled, an open transaction ended; who is idle or a stranger stays as it is."""

    async def test(house: House) -> None:
        asking, holder, waiter, idle, stranger = [await house.session() for _ in range(5)]
        await holder.execute("begin; update profiles set n = n + 1 where id = 1")
        await stranger.execute("begin; update profiles set n = n + 1 where id = 2")
        waiting = asyncio.create_task(waiter.execute(UPDATE, 1))
        await house.until_waiting(holder, waiter)
        blocking = Blocking(asking)
        assert await blocking.is_idle(pid(holder))
        assert not await blocking.is_idle(pid(waiter))
        assert await blocking.end_stuck([pid(holder), pid(waiter), pid(idle)]) == 2
        with pytest.raises(asyncpg.QueryCanceledError):
            await waiting
        assert await waiter.fetchval("select 1") == 1
        assert await idle.fetchval("select 1") == 1
        assert await blocking.is_idle(pid(stranger))
        # Once it has heard, and where it hears in the midst of it, asyncpg says so in its own words.
        gone = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
        with pytest.raises(gone):
            await holder.execute("select 1")
        assert await blocking.end_stuck([pid(holder), pid(waiter), pid(idle)]) == 0
        await stranger.execute("rollback")

    house.run(test)


def test_in_a_database_that_is_gone_nothing_is_stuck(house: House) -> None:
    async def test(house: House) -> None:
        asking = await house.session()
        asking.terminate()
        assert await Blocking(asking).end_stuck([1]) == 0

    house.run(test)
