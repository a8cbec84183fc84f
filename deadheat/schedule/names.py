"""Names of steps and strands, and their keys: short words that a schedule can be written in.

A strand is one thing that runs from its start to its end: an operation (``A1``: the first of actor
A), or one delivery (``C1/customer.created/1``: by the deliveries C1, the first of its type;
``/b``, ``/c`` … are its duplicates). A step is named by its strand, by what it is, and by the
how-manieth of that in that strand; never by a position in a list or by a connection, which differ
from run to run while the order is the same.

A key holds only ASCII letters and digits, and is read from the left without a doubt:

    strand   A1                    capitals, digits
             C1 d h3 1 B           … d, three characters for the type, its number, the duplicate
             u h6                  any other text: a hash of all of it
    step     STRAND s h3 2         s, three characters for the label, its number from the second on

So keys of steps of different strands, or of different numbers, never meet, save by the hash of a
type. Two labels of one strand meet once in 46,656 pairs; a schedule's fingerprint then tells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_OPERATION = re.compile(r"[A-Z]+[0-9]+", re.ASCII)
_DELIVERY = re.compile(r"([A-Z]+[0-9]+)/([^/]+)/([0-9]+)(?:/([a-z]+))?", re.ASCII)
_STEP_KEY = re.compile(
    r"((?:[A-Z]+[0-9]+)(?:d[0-9a-z]{3}[0-9]+[A-Z]*)?|u[0-9a-z]{6})s[0-9a-z]{3}[0-9]*", re.ASCII
)


@dataclass(frozen=True, slots=True)
class StepName:
    """Names a step: in which strand, what, and the how-manieth of that in that strand."""

    strand: str
    label: str
    nth: int = 1

    @property
    def key(self) -> str:
        """The name as one short word of letters and digits."""
        return _step_key(self.strand, self.label, self.nth)

    def __str__(self) -> str:
        number = f" #{self.nth}" if self.nth > 1 else ""
        return f"{self.strand} {self.label}{number}"


@lru_cache(maxsize=65536)
def strand_key(strand: str) -> str:
    """Give a strand's key: an operation's is its name.

    >>> strand_key("A1")
    'A1'
    """
    if _OPERATION.fullmatch(strand):
        return strand
    if delivery := _DELIVERY.fullmatch(strand):
        head, event_type, number, duplicate = delivery.groups(default="")
        return f"{head}d{digest(event_type, 3)}{number}{duplicate.upper()}"
    return f"u{digest(strand, 6)}"


@lru_cache(maxsize=65536)
def _step_key(strand: str, label: str, nth: int) -> str:
    number = str(nth) if nth > 1 else ""
    return f"{strand_key(strand)}s{digest(label, 3)}{number}"


def strand_of(key: str) -> str:
    """Give the key of the strand that a step's key belongs to; the text itself if it is no step's key."""
    match = _STEP_KEY.fullmatch(key)
    return match.group(1) if match else key


def actor_of(strand: str) -> str:
    """Give the actor of a strand, by name or key.

    >>> actor_of("C1/customer.created/1/b")
    'C'
    """
    if capitals := re.match(r"([A-Z]+)[0-9]", strand):
        return capitals.group(1)
    return strand.partition("/")[0]


def digest(text: str, length: int) -> str:
    """Give so many base36 characters that stand for a text, the same ones on every machine."""
    number = int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
    characters = []
    for _ in range(length):
        number, remainder = divmod(number, 36)
        characters.append(DIGITS[remainder])
    return "".join(characters)
