"""The target's database as the invariants see it: the mapped relations, for the users of a run.

Each query of ``[target.tables]`` is wrapped, ``select * from (…) q where user_id = any($1)``, so that
a run sees only its own people however many came before. A relation without ``user_id`` (``effects``
may have none) is scoped by ``source_id`` to the Stripe objects of the run instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import asyncpg

from deadheat.engine.users_sql import of_query, prepared, scoped
from deadheat.errors import DatabaseLost, SettingsError, Trouble, closest
from deadheat.invariants.settled import CustomerRow, EffectRow, SubscriptionRow, Tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from deadheat.engine.users_sql import UsersSql
    from deadheat.settings import Settings

COLUMNS = {
    "customers": ("user_id", "stripe_customer_id"),
    "subscriptions": ("user_id", "stripe_subscription_id", "stripe_customer_id", "status"),
    "effects": ("source_id", "kind"),
}

_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    OSError,
)


@dataclass(frozen=True, slots=True)
class MappedQuery:
    """A mapped query, wrapped; ``scope`` is the column that ties a row to the run."""

    sql: str
    scope: str


@dataclass(frozen=True, slots=True)
class Database:
    """A connection of ours beside the target's, and its mapped queries."""

    connection: Any
    queries: Mapping[str, MappedQuery]
    own: Mapping[str, UsersSql] = field(default_factory=dict)
    cleanup: tuple[UsersSql, ...] = ()

    @classmethod
    async def described(cls, connection: Any, settings: Settings) -> Database:
        """Give the target's database as the settings describe it; SettingsError where they are wrong."""
        return await cls.of(
            connection,
            settings.target.tables,
            own={made.id: made.sql for made in settings.own_invariants if made.sql},
            cleanup=settings.target.cleanup,
        )

    @classmethod
    async def of(
        cls,
        connection: Any,
        tables: Mapping[str, str],
        *,
        own: Mapping[str, str] | None = None,
        cleanup: Sequence[str] = (),
    ) -> Database:
        """Check each query's columns: SettingsError for one that lacks what it must have.

        ``own`` are the queries of the team's invariants, ``cleanup`` what takes a run's rows away.
        """
        return cls(
            connection,
            {name: await _checked(connection, name, sql) for name, sql in tables.items()},
            {
                name: await of_query(connection, f"[invariants.{name}] sql", sql)
                for name, sql in (own or {}).items()
            },
            tuple([(await prepared(connection, "[target.cleanup] sql", sql))[0] for sql in cleanup]),
        )

    async def read(self, user_ids: Sequence[str], source_ids: Iterable[str] = ()) -> Tables:
        """Read the mapped relations of these users."""
        scopes = {"user_id": list(user_ids), "source_id": list(source_ids)}
        rows: dict[str, list[dict[str, Any]]] = {}
        try:
            for name, query in self.queries.items():
                found = await self.connection.fetch(query.sql, scopes[query.scope])
                rows[name] = sorted((_texts(row) for row in found), key=repr)
        except _LOST as error:
            raise DatabaseLost(f"the database went away while we read {name}: {error}") from error
        except asyncpg.PostgresError as error:
            raise Trouble(f"[target.tables] {name}: the query fails on what the run left: {error}") from error
        return Tables(
            customers=_made(CustomerRow, rows.get("customers")),
            subscriptions=_made(SubscriptionRow, rows.get("subscriptions")),
            effects=_made(EffectRow, rows.get("effects")),
        )

    async def offenders(self, user_ids: Sequence[str]) -> dict[str, tuple[dict[str, Any], ...] | Trouble]:
        """Ask the team's own queries, none of which can write; Trouble for one that failed."""
        found: dict[str, tuple[dict[str, Any], ...] | Trouble] = {}
        for name, query in self.own.items():
            try:
                async with self.connection.transaction(readonly=True):
                    rows = await self.connection.fetch(query.sql, *query.arguments(user_ids))
                found[name] = scoped(rows, user_ids)
            except _LOST as error:
                raise DatabaseLost(f"the database went away while we asked {name}: {error}") from error
            except asyncpg.PostgresError as error:
                found[name] = Trouble(f"its query fails on what the run left: {error}")
        return found

    async def clean_up(self, user_ids: Sequence[str]) -> None:
        """Take away the rows of these users as ``[target.cleanup]`` says, all of it or nothing."""
        if not self.cleanup:
            return
        try:
            async with self.connection.transaction():
                for statement in self.cleanup:
                    await self.connection.execute(statement.sql, *statement.arguments(user_ids))
        except _LOST as error:
            raise DatabaseLost(f"the database went away while we cleaned up: {error}") from error
        except asyncpg.PostgresError as error:
            raise Trouble(f"[target.cleanup] failed, and nothing was taken away: {error}") from error

    async def busy(self) -> int:
        """Count the other sessions in this database that run a statement or hold a transaction open."""
        try:
            count: int = await self.connection.fetchval(_BUSY)
        except _LOST as error:
            raise DatabaseLost(f"the database went away: {error}") from error
        return count


_BUSY = """
    select count(*) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
      and backend_type = 'client backend' and state <> 'idle'
"""


async def _checked(connection: Any, name: str, sql: str) -> MappedQuery:
    inner = sql.strip().rstrip(";")
    try:
        prepared = await connection.prepare(f"select * from ({inner}\n) q")
    except asyncpg.PostgresError as error:
        raise SettingsError(
            f"[target.tables] {name}: Postgres does not take the query: {error}. Query: {inner}"
        ) from error
    has = [attribute.name for attribute in prepared.get_attributes()]
    for column in COLUMNS[name]:
        if column not in has:
            raise SettingsError(
                f"[target.tables] {name} must give the columns {', '.join(COLUMNS[name])}; {column} is "
                f"missing, it gives {', '.join(has)}.{closest(column, has)}"
            )
    scope = "user_id" if "user_id" in has else "source_id"
    columns = ", ".join(f"{column}::text" for column in COLUMNS[name])
    return MappedQuery(f"select {columns} from ({inner}\n) q where {scope}::text = any($1::text[])", scope)


def _texts(row: Mapping[str, Any]) -> dict[str, Any]:
    return dict(row)


def _made(kind: Any, rows: list[dict[str, Any]] | None) -> Any:
    return None if rows is None else tuple(kind(**row) for row in rows)
