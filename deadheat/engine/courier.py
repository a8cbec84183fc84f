"""The webhook plane: carries Stripe's events to the target, in the race and while settling.

What Stripe could do is the `Postbag`'s to say: an event goes out after its effect, again after an
attempt that Stripe saw fail, and at any time as a duplicate. When it goes is said here: a stream
delivers while others race, settling brings what is still refused one by one in order of emission,
and `again` brings every event once more.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from deadheat.adapter import HttpAnswer
from deadheat.engine.caller import Unanswered, answer_to, exchange
from deadheat.engine.postbag import event_of
from deadheat.history import Plane, Recorder, StepKind
from deadheat.invariants.settled import Delivered
from deadheat.program import DELIVERIES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx

    from deadheat.engine.conduct import Conductor
    from deadheat.engine.conduct.strands import Strand
    from deadheat.engine.postbag import Postbag
    from deadheat.program import Deliveries, Forgery
    from deadheat.schedule import Barrage
    from deadheat.stripe_sim import Attempt

ROUNDS_MAX = 5
COMPLETED = "checkout.session.completed"
Phase = Literal["race", "settling", "again"]


@dataclass(slots=True)
class Courier:
    """Delivers the events of one run to the target's webhook endpoints.

    ``barrage`` draws how long a delivery of a stream is on its way; ``conductor`` hears of each, and
    ``on_answer`` is called when one was answered.
    """

    client: httpx.AsyncClient
    outbox: Postbag
    recorder: Recorder
    barrage: Barrage | None = None
    conductor: Conductor | None = None
    on_answer: Callable[[], None] = lambda: None
    delivered: list[Delivered] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def stream(self, deliveries: Deliveries, actor: str, others_live: Callable[[], bool]) -> None:
        """Deliver events as they are emitted, until nothing else is live and each was attempted."""
        while deliveries.order == "reversed" and others_live():
            await self._news()
        seen: set[str] = set()
        tasks: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as group:
            while True:
                fresh = [event_id for event_id in self.outbox.emitted() if event_id not in seen]
                seen.update(fresh)
                for event_id in reversed(fresh) if deliveries.order == "reversed" else fresh:
                    made = [
                        group.create_task(self._later(event_id, deliveries, actor))
                        for _ in range(1 + deliveries.duplicates)
                    ]
                    tasks += made
                    if deliveries.order != "any":
                        await asyncio.wait(made)
                if fresh:
                    continue
                if not others_live() and all(task.done() for task in tasks):
                    return
                await self._news()

    async def one_by_one(self, deliveries: Deliveries, actor: str) -> None:
        """Deliver what has been emitted and not yet been taken, one attempt at a time."""
        pending = self.outbox.pending()
        for event_id in reversed(pending) if deliveries.order == "reversed" else pending:
            for _ in range(1 + deliveries.duplicates):
                await self._send(event_id, deliveries, actor)
                await self._rest()

    async def settle(self, quiet: Callable[[], Awaitable[None]]) -> tuple[str, ...]:
        """Bring what is still refused, in up to five rounds; returns the events refused to the end."""
        answers: dict[str, int | None] = {}
        for _ in range(ROUNDS_MAX):
            pending = self.outbox.pending()
            if not pending:
                return ()
            round_answers = {}
            for event_id in pending:
                delivered = await self.deliver(self.next_attempt(event_id), "stripe", "settling")
                round_answers[event_id] = delivered.status
                await self._rest()
            await quiet()
            if round_answers == answers:
                break
            answers = round_answers
        return tuple(dict.fromkeys(map(event_of, self.outbox.pending())))

    async def again(self) -> None:
        """Bring every event once more, in order of emission."""
        for event_id in self.outbox.emitted():
            await self.deliver(self.outbox.duplicate(event_id, now=_now()), "stripe", "again")
            await self._rest()

    async def _rest(self) -> None:
        """Let the target do what it does after its answer, before the next delivery runs beside it."""
        if self.conductor is not None:
            await self.conductor.rest()

    async def forge(
        self,
        event_id: str,
        kind: Forgery,
        phase: Phase,
        actor: str = "forger",
        strand: Strand | None = None,
    ) -> Delivered:
        """Send a delivery that must be refused."""
        attempt = self.outbox.forge(event_id, kind, now=_now())
        return await self.deliver(attempt, actor, phase, forged=kind, strand=strand)

    async def deliver(
        self,
        attempt: Attempt,
        actor: str,
        phase: Phase,
        *,
        forged: Forgery | None = None,
        lost: bool = False,
        strand: Strand | None = None,
    ) -> Delivered:
        """Make one attempt, tell the outbox how it was answered, and note both.

        ``lost``: the answer gets lost on its way back, and Stripe sees none. ``strand`` is the
        delivery's in the race; elsewhere it gets one of its own.
        """
        label = f"{attempt.event_type} {attempt.event_id}"
        conductor = self.conductor
        if conductor is not None:
            strand = strand or self._strand(conductor, attempt, actor, phase)
            conductor.opened(strand, "delivery")
        self.recorder.record(
            actor=actor,
            plane=Plane.WEBHOOK,
            kind=StepKind.DELIVERY,
            label=label,
            data={"event": attempt.event_id, "attempt": attempt.number, "forged": forged, "phase": phase},
        )
        headers = dict(attempt.headers)
        if conductor is not None and strand is not None:
            headers |= conductor.headers(strand)
        call = asyncio.ensure_future(
            exchange(self.client, "POST", attempt.url, headers=headers, content=attempt.body)
        )
        if strand is not None:
            strand.call = call
        came = await answer_to(call, "Stripe waited no longer")
        answer = came if isinstance(came, HttpAnswer) else None
        answered = answer.status if answer else None
        status = None if lost else answered
        if forged is None:
            self.outbox.answered(attempt, status)
        step = self.recorder.record(
            actor=actor,
            plane=Plane.WEBHOOK,
            kind=StepKind.ANSWER,
            label=label,
            data={
                "event": attempt.event_id,
                "status": answered,
                "lost": lost,
                "body": answer.body[:500].decode("utf-8", "replace") if answer else "",
                **({"why": came.why} if isinstance(came, Unanswered) else {}),
            },
        )
        made = Delivered(
            seq=step.seq,
            event_id=attempt.event_id,
            event_type=attempt.event_type,
            status=status,
            forged=forged,
            phase=phase,
        )
        self.delivered.append(made)
        self.on_answer()
        if conductor is not None and strand is not None:
            conductor.answered(strand, to_be_continued=False, hung_up=call.cancelled())
        return made

    def _strand(self, conductor: Conductor, attempt: Attempt, actor: str, phase: Phase) -> Strand:
        n = len(self.delivered) + len(conductor.strands)
        return conductor.strand(
            f"{actor}/{phase}/{attempt.event_type}/{n}",
            actor=actor,
            operation=f"{DELIVERIES} {attempt.event_type}",
            values=(attempt.event_id,),
        )

    async def _later(self, event_id: str, deliveries: Deliveries, actor: str) -> None:
        if self.barrage is not None:
            await asyncio.sleep(self.barrage.delay_ms() / 1000)
        await self._send(event_id, deliveries, actor)
        self.news.set()

    async def _send(self, event_id: str, deliveries: Deliveries, actor: str) -> None:
        """Send a forgery, or an attempt with a retry after each answer that got lost."""
        if deliveries.forged is not None:
            await self.forge(event_id, deliveries.forged, "race", actor)
            return
        lost = True
        while lost:
            attempt = self.next_attempt(event_id)
            lost = 0 < attempt.number <= deliveries.lost
            await self.deliver(attempt, actor, "race", lost=lost)

    def completions(self, session: str) -> list[str]:
        """Give the deliveries that tell of a checkout session that it is complete."""
        account = self.outbox.account
        return [
            delivery
            for delivery in self.outbox.emitted()
            if self.outbox.type_of(delivery).endswith(COMPLETED)
            and account.event_json(event_of(delivery))["data"]["object"]["id"] == session
        ]

    def next_attempt(self, event_id: str) -> Attempt:
        """Give the next attempt that Stripe would make, or a duplicate where it would make none."""
        if self.outbox.may_attempt(event_id):
            return self.outbox.attempt(event_id, now=_now())
        return self.outbox.duplicate(event_id, now=_now())

    async def _news(self) -> None:
        """Wait until something was emitted, an actor ended or a delivery did."""
        self.news.clear()
        await self.news.wait()


def _now() -> int:
    """Signatures carry real time: targets compare them with their own clocks."""
    return int(time.time())
