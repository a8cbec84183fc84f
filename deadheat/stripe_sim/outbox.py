"""Outboxes: the events for one webhook endpoint, and what Stripe could do with them.

An outbox sees every event that is emitted from its making on and that its endpoint asks for. It says
what may be attempted and makes the attempts, each with a fresh signature; carrying them is somebody
else's work. The rules: the first attempt at any time and in any order; a *retry* only after an
attempt that was seen to fail (anything but a 2xx, or no answer), and none after the first 2xx that
was seen; a *duplicate* at any time, whose answer changes nothing. An endpoint that was made through
the API (`api_outbox`) gets what was emitted while it was enabled, and nothing while it is not.

Source: Stripe docs, "Receive Stripe events in your webhook endpoint": "Retries", "Event ordering",
"Handle duplicate events", "Verify webhook signatures", "Roll endpoint secrets".
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Literal

from deadheat.errors import ActRefused
from deadheat.stripe_sim.api_version import API_VERSION
from deadheat.stripe_sim.clock import DAY
from deadheat.stripe_sim.event_log import matches
from deadheat.stripe_sim.signature import sign

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deadheat.stripe_sim.account import Account
    from deadheat.stripe_sim.ledger import Emitted
    from deadheat.stripe_sim.shelf import Json

Forgery = Literal["unsigned", "badly-signed", "stale"]
STALE_BY = 3600
"""How old a stale signature is, in seconds; Stripe's libraries tolerate 300."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A webhook endpoint. Empty ``types`` means every type; ``invoice.*`` is understood.

    ``old_secret`` signs too until the run's clock comes to ``old_secret_until``. ``id`` is that of an
    endpoint that was made through the API, whose types are the API's to say.
    """

    url: str
    secret: str
    types: tuple[str, ...] = ()
    api_version: str | None = None
    id: str | None = None
    old_secret: str | None = None
    old_secret_until: int = 0

    def wants(self, event_type: str) -> bool:
        """Say whether events of this type go to the endpoint."""
        return not self.types or matches(event_type, self.types)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One delivery. ``number`` counts the true attempts of its event from 1; 0 for the others.

    ``url`` is where it goes.
    """

    event_id: str
    event_type: str
    url: str
    body: bytes
    headers: Mapping[str, str]
    number: int
    duplicate: bool = False
    forged: Forgery | None = None


class _State(Enum):
    FRESH = "fresh"
    IN_FLIGHT = "in flight"
    FAILED = "failed"
    DELIVERED = "delivered"


@dataclass(slots=True)
class _Delivery:
    """How far the delivery of one event has come."""

    event_type: str
    mark: int
    state: _State = _State.FRESH
    attempts: int = 0


