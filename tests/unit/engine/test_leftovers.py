"""What is left in a database that is not ours: cleaned up after each run, counted at the end, told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deadheat.engine.events import Left
from deadheat.engine.leftovers import Leftovers, merged
from deadheat.errors import DatabaseLost, Trouble
from deadheat.invariants.settled import CustomerRow, Tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass
class Rows:
    """A database of customers by user; ``cleans`` says whether there is a cleanup."""

    cleans: bool = True
    customers: list[str] = field(default_factory=list)
    cleaned: list[tuple[str, ...]] = field(default_factory=list)
    fails: Exception | None = None

    async def clean_up(self, user_ids: Sequence[str]) -> None:
        if self.fails is not None:
            raise self.fails
        self.cleaned.append(tuple(user_ids))
        if self.cleans:
            self.customers = [one for one in self.customers if one not in user_ids]

    async def read(self, user_ids: Sequence[str], source_ids: Iterable[str]) -> Tables:
        if isinstance(self.fails, DatabaseLost):
            raise self.fails
        found = [one for one in self.customers if one in user_ids]
        return Tables(customers=tuple(CustomerRow(user_id=u, stripe_customer_id=None) for u in found))


def told(rows: Any, *runs: tuple[str, ...], late: str | None = None) -> Left:
    async def test() -> Left:
        leftovers = Leftovers(rows)
        for run in runs:
            rows.customers += run
            await leftovers.of_run(len(run), (*run, "an older id"), ())
        if late:
            rows.customers.append(late)
        return await leftovers.told()

    return asyncio.run(test())


def test_each_run_is_cleaned_up_and_all_of_them_at_the_end() -> None:
    rows = Rows(customers=["somebody else"])
    assert told(rows, ("a", "b"), ("c",), late="a") == Left(users=3, rows={"customers": 0})
    older = "an older id"
    assert rows.cleaned == [("a", "b", older), ("c", older), ("a", "b", older, "c", older)]
    assert rows.customers == ["somebody else"]


def test_without_a_cleanup_the_rows_of_the_runs_are_counted() -> None:
    assert told(Rows(cleans=False, customers=["somebody else"]), ("a", "b")) == Left(
        users=2, rows={"customers": 2}
    )


def test_a_cleanup_that_fails_is_told_with_what_is_left() -> None:
    left = told(Rows(fails=Trouble("[target.cleanup] failed")), ("a",))
    assert left == Left(users=1, rows={"customers": 1}, problem="[target.cleanup] failed")


def test_a_database_that_is_gone_is_told() -> None:
    left = told(Rows(fails=DatabaseLost("the database went away")), ("a",))
    assert left == Left(users=1, problem="the database went away")


def test_a_second_count_begins_anew() -> None:
    async def test() -> None:
        rows: Any = Rows(cleans=False, customers=["a", "b"])
        leftovers = Leftovers(rows)
        await leftovers.of_run(1, ["a"], ())
        assert (await leftovers.told()).users == 1
        await leftovers.of_run(1, ["b"], ())
        assert await leftovers.told() == Left(users=1, rows={"customers": 1})

    asyncio.run(test())


def test_several_are_told_as_one() -> None:
    assert merged([]) is None
    one = Left(users=1, rows={"customers": 1}, like="%.ab%", problem="first")
    two = Left(users=2, rows={"customers": 2, "effects": 1}, like="%.ab%", problem="second")
    whole = Left(users=3, rows={"customers": 3, "effects": 1}, like="%.ab%", problem="first")
    assert merged([one, two]) == whole
