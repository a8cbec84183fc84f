"""List routes: filters, pages and the list object that all kinds share.

Source: Stripe API reference, "Pagination".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim.api_error import no_such
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
    """Give a page of ``kind``. ``filters`` names parameters and, in a mapping, the fields they mean.

    A cursor is a place: one whose object has been deleted since leads on, as for who deletes page by page.
    """
    args = call.args
    names = filters if isinstance(filters, dict) else {name: name for name in filters}
    cursors = {name: args.get(name) for name in ("starting_after", "ending_before")}
    for name, object_id in cursors.items():
        if object_id is not None and ledger.find(kind, object_id) is None:
            raise no_such(kind, object_id, param=name)
    found, has_more = page(
        ledger.shelves[kind],
        {field: args[name] for name, field in names.items() if name in args},
        keep=lambda kept: not kept.get("deleted") and in_time(kept, args.get("created")) and keep(kept),
        limit=args.get("limit", 10),
        **cursors,
    )
    return listed([present(kept, call.api_version) for kept in found], call.request.path, has_more=has_more)


def part_of(parts: list[Json], args: Json) -> tuple[list[Json], bool]:
    """Give a page of the parts of one object, first to last, and whether there is more that way."""
    limit = args.get("limit", 10)
    if "ending_before" in args:
        end = _place(parts, args, "ending_before")
        return parts[max(0, end - limit) : end], end > limit
    start = _place(parts, args, "starting_after") + 1 if "starting_after" in args else 0
    return parts[start : start + limit], len(parts) > start + limit


def _place(parts: list[Json], args: Json, cursor: str) -> int:
    for place, part in enumerate(parts):
        if part["id"] == args[cursor]:
            return place
    raise no_such("item", args[cursor], param=cursor)


def in_time(kept: Any, created: int | Mapping[str, int] | None) -> bool:
    """Say whether an object was created when the ``created`` filter asks for."""
    return created is None or within(kept["created"], created)


def within(at: int, asked: int | Mapping[str, int]) -> bool:
    """Say whether a time is the one asked for, or within the interval (``gt``, ``gte``, ``lt``, ``lte``)."""
    if isinstance(asked, int):
        return at == asked
    return (
        at > asked.get("gt", -1)
        and at >= asked.get("gte", 0)
        and at < asked.get("lt", at + 1)
        and at <= asked.get("lte", at)
    )