@dataclass(eq=False)
class Outbox:
    """The events of an account for one endpoint, from ``since`` on (a mark; default: from now)."""

    account: Account
    endpoint: Endpoint
    since: int | None = None
    _deliveries: dict[str, _Delivery] = field(default_factory=dict, init=False)
    _undelivered: dict[str, None] = field(default_factory=dict, init=False)
    _read_to: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Begin to see what the account emits."""
        self._read_to = self.account.mark() if self.since is None else self.since
        self.account.join(self)

    def emitted(self) -> tuple[str, ...]:
        """Give the ids of all events for this endpoint, in order of emission."""
        self._read()
        return tuple(self._deliveries)

    def emitted_since(self, mark: int) -> tuple[str, ...]:
        """Give those emitted since a mark of the account."""
        self._read()
        return tuple(event_id for event_id, known in self._deliveries.items() if known.mark >= mark)

    def pending(self, since: int = 0) -> tuple[str, ...]:
        """Give the ids of events not yet seen to be answered 2xx, in order of emission."""
        self._read()
        return tuple(e for e in self._undelivered if self._deliveries[e].mark >= since)

    def may_attempt(self, event_id: str) -> bool:
        """Say whether Stripe could make a first attempt or a retry now."""
        return self._delivery(event_id).state in (_State.FRESH, _State.FAILED) and self._is_enabled()

    def takes(self, event_id: str) -> bool:
        """Say whether an event goes to this endpoint."""
        self._read()
        return event_id in self._deliveries

    def was_answered(self, event_id: str) -> bool:
        """Say whether an attempt of the event is over: it was answered, or got no answer."""
        delivery = self._delivery(event_id)
        return delivery.attempts > 1 or delivery.state in (_State.FAILED, _State.DELIVERED)

    def type_of(self, event_id: str) -> str:
        """Give the type of an event; ActRefused for one that is not this endpoint's."""
        return self._delivery(event_id).event_type

    def waits_for(self, event_id: str, event_type: str) -> bool:
        """Say whether the event has still to reach this endpoint (it counts in ``pending_webhooks``)."""
        if not self.endpoint.wants(event_type):
            return False
        self._read()
        return event_id in self._undelivered and self._status() != "deleted"

    def roll(self, secret: str, *, keep_seconds: int = DAY) -> None:
        """Sign with another secret from now on, and with the present one as well for ``keep_seconds``.

        Those are of the run's clock, and at most a day; 0 ends the present one at once.
        """
        if not 0 <= keep_seconds <= DAY:
            raise ValueError(f"Stripe keeps a secret that is rolled for up to {DAY} s, not {keep_seconds}")
        self.endpoint = replace(
            self.endpoint,
            secret=secret,
            old_secret=self.endpoint.secret,
            old_secret_until=self.account.now + keep_seconds,
        )

    def attempt(self, event_id: str, *, now: int) -> Attempt:
        """Make the first attempt or a retry; ``now`` is real time, for the signature.

        ActRefused while another attempt is on its way, and after a 2xx that was seen.
        """
        delivery = self._delivery(event_id)
        if not self.may_attempt(event_id):
            why = f"it is {delivery.state.value}. Ask for a duplicate."
            if not self._is_enabled():
                why = f"{self.endpoint.url} is {self._status()}."
            raise ActRefused(f"Stripe would not attempt {event_id} now: {why}")
        delivery.state = _State.IN_FLIGHT
        delivery.attempts += 1
        body = self._body(event_id)
        return self._made(event_id, body, self._signature(body, now), number=delivery.attempts)

    def answered(self, attempt: Attempt, status: int | None) -> None:
        """Say how an attempt was answered as Stripe saw it: a status, or None for no answer."""
        if attempt.duplicate or attempt.forged:
            return
        delivery = self._delivery(attempt.event_id)
        if delivery.state is not _State.IN_FLIGHT or delivery.attempts != attempt.number:
            raise ValueError(f"attempt {attempt.number} of {attempt.event_id} is not on its way")
        if status is not None and 200 <= status <= 299:
            delivery.state = _State.DELIVERED
            self._undelivered.pop(attempt.event_id, None)
        else:
            delivery.state = _State.FAILED

    def duplicate(self, event_id: str, *, now: int) -> Attempt:
        """Make a delivery beside the true ones: Stripe delivers at least once."""
        body = self._body(event_id)
        return self._made(event_id, body, self._signature(body, now), duplicate=True)

    def forge(self, event_id: str, kind: Forgery, *, now: int) -> Attempt:
        """Make a delivery that Stripe did not: unsigned, signed with another secret, or stale."""
        body = self._body(event_id)
        signature = {
            "unsigned": None,
            "badly-signed": sign(body, now, f"{self.endpoint.secret}-of-somebody-else"),
            "stale": self._signature(body, now - STALE_BY),
        }[kind]
        return self._made(event_id, body, signature, forged=kind)

    def _read(self) -> None:
        """Take in what the account has emitted since the last look."""
        made = self.account.ledger.made
        for at in range(self._read_to, len(made)):
            kind, event_id = made[at]
            if kind != "event":
                continue
            event = self.account.ledger.event(event_id)
            if event is not None and self._goes_here(event):
                self._deliveries[event_id] = _Delivery(event.type, at)
                self._undelivered[event_id] = None
        self._read_to = len(made)

    def _goes_here(self, event: Emitted) -> bool:
        if self.endpoint.id is not None:
            return self.endpoint.id in event.endpoints
        return self.endpoint.wants(event.type)

    def _is_enabled(self) -> bool:
        return self._status() == "enabled"

    def _status(self) -> str:
        if self.endpoint.id is None:
            return "enabled"
        kept = self.account.ledger.find("webhook_endpoint", self.endpoint.id)
        return "deleted" if kept is None or kept.get("deleted") else str(kept["status"])

    def _signature(self, body: bytes, now: int) -> str:
        endpoint = self.endpoint
        if endpoint.old_secret is None or self.account.now >= endpoint.old_secret_until:
            return sign(body, now, endpoint.secret)
        return sign(body, now, endpoint.secret, endpoint.old_secret)

    def _delivery(self, event_id: str) -> _Delivery:
        self._read()
        known = self._deliveries.get(event_id)
        if known is None:
            raise ActRefused(f"Stripe has no event {event_id} for {self.endpoint.url}.")
        return known

    def _body(self, event_id: str) -> bytes:
        self._delivery(event_id)
        version = self.endpoint.api_version or API_VERSION
        return json.dumps(self.account.event_json(event_id, version=version)).encode()

    def _made(
        self,
        event_id: str,
        body: bytes,
        signature: str | None,
        *,
        number: int = 0,
        duplicate: bool = False,
        forged: Forgery | None = None,
    ) -> Attempt:
        headers = {
            "accept": "*/*; q=0.5, application/xml",
            "cache-control": "no-cache",
            "content-type": "application/json; charset=utf-8",
            "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        if signature is not None:
            headers["stripe-signature"] = signature
        return Attempt(
            event_id=event_id,
            event_type=self._deliveries[event_id].event_type,
            url=self.endpoint.url,
            body=body,
            headers=headers,
            number=number,
            duplicate=duplicate,
            forged=forged,
        )


def api_outbox(account: Account, kept: Json) -> Outbox:
    """Give an outbox of an endpoint that was made through the API, from its creation on."""
    endpoint = Endpoint(
        url=kept["url"], secret=kept["_secret"], api_version=kept["api_version"], id=kept["id"]
    )
    return Outbox(account, endpoint, since=kept["_since"])
