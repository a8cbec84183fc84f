"""Objects as bytes: what an account keeps of each version of each object.

A subscription is some 3 KB of dicts, most of which every other subscription says too, and each of
its versions stays for the events that show it. So the first object of a shape (the same names in the
same order) becomes the model of all others of that shape, and what is kept of those is where they
differ: `Packing.pack` gives 100 to 700 bytes, and `Packing.unpack` an equal object in a few
microseconds. The garbage collector has nothing to walk through.

Differences are a flat tuple of positions and values. A dict with the names of the model's, and a
list of as many such dicts, differ by a tuple of their own; JSON has no tuples, so nothing else is one.
Objects that come out share what they have in common with the model: they are never changed in place.
"""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deadheat.stripe_sim.shelf import Json

SHAPES_MAX = 1000
_OF_A_LIST = -1  # instead of the first position


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
            if len(self._models) == SHAPES_MAX:
                return marshal.dumps((None, made))
            number = self._numbers[names] = len(self._models)
            self._models.append((names, _copy(made)))
        differences = [number]
        _add_differences(differences, self._models[number][1], made)
        return marshal.dumps(tuple(differences))

    def unpack(self, packed: bytes) -> Json:
        """Give an object equal to the one that was packed."""
        differences = marshal.loads(packed)
        number = differences[0]
        if number is None:
            whole: Json = differences[1]
            return whole
        names, model = self._models[number]
        return _rebuilt(names, model, differences, 1)


def _copy(made: Json) -> Json:
    """Copy an object, so that a model stays as it is whatever becomes of the object."""
    copy: Json = marshal.loads(marshal.dumps(made))
    return copy


def _add_differences(found: list[Any], model: Json, made: Json) -> None:
    """Append position and value of whatever differs; both have the same names in the same order."""
    for position, (was, now) in enumerate(zip(model.values(), made.values(), strict=True)):
        if now is not was:
            kind = type(now)
            if kind is not type(was):
                found += (position, now)
            elif kind is dict:
                inner = _of_dicts(was, now)
                if inner != ():
                    found += (position, inner)
            elif kind is list:
                inner = _of_lists(was, now)
                if inner != (_OF_A_LIST,):
                    found += (position, inner)
            elif now != was:
                found += (position, now)


def _of_dicts(was: Json, now: Json) -> Any:
    """Give how a dict differs, or all of it where its names do."""
    if tuple(was) != tuple(now):
        return now
    found: list[Any] = []
    _add_differences(found, was, now)
    return tuple(found)


def _of_lists(was: list[Any], now: list[Any]) -> Any:
    """Give how the dicts of a list differ, or all of it where there is anything else in it."""
    if len(was) != len(now):
        return now
    found: list[Any] = [_OF_A_LIST]
    alike = True
    for one, other in zip(was, now, strict=True):
        if type(one) is not dict or type(other) is not dict or tuple(one) != tuple(other):
            return now
        inner: list[Any] = []
        _add_differences(inner, one, other)
        alike = alike and not inner
        found.append(tuple(inner))
    return (_OF_A_LIST,) if alike else tuple(found)


def _rebuilt(names: tuple[str, ...], model: Json, differences: tuple[Any, ...], start: int = 0) -> Json:
    made = model.copy()
    for n in range(start, len(differences), 2):
        name, value = names[differences[n]], differences[n + 1]
        if type(value) is tuple:
            value = _resolved(model[name], value)
        made[name] = value
    return made


def _resolved(model: Any, differences: tuple[Any, ...]) -> Any:
    if differences[0] != _OF_A_LIST:
        return _rebuilt(tuple(model), model, differences)
    return [_rebuilt(tuple(m), m, d) for m, d in zip(model, differences[1:], strict=True)]
