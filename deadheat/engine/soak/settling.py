"""Settling a soak: as after a run, but in lanes, since there are thousands of events.

The events of one Stripe customer stay one at a time and in order of emission, as everywhere; those
of different customers may go side by side. A lane is one customer's.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from deadheat.engine.courier import ROUNDS_MAX
from deadheat.engine.postbag import event_of
from deadheat.engine.soak.storm import ACTOR, next_attempt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from deadheat.engine.courier import Courier
    from deadheat.stripe_sim import Account

LANES = 8


def lanes_of(account: Account, deliveries: Iterable[str]) -> list[list[str]]:
    """Sort deliveries into lanes, each in the order given."""
    lanes: dict[str, list[str]] = defaultdict(list)
    for delivery in deliveries:
        event = account.ledger.event(event_of(delivery))
        thing = event.now if event is not None else {}
        if thing.get("object") == "invoice_payment":
            thing = account.ledger.find("invoice", thing["invoice"]) or thing
        about = thing.get("id") if thing.get("object") == "customer" else thing.get("customer")
        lanes[str(about or thing.get("id"))].append(delivery)
    return list(lanes.values())


async def in_lanes(lanes: list[list[str]], deliver: Callable[[str], Awaitable[None]]) -> None:
    """Deliver every lane in its order, `LANES` of them at a time."""
    waiting = iter(lanes)

    async def work() -> None:
        for lane in waiting:
            for event_id in lane:
                await deliver(event_id)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(LANES, len(lanes))):
            group.create_task(work())


async def settle(account: Account, courier: Courier, quiet: Callable[[], Awaitable[None]]) -> tuple[str, ...]:
    """Bring what is still refused, in up to five rounds; returns the events refused to the end."""
    answers: dict[str, int | None] = {}
    for _ in range(ROUNDS_MAX):
        round_answers: dict[str, int | None] = {}

        async def bring(event_id: str, into: dict[str, int | None] = round_answers) -> None:
            delivered = await courier.deliver(next_attempt(courier, event_id), ACTOR, "settling")
            into[event_id] = delivered.status

        await in_lanes(lanes_of(account, courier.outbox.pending()), bring)
        await quiet()
        if not round_answers or round_answers == answers:
            break
        answers = round_answers
    return tuple(dict.fromkeys(map(event_of, courier.outbox.pending())))


async def again(account: Account, courier: Courier) -> None:
    """Bring every event once more."""

    async def bring(event_id: str) -> None:
        await courier.deliver(courier.outbox.duplicate(event_id, now=_now()), ACTOR, "again")

    await in_lanes(lanes_of(account, courier.outbox.emitted()), bring)


def _now() -> int:
    return int(time.time())
