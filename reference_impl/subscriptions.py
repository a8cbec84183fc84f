"""A Stripe subscription as a value, read from the API's JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.ledger import SubscriptionState

if TYPE_CHECKING:
    from collections.abc import Mapping

# Whoever has one of these has a subscription: `incomplete` may become active any moment.
LIVE = frozenset({"active", "trialing", "past_due", "unpaid", "paused", "incomplete"})


def read_subscription(data: Mapping[str, Any]) -> SubscriptionState:
    """Read a subscription; of several items the first names price and period."""
    items = (data.get("items") or {}).get("data") or [{}]
    period_end = items[0].get("current_period_end") or data.get("current_period_end")
    return SubscriptionState(
        id=data["id"],
        customer=id_of(data["customer"]) or "",
        status=data["status"],
        price=id_of(items[0].get("price")),
        period_end=None if period_end is None else datetime.fromtimestamp(period_end, UTC),
        user_hint=user_of((data.get("metadata") or {}).get("user_id")),
    )


def id_of(reference: Any) -> str | None:
    """Give the id of what a field refers to, expanded or not."""
    if isinstance(reference, dict):
        reference = reference.get("id")
    return reference if isinstance(reference, str) and reference else None


def user_of(value: Any) -> UUID | None:
    """Give the user that a metadata value names; None for anything that is no UUID."""
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
