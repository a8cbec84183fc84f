"""The webhook storms of a soak: deliveries while people go on clicking, doubled and out of order.

Most events leave after a short way drawn for each copy, which is enough to swap neighbours. Now and
then Stripe seems to hang: for a while nothing leaves, then all of it at once, shuffled and twice. A
refused event is tried again a few times here; what is still refused is settling's. Some deliveries
are forged and must be refused. `deadheat.engine.postbag` keeps all of it to what Stripe could do.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from deadheat.engine.postbag import event_of

if TYPE_CHECKING:
    from deadheat.engine.courier import Courier
    from deadheat.program import Forgery
    from deadheat.stripe_sim import Attempt

ACTOR = "stripe"
IN_AIR_MAX = 48
DUPLICATED = 0.3  # of the events, outside gusts
FORGED = 0.01
RETRIES_MAX = 3
RETRY_SECONDS = (0.05, 0.6)
GUST_EVERY_SECONDS = 3.0
GUST_SECONDS = 0.5
POLL_SECONDS = 0.1
FORGERIES: tuple[Forgery, ...] = ("unsigned", "badly-signed", "stale")


class Storm:
    """Delivers what the account emits from its making on, until told to calm down."""

    def __init__(self, courier: Courier, seed: int) -> None:
        self._courier = courier
        self._random = random.Random(f"storm/{seed}")
        self._seen = len(courier.outbox.emitted())
        self._in_air = asyncio.Semaphore(IN_AIR_MAX)
        self._tasks: set[asyncio.Task[None]] = set()
        self._calm = asyncio.Event()
        self.failure: BaseException | None = None
        self.events = 0

    async def blow(self) -> None:
        """Deliver until `calm`, and then what is on its way."""
        began = time.monotonic()
        held: list[str] = []
        while not self._calm.is_set():
            await self._news()
            fresh = self.fresh()
            if (time.monotonic() - began) % GUST_EVERY_SECONDS < GUST_SECONDS:
                held += fresh
                continue
            self._gust(held)
            held = []
            for event_id in fresh:
                self._send(event_id)
        self._gust([*held, *self.fresh()])
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        if self.failure is not None:
            raise self.failure

    async def over(self) -> None:
        """Deliver nothing, and wait for the calm."""
        await self._calm.wait()

    def calm(self) -> None:
        """Let no more than what has been emitted by now go out."""
        self._calm.set()
        self._courier.news.set()

    def fresh(self) -> list[str]:
        """Give the deliveries that there are to make since the last look."""
        fresh = self._courier.outbox.emitted()[self._seen :]
        self._seen += len(fresh)
        self.events += len({event_of(delivery) for delivery in fresh})
        return list(fresh)

    def _gust(self, held: list[str]) -> None:
        self._random.shuffle(held)
        for event_id in held:
            for _ in range(2):
                self._spawn(event_id, 0.0)

    def _send(self, event_id: str) -> None:
        for _ in range(2 if self._random.random() < DUPLICATED else 1):
            barrage = self._courier.barrage
            self._spawn(event_id, barrage.delay_ms() / 1000 if barrage is not None else 0.0)
        if self._random.random() < FORGED:
            self._spawn(event_id, 0.0, self._random.choice(FORGERIES))

    def _spawn(self, event_id: str, delay_s: float, forged: Forgery | None = None) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(event_id, delay_s, forged))
        self._tasks.add(task)
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.failure = self.failure or task.exception()

    async def _carry(self, event_id: str, delay_s: float, forged: Forgery | None) -> None:
        await asyncio.sleep(delay_s)
        for _ in range(RETRIES_MAX):
            async with self._in_air:
                if forged is not None:
                    await self._courier.forge(event_id, forged, "race")
                    return
                attempt = next_attempt(self._courier, event_id)
                delivered = await self._courier.deliver(attempt, ACTOR, "race")
            if attempt.duplicate or (delivered.status is not None and 200 <= delivered.status < 300):
                return
            await asyncio.sleep(self._random.uniform(*RETRY_SECONDS))

    async def _news(self) -> None:
        """Wait until something was emitted, for at most a poll's time: gusts end by the clock."""
        self._courier.news.clear()
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._courier.news.wait()
        except TimeoutError:
            return


def next_attempt(courier: Courier, event_id: str) -> Attempt:
    """Give the next attempt that Stripe would make, or a duplicate where it would make none."""
    now = int(time.time())
    if courier.outbox.may_attempt(event_id):
        return courier.outbox.attempt(event_id, now=now)
    return courier.outbox.duplicate(event_id, now=now)
