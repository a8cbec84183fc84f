"""Forwarding: brings a Stripe account's events to webhook endpoints on this machine as they are emitted.

For people at work and not for races: no strategy, no run. Each event is brought by a task of its own,
so that one that is refused keeps nobody waiting; a refused one comes again after each pause of
`RETRY_SECONDS`, freshly signed, and is then given up. What Stripe could do is the `Outbox`'s to say.
Endpoints are the one that was asked for, and those that the application makes through the API; one that
is not on this machine is told and left alone.

An event is sent again by hand beside all that: it changes nothing about the retries that are due, as
at Stripe, unless there are none any more; then a success ends the wait for it.

Source: Stripe docs, "Receive Stripe events in your webhook endpoint", "Retries", and "Process
undelivered webhook events"; the pauses are ours.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from deadheat.engine.caller import http_client
from deadheat.engine.events import Notice
from deadheat.errors import ActRefused, Refused
from deadheat.safety import check_url

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deadheat.stripe_sim import Account, Attempt, Outbox

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
    """Brings the events of an account; set ``news`` when there may be new ones or a new endpoint.

    ``own`` is the outbox of the endpoint that was asked for, None where none was.
    """

    account: Account
    own: Outbox | None
    tell: Callable[[Sent | Answered | Notice], None]
    retry_seconds: tuple[float, ...] = RETRY_SECONDS
    news: asyncio.Event = field(default_factory=asyncio.Event)
    _begun: dict[Outbox, int] = field(default_factory=dict)
    _first: dict[tuple[Outbox, str], Answered] = field(default_factory=dict)
    _over: set[tuple[Outbox, str]] = field(default_factory=set)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _left_alone: set[str] = field(default_factory=set)

    async def forward(self) -> None:
        """Bring events until cancelled."""
        async with http_client("") as client, asyncio.TaskGroup() as group:
            while True:
                self.news.clear()
                for outbox in self.outboxes():
                    emitted = outbox.emitted()
                    for event_id in emitted[self._begun.get(outbox, 0) :]:
                        group.create_task(self._bring(client, outbox, event_id))
                    self._begun[outbox] = len(emitted)
                await self.news.wait()

    def outboxes(self) -> list[Outbox]:
        """Give the outboxes of all endpoints on this machine."""
        own = [] if self.own is None else [self.own]
        return own + [outbox for outbox in self.account.outboxes() if self._is_here(outbox.endpoint.url)]

    async def first_answers(self, event_ids: Sequence[str]) -> list[Answered]:
        """Wait until these events were answered once by every endpoint that they go to; gives those."""
        goes = [(outbox, set(outbox.emitted())) for outbox in self.outboxes()]
        wanted = [(outbox, event) for event in event_ids for outbox, emitted in goes if event in emitted]
        async with self._changed:
            await self._changed.wait_for(lambda: all(w in self._first or w in self._over for w in wanted))
        return [self._first[pair] for pair in wanted if pair in self._first]

    async def taken(self, event_ids: Sequence[str], *, seconds: float) -> None:
        """Wait until every endpoint that these events go to has taken them, or for so many seconds."""
        goes = [(outbox, event) for outbox in self.outboxes() for event in event_ids if outbox.takes(event)]
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: not any(e in outbox.pending() for outbox, e in goes))

    async def resend(self, event_id: str) -> list[Answered]:
        """Send an event once more, whatever became of it; ActRefused for one that goes nowhere."""
        outboxes = [outbox for outbox in self.outboxes() if event_id in outbox.emitted()]
        if not outboxes:
            raise ActRefused(f"There is no event {event_id} that goes to an endpoint.")
        async with http_client("") as client:
            return [await self._send_again(client, outbox, event_id) for outbox in outboxes]

    async def _send_again(self, client: httpx.AsyncClient, outbox: Outbox, event_id: str) -> Answered:
        given_up = (outbox, event_id) in self._over and outbox.may_attempt(event_id)
        make = outbox.attempt if given_up else outbox.duplicate
        return await self._send(client, outbox, make(event_id, now=int(time.time())), None)

    async def _bring(self, client: httpx.AsyncClient, outbox: Outbox, event_id: str) -> None:
        for retry_s in (*self.retry_seconds, None):
            if not outbox.may_attempt(event_id):  # its endpoint was disabled or deleted meanwhile
                break
            attempt = outbox.attempt(event_id, now=int(time.time()))
            answered = await self._send(client, outbox, attempt, retry_s)
            async with self._changed:
                self._first.setdefault((outbox, event_id), answered)
                self._changed.notify_all()
            if answered.retry_s is None:
                break
            await asyncio.sleep(answered.retry_s)
        async with self._changed:
            self._over.add((outbox, event_id))
            self._changed.notify_all()

    async def _send(
        self, client: httpx.AsyncClient, outbox: Outbox, attempt: Attempt, retry_s: float | None
    ) -> Answered:
        url = outbox.endpoint.url
        sent = Sent(event_type=attempt.event_type, event_id=attempt.event_id, attempt=attempt.number)
        self.tell(sent)
        began = time.perf_counter()
        status, problem = None, ""
        try:
            response = await client.request("POST", url, headers=dict(attempt.headers), content=attempt.body)
            status = response.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
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
        outbox.answered(attempt, status)
        self.tell(answered)
        return answered

    def _is_here(self, url: str) -> bool:
        try:
            check_url(url, where="The webhook endpoint")
        except Refused:
            if url not in self._left_alone:
                self._left_alone.add(url)
                self.tell(Notice(text=f"Nothing is brought to {url}: it is not on this machine."))
            return False
        return True
