"""Shelves: the objects of one kind, in order of creation, found by id or by what a field says.

Objects are plain dicts that are replaced and never changed in place; a shelf keeps the present
version of each as bytes (`packed`). Lists go newest first from any place without looking at the rest:
each object has a place that never changes, and an index keeps the places of every value that an object
ever had in a field; a reader checks the present value again. 100,000 objects are as quick as ten.

An index is made when it is first asked for. It takes strings case-folded, as search compares them, and
of a dict (metadata) each name with its value.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from deadheat.stripe_sim.packed import Packing

Json = dict[str, Any]
Term = Any
Index = dict[Term, "int | list[int]"]


class _Kept:
    """One object: its place, its present version, and when that was written.

    ``searched`` is the version that search finds as long as the present one is too new for it.
    """

    __slots__ = ("packed", "place", "searched", "written_at")

    def __init__(self, place: int, packed: bytes, written_at: int) -> None:
        self.place = place
        self.packed = packed
        self.written_at = written_at
        self.searched: bytes | None = None


class Shelf:
    """The objects of one kind."""

    def __init__(self, packing: Packing) -> None:
        self._packing = packing
        self._kept: dict[str, _Kept] = {}
        self._order: list[_Kept] = []
        self._indexes: dict[str, Index] = {}

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, object_id: object) -> bool:
        return object_id in self._kept

    def get(self, object_id: str) -> Json | None:
        """Give an object as it is now, or None."""
        kept = self._kept.get(object_id)
        return None if kept is None else self._packing.unpack(kept.packed)

    def packed(self, object_id: str) -> bytes | None:
        """Give an object as it is kept now, or None."""
        kept = self._kept.get(object_id)
        return None if kept is None else kept.packed

    def put(self, made: Json, packed: bytes, now: int, *, searched_until: int) -> None:
        """Put a new object, or the next version of one, in its place; ``packed`` is the same as bytes.

        What was written until ``searched_until`` is found by search.
        """
        kept = self._kept.get(made["id"])
        if kept is None:
            kept = self._kept[made["id"]] = _Kept(len(self._order), packed, now)
            self._order.append(kept)
        else:
            if made.get("deleted"):
                kept.searched = None
            elif kept.written_at <= searched_until:
                kept.searched = kept.packed
            kept.packed = packed
            kept.written_at = now
        for field, index in self._indexes.items():
            _enter(index, made.get(field), kept.place)

    def places(self, field: str, term: Term) -> Sequence[int]:
        """Give the places of the objects that ever had this term in a field, oldest first."""
        index = self._indexes.get(field)
        if index is None:
            index = self._indexes[field] = {}
            for kept in self._order:
                for packed in (kept.packed, kept.searched):
                    if packed is not None:
                        _enter(index, self._packing.unpack(packed).get(field), kept.place)
        found = index.get(term, [])
        return [found] if isinstance(found, int) else found

    def newest_first(self, where: dict[str, Any], *, after: str | None = None) -> Iterator[Json]:
        """Yield the objects whose fields equal ``where``, from behind ``after`` on."""
        places = self._candidates(where)
        end = len(places) if after is None else bisect_left(places, self._kept[after].place)
        return self._matching(where, (places[n] for n in range(end - 1, -1, -1)))

    def oldest_first(self, where: dict[str, Any], *, before: str) -> Iterator[Json]:
        """Yield the objects whose fields equal ``where`` and that are newer than ``before``."""
        places = self._candidates(where)
        begin = bisect_left(places, self._kept[before].place + 1)
        return self._matching(where, (places[n] for n in range(begin, len(places))))

    def as_searched(self, latest: int, places: Sequence[int] | None = None) -> Iterator[Json]:
        """Yield, newest first, each object as it was by ``latest``; ``places`` are all, or these.

        What was new after that, or is deleted, is left out.
        """
        for place in reversed(range(len(self._order)) if places is None else places):
            kept = self._order[place]
            packed = kept.packed if kept.written_at <= latest else kept.searched
            found = None if packed is None else self._packing.unpack(packed)
            if found is not None and not found.get("deleted"):
                yield found

    def _candidates(self, where: dict[str, Any]) -> Sequence[int]:
        lists = [self.places(f, term_of(v)) for f, v in where.items() if v is not None]
        return min(lists, key=len) if lists else range(len(self._order))

    def _matching(self, where: dict[str, Any], places: Iterator[int]) -> Iterator[Json]:
        for place in places:
            found = self._packing.unpack(self._order[place].packed)
            if all(found.get(f) == v for f, v in where.items()):
                yield found


def term_of(value: Any) -> Term:
    """Give what an index files a value under."""
    return value.casefold() if isinstance(value, str) else value


def _enter(index: Index, value: Any, place: int) -> None:
    if value is None:
        return
    if isinstance(value, dict):
        for name, content in value.items():
            _note(index, (name, term_of(content)), place)
    else:
        _note(index, term_of(value), place)


def _note(index: Index, term: Term, place: int) -> None:
    known = index.get(term)
    if known is None:
        index[term] = place
    elif isinstance(known, int):
        if known != place:
            index[term] = [known, place] if known < place else [place, known]
    elif known[-1] < place:
        known.append(place)
    elif known[(at := bisect_left(known, place))] != place:
        insort(known, place, lo=at)


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
