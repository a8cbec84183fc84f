"""What a run made at Stripe: copies of its objects as they are now, and its events as emitted."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deadheat.stripe_sim.api_version import API_VERSION
from deadheat.stripe_sim.invoice_payments import shown_in
from deadheat.stripe_sim.present import present

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json

_FIELDS = {
    "customer": "customers",
    "subscription": "subscriptions",
    "checkout.session": "sessions",
    "invoice": "invoices",
    "refund": "refunds",
    "event": "events",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was made since a mark, each kind in order of creation, in `api_version.API_VERSION`.

    Invoices carry ``payments``, as if expanded, so that a refund leads back to its invoice; a deleted
    customer is ``{id, object, deleted: true}``, and a deleted draft of an invoice is left out.
    """

    customers: tuple[Json, ...] = ()
    subscriptions: tuple[Json, ...] = ()
    sessions: tuple[Json, ...] = ()
    invoices: tuple[Json, ...] = ()
    refunds: tuple[Json, ...] = ()
    events: tuple[Json, ...] = ()


def made_since(ledger: Ledger, mark: int, event_json: Callable[[str], Json]) -> Made:
    """Collect what the ledger wrote for the first time since ``mark``."""
    found: dict[str, list[Json]] = {name: [] for name in _FIELDS.values()}
    for kind, object_id in ledger.made[mark:]:
        if kind == "event":
            found["events"].append(event_json(object_id))
        elif kind in _FIELDS and not _is_gone(ledger, kind, object_id):
            found[_FIELDS[kind]].append(_shown(ledger, kind, object_id))
    made = Made(**{name: tuple(objects) for name, objects in found.items()})
    copied: Made = pickle.loads(pickle.dumps(made, pickle.HIGHEST_PROTOCOL))  # a fifth of deepcopy's time
    return copied


def ids_since(ledger: Ledger, mark: int) -> list[tuple[str, str]]:
    """Give kind and id of what the ledger wrote for the first time since ``mark``, in that order."""
    return ledger.made[mark:]


def _is_gone(ledger: Ledger, kind: str, object_id: str) -> bool:
    """Say whether it is a draft of an invoice that was deleted again: nobody was asked for anything."""
    return kind == "invoice" and bool((ledger.find(kind, object_id) or {}).get("deleted"))


def _shown(ledger: Ledger, kind: str, object_id: str) -> Json:
    kept = ledger.find(kind, object_id)
    assert kept is not None  # what was made stays, if only as deleted
    shown = present(kept, API_VERSION)
    if kind == "invoice":
        shown["payments"] = shown_in(kept)
    return shown
