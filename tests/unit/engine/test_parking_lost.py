"""A database that goes away under the questions that we ask of it is lost: no error of our own."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from deadheat.engine.conduct.blocking import Blocking
from deadheat.engine.postgres.parking import Parking
from deadheat.errors import DatabaseLost


class Lost:
    """A connection whose every statement fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def get_server_pid(self) -> int:
        return 1

    async def execute(self, *arguments: Any) -> None:
        raise self.error

    prepare = fetchval = execute


def named(error: Exception) -> str:
    return type(error).__name__


CLOSED = asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
CLOSED_BEFORE = asyncpg.InterfaceError("connection is closed")
RESET = ConnectionResetError(104, "Connection reset by peer")
SHUT_DOWN = asyncpg.AdminShutdownError("terminating connection due to administrator command")
IN_BETWEEN = asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")
LOST = pytest.mark.parametrize("error", [CLOSED, CLOSED_BEFORE, RESET, SHUT_DOWN, IN_BETWEEN], ids=named)


@LOST
def test_while_triggers_are_put_up(error: Exception) -> None:
    async def put_up() -> None:
        async with Parking(Lost(error), Lost(error)).installed():
            raise AssertionError("it must not get here")

    with pytest.raises(DatabaseLost, match="the database went away"):
        asyncio.run(put_up())


@LOST
def test_while_a_backend_is_held(error: Exception) -> None:
    async def hold() -> None:
        async with Parking(Lost(error), Lost(error)).holding([7]):
            raise AssertionError("it must not get here")

    with pytest.raises(DatabaseLost, match="the database went away"):
        asyncio.run(hold())


@LOST
def test_while_asking_who_waits_for_whom(error: Exception) -> None:
    with pytest.raises(DatabaseLost, match="the database went away"):
        asyncio.run(Blocking(Lost(error)).of([7]))


@LOST
def test_while_a_backend_that_went_for_good_is_held_again(error: Exception) -> None:
    """It is said to be done, so that nobody waits for it, and the error is kept."""
    parking = Parking(Lost(error), Lost(error))

    async def shut() -> None:
        async with parking.holding([]):
            done = asyncio.Event()
            parking.shut(7, done.set)
            await done.wait()

    with pytest.raises(DatabaseLost, match="the database went away"):
        asyncio.run(shut())  # said again at the end, when all is let go
    assert isinstance(parking.failure, DatabaseLost)
