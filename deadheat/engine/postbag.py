"""Several webhook endpoints of one target: each event goes to every endpoint that wants it.

A postbag is to a run what an `Outbox` is where there is one endpoint. An event for two endpoints is two
deliveries, each attempted, retried and signed on its own; a delivery is called ``evt_…@NAME`` here, by
the endpoint's name in deadheat.toml, and an event's type ``NAME:invoice.paid``.

Source: Stripe docs, "Receive Stripe events in your webhook endpoint": "Register your endpoint" (an
account may have several, each with a signing secret of its own).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from deadheat.stripe_sim import Account, Attempt, Endpoint, Forgery, Outbox

_AT = "@"


def event_of(delivery: str) -> str:
    """Give the id of the event that a delivery brings.

    >>> event_of("evt_1@credits"), event_of("evt_1")
    ('evt_1', 'evt_1')
    """
    return delivery.partition(_AT)[0]


@dataclass(frozen=True, slots=True)
class Postbag:
    """The outboxes of a run by endpoint; ``since`` is the mark at which the run began."""

    account: Account
    outboxes: Mapping[str, Outbox]
    since: int

    def emitted(self) -> tuple[str, ...]:
        """Give all deliveries, in order of emission; of one event in the order of endpoints."""
        return self._in_order({name: box.emitted() for name, box in self.outboxes.items()})

    def pending(self) -> tuple[str, ...]:
        """Give the deliveries not yet seen to be answered 2xx, in order of emission."""
        return self._in_order({name: box.pending() for name, box in self.outboxes.items()})

    def may_attempt(self, delivery: str) -> bool:
        """Say whether Stripe could make a first attempt or a retry now."""
        return self._box(delivery).may_attempt(event_of(delivery))

    def type_of(self, delivery: str) -> str:
        """Give the type of the event, with the name of the endpoint that it goes to."""
        name = delivery.partition(_AT)[2]
        event_type = self._box(delivery).type_of(event_of(delivery))
        return f"{name}:{event_type}" if name else event_type

    def attempt(self, delivery: str, *, now: int) -> Attempt:
        """Make the first attempt or a retry."""
        box = self._box(delivery)
        return _sent(box.attempt(event_of(delivery), now=now), box.endpoint)

    def duplicate(self, delivery: str, *, now: int) -> Attempt:
        """Make a delivery beside the true ones."""
        box = self._box(delivery)
        return _sent(box.duplicate(event_of(delivery), now=now), box.endpoint)

    def forge(self, delivery: str, kind: Forgery, *, now: int) -> Attempt:
        """Make a delivery that Stripe did not."""
        box = self._box(delivery)
        return _sent(box.forge(event_of(delivery), kind, now=now), box.endpoint)

    def answered(self, attempt: Attempt, status: int | None) -> None:
        """Say how an attempt was answered as Stripe saw it."""
        box = next(box for box in self.outboxes.values() if box.endpoint.url == attempt.url)
        box.answered(attempt, status)

    def _box(self, delivery: str) -> Outbox:
        return self.outboxes[delivery.partition(_AT)[2]]

    def _in_order(self, found: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
        wanted = {name: set(event_ids) for name, event_ids in found.items()}
        return tuple(self._deliveries(wanted))

    def _deliveries(self, wanted: Mapping[str, set[str]]) -> Iterator[str]:
        for kind, event_id in self.account.ids_since(self.since):
            for name, event_ids in wanted.items() if kind == "event" else ():
                if event_id in event_ids:
                    yield f"{event_id}{_AT}{name}" if name else event_id


def _sent(attempt: Attempt, endpoint: Endpoint) -> Attempt:
    return replace(attempt, url=endpoint.url)
