"""What a proof may say: a shape, the kinds of repair, and how a strand tells what it was about."""

from __future__ import annotations

from dataclasses import dataclass

AGAIN = "again"

UNIQUE = "a unique constraint, and an insert that gives way to it (INSERT … ON CONFLICT)"
LOCK = "a lock on the person taken before the look (SELECT … FOR UPDATE, an advisory lock)"
KEY = "an Idempotency-Key that follows from what is wanted, the same for every attempt"
REFUSE = "an answer other than 2xx until the row is there, so that Stripe sends the event again"
UPSERT = "a row made from the event where there is none (an upsert by the subscription's id)"
REFETCH = "the state fetched from Stripe under a lock on the row, instead of the event's payload"
GUARD = "a condition in the UPDATE itself that an older state cannot pass"
LEDGER = "a ledger of event ids, written in the same transaction as the effect"
FINISH = "success answered only once everything it promises is there; what is half done taken up again"
SEARCH = "a look for what Stripe has made already, and another key, where Stripe answered a key with a 5xx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What was recognised. ``pair`` are the numbers of the look and of the act that made it untrue."""

    name: str
    sentences: tuple[str, ...]
    steps: tuple[int, ...]
    pair: tuple[int, int] | None = None
    repairs: tuple[str, ...] = ()


def phase_of(strand: str) -> str:
    """Say when it was: "race", "settling" or "again"; the strands of the last two name it."""
    parts = strand.split("/")
    return parts[1] if len(parts) > 2 and parts[1] in ("settling", AGAIN) else "race"


def event_of(strand: str) -> str:
    """Give the type of the event that a strand delivers: the part with a dot in it; "" for what people do."""
    return next((part for part in strand.split("/") if "." in part), "")
