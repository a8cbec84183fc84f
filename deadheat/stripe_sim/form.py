"""The form encoding of Stripe's API v1: ``a[b][0][c]=v`` to nested values and back.

Keys nest by brackets. Brackets that count 0, 1, 2, … or are empty make a list, any others a map;
Stripe's clients send both ``items[0][price]`` and ``expand[]``. Every leaf is a string: what it means is for
the route's parameters to say. Bodies come from anywhere, so depth and number are bounded, and a body
that makes no sense is `MalformedForm`, never another exception.

Source: Stripe API reference, "Request format"; the `application/x-www-form-urlencoded` parser of the
URL standard for the percent encoding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes

DEPTH_MAX = 10
PAIRS_MAX = 2000


class MalformedForm(ValueError):
    """A form that cannot be read; the message is meant for the client. ``param`` is the key, if known."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


def decode(form: bytes | str) -> dict[str, Any]:
    """Read a form into nested dicts, lists and strings.

    >>> decode("email=a%40b.c&items[0][price]=p&expand[]=x&expand[]=y")
    {'email': 'a@b.c', 'items': [{'price': 'p'}], 'expand': ['x', 'y']}
    """
    try:
        text = form.decode("utf-8") if isinstance(form, bytes) else form
        parts = text.replace("+", " ").split("&", PAIRS_MAX)
        if len(parts) > PAIRS_MAX:
            raise MalformedForm(f"Too many parameters: at most {PAIRS_MAX} are read.")
        tree: dict[str, Any] = {}
        for part in parts:
            if not part:
                continue
            key, _, value = part.partition("=")
            if "%" in part:
                key, value = _unquote(key), _unquote(value)
            if "[" in key or key in tree:
                _plant(tree, _segments(key), value, key)
            else:
                tree[key] = value
    except UnicodeDecodeError:
        raise MalformedForm("Invalid request body: it is not UTF-8.") from None
    return _settled(tree)


def encode(params: Mapping[str, Any]) -> str:
    """Write nested values as a form, lists with their indices.

    >>> encode({"metadata": {"a": "1"}, "expand": ["x"], "closed": True})
    'metadata[a]=1&expand[0]=x&closed=true'
    """
    return "&".join(f"{key}={quote_plus(value)}" for key, value in _flat(params, ""))


def _unquote(text: str) -> str:
    return unquote_to_bytes(text).decode() if "%" in text else text


def _segments(key: str) -> list[str]:
    """Split ``a[b][]`` into ``["a", "b", ""]``."""
    head, bracket, rest = key.partition("[")
    if not bracket:
        return [key]
    if not head or not rest.endswith("]"):
        raise MalformedForm(f"Invalid parameter name: {key[:100]}", key[:100])
    inner = rest[:-1]
    between = inner.count("][")
    if between > DEPTH_MAX - 2:
        raise MalformedForm(f"Parameters may nest {DEPTH_MAX} deep at most: {key[:100]}", key[:100])
    if "]" in head or inner.count("[") != between or inner.count("]") != between:
        raise MalformedForm(f"Invalid parameter name: {key[:100]}", key[:100])
    segments = [head, *inner.split("][")]
    return segments


class _Bag(dict[str, Any]):
    """A nested value under construction, keyed by what stood in the brackets."""

    def next_key(self, below: str | None) -> str:
        """Give the key that ``[]`` means: the last element while it lacks ``below``, else a new one."""
        last = self.get(str(len(self) - 1))
        if below is not None and isinstance(last, _Bag) and below not in last:
            return str(len(self) - 1)
        return str(len(self))


def _plant(tree: dict[str, Any], segments: list[str], value: str, key: str) -> None:
    here: dict[str, Any] = tree
    for n, segment in enumerate(segments):
        below = segments[n + 1] if n + 1 < len(segments) else None
        at = here.next_key(below) if segment == "" and isinstance(here, _Bag) else segment
        known = here.get(at)
        if known is not None and isinstance(known, _Bag) != (below is not None):
            raise MalformedForm(f"Parameter given both as a value and as an object: {key[:100]}", segments[0])
        if below is None:
            here[at] = value
        else:
            here = here.setdefault(at, _Bag())


def _settle(value: Any) -> Any:
    """Turn bags with the keys 0, 1, 2, … into lists and all others into dicts."""
    if type(value) is str:
        return value
    if "0" in value and all(str(n) in value for n in range(len(value))):
        return [_settle(value[str(n)]) for n in range(len(value))]
    return _settled(value)


def _settled(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value if type(value) is str else _settle(value) for name, value in values.items()}


def _flat(value: Any, key: str) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [
            pair
            for name, v in value.items()
            for pair in _flat(v, f"{key}[{quote_plus(str(name))}]" if key else quote_plus(str(name)))
        ]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [pair for n, v in enumerate(value) for pair in _flat(v, f"{key}[{n}]")]
    if isinstance(value, bool):
        return [(key, "true" if value else "false")]
    return [(key, "" if value is None else str(value))]
