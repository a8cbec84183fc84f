"""Kinds: what a single value may be, wherever it was given.

A kind is a function from the value as it was read to the value as it is used. It raises `Mismatch`
with the words that complete "should be …"; whoever called it knows the key and says the rest. TOML
gives typed values and the environment gives text, so the kinds of run settings take both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from deadheat.errors import SettingsError, closest
from deadheat.history import redact

T = TypeVar("T")
Kind = Callable[[object], T]

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # RFC 9110, 5.6.2
_PARAMETER = r"(\?[A-Za-z0-9_.\[\]-]+)?"
_PLACES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\$(\.[A-Za-z0-9_-]+)+{_PARAMETER}",
        rf"header:{_TOKEN}{_PARAMETER}",
        rf"cookie:{_TOKEN}",
    )
)
_REGEX = "regex:"
_OUR_HEADERS = ("cookie", "content-length", "transfer-encoding", "traceparent")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
SHOWN_MAX = 80


class Mismatch(ValueError):
    """A value is not of its kind; the text completes "should be …"."""

    def __init__(self, expected: str, hint: str = "") -> None:
        super().__init__(expected)
        self.hint = hint


def read(value: object, kind: Kind[T], where: str) -> T:
    """Read a value as its kind; SettingsError that names the place, the kind and the value."""
    try:
        return kind(value)
    except Mismatch as mismatch:
        raise SettingsError(f"{where}: should be {mismatch}, was {shown(value)}.{mismatch.hint}") from None


def shown(value: object) -> str:
    """Show a value in a message: short, as TOML would have it, secrets masked."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, bool):
        return str(value).lower()
    text = redact(f'"{value}"' if isinstance(value, str) else str(value))
    return text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…"


def text(value: object) -> str:
    """Take a string that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise Mismatch("a string with something in it")
    return value


def any_text(value: object) -> str:
    """Take a string, an empty one too."""
    if not isinstance(value, str):
        raise Mismatch("a string")
    return value


def whole_number(lowest: int, highest: int) -> Kind[int]:
    """Take a whole number between two others, both included."""

    def take(value: object) -> int:
        expected = f"a whole number from {lowest} to {highest}"
        if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,20}\s*", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise Mismatch(expected)
        return value

    return take


def seconds(value: object) -> float:
    """Take a number of seconds, over 0 and finite."""
    number = math.nan
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
    if not 0 < number < math.inf:
        raise Mismatch("a number of seconds over 0")
    return number


def one_of(*names: str) -> Kind[str]:
    """Take one of a few words."""

    def take(value: object) -> str:
        if value not in names or not isinstance(value, str):
            hint = closest(value, names) if isinstance(value, str) else ""
            raise Mismatch(f"{'one of ' if len(names) > 1 else ''}{', '.join(names)}", hint)
        return value

    return take


def list_of(kind: Kind[T], what: str) -> Kind[tuple[T, ...]]:
    """Take a list of values of one kind; ``what`` names them in the plural."""

    def take(value: object) -> tuple[T, ...]:
        if not isinstance(value, list | tuple):
            raise Mismatch(f"a list of {what}")
        try:
            return tuple(kind(item) for item in value)
        except Mismatch as mismatch:
            raise Mismatch(f"a list of {what}, each {mismatch}", mismatch.hint) from None

    return take


def one_or_more(kind: Kind[T], what: str) -> Kind[tuple[T, ...]]:
    """Take a value, or a list of them, at least one."""

    def take(value: object) -> tuple[T, ...]:
        found = list_of(kind, what)(value if isinstance(value, list) else [value])
        if not found:
            raise Mismatch(f"a list of {what}, at least one")
        return found

    return take


def statuses(value: object) -> tuple[int, ...]:
    """Take a list of HTTP statuses, at least one."""

    def status(item: object) -> int:
        if not isinstance(item, int) or isinstance(item, bool) or not 100 <= item <= 599:
            raise Mismatch("a number from 100 to 599")
        return item

    found = list_of(status, "HTTP statuses")(value)
    if not found:
        raise Mismatch("a list of HTTP statuses, at least one")
    return found


def path(value: object) -> str:
    """Take the path of a URL, from its slash on."""
    if not isinstance(value, str) or not value.startswith("/") or value.startswith("//"):
        raise Mismatch('a path that begins with one "/"')
    if any(c.isspace() for c in value):
        raise Mismatch("a path without spaces")
    return value


def request_line(value: object) -> tuple[str, str]:
    """Take a method and a path, "POST /sign-up"."""
    expected = f'a method and a path, as in "POST /sign-up" (methods: {", ".join(_METHODS)})'
    method, _, rest = value.partition(" ") if isinstance(value, str) else ("", "", "")
    if method not in _METHODS:
        raise Mismatch(expected)
    if re.fullmatch(r"\{[a-zA-Z_][\w.-]*\}", rest.strip()):
        return method, rest.strip()  # a URL that an answer gave
    try:
        return method, path(rest.strip())
    except Mismatch:
        raise Mismatch(expected) from None


def name(value: object) -> str:
    """Take a name in kebab-case."""
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", value):
        raise Mismatch('a name in kebab-case, as in "billing"')
    return value


def place(value: object) -> str:
    """Take a place in an answer, as `deadheat.engine.places` understands it."""
    if isinstance(value, str) and value.startswith(_REGEX):
        try:
            re.compile(value.removeprefix(_REGEX))
        except re.error as error:
            raise Mismatch(f"a regular expression after {_REGEX} ({error})") from None
        return value
    if isinstance(value, str) and any(pattern.fullmatch(value) for pattern in _PLACES):
        return value
    raise Mismatch(
        'a place in the answer: "$.a.b" in its JSON, "header:Name" or "cookie:name", or "regex:PATTERN" '
        'in its body; "?name" after one of the first two is a parameter of the URL there'
    )


def switch(value: object) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise Mismatch("true or false")
    return value


def form(value: object) -> dict[str, Any]:
    """Take the fields of a form: strings, numbers, true and false, or lists of them."""
    if not isinstance(value, Mapping):
        raise Mismatch("a table")
    for name, item in value.items():
        for one in item if isinstance(item, list) else (item,):
            if not isinstance(one, str | int | float):
                raise Mismatch(f"a table of what a form can say: {name} is no string, number, true or false")
    return dict(value)


def headers(value: object) -> dict[str, str]:
    """Take HTTP headers; those that say how a message is carried are ours, and cookies the user's."""
    if not isinstance(value, Mapping):
        raise Mismatch("a table")
    for name, item in value.items():
        if not re.fullmatch(_TOKEN, name) or not isinstance(item, str) or not item.isprintable():
            raise Mismatch(f"a table of headers, each a line of text: {name} is none")
        if name.lower() in _OUR_HEADERS:
            kept = (
                " Cookies are kept for each user from what answers set." if name.lower() == "cookie" else ""
            )
            raise Mismatch(f"a table of headers without {name}, which Deadheat sends itself", kept)
    return dict(value)


