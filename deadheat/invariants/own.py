"""Invariants of a team's own: a query whose rows are offenders, or a function over the case.

An error in them is the team's to see and leaves the run inconclusive, unless another invariant was
violated: nothing is known of one that could not be asked.
"""

from __future__ import annotations

import inspect
import traceback
from typing import TYPE_CHECKING

from deadheat.errors import DeadheatError, Trouble
from deadheat.invariants.case import listed
from deadheat.invariants.invariant import Invariant
from deadheat.invariants.settled import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from deadheat.invariants.case import Case

    Function = Callable[[Case], Iterable[Evidence | str] | None]

HOLDS_WHEN = "no row offends against it"
COLUMNS_SHOWN = 6


def of_query(name: str, sql: str, *, holds_when: str | None = None) -> Invariant:
    """Make an invariant of a query; its rows stand in `Settled.offenders` once the run has settled."""

    def check(case: Case) -> Iterator[Evidence]:
        rows = case.settled.offenders[name]
        if isinstance(rows, DeadheatError):
            raise rows
        for row in rows:
            shown = [f"{column} {value}" for column, value in list(row.items())[:COLUMNS_SHOWN]]
            user_id = row.get("user_id")
            yield Evidence(
                says=f"A row offends: {listed(shown)}.",
                user_id=None if user_id is None else str(user_id),
                rows=(row,),
            )

    return Invariant(
        id=name, holds_when=holds_when or HOLDS_WHEN, check=check, needs=("database",), sql=sql, source=sql
    )


def of_function(
    name: str, function: Function, *, holds_when: str | None = None, needs: tuple[str, ...] = ()
) -> Invariant:
    """Make an invariant of a function that gives evidence, or sentences; nothing means that it holds."""

    def check(case: Case) -> Iterator[Evidence]:
        try:
            found = list(function(case) or ())
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            raise Trouble(
                f"{type(error).__name__}: {error} ({where.filename.rsplit('/', 1)[-1]}:{where.lineno})"
            ) from error
        for one in found:
            if not isinstance(one, Evidence | str):
                raise Trouble(f"it gave {one!r}; it should give Evidence, or a sentence, for each offence")
            yield Evidence(says=one) if isinstance(one, str) else one

    first_line = (function.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    return Invariant(
        id=name,
        holds_when=holds_when or first_line or "it finds no offence",
        check=check,
        needs=needs,
        source=_source_of(function),
    )


def _source_of(function: Function) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return repr(function)
