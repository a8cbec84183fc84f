"""Profiles and the Stripe customers that they name, as Postgres knows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from reference_impl.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A row of ``profiles``.

    ``customer_attempt`` numbers the idempotency keys of its customer; once ``closed_at`` is set it
    takes no customer any more.
    """

    id: UUID
    user_id: UUID
    email: str | None
    full_name: str | None
    stripe_customer_id: str | None
    customer_attempt: int
    version: int
    closed_at: datetime | None = None


class Profiles:
    """The rows of ``profiles`` and ``retired_customers``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def ensure_profile(self, user_id: UUID, email: str) -> bool:
        """See that the user has a profile; says whether it was made now."""
        row = await self._db.row(
            "select was_created from ensure_stripe_customer_atomic($1, $2)", user_id, email
        )
        return bool(row["was_created"])

    async def read(self, user_id: UUID, known: Profile | None = None) -> Profile | None:
        """Give the user's profile; ``known`` itself where the row still has its version.

        The version comes from one sequence for all rows, so it never comes back, not even with a
        row that was deleted and made again.
        """
        row = await self._db.row(
            """
            select p.version is not distinct from $2::bigint as unchanged, changed.*
            from profiles p
            left join profiles changed
                on changed.id = p.id and p.version is distinct from $2::bigint
            where p.user_id = $1
            """,
            user_id,
            None if known is None else known.version,
        )
        if row is None:
            return None
        if row["unchanged"]:
            return known
        return Profile(**{name: row[name] for name in Profile.__slots__})

    async def next_attempt(self, user_id: UUID, attempt: int) -> None:
        """Leave an idempotency key that is spent: for all callers, and once."""
        await self._db.value(
            """
            update profiles set customer_attempt = customer_attempt + 1
            where user_id = $1 and customer_attempt = $2 and stripe_customer_id is null
            """,
            user_id,
            attempt,
        )

    async def record_customer(
        self, user_id: UUID, email: str | None, customer: str, full_name: str | None
    ) -> bool:
        """Record a customer with its profile; says whether it is the profile's because of this call.

        It is not when the profile had one, when the customer is retired, or is another user's.
        """
        try:
            row = await self._db.row(
                "select created_customer from create_customer_and_profile_atomic($1, $2, $3, $4)",
                user_id,
                email,
                customer,
                full_name,
            )
        except asyncpg.UniqueViolationError:
            return False
        return bool(row["created_customer"])

    async def retire_customer(self, customer: str, user_id: UUID) -> None:
        """Take a customer out of use that is gone at Stripe; its profile is left without one."""
        await self._db.value("select retire_customer($1, $2)", customer, user_id)

    async def close(self, user_id: UUID) -> str | None:
        """Close the user's account for good; gives the customer that it had."""
        customer: str | None = await self._db.value("select close_account($1)", user_id)
        return customer

    async def drop_loser(self, customer: str, user_id: UUID) -> bool:
        """Take a customer out of use that could not be recorded; False where a profile names it."""
        return bool(await self._db.value("select drop_loser($1, $2)", customer, user_id))

    async def pending_losers(self, user_id: UUID, at_most: int) -> list[str]:
        """Give losers of the user that are still at Stripe; each has one try less from then on."""
        rows = await self._db.rows(
            """
            update retired_customers set removals_left = removals_left - 1
            where stripe_customer_id in (
                select r.stripe_customer_id from retired_customers r
                where r.user_id = $1 and r.removals_left > 0
                order by r.retired_at, r.stripe_customer_id limit $2
                for update skip locked
            )
            returning stripe_customer_id as id
            """,
            user_id,
            at_most,
        )
        return [row["id"] for row in rows]

    async def settle_loser(self, customer: str) -> None:
        """Note that nothing is left to be done at Stripe about a loser."""
        await self._db.value(
            "update retired_customers set removals_left = 0 where stripe_customer_id = $1", customer
        )

    async def billed_customer(self, user_id: UUID) -> str | None:
        """Give the customer of the user's newest live subscription, unless it is retired."""
        customer: str | None = await self._db.value(
            """
            select s.billed_customer_id from subscriptions s
            where s.user_id = $1 and is_live(s.status) and s.billed_customer_id is not null
                and not exists (
                    select from retired_customers r where r.stripe_customer_id = s.billed_customer_id
                )
                and not exists (
                    select from profiles p where p.stripe_customer_id = s.billed_customer_id
                )
            order by s.created_at desc, s.id limit 1
            """,
            user_id,
        )
        return customer

    async def free_customers(self, customers: Sequence[str], user_id: UUID) -> set[str]:
        """Give those of ``customers`` that are neither retired nor another user's."""
        rows = await self._db.rows(
            """
            select c as id from unnest($1::text[]) c
            where not exists (select from retired_customers r where r.stripe_customer_id = c)
                and not exists (
                    select from profiles p where p.stripe_customer_id = c and p.user_id <> $2
                )
            """,
            list(customers),
            user_id,
        )
        return {row["id"] for row in rows}
