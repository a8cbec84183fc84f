"""Text that a target sent, made harmless: no key, no control character, nothing that hides or reorders.

Everything a report shows passes through `plain`. What a terminal or an XML parser would act on is
shown as an escape (``\\x1b``, ``\\n``, ``\\u202e``), so that it can be seen, and cannot forge a line.
"""

from __future__ import annotations

import unicodedata

from deadheat.history import redact

CHARS_MAX = 2000

_ESCAPED = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def plain(text: object, chars_max: int = CHARS_MAX) -> str:
    """Give ``text`` on one line, redacted, escaped, and cut where it is longer than ``chars_max``.

    >>> plain("cus_1\\nclean \\x1b[2J")
    'cus_1\\\\nclean \\\\x1b[2J'
    """
    whole = redact(str(text))
    shown = "".join(_visible(c) for c in whole[:chars_max])
    return f"{shown}… ({len(whole)} characters)" if len(whole) > chars_max else shown


def _visible(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    if unicodedata.category(char) not in _ESCAPED:
        return char
    point = ord(char)
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
