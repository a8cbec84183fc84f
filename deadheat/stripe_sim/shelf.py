"""Shelves: the objects of one kind, in order of creation, found by id or by an indexed field.

Objects are plain dicts that are replaced and never changed, so a snapshot costs nothing. Lists go
newest first from any place without looking at the rest: each object has a place that never changes,
and an index keeps the places of every value that an object ever had there; a reader checks the
present value again. 100,000 objects are as quick as ten.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Json = dict[str, Any]


class Shelf:
    """The objects of one kind; ``indexed`` names the fields that lists filter by."""

    def __init__(self, indexed: tuple[str, ...] = ()) -> None:
        self._objects: dict[str, Json] = {}
        self._places: dict[str, int] = {}
        self._order: list[str] = []
        self._index: dict[str, defaultdict[Any, list[int]]] = {f: defaultdict(list) for f in indexed}

    def __len__(self) -> int:
        return len(self._objects)

    def __contains__(self, object_id: object) -> bool:
        return object_id in self._objects

    def get(self, object_id: str) -> Json | None:
        """Give an object as it is now, or None."""
        return self._objects.get(object_id)

    def put(self, made: Json) -> None:
        """Put a new object, or the next version of one, in its place."""
        object_id = made["id"]
        place = self._places.get(object_id)
        if place is None:
            place = self._places[object_id] = len(self._order)
            self._order.append(object_id)
        self._objects[object_id] = made
        for field, places in self._index.items():
            value = made.get(field)
            if value is None:
                continue
            known = places[value]
            if not known or known[-1] < place:
                known.append(place)
            elif known[(at := bisect_left(known, place))] != place:
                insort(known, place, lo=at)

    def newest_first(self, where: dict[str, Any], *, after: str | None = None) -> Iterator[Json]:
        """Yield the objects whose fields equal ``where``, from behind ``after`` on."""
        places = self._candidates(where)
        end = len(places) if after is None else bisect_left(places, self._places[after])
        for n in range(end - 1, -1, -1):
            found = self._objects[self._order[places[n]]]
            if all(found.get(f) == v for f, v in where.items()):
                yield found

    def oldest_first(self, where: dict[str, Any], *, before: str) -> Iterator[Json]:
        """Yield the objects whose fields equal ``where`` and that are newer than ``before``."""
        places = self._candidates(where)
        for n in range(bisect_left(places, self._places[before] + 1), len(places)):
            found = self._objects[self._order[places[n]]]
            if all(found.get(f) == v for f, v in where.items()):
                yield found

    def _candidates(self, where: dict[str, Any]) -> Sequence[int]:
        lists = [self._index[f].get(v, []) for f, v in where.items() if f in self._index]
        return min(lists, key=len) if lists else range(len(self._order))


def page(
    shelf: Shelf,
    where: dict[str, Any],
    *,
    keep: Callable[[Json], bool],
    limit: int,
    starting_after: str | None = None,
    ending_before: str | None = None,
) -> tuple[list[Json], bool]:
    """Give one page of a list, newest first, and whether there is more in the direction asked for.

    Source: Stripe API reference, "Pagination".
    """
    if ending_before is not None:
        found = shelf.oldest_first(where, before=ending_before)
    else:
        found = shelf.newest_first(where, after=starting_after)
    taken: list[Json] = []
    for candidate in found:
        if not keep(candidate):
            continue
        if len(taken) == limit:
            return (taken[::-1] if ending_before is not None else taken), True
        taken.append(candidate)
    return (taken[::-1] if ending_before is not None else taken), False
