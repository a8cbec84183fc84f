"""What Stripe could deliver at this moment: the deliveries of one stream, offered as held steps.

An event is offered from its effect on, its duplicate from the moment at which the first attempt went
out, a retry when an answer has got lost. A retry after a time-out may overtake the attempt that the
target is still at: it is a strand of its own, named as if it were one more duplicate. In which order
streams may go is the program's to say: any, as emitted, or reversed once nothing else can emit. Each
delivery is a strand of its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deadheat.engine.conduct.strands import Variant
from deadheat.engine.postbag import event_of
from deadheat.program import DELIVERIES

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator, Mapping

    from deadheat.engine.cast import Part
    from deadheat.engine.conduct.conductor import Conductor
    from deadheat.engine.conduct.strands import Strand
    from deadheat.engine.courier import Courier
    from deadheat.program import Deliveries


@dataclass(slots=True, eq=False)
class Offers:
    """The deliveries of one operation ``C1``. ``others_live``: something else can still emit."""

    name: str
    actor: str
    order: tuple[Any, ...]
    deliveries: Deliveries
    conductor: Conductor
    courier: Courier
    others_live: Callable[[], bool]
    takes_part: Callable[[str], bool]
    group: asyncio.TaskGroup
    done: asyncio.Future[None]
    under_way: int = 0
    _known: dict[str, str] = field(default_factory=dict)  # event id -> strand
    _types: Counter[str] = field(default_factory=Counter)
    _timed_out: Counter[str] = field(default_factory=Counter)  # attempts, by event id
    _waiting: list[str] = field(default_factory=list)  # events not offered yet

    def offer(self) -> None:
        """Offer what can be delivered now; finishes the operation when there is nothing left."""
        if self.done.done():
            return
        self._take_in()
        any_order = self.deliveries.order == "any"
        while self._waiting and (any_order or not self.under_way) and not self._must_wait():
            at = -1 if self.deliveries.order == "reversed" else 0
            self._offer_event(self._waiting.pop(at))
        if not self._waiting and not self.under_way and not self.others_live():
            self.done.set_result(None)
            self.conductor.between.add(self.actor)

    def _must_wait(self) -> bool:
        return self.deliveries.order == "reversed" and self.others_live()

    def _take_in(self) -> None:
        for event_id in self.courier.outbox.emitted():
            if event_id in self._known:
                continue
            event_type = self.courier.outbox.type_of(event_id)
            self._types[event_type] += 1
            self._known[event_id] = f"{self.name}/{event_type}/{self._types[event_type]}"
            if event_id in self.courier.outbox.pending():  # else it was delivered before the race
                self._waiting.append(event_id)

    def _offer_event(self, event_id: str) -> None:
        name = self._known[event_id]
        if not self.takes_part(name):
            return
        self._hold(self._strand(name, event_id), event_id, first=True)

    def _strand(self, name: str, event_id: str, copy: int = 0) -> Strand:
        """Give the strand of a delivery; by default a copy goes right behind its original."""
        event_type = self.courier.outbox.type_of(event_id)
        strand = self.conductor.strand(
            name,
            actor=self.actor,
            operation=f"{DELIVERIES} {event_type}",
            order=(*self.order, list(self._known).index(event_id), copy),
            part=self._whose(event_id),
            values=(event_of(event_id),),
        )
        strand.told |= {value for value in self._object(event_id).values() if isinstance(value, str)}
        return strand

    def _object(self, event_id: str) -> Mapping[str, Any]:
        """Give what an event tells of."""
        thing: Mapping[str, Any] = self.courier.outbox.account.event_json(event_of(event_id))["data"][
            "object"
        ]
        return thing

    def _whose(self, event_id: str) -> Part | None:
        thing = self._object(event_id)
        metadata = thing.get("metadata") or {}
        values = (thing.get("id"), thing.get("customer"), metadata.get("user_id"))
        return self.conductor.attribution.cast.whose(str(value) for value in values if value)

    def _hold(self, strand: Strand, event_id: str, *, first: bool = False) -> None:
        self.under_way += 1

        def release(*, lost: bool = False) -> None:
            self.conductor.between.add(strand.name)
            if first:
                for n, copy in enumerate(self._copies(strand.name), 1):
                    self._hold(self._strand(copy, event_id, n), event_id)
            self.group.create_task(self._deliver(strand, event_id, lost=lost))

        event_type = self.courier.outbox.type_of(event_id)
        losing = (Variant("answer lost", lambda: release(lost=True)),)
        variants = losing if self.deliveries.forged is None else ()
        self.conductor.hold(strand, "delivery", event_type, release, variants=variants)

    def _copies(self, name: str) -> Iterator[str]:
        for n in range(1, self.deliveries.duplicates + 1):
            copy = _copy(name, n)
            if self.takes_part(copy):
                yield copy

    async def _deliver(self, strand: Strand, event_id: str, *, lost: bool) -> None:
        """Make one attempt; where its answer gets lost, a retry is offered."""
        courier, forged = self.courier, self.deliveries.forged
        try:
            if forged is not None:
                await courier.forge(event_id, forged, "race", self.actor, strand=strand)
                return
            attempt = courier.next_attempt(event_id)
            lost = lost or 0 < attempt.number <= self.deliveries.lost
            await courier.deliver(attempt, self.actor, "race", lost=lost, strand=strand)
            if not attempt.number:
                return  # nobody waits for the answer to a duplicate
            if strand.call is not None and strand.call.cancelled():
                self._offer_after_time_out(event_id)
            elif lost:
                self._hold(strand, event_id)
        finally:
            self.under_way -= 1
            self.conductor.between.discard(strand.name)
            self.conductor.wake()

    def _offer_after_time_out(self, event_id: str) -> None:
        self._timed_out[event_id] += 1
        n = self.deliveries.duplicates + self._timed_out[event_id]
        name = _copy(self._known[event_id], n)
        if self.takes_part(name):
            self._hold(self._strand(name, event_id, n), event_id)


def _copy(name: str, n: int) -> str:
    """Name the n-th delivery beside the first one."""
    return f"{name}/{chr(ord('a') + n)}"