def query(value: object) -> str:
    """Take a SQL query that can stand in a sub-select: a final semicolon is dropped."""
    bare = text(value).strip().rstrip(";").rstrip() if isinstance(value, str) and value.strip() else ""
    if not re.match(r"(?i)(select|with|table|values)\b|\(|--|/\*", bare):
        raise Mismatch("a SQL query, beginning with select")
    return bare


def hosts(value: object) -> tuple[str, ...]:
    """Take a list of host names or addresses; no patterns, no ports."""

    def host(item: object) -> str:
        if not isinstance(item, str) or not re.fullmatch(
            r"[A-Za-z0-9._-]+|[0-9A-Fa-f:]+|\[[0-9A-Fa-f:.]+\]", item
        ):
            raise Mismatch('a name without port, as in "db.staging.example"')
        return item

    return list_of(host, "hosts")(value)


def url(value: object) -> str:
    """Take an http URL without query; the final slash is dropped."""
    plain = isinstance(value, str) and re.fullmatch(r"https?://[^\s?#]+", value)
    if not isinstance(value, str) or not plain:
        raise Mismatch('a URL, as in "http://127.0.0.1:8000"')
    return value.rstrip("/")


def json_object(value: object) -> dict[str, Any]:
    """Take a table of what JSON can say."""
    if not isinstance(value, Mapping):
        raise Mismatch("a table")
    return {key: json_value(item) for key, item in value.items()}


def json_value(value: object) -> Any:
    """Take what JSON can say; TOML's dates and times it cannot."""
    if isinstance(value, Mapping):
        return {key: json_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [json_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise Mismatch("what JSON can say: no inf, no nan")
    if isinstance(value, str | int | float | bool):
        return value
    raise Mismatch("what JSON can say: write a date or a time as a string")
