"""The written form of a schedule: ``dh1-SCENARIO_SOURCE_FIELD_…_CHECK``.

It goes on a command line and into a chat, so it holds only letters, digits and ``. _ ~ -``, which
no shell reads as anything else, and it is checked: a character lost on the way is an error and not
another schedule. This module owns the envelope; what the fields mean is `schedule`'s.

A field is one letter that says what it is, then its text, without an underscore. Each field is
there once at most, in alphabetical order. The scenario's name is written as it is; what is not a
letter, digit, dot or hyphen of ASCII becomes ``~`` and two hex digits for each byte. The check is ``k``
and three base36 characters over all that stands before it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from deadheat.errors import TokenError
from deadheat.schedule.names import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN_MAX = 200
VERSION = "dh1"
EXAMPLE = "dh1-checkout.two-tabs_1a2b3c4d_pA1s4f2-B1s2rf_s7_kbuw"
LOOKS_LIKE = (
    f"A token looks like {EXAMPLE}; a schedule too long for one is dh1-@ID, "
    "the name of a file .deadheat/findings/ID.json."
)
_PLAIN = re.compile(r"[A-Za-z0-9.-]", re.ASCII)
_BYTE = re.compile(r"~([0-9a-f]{2})")
_ALLOWED = re.compile(r"[A-Za-z0-9._~-]*", re.ASCII)


def write(scenario: str, source: str, fields: Mapping[str, str]) -> str:
    """Write a token, however long; a field without text is left out."""
    named = [f"{letter}{text}" for letter, text in sorted(fields.items()) if text]
    body = "_".join([f"{VERSION}-{_escape(scenario)}", source, *named])
    return f"{body}_{_check(body)}"


def read(token: str) -> tuple[str, str, dict[str, str]]:
    """Read scenario, source and fields out of a token; TokenError says what is wrong with it."""
    version, hyphen, rest = token.partition("-")
    if not hyphen or not re.fullmatch(r"dh[0-9]+", version, re.ASCII):
        raise wrong(token, f"it does not begin with {VERSION}-")
    if version != VERSION:
        raise wrong(token, f"it was made by another version of Deadheat, which writes {version}-")
    if rest.startswith("@"):
        raise wrong(token, f"it only names a file, .deadheat/findings/{rest[1:]}.json; replay that file")
    if len(token) > TOKEN_MAX:
        raise wrong(token, f"it has {len(token)} characters, {TOKEN_MAX} at most")
    if not _ALLOWED.fullmatch(token):
        odd = next(character for character in token if not _ALLOWED.fullmatch(character))
        raise wrong(token, f"it holds {odd!r}, which no token does")
    body, _, check = token.rpartition("_")
    if check != _check(body):
        raise wrong(token, "a character of it is missing or changed: its end does not fit the rest")
    scenario, *parts = body.removeprefix(f"{VERSION}-").split("_")
    if not parts:
        raise wrong(token, "it does not say which source its scenario had")
    fields = {part[:1]: part[1:] for part in parts[1:]}
    return _unescape(token, scenario), parts[0], fields


def wrong(token: str, why: str) -> TokenError:
    """Make the error that says what is wrong with a token, and what one looks like."""
    shown = token if len(token) <= TOKEN_MAX else f"{token[:TOKEN_MAX]}…"
    return TokenError(f"{shown!r} is no schedule: {why}. {LOOKS_LIKE}")


def _check(body: str) -> str:
    return f"k{digest(body, 3)}"


def _escape(text: str) -> str:
    return "".join(
        c if _PLAIN.fullmatch(c) else "".join(f"~{byte:02x}" for byte in c.encode("utf-8", "surrogatepass"))
        for c in text
    )


def _unescape(token: str, text: str) -> str:
    """Read a name back: what stands between two escapes is plain."""
    try:
        plain = _BYTE.sub(lambda match: chr(int(match[1], 16)), text).encode("latin-1")
        return plain.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise wrong(token, f"its scenario's name, {text!r}, is not UTF-8") from None
