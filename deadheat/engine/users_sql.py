"""SQL that a team writes with ``:users`` in it, prepared once and run for the users of a run.

Postgres says of which type the ids have to be; an id that cannot be of that type (the UUID by which we
know a user before the target has numbered them) is left out.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg

from deadheat.errors import SettingsError
from deadheat.settings.statements import takes_users, with_users

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

USER_COLUMN = "user_id"
_WHOLE = ("int2[]", "int4[]", "int8[]")
_TEXT = ("text[]", "varchar[]")


@dataclass(frozen=True, slots=True)
class UsersSql:
    """A statement; ``kind`` is the type of its ``:users``, None for one that does not name them."""

    sql: str
    kind: str | None

    def arguments(self, user_ids: Iterable[str]) -> tuple[list[Any], ...]:
        """Give what the statement is run with."""
        return () if self.kind is None else (fitting(user_ids, self.kind),)


async def prepared(connection: Any, where: str, sql: str) -> tuple[UsersSql, tuple[str, ...]]:
    """Give a statement and the columns of its rows; SettingsError when Postgres does not take it."""
    filled = with_users(sql, "$1")
    try:
        made = await connection.prepare(filled)
    except asyncpg.PostgresError as error:
        raise SettingsError(f"{where}: Postgres does not take it: {error}. SQL: {sql}") from error
    kind = made.get_parameters()[0].name if takes_users(sql) else None
    if kind is not None and kind not in (*_WHOLE, *_TEXT, "uuid[]"):
        raise SettingsError(
            f"{where}: :users stands where Postgres wants {kind}, and is a list of ids: write it as in "
            '"user_id = any(:users)", with a cast of the column if need be, "user_id::text = any(:users)".'
        )
    return UsersSql(filled, kind), tuple(attribute.name for attribute in made.get_attributes())


async def of_query(connection: Any, where: str, sql: str) -> UsersSql:
    """Prepare a query; SettingsError when nothing in it ties a row to the run."""
    made, columns = await prepared(connection, where, sql)
    if made.kind is None and USER_COLUMN not in columns:
        raise SettingsError(
            f"{where}: nothing ties its rows to a run, so that one offence would be found in every run after "
            f'it. Say "… = any(:users)" in it, or let it give a column {USER_COLUMN}.'
        )
    return made


def scoped(rows: Iterable[Mapping[str, Any]], user_ids: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """Give the rows that are not somebody else's, as plain data."""
    ours = set(user_ids)
    return tuple(
        {column: _plain(value) for column, value in row.items()}
        for row in rows
        if row.get(USER_COLUMN) is None or str(row[USER_COLUMN]) in ours
    )


def fitting(user_ids: Iterable[str], kind: str) -> list[Any]:
    """Give the ids that are of a type, as what asyncpg wants of it.

    >>> fitting(["7", "x", "8"], "int8[]"), fitting(["7", "x"], "uuid[]"), fitting(["7", "x"], "text[]")
    ([7, 8], [], ['7', 'x'])
    """
    if kind in _TEXT:
        return list(user_ids)
    made = uuid.UUID if kind == "uuid[]" else int
    found: list[Any] = []
    for one in user_ids:
        try:
            found.append(made(one))
        except ValueError:
            continue
    return found


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else str(value)
