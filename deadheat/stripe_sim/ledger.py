"""The ledger: everything that one account knows, and the one place where it changes.

`put` is the only way to write and `emit` the only way to make an event, so that every change is
noted in order and each event stands behind its change. Objects are never changed in place: each version
is packed once, for its shelf and for the events that show it.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from deadheat.stripe_sim.api_error import no_such
from deadheat.stripe_sim.clock import Clock
from deadheat.stripe_sim.dunning import Dunning
from deadheat.stripe_sim.ids import Ids
from deadheat.stripe_sim.packed import Packing
from deadheat.stripe_sim.search import LAG
from deadheat.stripe_sim.shelf import Json, Shelf
from deadheat.stripe_sim.webhook_endpoints import subscribed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deadheat.stripe_sim.wire import Call

KINDS = (
    "customer",
    "product",
    "price",
    "checkout.session",
    "subscription",
    "invoice",
    "payment_intent",
    "charge",
    "refund",
    "webhook_endpoint",
    "payment_method",
    "setup_intent",
    "credit_note",
    "customer_balance_transaction",
    "billing_portal.configuration",
    "billing_portal.session",
    "coupon",
    "promotion_code",
    "discount",
    "invoiceitem",
)
_NOTED = ("event", *KINDS)
_NUMBERS = {kind: number for number, kind in enumerate(_NOTED)}


@dataclass(slots=True, kw_only=True, eq=False)
class Emitted:
    """An event: what changed, as it was before and after, and the request that did it (None: Stripe).

    ``endpoints`` are the ids of those made through the API that it goes to.
    """

    id: str
    type: str
    created: int
    packing: Packing
    packed_now: bytes
    packed_before: bytes | None
    request_id: str | None
    key: str | None
    place: int
    endpoints: tuple[str, ...]

    @property
    def now(self) -> Json:
        """The object as the change left it."""
        return self.packing.unpack(self.packed_now)

    @property
    def before(self) -> Json | None:
        """The object as it was before; None where there is nothing to compare."""
        return None if self.packed_before is None else self.packing.unpack(self.packed_before)


class Record(Sequence[tuple[str, str]]):
    """Kind and id of all that was made, in order: a reference and a byte for each."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._kinds = bytearray()

    def note(self, kind: str, object_id: str) -> None:
        """Append what was made."""
        self._kinds.append(_NUMBERS[kind])
        self._ids.append(object_id)

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, at: int) -> tuple[str, str]: ...

    @overload
    def __getitem__(self, at: slice) -> list[tuple[str, str]]: ...

    def __getitem__(self, at: int | slice) -> tuple[str, str] | list[tuple[str, str]]:
        if isinstance(at, int):
            return _NOTED[self._kinds[at]], self._ids[at]
        return [
            (_NOTED[kind], object_id) for kind, object_id in zip(self._kinds[at], self._ids[at], strict=True)
        ]


class Ledger:
    """The objects of an account, its events in order of emission, its clock and its ids.

    ``parents`` leads from a subscription's item to the subscription that it lives in. ``search_lag`` is
    by how many seconds search lags behind; ``doubles_events`` says that Stripe makes two events of each
    change, as it does at times. Both may be set whenever it is wanted. ``pending_webhooks`` says how many
    endpoints an event has still to reach.
    """

    def __init__(self, *, seed: int, now: int) -> None:
        self.search_lag = LAG
        self.doubles_events = False
        self.pending_webhooks: Callable[[Emitted], int] = lambda event: 0
        self.clock = Clock(now)
        self.ids = Ids(seed)
        self.account_id = Ids(seed).new("account")
        self.packing = Packing()
        self.shelves = {kind: Shelf(self.packing) for kind in KINDS}
        self.events: list[Emitted] = []
        self.made = Record()
        self.parents: dict[str, str] = {}
        self.dunning = Dunning()
        self._reminders: list[tuple[int, str, str]] = []
        self._events: dict[str, Emitted] = {}
        self._origin: tuple[str, str | None] | None = None
        self._touched: dict[str, None] = {}
        self._packed: dict[int, tuple[Json, bytes]] = {}

    @property
    def now(self) -> int:
        """The run's time in seconds since 1970."""
        return self.clock.now

    def begin(self, call: Call | None) -> None:
        """Say who acts from here on: a request, or Stripe itself."""
        self._origin = None if call is None else (call.id, call.key)
        self._touched = {}
        self._packed = {}

    def remind(self, at: int, kind: str, object_id: str) -> None:
        """Ask to be told of an object, by `due`, when the clock comes to ``at``."""
        heapq.heappush(self._reminders, (at, kind, object_id))

    @property
    def has_due(self) -> bool:
        """Say whether `due` would yield anything."""
        return bool(self._reminders) and self._reminders[0][0] <= self.now

    def due(self) -> Iterator[tuple[str, str]]:
        """Yield kind and id of the objects whose time has come, each once, in order of time."""
        while self.has_due:
            _, kind, object_id = heapq.heappop(self._reminders)
            yield kind, object_id

    def forget_reminders(self) -> None:
        """Let everything stay as it is that was to happen by time."""
        self._reminders.clear()

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
            self.made.note(made["object"], made["id"])
        packed = self.packing.pack(made)
        shelf.put(made, packed, self.now, searched_until=self.now - self.search_lag)
        self._touched[made["id"]] = None
        self._packed[id(made)] = (made, packed)
        return made

    def change(self, old: Json, event_type: str | None, /, **fields: Any) -> Json:
        """Write the next version of an object; emits the event if anything differs."""
        changed = {**old, **fields}
        if changed == old:
            return old
        if event_type is None:
            return self.put(changed)
        self._pack(old)  # while its shelf has the same bytes
        self.put(changed)
        self.emit(event_type, changed, before=old)
        return changed

    def emit(self, event_type: str, now: Json, *, before: Json | None = None) -> Emitted:
        """Emit an event, or two that tell the same; ``before`` makes their ``previous_attributes``."""
        event = self._emit(event_type, now, before)
        if self.doubles_events:
            self._emit(event_type, now, before)
        return event

    def _emit(self, event_type: str, now: Json, before: Json | None) -> Emitted:
        request_id, key = self._origin or (None, None)
        event = Emitted(
            id=self.ids.new("event"),
            type=event_type,
            created=self.now,
            packing=self.packing,
            packed_now=self._pack(now),
            packed_before=None if before is None else self._pack(before),
            request_id=request_id,
            key=key,
            place=len(self.events),
            endpoints=subscribed(self.shelves["webhook_endpoint"], event_type),
        )
        self.events.append(event)
        self._events[event.id] = event
        self.made.note("event", event.id)
        return event

    def event(self, event_id: str) -> Emitted | None:
        """Find an event."""
        return self._events.get(event_id)

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

    def _pack(self, made: Json) -> bytes:
        """Pack a version, or take the bytes that its shelf or an earlier event has of it already."""
        known = self._packed.get(id(made))
        if known is not None and known[0] is made:
            return known[1]
        packed = self.packing.pack(made)
        shelf = self.shelves.get(made["object"])  # none for what is read off another object
        kept = None if shelf is None else shelf.packed(made["id"])
        if kept == packed:
            packed = kept
        self._packed[id(made)] = (made, packed)
        return packed
