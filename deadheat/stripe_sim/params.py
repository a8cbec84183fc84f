"""What a route accepts: checks that turn a form's strings into values, or refuse as Stripe does.

A check is a function ``(value, name) -> value``; `record` makes one from named fields. They decide
from the parameters alone, never from the account's state, so a call that fails here never began to
execute: its idempotency key keeps nothing. Empty strings mean "unset" where the field allows it and
come out as None.

Source: Stripe API reference, "Errors", "Metadata" and the parameters of each modelled route.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from deadheat.stripe_sim.api_error import ApiError, invalid, missing, unknown_parameter

Check = Callable[[Any, str], Any]

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
METADATA_KEYS_MAX = 50


def text(*, unset: bool = True, longest: int = 5000) -> Check:
    """Accept a string; an empty one unsets where ``unset``, else it is refused."""

    def check(value: Any, name: str) -> str | None:
        if not isinstance(value, str):
            raise invalid(f"Invalid string: {_brief(value)}", param=name)
        if value == "":
            if unset:
                return None
            raise _empty(name)
        if len(value) > longest:
            message = f"Invalid string: {name} must be at most {longest} characters"
            raise invalid(message, param=name, code="parameter_invalid_string_length")
        return value

    return check


_address = text(longest=512)


def email(value: Any, name: str) -> str | None:
    """Accept an e-mail address of up to 512 characters, or the empty string."""
    given: str | None = _address(value, name)
    if given is not None and not _EMAIL.fullmatch(given):
        raise invalid(f"Invalid email address: {given}", param=name, code="email_invalid")
    return given


def url(value: Any, name: str) -> str:
    """Accept a whole address of the web, of up to 2048 characters."""
    given = text(unset=False, longest=2048)(value, name)
    try:
        parts = urlsplit(given)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_whole = False
    if not is_whole:
        message = "Invalid URL: An explicit scheme (such as https) must be provided."
        raise invalid(message, param=name, code="url_invalid")
    return str(given)


def integer(least: int | None = None, most: int | None = None) -> Check:
    """Accept a whole number within bounds."""

    def check(value: Any, name: str) -> int:
        if not isinstance(value, str) or not re.fullmatch(r"[+-]?[0-9]{1,18}", value):
            raise invalid(f"Invalid integer: {_brief(value)}", param=name, code="parameter_invalid_integer")
        number = int(value)
        if least is not None and number < least:
            message = f"This value must be greater than or equal to {least}."
            raise invalid(message, param=name, code="parameter_invalid_integer")
        if most is not None and number > most:
            message = f"This value must be less than or equal to {most}."
            raise invalid(message, param=name, code="parameter_invalid_integer")
        return number

    return check


def decimal(above: int, most: int) -> Check:
    """Accept a number over ``above``, up to ``most``."""

    def check(value: Any, name: str) -> float:
        if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
            raise invalid(f"Invalid decimal: {_brief(value)}", param=name)
        if not above < float(value) <= most:
            raise invalid(f"Invalid decimal: {value}; must be over {above} and at most {most}", param=name)
        return float(value)

    return check


timestamp = integer(0, 9_999_999_999)
"""Accept seconds since 1970, up to the year 2286."""


def currency(value: Any, name: str) -> str:
    """Accept a three-letter currency code, in whatever case; Stripe keeps it in lower case."""
    if not isinstance(value, str) or not re.fullmatch("[A-Za-z]{3}", value):
        raise invalid(f"Invalid currency: {_brief(value)}.", param=name)
    return value.lower()


def boolean(value: Any, name: str) -> bool:
    """Accept ``true`` or ``false``."""
    if value not in ("true", "false"):
        raise invalid(f"Invalid boolean: {_brief(value)}", param=name)
    return bool(value == "true")


def one_of(*values: str) -> Check:
    """Accept one of these words."""

    def check(value: Any, name: str) -> str:
        if value not in values:
            words = ", ".join(values[:-1]) + f", or {values[-1]}" if len(values) > 1 else values[0]
            raise invalid(f"Invalid {name}: must be one of {words}", param=name)
        return str(value)

    return check


def only(*values: str) -> Check:
    """Accept these words, which leave all as it is modelled; refuse the others that Stripe has."""

    def check(value: Any, name: str) -> str:
        if value not in values:
            raise invalid(f"Deadheat does not model `{name}={_brief(value)}`.", param=name)
        return str(value)

    return check


def unsettable(inner: Check) -> Check:
    """Accept what ``inner`` does, or the empty string, which comes out as None."""
    return lambda value, name: None if value == "" else inner(value, name)


def metadata(value: Any, name: str) -> dict[str, str] | None:
    """Accept up to 50 keys of 40 characters with values of 500; None for the empty string (unset all)."""
    if value == "":
        return None
    if isinstance(value, list):  # keys that count 0, 1, 2, …
        value = {str(n): v for n, v in enumerate(value)}
    if not isinstance(value, dict):
        raise invalid(f"Invalid hash: {_brief(value)}", param=name)
    if len(value) > METADATA_KEYS_MAX:
        raise _too_many(name)
    for key, content in value.items():
        if len(key) > 40:
            raise invalid("Metadata keys can have up to 40 characters.", param=_at(name, key))
        if not isinstance(content, str):
            raise invalid("Metadata values must be strings.", param=_at(name, key))
        if len(content) > 500:
            raise invalid("Metadata values can have up to 500 characters.", param=_at(name, key))
    return dict(value)


def listed(item: Check) -> Check:
    """Accept a list of items, whatever its indices are."""

    def check(value: Any, name: str) -> list[Any]:
        if value == "":
            return []
        if isinstance(value, dict) and all(k.isascii() and k.isdigit() for k in value):
            value = [value[k] for k in sorted(value, key=lambda k: (len(k), k))]
        if not isinstance(value, list):
            raise invalid("Invalid array", param=name)
        return [item(v, f"{name}[{n}]") for n, v in enumerate(value)]

    return check


def anything(value: Any, name: str) -> Any:
    """Accept whatever is sent: a parameter that Stripe has and no race depends on."""
    return value


def unmodelled(*names: str) -> dict[str, Check]:
    """Name parameters that Stripe has and that change what a call does in a way that is not modelled."""
    return dict.fromkeys(names, only())


def accepted(*names: str) -> dict[str, Check]:
    """Name parameters that Stripe has and we take without acting on them."""
    return dict.fromkeys(names, anything)


def record(fields: Mapping[str, Check], *, required: tuple[str, ...] = (), closed: bool = True) -> Check:
    """Accept a map of these fields; others are refused unless the record is not ``closed``."""

    def check(value: Any, name: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise invalid("Invalid object", param=name or None)
        for field in required:
            if field not in value:
                raise missing(_at(name, field))
        checked = {}
        for field, content in value.items():
            known = fields.get(field)
            if known is not None:
                checked[field] = known(content, _at(name, field) if name else field)
            elif closed:
                raise unknown_parameter(_at(name, field))
        return checked

    return check


def either(first: Check, second: Check) -> Check:
    """Accept what one of two checks accepts; the second's complaint counts."""

    def check(value: Any, name: str) -> Any:
        try:
            return first(value, name)
        except ApiError:
            return second(value, name)

    return check


