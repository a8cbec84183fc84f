"""Places in an answer, and placeholders in a request: the two small languages of deadheat.toml.

A place says where an answer holds a value: ``$.a.b`` (a dotted path into its JSON), ``header:Name``,
``cookie:name``, or ``regex:PATTERN``, searched in the body (its first group, else all of the match; in
HTML, entities are read as what they stand for). ``?name`` after one of the first two takes that query
parameter of the URL that is there. A placeholder, ``{user.id}`` or ``{code}``, stands in a path, a
header or any string of a body; ``"{user.id:int}"``, alone in its string, stands for a JSON number.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from deadheat.errors import NothingCaptured, Trouble, closest
from deadheat.settings.model import PLACEHOLDER

if TYPE_CHECKING:
    from deadheat.adapter import HttpAnswer

_REGEX = "regex:"


def look_up(place: str, answer: HttpAnswer) -> str | None:
    """Give what an answer holds at a place, as text; None when it holds nothing there."""
    if place.startswith(_REGEX):
        return _search(place.removeprefix(_REGEX), answer)
    place, _, parameter = place.partition("?")
    found = _look_up(place, answer)
    if not parameter or found is None:
        return found
    return parse_qs(urlsplit(found).query).get(parameter, [None])[0]


def _search(pattern: str, answer: HttpAnswer) -> str | None:
    found = re.search(pattern, answer.body.decode("utf-8", "replace"))
    text = None if found is None else found[1] if found.re.groups else found[0]
    if text is None:
        return None
    return html.unescape(text) if "html" in (answer.header("content-type") or "") else text


def _look_up(place: str, answer: HttpAnswer) -> str | None:
    if place.startswith("header:"):
        return answer.header(place.removeprefix("header:"))
    if place.startswith("cookie:"):
        return answer.cookies().get(place.removeprefix("cookie:")) or None
    value = answer.json()
    for key in place.removeprefix("$").lstrip(".").split("."):
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return None if value is None else str(value).encode("utf-8", "replace").decode()


@dataclass(slots=True)
class Values:
    """What placeholders stand for: an actor's own values over those of its user."""

    shared: dict[str, str] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)

    def fill(self, template: Any) -> Any:
        """Replace the placeholders in every string of a JSON value.

        NothingCaptured for one that has no value, e.g. a link that was never sent.
        """
        if isinstance(template, str):
            whole = PLACEHOLDER.fullmatch(template)
            if whole is not None and whole[2]:
                return self._number(whole[1])
            return PLACEHOLDER.sub(lambda match: self._value(match[1]), template)
        if isinstance(template, Mapping):
            return {key: self.fill(value) for key, value in template.items()}
        if isinstance(template, list | tuple):
            return [self.fill(value) for value in template]
        return template

    def capture(self, name: str, value: str) -> None:
        """Keep a value that an answer gave: for this actor first, then for whoever has none."""
        self.own[name] = value
        self.shared[name] = value

    def _number(self, name: str) -> int:
        value = self._value(name)
        try:
            return int(value)
        except ValueError:
            raise Trouble(f"{{{name}:int}} should be a whole number, and is {value!r}") from None

    def _value(self, name: str) -> str:
        if name in self.own:
            return self.own[name]
        if name in self.shared:
            return self.shared[name]
        known = {**self.shared, **self.own}
        raise NothingCaptured(
            f"nothing has given {{{name}}} a value; known here: {', '.join(sorted(known))}."
            f"{closest(name, known)} A value comes from a capture of an earlier call.",
            name,
        )
