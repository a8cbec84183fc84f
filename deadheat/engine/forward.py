"""Forwarding: brings a Stripe account's events to one local address as they are emitted.

For people at work and not for races: no strategy, no run. Each event is brought by a task of its own,
so that one that is refused keeps nobody waiting; a refused one comes again after each pause of
`RETRY_SECONDS`, freshly signed, and is then given up. What Stripe could do is the `Outbox`'s to say.

An event is sent again by hand beside all that: it changes nothing about the retries that are due, as
at Stripe, unless there are none any more; then a success ends the wait for it.

Source: Stripe docs, "Receive Stripe events in your webhook endpoint", "Retries", and "Process
undelivered webhook events"; the pauses are ours.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from deadheat.engine.caller import http_client

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deadheat.stripe_sim import Attempt, Outbox

RETRY_SECONDS = (1.0, 3.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An event is on its way; ``attempt`` counts from 1, and is 0 where it is sent again beside those."""

    event_type: str
    event_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """How an attempt was answered: a status, or None and the ``problem`` that kept one from coming.

    ``retry_s`` are the seconds until it is sent again; None when it is not.
    """

    event_type: str
    event_id: str
    attempt: int
    url: str
    status: int | None
    problem: str
    elapsed_ms: float
    retry_s: float | None

    @property
    def taken(self) -> bool:
        """Whether Stripe would be content."""
        return self.status is not None and 200 <= self.status <= 299


@dataclass(slots=True, kw_only=True)
class Forwarder:
    """Brings the events of ``outbox`` to its endpoint; set ``news`` when there may be new ones."""

    outbox: Outbox
    tell: Callable[[Sent | Answered], None]
    retry_seconds: tuple[float, ...] = RETRY_SECONDS
    news: asyncio.Event = field(default_factory=asyncio.Event)
    _first: dict[str, Answered] = field(default_factory=dict)
    _answer: asyncio.Condition = field(default_factory=asyncio.Condition)
    _over: set[str] = field(default_factory=set)

    async def forward(self) -> None:
        """Bring events until cancelled."""
        begun = 0
        async with http_client(self.outbox.endpoint.url) as client, asyncio.TaskGroup() as group:
            while True:
                self.news.clear()
                emitted = self.outbox.emitted()
                for event_id in emitted[begun:]:
                    group.create_task(self._bring(client, event_id))
                begun = len(emitted)
                await self.news.wait()

    async def first_answers(self, event_ids: Sequence[str]) -> list[Answered]:
        """Wait until each of these events was answered once, or its attempt has failed; gives those."""
        async with self._answer:
            await self._answer.wait_for(lambda: all(event_id in self._first for event_id in event_ids))
        return [self._first[event_id] for event_id in event_ids]

    async def resend(self, event_id: str) -> Answered:
        """Send an event once more, whatever became of it; ActRefused for one that does not go here."""
        given_up = event_id in self._over and self.outbox.may_attempt(event_id)
        make = self.outbox.attempt if given_up else self.outbox.duplicate
        async with http_client(self.outbox.endpoint.url) as client:
            return await self._send(client, make(event_id, now=int(time.time())), None)

    async def _bring(self, client: httpx.AsyncClient, event_id: str) -> None:
        for retry_s in (*self.retry_seconds, None):
            answered = await self._send(client, self.outbox.attempt(event_id, now=int(time.time())), retry_s)
            async with self._answer:
                self._first.setdefault(event_id, answered)
                self._answer.notify_all()
            if answered.retry_s is None:
                break
            await asyncio.sleep(answered.retry_s)
        self._over.add(event_id)

    async def _send(self, client: httpx.AsyncClient, attempt: Attempt, retry_s: float | None) -> Answered:
        url = self.outbox.endpoint.url
        sent = Sent(event_type=attempt.event_type, event_id=attempt.event_id, attempt=attempt.number)
        self.tell(sent)
        began = time.perf_counter()
        status, problem = None, ""
        try:
            response = await client.request("POST", url, headers=dict(attempt.headers), content=attempt.body)
            status = response.status_code
        except httpx.HTTPError as error:
            problem = str(error) or type(error).__name__
        taken = status is not None and 200 <= status <= 299
        answered = Answered(
            event_type=sent.event_type,
            event_id=sent.event_id,
            attempt=sent.attempt,
            url=url,
            status=status,
            problem=problem,
            elapsed_ms=(time.perf_counter() - began) * 1000,
            retry_s=None if taken else retry_s,
        )
        self.outbox.answered(attempt, status)
        self.tell(answered)
        return answered
