"""List routes: filters, pages and the list object that all kinds share.

Source: Stripe API reference, "Pagination".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim.present import listed, present
from deadheat.stripe_sim.shelf import page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call


def list_of(
    ledger: Ledger,
    call: Call,
    kind: str,
    filters: Sequence[str] | Mapping[str, str] = (),
    keep: Callable[[Json], bool] = lambda found: True,
) -> Json:
    """Give a page of ``kind``. ``filters`` names parameters and, in a mapping, the fields they mean."""
    args = call.args
    names = filters if isinstance(filters, dict) else {name: name for name in filters}
    cursors = {name: args.get(name) for name in ("starting_after", "ending_before")}
    for name, object_id in cursors.items():
        if object_id is not None:
            ledger.need(kind, object_id, param=name)
    found, has_more = page(
        ledger.shelves[kind],
        {field: args[name] for name, field in names.items() if name in args},
        keep=lambda kept: not kept.get("deleted") and in_time(kept, args.get("created")) and keep(kept),
        limit=args.get("limit", 10),
        **cursors,
    )
    return listed([present(kept, call.api_version) for kept in found], call.request.path, has_more=has_more)


def in_time(kept: Any, created: int | Mapping[str, int] | None) -> bool:
    """Say whether an object was created when the ``created`` filter asks for."""
    if created is None:
        return True
    at: int = kept["created"]
    if isinstance(created, int):
        return at == created
    return (
        at > created.get("gt", -1)
        and at >= created.get("gte", 0)
        and at < created.get("lt", at + 1)
        and at <= created.get("lte", at)
    )
