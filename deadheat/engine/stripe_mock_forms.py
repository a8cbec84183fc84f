"""The forms that stripe-mock has passed: it keeps no state, so it need not be asked the same twice.

What it says depends on the route, the names of the parameters, and those values that its specification
limits: the words of an enumeration, numbers, formats. Which values are free text it tells itself. A
request that has passed is sent again with `WORD` in the place of one value after the other, and then with
`WORD` in the place of all that took it: as no enumeration, number, format or pattern admits that word,
whatever text of its length or less stands there instead passes as well. So a request is known to pass when
one of the same names has, and what is not free text is the same.

Forms are compared as they were sent, undecoded: how stripe-mock reads a form is not for us to know. A value
of unusual bytes makes a form that is always asked about. The ids in a path are of no matter to stripe-mock.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from deadheat.stripe_sim.wire import Call

WORD = b"Free+t%C3%A9xt%2C%20%3C%7B%23%7D%3E%20%2F%20-1.5e%20%40%22%27%5C.%7C" + b"x" * 160
"""Text of more than 180 characters that is no word, number, date, address, id or expression."""

LENGTH_MAX = 180  # in bytes as sent, so the text itself is no longer
PARTS_MAX = 60
FORMS_MAX = 2000
_PLAIN = re.compile(rb"(?:[A-Za-z0-9._~*@:/+-]|%[0-9A-Fa-f]{2})+")

Form = tuple[str | None, str, tuple[bytes, ...]]
Values = tuple[bytes, ...]


class PassedForms:
    """What passed. At most `FORMS_MAX` are kept; when they are too many all are forgotten."""

    def __init__(self) -> None:
        self._free: dict[Form, tuple[int, ...]] = {}  # places of the values that are free text
        self._passed: set[tuple[Form, Values]] = set()

    def has(self, call: Call) -> bool:
        """Say whether a call is certain to pass."""
        read = _read(call)
        if read is None:
            return False
        form, values = read
        free = self._free.get(form)
        return free is not None and (form, _with_word(values, free)) in self._passed

    async def learn(self, call: Call, passes: Callable[[bytes], Awaitable[bool]]) -> None:
        """Learn from a call that has passed; ``passes`` asks stripe-mock about the same with another body."""
        read = _read(call)
        if read is None:
            return
        form, values = read
        if max(len(self._free), len(self._passed)) >= FORMS_MAX:
            self._free.clear()
            self._passed.clear()
        free = self._free.get(form)
        if free is None:
            filled = [n for n, value in enumerate(values) if value]
            free = tuple([n for n in filled if await passes(_body(form, _with_word(values, (n,))))])
            self._free[form] = free
        general = _with_word(values, free)
        if general == values or await passes(_body(form, general)):
            self._passed.add((form, general))


def _read(call: Call) -> tuple[Form, Values] | None:
    """Split what was sent into a form and its values; None if it is not to be compared."""
    request = call.request
    parts = request.body.split(b"&", PARTS_MAX) if request.body else []
    if len(parts) > PARTS_MAX:
        return None
    pairs = [part.partition(b"=") for part in parts]
    values = tuple([value for _, _, value in pairs])
    if not all(value == b"" or (len(value) <= LENGTH_MAX and _PLAIN.fullmatch(value)) for value in values):
        return None
    return (call.route, request.query, tuple([name for name, _, _ in pairs])), values


def _with_word(values: Values, places: tuple[int, ...]) -> Values:
    """Put `WORD` into these places; an empty value, which unsets, stays."""
    put = list(values)
    for place in places:
        if put[place]:
            put[place] = WORD
    return tuple(put)


def _body(form: Form, values: Values) -> bytes:
    return b"&".join(name + b"=" + value for name, value in zip(form[2], values, strict=True))
