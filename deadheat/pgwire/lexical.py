"""Reading SQL as far as quotes, comments and words go: what works for any text, valid or not.

One pass, one regular expression whose quantifiers are possessive, so that no text takes more than
linear time. Source: PostgreSQL manual, "Lexical Structure" (quotes, E'' strings, dollar quotes, nested
comments); what is not closed extends to the end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    r"""(?P<space>\s++|--[^\n\r]*+)
      | (?P<comment>/\*)
      | (?P<escape>[eE]'[^'\\]*+(?:(?:\\.|'')[^'\\]*+)*+(?:'|\\?\Z))
      | (?P<word>[^\W\d][\w$]*+)
      | (?P<string>'[^']*+(?:''[^']*+)*+(?:'|\Z))
      | (?P<name>"[^"]*+(?:""[^"]*+)*+(?:"|\Z))
      | (?P<dollar>\$(?:[^\W\d]\w*+)?+\$)
      | (?P<number>\$?\d[\w.]*+)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")

Token = tuple[str, str]


def tokens(sql: str) -> Iterator[Token]:
    """Give the tokens of a text as (kind, text), with one ("space", " ") for spaces and comments in a row."""
    at, spaced = 0, False
    while (found := _TOKEN.match(sql, at)) is not None:
        kind, at = found.lastgroup or "other", found.end()
        if kind == "comment":
            at = _comment_end(sql, at)
        if kind in ("space", "comment"):
            if not spaced:
                yield "space", " "
            spaced = True
            continue
        spaced = False
        text = found[0]
        if kind == "dollar":
            end = sql.find(text, at)
            end = len(sql) if end < 0 else end + len(text)
            kind, text, at = "string", sql[found.start() : end], end
        yield ("string" if kind == "escape" else kind), text


def normalized(sql: str) -> str:
    """Strip comments and fold white space, outside of quotes; literals are kept.

    >>> normalized("select 1, -- one\\n 'a  b' /* x /* y */ z */ ;")
    "select 1, 'a  b' ;"
    """
    return "".join(text for _, text in tokens(sql)).strip(" ")


def split(sql: str) -> tuple[str, ...]:
    """Split a text at the semicolons outside of quotes and parentheses; empty statements are left out."""
    parts: list[str] = []
    here: list[str] = []
    depth = 0
    for _, text in tokens(sql):
        depth += (text == "(") - (text == ")")
        if text == ";" and depth <= 0:
            parts.append("".join(here).strip())
            here = []
        else:
            here.append(text)
    parts.append("".join(here).strip())
    return tuple(part for part in parts if part)


def words(sql: str, count: int) -> list[str]:
    """Give the first words and names of a text, words in lower case, up to the first that is neither.

    >>> words('INSERT INTO "Users" (id) values (1)', 5)
    ['insert', 'into', 'Users']
    """
    found: list[str] = []
    dotted = False
    for kind, text in tokens(sql):
        if kind == "space":
            continue
        if text == "." and found:
            dotted = True
            continue
        if kind not in ("word", "name") or (len(found) >= count and not dotted):
            break
        word = text.lower() if kind == "word" else text.strip('"')
        if dotted:
            found[-1] = f"{found[-1]}.{word}"
        else:
            found.append(word)
        dotted = False
    return found


def _comment_end(sql: str, at: int) -> int:
    """Give where the block comment ends whose opening lies before ``at``; they nest."""
    depth = 1
    for found in _COMMENT.finditer(sql, at):
        depth += 1 if found[0] == "/*" else -1
        if depth == 0:
            return found.end()
    return len(sql)
