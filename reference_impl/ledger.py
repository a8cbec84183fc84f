"""The ledger of Stripe's events, and what they led to, in one transaction with their line.

`Ledger.draw_ticket` before a subscription is read at Stripe, `Ledger.apply` with what was read: what
was read under an older ticket never overwrites what was read under a newer one. So no lock is held
while Stripe answers, and neither stale nor reordered nor simultaneous deliveries matter: the reader
that began after the last change holds the newest ticket of all that may have missed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import asyncpg

    from reference_impl.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionState:
    """A subscription as it was read at Stripe."""

    id: str
    customer: str
    status: str
    price: str | None
    period_end: datetime | None
    user_hint: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEntry:
    """An event's line in the ledger."""

    id: str
    type: str
    created: int | None
    customer: str | None = None
    subscription: str | None = None


class Ledger:
    """The rows of ``stripe_events`` and ``subscriptions``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def knows(self, event_id: str) -> bool:
        """Whether the event stands in the ledger."""
        return bool(await self._db.value("select exists (select from stripe_events where id = $1)", event_id))

    async def draw_ticket(self) -> int:
        """Draw the ticket for reading a subscription at Stripe; to be drawn before it is read."""
        return int(await self._db.value("select nextval('subscription_tickets')"))

    async def other_customers(self, user_id: UUID, customer: str) -> list[str]:
        """Give the customers but this one that live subscriptions of the user are billed to."""
        rows = await self._db.rows(
            """
            select distinct billed_customer_id as id from subscriptions
            where user_id = $1 and is_live(status) and billed_customer_id <> $2
            """,
            user_id,
            customer,
        )
        return [row["id"] for row in rows]

    async def apply(
        self, event: EventEntry | None, ticket: int | None = None, state: SubscriptionState | None = None
    ) -> str:
        """Write the event's line and what was read at Stripe, in one transaction.

        Returns applied, kept, ignored (nothing was read), or duplicate: the event was in the ledger,
        and nothing was written.
        """

        async def work(connection: asyncpg.Connection) -> str:
            async with connection.transaction():
                if event is not None and not await _enter(connection, event, bool(state)):
                    return "duplicate"
                if state is None:
                    return "ignored"
                outcome: str = await connection.fetchval(
                    "select apply_subscription($1, $2, $3, $4, $5, $6, $7)",
                    ticket,
                    state.id,
                    state.customer,
                    state.status,
                    state.price,
                    state.period_end,
                    state.user_hint,
                )
                if event is not None and outcome == "kept":
                    await connection.execute(
                        "update stripe_events set outcome = 'kept' where id = $1", event.id
                    )
                return outcome

        return await self._db.run(work)

    async def adopt_customer(self, event: EventEntry, customer: str, user_id: UUID) -> str:
        """Record a customer that its maker may have died before recording, with the event's line.

        Only for a known user who has none. Gives 'lost', with no line written, where the user has
        another customer or has closed the account: the caller removes this one, then enters the event.
        """

        async def work(connection: asyncpg.Connection) -> str:
            async with connection.transaction():
                verdict = await connection.fetchval("select adopt_customer($1, $2)", customer, user_id)
                if verdict == "lost":
                    return "lost"
                recorded = verdict == "recorded"
                if not await _enter(connection, event, recorded):
                    return "duplicate"
                return "applied" if recorded else "ignored"

        return await self._db.run(work)

    async def forget_customer(self, event: EventEntry, customer: str) -> str:
        """Retire a customer that was deleted at Stripe, with the event's line."""

        async def work(connection: asyncpg.Connection) -> str:
            async with connection.transaction():
                if not await _enter(connection, event, True):
                    return "duplicate"
                await connection.execute("select retire_customer($1, null)", customer)
                return "applied"

        return await self._db.run(work)


async def _enter(connection: asyncpg.Connection, event: EventEntry, applied: bool) -> bool:
    """Enter the event in the ledger; False where it stands there. Waits for a twin that is at it."""
    entered = await connection.fetchval(
        """
        insert into stripe_events
            (id, type, created, stripe_customer_id, stripe_subscription_id, outcome)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (id) do nothing
        returning true
        """,
        event.id,
        event.type,
        event.created,
        event.customer,
        event.subscription,
        "applied" if applied else "ignored",
    )
    return bool(entered)
