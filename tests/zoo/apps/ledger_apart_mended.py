"""Repaired: credits are granted in the transaction that enters the event in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl import ledger
from reference_impl.app import app

if TYPE_CHECKING:
    import asyncpg

    from reference_impl.ledger import EventEntry

__all__ = ["app"]

SQL = ("credits.sql",)

enter_as_before = ledger._enter


async def enter(connection: asyncpg.Connection, event: EventEntry, applied: bool) -> bool:
    entered = await enter_as_before(connection, event, applied)
    if entered and event.type == "checkout.session.completed":
        await connection.execute("insert into credits (source_id) values ($1)", event.id)
    return entered


ledger._enter = enter
