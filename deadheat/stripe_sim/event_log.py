"""The events of an account through its API: retrieve and list, for thirty days at Stripe, here for good.

Source: Stripe API reference, "Events".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.stripe_sim.api_error import no_such
from deadheat.stripe_sim.lists import in_time
from deadheat.stripe_sim.params import accepted, boolean, listed, listing, text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deadheat.stripe_sim.ledger import Emitted, Ledger
    from deadheat.stripe_sim.shelf import Json

LIST = listing(
    type=text(unset=False),
    types=listed(text(unset=False)),
    delivery_success=boolean,
    **accepted("related_object"),
)


def one(ledger: Ledger, event_id: str, *, param: str = "id") -> Emitted:
    """Find an event, or say that there is none."""
    found = ledger.event(event_id)
    if found is None:
        raise no_such("event", event_id, param=param)
    return found


def page(ledger: Ledger, args: Json) -> tuple[list[Emitted], bool]:
    """Give one page of events, newest first, and whether there is more."""
    limit = args.get("limit", 10)
    walk: Iterable[Emitted]
    if "ending_before" in args:
        start = one(ledger, args["ending_before"], param="ending_before").place
        walk = (ledger.events[n] for n in range(start + 1, len(ledger.events)))
    else:
        end = len(ledger.events)
        if "starting_after" in args:
            end = one(ledger, args["starting_after"], param="starting_after").place
        walk = (ledger.events[n] for n in range(end - 1, -1, -1))
    taken: list[Emitted] = []
    has_more = False
    for event in walk:
        if not _wanted(ledger, event, args):
            continue
        if len(taken) == limit:
            has_more = True
            break
        taken.append(event)
    return (taken[::-1] if "ending_before" in args else taken), has_more


def matches(event_type: str, wanted: Iterable[str]) -> bool:
    """Say whether a type is among ``wanted``, which may end in ``.*`` or be ``*``."""
    return any(
        event_type == pattern or (pattern.endswith("*") and event_type.startswith(pattern[:-1]))
        for pattern in wanted
    )


def _wanted(ledger: Ledger, event: Emitted, args: Json) -> bool:
    if "type" in args and not matches(event.type, (args["type"],)):
        return False
    if "types" in args and not matches(event.type, args["types"]):
        return False
    if not in_time({"created": event.created}, args.get("created")):
        return False
    delivered = args.get("delivery_success")
    return delivered is None or delivered == (ledger.pending_webhooks(event) == 0)
