"""The one checkout session of each user, as Postgres knows it.

A session may be shown only while it is recorded here; a generation is left only when its session can
no longer be paid, or was never recorded. Both are single updates that name the generation and session
they saw, so of all sessions ever shown to one user at most one is open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from reference_impl.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A row of ``checkout_sessions``: the one session of a user, and what it is made with.

    ``session_id`` is None until somebody has made and recorded it; ``stale`` says that its
    idempotency key is nearly as old as Stripe remembers one.
    """

    generation: int
    customer: str
    price: str
    session_id: str | None
    stale: bool


class CheckoutSessions:
    """The rows of ``checkout_sessions``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def current(self, user_id: UUID, customer: str, price: str) -> Checkout:
        """Give the user's session; a first generation for this customer and price where there is none."""
        row = await self._db.row(
            """
            with made as (
                insert into checkout_sessions (user_id, stripe_customer_id, price_id)
                select $1, $2, $3
                where not exists (select from checkout_sessions where user_id = $1)
                on conflict (user_id) do nothing
                returning *
            )
            select generation, stripe_customer_id, price_id, stripe_session_id,
                generation_began_at < now() - interval '20 hours' as stale
            from (select * from made union all select * from checkout_sessions where user_id = $1) one
            limit 1
            """,
            user_id,
            customer,
            price,
        )
        if row is None:  # made by somebody else between our two looks
            return await self.current(user_id, customer, price)
        return Checkout(
            generation=row["generation"],
            customer=row["stripe_customer_id"],
            price=row["price_id"],
            session_id=row["stripe_session_id"],
            stale=row["stale"],
        )

    async def record(self, user_id: UUID, generation: int, session: str) -> bool:
        """Record the session of a generation.

        False where the generation has been left meanwhile, or the account has been closed.
        """
        return bool(await self._db.value("select record_session($1, $2, $3)", user_id, generation, session))

    async def recorded(self, user_id: UUID) -> str | None:
        """Give the session that the user may have been shown; None where there is none."""
        session: str | None = await self._db.value(
            "select stripe_session_id from checkout_sessions where user_id = $1", user_id
        )
        return session

    async def leave(self, user_id: UUID, seen: Checkout, customer: str, price: str) -> None:
        """Leave the generation that was seen, for a new one; nothing where it has moved meanwhile."""
        await self._db.value(
            """
            update checkout_sessions
            set generation = generation + 1, stripe_customer_id = $4, price_id = $5,
                stripe_session_id = null, generation_began_at = now()
            where user_id = $1 and generation = $2 and stripe_session_id is not distinct from $3
            """,
            user_id,
            seen.generation,
            seen.session_id,
            customer,
            price,
        )
