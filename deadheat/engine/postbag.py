"""The webhook endpoints of one target: each event goes to every endpoint that wants it.

An event for two endpoints is two deliveries, each attempted, retried and signed on its own, each with an
`Outbox` of its own behind it. A delivery is called ``evt_…@NAME`` here, by the endpoint's name in
deadheat.toml, and an event's type ``NAME:invoice.paid``; of an endpoint without a name, ``evt_…`` and
``invoice.paid``.

Source: Stripe docs, "Receive Stripe events in your webhook endpoint": "Register your endpoint" (an
account may have several, each with a signing secret of its own).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from deadheat.stripe_sim import Outbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deadheat.stripe_sim import Account, Attempt, Endpoint, Forgery

_AT = "@"


def event_of(delivery: str) -> str:
    """Give the id of the event that a delivery brings.

    >>> event_of("evt_1@credits"), event_of("evt_1")
    ('evt_1', 'evt_1')
    """
    return delivery.partition(_AT)[0]


@dataclass(slots=True)
class Postbag:
    """What an account has to deliver to some endpoints, by their names, from a mark on."""

    account: Account
    outboxes: Mapping[str, Outbox]
    _read_to: int
    _deliveries: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls, account: Account, endpoints: Mapping[str, Endpoint], *, since: int, every_type: bool = False
    ) -> Postbag:
        """Give the postbag of some endpoints; ``every_type``: they are sent what they do not ask for, too."""
        boxes = {
            name: Outbox(account, replace(endpoint, types=()) if every_type else endpoint, since=since)
            for name, endpoint in endpoints.items()
        }
        return cls(account, boxes, since)

    def emitted(self) -> tuple[str, ...]:
        """Give all deliveries, in order of emission; of one event in the order of endpoints."""
        for kind, event_id in self.account.ids_since(self._read_to):
            self._read_to += 1
            for name, box in self.outboxes.items() if kind == "event" else ():
                if box.takes(event_id):
                    self._deliveries.append(f"{event_id}{_AT}{name}" if name else event_id)
        return tuple(self._deliveries)

    def pending(self) -> tuple[str, ...]:
        """Give the deliveries not yet seen to be answered 2xx, in order of emission."""
        waiting = {name: set(box.pending()) for name, box in self.outboxes.items()}
        return tuple(d for d in self.emitted() if event_of(d) in waiting[_name_of(d)])

    def firsts(self) -> tuple[str, ...]:
        """Give the first delivery of each endpoint."""
        return tuple({_name_of(delivery): delivery for delivery in reversed(self.emitted())}.values())

    def may_attempt(self, delivery: str) -> bool:
        """Say whether Stripe could make a first attempt or a retry now."""
        return self._box(delivery).may_attempt(event_of(delivery))

    def was_answered(self, delivery: str) -> bool:
        """Say whether an attempt of the delivery is over."""
        return self._box(delivery).was_answered(event_of(delivery))

    def type_of(self, delivery: str) -> str:
        """Give the type of the event, with the name of the endpoint that it goes to."""
        name = _name_of(delivery)
        event_type = self._box(delivery).type_of(event_of(delivery))
        return f"{name}:{event_type}" if name else event_type

    def attempt(self, delivery: str, *, now: int) -> Attempt:
        """Make the first attempt or a retry."""
        return self._box(delivery).attempt(event_of(delivery), now=now)

    def duplicate(self, delivery: str, *, now: int) -> Attempt:
        """Make a delivery beside the true ones."""
        return self._box(delivery).duplicate(event_of(delivery), now=now)

    def forge(self, delivery: str, kind: Forgery, *, now: int) -> Attempt:
        """Make a delivery that Stripe did not."""
        return self._box(delivery).forge(event_of(delivery), kind, now=now)

    def answered(self, attempt: Attempt, status: int | None) -> None:
        """Say how an attempt was answered as Stripe saw it."""
        box = next(box for box in self.outboxes.values() if box.endpoint.url == attempt.url)
        box.answered(attempt, status)

    def _box(self, delivery: str) -> Outbox:
        return self.outboxes[_name_of(delivery)]


def _name_of(delivery: str) -> str:
    return delivery.partition(_AT)[2]
