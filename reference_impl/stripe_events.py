"""Stripe's events as they arrive: is it Stripe's, and what is it about. No I/O.

An event says *that* something changed; what it is now is read from the API. So only ids are taken
from the payload, in the shapes of every API version: the object's own, and those that it refers to.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stripe import WebhookSignature

from reference_impl.ledger import EventEntry
from reference_impl.subscriptions import id_of, user_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

TOLERANCE_S = 300
CREATED_MAX = 2**63 - 1
_ID = re.compile(r"[A-Za-z0-9_.-]{1,255}")


class NotStripes(Exception):
    """The delivery is not Stripe's, too old, or no event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeEvent:
    """What an event is about. ``user_hint`` is the user that metadata or client reference name."""

    id: str
    type: str
    created: int | None
    customer: str | None
    subscription: str | None
    user_hint: UUID | None

    @property
    def entry(self) -> EventEntry:
        """Give its line for the ledger."""
        return EventEntry(
            id=self.id,
            type=self.type,
            created=self.created,
            customer=self.customer,
            subscription=self.subscription,
        )


def receive(body: bytes, signature: str | None, secret: str) -> StripeEvent:
    """Verify the signature over the raw body and its age, and read the event; NotStripes otherwise.

    Stripe docs: "Receive Stripe events in your webhook endpoint", verify manually.
    """
    try:
        WebhookSignature.verify_header(body, signature, secret, TOLERANCE_S)
        event = json.loads(body)
        return read_event(event)
    except Exception as error:
        # The SDK raises anything from its own error to TypeError for headers that nobody signed.
        raise NotStripes(type(error).__name__) from error


def read_event(event: Mapping[str, Any]) -> StripeEvent:
    """Read an event's JSON; KeyError, TypeError or ValueError for what is none."""
    if event["object"] != "event":
        raise ValueError("not an event")
    thing: Mapping[str, Any] = event["data"]["object"]
    kind = thing.get("object")
    customer = thing.get("id") if kind == "customer" else thing.get("customer")
    created = event.get("created")
    return StripeEvent(
        id=_id(event["id"]),
        type=_id(event["type"]),
        created=None if created is None else _second(created),
        customer=_optional_id(customer),
        subscription=_optional_id(_subscription(kind, thing)),
        user_hint=user_of(thing.get("client_reference_id"))
        or user_of((thing.get("metadata") or {}).get("user_id")),
    )


def _id(value: Any) -> str:
    """Give an id (or a type, which looks alike) that Postgres and Stripe's paths can take."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError("not an id")
    return value


def _optional_id(reference: Any) -> str | None:
    """Give the id of what a field refers to, expanded or not; None where it refers to nothing."""
    value = id_of(reference)
    return None if value is None else _id(value)


def _second(value: Any) -> int:
    """Give a time in Unix seconds that Postgres can take as a bigint."""
    if not isinstance(value, int) or not 0 <= value <= CREATED_MAX:
        raise ValueError("not a time")
    return value


def _subscription(kind: Any, thing: Mapping[str, Any]) -> str | None:
    """Give the subscription that an object is or belongs to."""
    if kind == "subscription":
        return id_of(thing.get("id"))
    if kind == "invoice":
        # From 2025-03-31.basil on an invoice names it below `parent`.
        details = (thing.get("parent") or {}).get("subscription_details") or {}
        return id_of(details.get("subscription")) or id_of(thing.get("subscription"))
    return id_of(thing.get("subscription")) if kind == "checkout.session" else None
