"""The ledger: everything that one account knows, and the one place where it changes.

`put` is the only way to write and `emit` the only way to make an event, so that every change is
noted in order and each event stands behind its change. Events keep the objects themselves, before
and after: objects are never changed in place, so a snapshot is a reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim.api_error import no_such
from deadheat.stripe_sim.clock import Clock
from deadheat.stripe_sim.ids import Ids
from deadheat.stripe_sim.shelf import Json, Shelf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deadheat.stripe_sim.wire import Call

INDEXED: Mapping[str, tuple[str, ...]] = {
    "customer": ("email",),
    "product": (),
    "price": ("product", "lookup_key"),
    "checkout.session": ("customer", "subscription", "payment_intent"),
    "subscription": ("customer",),
    "invoice": ("customer", "_subscription"),
    "payment_intent": ("customer",),
    "charge": ("customer", "payment_intent"),
    "refund": ("charge", "payment_intent"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Emitted:
    """An event: what changed, as it was before and after, and the request that did it (None: Stripe)."""

    id: str
    type: str
    created: int
    now: Json
    before: Json | None
    request_id: str | None
    key: str | None
    place: int


class Ledger:
    """The objects of an account, its events in order of emission, its clock and its ids."""

    def __init__(self, *, seed: int, now: int) -> None:
        self.clock = Clock(now)
        self.ids = Ids(seed)
        self.shelves = {kind: Shelf(indexed) for kind, indexed in INDEXED.items()}
        self.events: list[Emitted] = []
        self.made: list[tuple[str, str]] = []
        self._event_places: dict[str, int] = {}
        self._origin: tuple[str, str | None] | None = None
        self._touched: dict[str, None] = {}
        self._written: dict[str, int] = {}

    @property
    def now(self) -> int:
        """The run's time in seconds since 1970."""
        return self.clock.now

    def begin(self, call: Call | None) -> None:
        """Say who acts from here on: a request, or Stripe itself."""
        self._origin = None if call is None else (call.id, call.key)
        self._touched = {}

    def touched(self) -> tuple[str, ...]:
        """Give the ids that were written since `begin`, in order."""
        return tuple(self._touched)

    def new(self, kind: str, **fields: Any) -> Json:
        """Give a new object of a kind, with its id and its time; it is not in the ledger yet."""
        return {"id": self.ids.new(kind), "object": kind, "created": self.now, "livemode": False, **fields}

    def put(self, made: Json) -> Json:
        """Write a new object, or the next version of one."""
        shelf = self.shelves[made["object"]]
        if made["id"] not in shelf:
            self.made.append((made["object"], made["id"]))
        shelf.put(made)
        self._touched[made["id"]] = None
        self._written[made["id"]] = self.now
        return made

    def written_at(self, object_id: str) -> int:
        """Say when an object was last written, by the run's clock."""
        return self._written[object_id]

    def change(self, old: Json, event_type: str | None, /, **fields: Any) -> Json:
        """Write the next version of an object; emits the event if anything differs."""
        changed = {**old, **fields}
        if changed == old:
            return old
        self.put(changed)
        if event_type is not None:
            self.emit(event_type, changed, before=old)
        return changed

    def emit(self, event_type: str, now: Json, *, before: Json | None = None) -> Emitted:
        """Emit an event; ``before`` makes its ``previous_attributes``."""
        request_id, key = self._origin or (None, None)
        event = Emitted(
            id=self.ids.new("event"),
            type=event_type,
            created=self.now,
            now=now,
            before=before,
            request_id=request_id,
            key=key,
            place=len(self.events),
        )
        self.events.append(event)
        self._event_places[event.id] = event.place
        self.made.append(("event", event.id))
        return event

    def event(self, event_id: str) -> Emitted | None:
        """Find an event."""
        place = self._event_places.get(event_id)
        return None if place is None else self.events[place]

    def find(self, kind: str, object_id: str) -> Json | None:
        """Find an object of a kind, deleted ones included."""
        return self.shelves[kind].get(object_id)

    def need(self, kind: str, object_id: str, *, param: str = "id") -> Json:
        """Find an object that must be there and not deleted, or say `no_such`."""
        found = self.find(kind, object_id)
        if found is None or found.get("deleted"):
            raise no_such(kind, object_id, param=param)
        return found

    def of(self, kind: str, **where: Any) -> list[Json]:
        """Give all objects of a kind whose fields equal these, oldest first."""
        return list(self.shelves[kind].newest_first(where))[::-1]
