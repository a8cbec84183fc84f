"""Locks: which objects the calls that write are working on.

Stripe locks objects on some operations, and a call that does not get its lock in time fails with 429
``lock_timeout``. Which operations take which locks is not told; here every call that writes takes those
of the objects that its path names, and of the ones below that a parameter names, from received to
effect. Whether anybody fails for it is a fault's to say (`faults`).

Source: Stripe docs, "Rate limits", "Object lock timeouts".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deadheat.stripe_sim.wire import Call

LOCKED_BY_PARAMETER = frozenset({"charge", "customer", "invoice", "payment_intent", "subscription"})


def objects_of(call: Call) -> tuple[str, ...]:
    """Give the ids of the objects that a call names, those of its path first."""
    named = [v for name, v in call.params.items() if name in LOCKED_BY_PARAMETER and isinstance(v, str)]
    return (*call.path_ids, *named) if named else call.path_ids


class Locks:
    """The objects that calls are writing right now, and which calls those are."""

    def __init__(self) -> None:
        self._holders: dict[str, list[Call]] = {}

    def take(self, call: Call) -> None:
        """Lock what a call is going to write; nothing where it only reads."""
        if call.request.method != "GET":
            call.locks = objects_of(call)
            for object_id in call.locks:
                self._holders.setdefault(object_id, []).append(call)

    def conflict(self, call: Call) -> bool:
        """Say whether a call that writes names an object that another call has locked."""
        return call.request.method != "GET" and any(
            holder is not call
            for object_id in objects_of(call)
            for holder in self._holders.get(object_id, ())
        )

    def release(self, call: Call) -> None:
        """Unlock whatever a call has locked."""
        for object_id in call.locks:
            holders = self._holders[object_id]
            holders.remove(call)
            if not holders:
                del self._holders[object_id]
        call.locks = ()
