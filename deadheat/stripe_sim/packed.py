"""Objects as bytes: what an account keeps of each version of each object.

A subscription is some 3 KB of dicts, most of which every other subscription says too, and each of
its versions stays for the events that show it. So the first object of a shape (the same names in the
same order) becomes the model of all others of that shape, and what is kept of those is where they
differ: `Packing.pack` gives 100 to 700 bytes, and `Packing.unpack` an equal object in a few
microseconds. The garbage collector has nothing to walk through.

Differences are a tuple: the positions in one bytes, then the values. A dict with the names of the model's,
and a list of as many such dicts, differ by a tuple of their own; JSON has no tuples, so nothing else is
one. Objects that come out share what they have in common with the model: they are never changed in place.
"""

from __future__ import annotations

import marshal
from itertools import compress
from operator import is_not
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deadheat.stripe_sim.shelf import Json

SHAPES_MAX = 1000
NAMES_MAX = 256  # a position is one byte
_SAME: Any = object()


class Packing:
    """Packs and unpacks the objects of one account."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, ...], int] = {}
        self._models: list[tuple[tuple[str, ...], Json]] = []

    def pack(self, made: Json) -> bytes:
        """Give the bytes of an object of strings, numbers, booleans, None, lists and dicts of those."""
        names = tuple(made)
        number = self._numbers.get(names)
        if number is None:
            if len(self._models) == SHAPES_MAX or len(names) > NAMES_MAX:
                return _dumped((None, made))
            number = self._numbers[names] = len(self._models)
            self._models.append((names, _copy(made)))
        return _dumped((number, *_differences(self._models[number][1], made)))

    def unpack(self, packed: bytes) -> Json:
        """Give an object equal to the one that was packed."""
        number, first, *values = marshal.loads(packed)
        if number is None:
            whole: Json = first
            return whole
        names, model = self._models[number]
        return _rebuilt(names, model, first, values)


def _dumped(value: tuple[Any, ...]) -> bytes:
    """Marshal a value, and copy it: the original stays in a block of 1 KB, cut to its size."""
    return bytes(memoryview(marshal.dumps(value)))


def _copy(made: Json) -> Json:
    """Copy an object, so that a model stays as it is whatever becomes of the object."""
    copy: Json = marshal.loads(marshal.dumps(made))
    return copy


def _differences(model: Json, made: Json) -> tuple[Any, ...]:
    """Give the positions of what differs, and the values; both have the same names in the same order."""
    positions = bytearray()
    values: list[Any] = []
    pairs = enumerate(zip(model.values(), made.values(), strict=True))
    for position, (was, now) in compress(pairs, map(is_not, model.values(), made.values())):
        kind = type(now)
        if kind is not type(was):
            value = now
        elif kind is dict:
            value = _of_dicts(was, now)
        elif kind is list:
            value = _of_lists(was, now)
        else:
            value = _SAME if now == was else now
        if value is not _SAME:
            positions.append(position)
            values.append(value)
    return (bytes(positions), *values)


def _of_dicts(was: Json, now: Json) -> Any:
    """Give how a dict differs, or all of it where its names do."""
    if tuple(was) != tuple(now) or len(now) > NAMES_MAX:
        return now
    found = _differences(was, now)
    return found if found[0] else _SAME


def _of_lists(was: list[Any], now: list[Any]) -> Any:
    """Give how the dicts of a list differ, or all of it where there is anything else in it."""
    if len(was) != len(now):
        return now
    if not now:
        return _SAME
    if was == now and all(type(item) is str for item in now):
        return _SAME
    found: list[Any] = []
    for one, other in zip(was, now, strict=True):
        if type(one) is not dict or type(other) is not dict or tuple(one) != tuple(other):
            return now
        if len(one) > NAMES_MAX:
            return now
        found.append(_differences(one, other))
    return (None, *found) if any(differences[0] for differences in found) else _SAME


def _rebuilt(names: tuple[str, ...], model: Json, positions: bytes, values: Iterable[Any]) -> Json:
    made = model.copy()
    for position, value in zip(positions, values, strict=True):
        name = names[position]
        made[name] = _resolved(model[name], value) if type(value) is tuple else value
    return made


def _resolved(model: Any, differences: tuple[Any, ...]) -> Any:
    positions, *values = differences
    if positions is None:
        return [_rebuilt(tuple(m), m, d[0], d[1:]) for m, d in zip(model, values, strict=True)]
    return _rebuilt(tuple(model), model, positions, values)
