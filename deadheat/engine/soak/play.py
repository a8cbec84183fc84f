"""One soak at one deployment: hear the load, own Stripe meanwhile, settle, and give what is left.

`Play` is what a run's parts are in `deadheat.engine.run`, for a crowd instead of a cast: the gate on
the Stripe wire, the courier with its storm, the answers. It does no load itself.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from deadheat.engine.cast import stripe_objects
from deadheat.engine.courier import Courier
from deadheat.engine.gate import RunGate
from deadheat.engine.postbag import Postbag
from deadheat.engine.quiet import Quiet
from deadheat.engine.soak.crowd import Crowd
from deadheat.engine.soak.record import SoakRecorder
from deadheat.engine.soak.settling import again, settle
from deadheat.engine.soak.storm import FORGERIES, Storm
from deadheat.engine.soak.wire import Acted, Answered, Joined, Left, Named
from deadheat.errors import ActRefused, Trouble
from deadheat.history import Plane, StepKind
from deadheat.invariants.settled import Answer, Settled, Tables
from deadheat.invariants.stripe_json import LIVE
from deadheat.schedule import Barrage
from deadheat.stripe_sim import MONTHLY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from deadheat.engine.cast import Part
    from deadheat.engine.deployment import Deployment
    from deadheat.engine.soak.wire import Said
    from deadheat.history import Step
    from deadheat.invariants.settled import Json

SOURCES = frozenset({"event", "invoice", "checkout.session"})


class Play:
    """The parts of one soak, put together. ``answers`` and ``failures`` grow as the load is heard."""

    def __init__(self, deployment: Deployment, *, seed: int, sink: Callable[[Step], None]) -> None:
        self.deployment = deployment
        self.account = deployment.account
        self.recorder = SoakRecorder(1, sink)
        self.crowd = Crowd(MONTHLY)
        self.mark = self.account.mark()
        barrage = Barrage(seed)
        barrage.begin(1)
        call_ms = deployment.settings.stripe_latency_ms
        self.gate = RunGate(self.account, self.crowd, self.recorder, barrage, call_ms=call_ms)
        self.outbox = Postbag.of(self.account, deployment.endpoints, since=self.mark)
        self.courier = Courier(deployment.client, self.outbox, self.recorder, barrage)
        self.storm = Storm(self.courier, seed)
        self.quiet = Quiet(self.gate, self.recorder, deployment.database)
        self.answers: list[Answer] = []
        self.failures: Counter[str] = Counter()
        self.unanswered = 0

    def open(self) -> None:
        """Take the Stripe wire over."""
        self.account.begin_run(int(time.time()))
        self.gate.on_effect = self.courier.news.set
        self.deployment.server.gate = self.gate

    async def storming(self) -> None:
        """Deliver events until told to calm down; nothing at a target that takes no webhooks."""
        if self.deployment.endpoints:
            await self.storm.blow()
        else:
            await self.storm.over()

    def hear(self, said: Said) -> None:
        """Take in one thing that a load process said; Trouble for somebody who never joined."""
        if isinstance(said, Joined):
            part = self.crowd.join(said)
            self.gate.actors[part.user.id] = {_actor(part)}
            return
        if isinstance(said, Left):
            for person in said.cut:
                self._lost(self.crowd.person(person))
            return
        if not isinstance(said, Named | Answered | Acted):
            raise Trouble(f"a load process said {type(said).__name__} out of place")
        part = self.crowd.person(said.person)
        if isinstance(said, Named):
            self.crowd.known_as(part, said.user_id)
        elif isinstance(said, Answered):
            self._answered(said, part)
        else:
            self._acted(said, part)

    async def settled(self) -> Settled:
        """Settle what the load left, deliver it all once more, and give what is there then."""
        self.gate.barrage = None
        await self.quiet.reached()
        if not self.deployment.endpoints:
            tables = await self._tables()
            return self._made(tables, tables, offenders=await self._offenders())
        refused = await settle(self.account, self.courier, self.quiet.reached)
        tables, offenders = await self._tables(), await self._offenders()
        forged_changed = await self._forge(tables)
        await again(self.account, self.courier)
        await self.quiet.reached()
        await settle(self.account, self.courier, self.quiet.reached)
        return self._made(tables, await self._tables(), refused, forged_changed, offenders)

    def _answered(self, said: Answered, part: Part) -> None:
        self.crowd.known_as(part, said.user_id)
        actor = f"{_actor(part)}/{said.tab}"
        step = self.recorder.record(
            actor=actor,
            plane=Plane.HTTP,
            kind=StepKind.ANSWER,
            label=said.operation,
            data={"user": said.user_id, "status": said.status, "customer": said.customer, "body": said.body},
        )
        if said.status is None:
            self._lost(part)
        if not said.success and not said.refused:
            self.failures[f"{said.operation} answered {said.status or 'nothing at all'}"] += 1
        self.answers.append(
            Answer(
                seq=step.seq,
                actor=actor,
                operation=said.operation,
                user_id=said.user_id,
                status=said.status,
                success=said.success,
                promises_customer=said.promises_customer,
                customer=said.customer,
                session=said.session,
                in_race=said.in_race,
            )
        )

    def _lost(self, part: Part) -> None:
        self.unanswered += 1
        self.crowd.lost(part)

    def _acted(self, said: Acted, part: Part) -> None:
        """Do what a person or Stripe does at Stripe; what Stripe would not let them do is noted."""
        notes: list[str] = []
        try:
            if said.act == "pay":
                notes += self._pay(said.session, part)
            else:
                for name in self.crowd.subscriptions_of(part):
                    notes += self._cancel(name, part) if said.act == "cancel" else self._refund(name)
        except ActRefused as refused:
            notes.append(str(refused))
        self.recorder.record(
            actor=f"{_actor(part)}/{said.tab}",
            plane=Plane.STRIPE,
            kind=StepKind.EFFECT,
            label=said.act,
            data={"user": part.id, "notes": notes},
        )
        self.courier.news.set()

    def _pay(self, session: str | None, part: Part) -> list[str]:
        if session is None:
            return ["there was no checkout session to pay"]
        subscription = self.account.complete_session(session)["subscription"]
        self.crowd.paid(part, subscription)
        return [session, *([subscription] if subscription else [])]

    def _cancel(self, name: str, part: Part) -> list[str]:
        subscription = self.account.object("subscription", name)
        if subscription is None or subscription["status"] not in LIVE:
            return []
        self.account.cancel_subscription(name)
        self.crowd.cancelled(part)
        return [name]

    def _refund(self, name: str) -> list[str]:
        subscription = self.account.object("subscription", name) or {}
        invoice = subscription.get("latest_invoice")
        if isinstance(invoice, str):
            self.account.refund_invoice(invoice)
        return [invoice] if isinstance(invoice, str) else []

    async def _forge(self, tables: Tables) -> tuple[int, ...]:
        """Forge each endpoint's first event in every way, one by one; returns those that changed a table."""
        changed = []
        for event_id in self.outbox.firsts():
            for kind in FORGERIES:
                delivered = await self.courier.forge(event_id, kind, "again")
                if (now := await self._tables()) != tables:
                    changed.append(delivered.seq)
                    tables = now
        return tuple(changed)

    async def _tables(self) -> Tables:
        if self.deployment.database is None:
            return Tables()
        made = self.account.ledger.made[self.mark :]
        sources = [object_id for kind, object_id in made if kind in SOURCES]
        return await self.deployment.database.read(self.crowd.user_ids(), sources)

    async def _offenders(self) -> Mapping[str, tuple[Json, ...] | Trouble]:
        database = self.deployment.database
        return {} if database is None else await database.offenders(self.crowd.user_ids())

    def _made(
        self,
        before_again: Tables,
        after_again: Tables,
        refused: tuple[str, ...] = (),
        forged_changed: tuple[int, ...] = (),
        offenders: Mapping[str, tuple[Json, ...] | Trouble] | None = None,
    ) -> Settled:
        self.deployment.check_alive()
        made = self.account.made_since(self.mark)
        lost = self.crowd.lost_ids()
        return Settled(
            people=self.crowd.people(),
            before_again=before_again,
            after_again=after_again,
            stripe=stripe_objects(made, self.crowd.owner, self.crowd.strangers()),
            answers=tuple(answer for answer in self.answers if answer.user_id not in lost),
            deliveries=tuple(self.courier.delivered),
            refused=refused,
            forged_changed=forged_changed,
            asked_for=self.crowd.asked_for(),
            webhooks=bool(self.deployment.endpoints),
            statuses=self.deployment.settings.target.statuses,
            offenders=offenders or {},
            history=self.recorder.history(),
        )


def _actor(part: Part) -> str:
    """Name a person in the history: the part of their e-mail that is theirs alone."""
    return part.user.email.partition("@")[0]