def merged(old: Mapping[str, str], change: Mapping[str, str] | None) -> dict[str, str]:
    """Merge metadata as Stripe does: keys set to the empty string go, None drops all."""
    if change is None:
        return {}
    both = {k: v for k, v in {**old, **change}.items() if v != ""}
    if len(both) > METADATA_KEYS_MAX:
        raise _too_many("metadata")
    return both


TIMES = either(integer(0), record(dict.fromkeys(("gt", "gte", "lt", "lte"), integer(0))))


def listing(**filters: Check) -> dict[str, Check]:
    """Name the parameters of a list route: its filters and the pagination that all have."""
    return {
        "limit": integer(1, 100),
        "starting_after": text(unset=False),
        "ending_before": text(unset=False),
        "created": TIMES,
        **filters,
    }


def _too_many(name: str) -> ApiError:
    return invalid(f"You can specify at most {METADATA_KEYS_MAX} metadata keys.", param=name)


def _at(name: str, field: str) -> str:
    return f"{name}[{field}]" if name else field


def _brief(value: Any) -> str:
    return value[:100] if isinstance(value, str) else "an object"


def _empty(name: str) -> ApiError:
    message = (
        f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a "
        f"parameter; however '{name}' cannot be unset. You should remove '{name}' from your request or "
        "supply a non-empty value."
    )
    return invalid(message, param=name, code="parameter_invalid_empty")
