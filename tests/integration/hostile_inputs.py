"""What a hostile client might send: nonsense, and what a valid client sends, damaged.

An input is told by its number and a seed alone, so one that does harm can be had again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LENGTHS = (0, 3, 4, 5, 8, 9_999, 10_001, 65_536, 0x3FFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
CODES = (80877102, 80877103, 80877104, 0x00030000, 0x00030002, 0x0003FFFF, 0x00020000, 0, 0xFFFFFFFF)
STARTUP = b"\x00\x03\x00\x00user\0postgres\0database\0deadheat_proxied\0\0"


class Manner(StrEnum):
    """How an input is sent, and how it ends."""

    WAITS = "sends, ends its side, and waits for the other"
    LISTENS = "sends, reads for a moment, and then does the same"
    LEAVES = "sends and closes"
    RESETS = "sends and resets"
    DRIPS = "sends in small pieces, and waits"
    STAYS = "sends and says no more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Bytes, in pieces; ``nonsense`` says that they were not made from a valid stream."""

    number: int
    pieces: tuple[bytes, ...]
    manner: Manner
    nonsense: bool


def make_input(seed: int, number: int, streams: Sequence[bytes]) -> Input:
    """Give an input made of nothing or of one of these valid streams."""
    rng = random.Random(f"{seed}/{number}")
    nonsense = rng.random() < 0.3
    data = _nonsense(rng) if nonsense else _damaged(rng, rng.choice(streams), streams)
    (manner,) = rng.choices(tuple(Manner), weights=(25, 35, 20, 8, 10, 2))
    return Input(number=number, pieces=_pieces(rng, data, manner), manner=manner, nonsense=nonsense)


def _pieces(rng: random.Random, data: bytes, manner: Manner) -> tuple[bytes, ...]:
    if manner is not Manner.DRIPS or not data:
        return (data,)
    size = max(1, len(data) // rng.randint(2, 20))
    return tuple(data[i : i + size] for i in range(0, len(data), size))


def _nonsense(rng: random.Random) -> bytes:
    shape = rng.randrange(6)
    if shape == 0:
        return rng.randbytes(rng.randrange(1, 300))
    if shape == 1:
        return rng.choice(LENGTHS).to_bytes(4, "big") + rng.randbytes(rng.randrange(40))
    if shape == 2:
        body = rng.choice(CODES).to_bytes(4, "big") + rng.randbytes(rng.randrange(40))
        return (len(body) + 4).to_bytes(4, "big") + body
    if shape == 3:  # a start-up, then messages of which one is none
        kinds = b"QPBDECSHFXpcdf\0\xff?z"
        head = (len(STARTUP) + 4).to_bytes(4, "big") + STARTUP
        return head + b"".join(_message(rng, rng.choice(kinds)) for _ in range(rng.randrange(1, 8)))
    if shape == 4:
        line = rng.choice((b"GET / HTTP/1.1\r\n", b"POST /v1/customers HTTP/1.1\r\n", b"\x16\x03\x01\x02\0"))
        return line + rng.randbytes(rng.randrange(200))
    return bytes(rng.choices(b"\0\xffQ \r\n:%&=[]", k=rng.randrange(1, 400)))


def _message(rng: random.Random, kind: int) -> bytes:
    body = rng.randbytes(rng.randrange(30))
    length = rng.choice(LENGTHS) if rng.random() < 0.3 else len(body) + 4
    return bytes((kind,)) + length.to_bytes(4, "big") + body


def _damaged(rng: random.Random, stream: bytes, streams: Sequence[bytes]) -> bytes:
    data = bytearray(stream)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if not data:
            break
        rng.choice(_DAMAGE)(rng, data)
    if rng.random() < 0.1:
        other = rng.choice(streams)
        data = data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other)) :]
    return bytes(data)


def _flip(rng: random.Random, data: bytearray) -> None:
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _insert(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.randint(1, 20))


def _delete(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 1, 2, 4, 5, 50))]


def _repeat(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    data[at:at] = data[at : at + rng.randint(1, 60)] * rng.choice((1, 2, 50))


def _truncate(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data)) :]


def _length(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    data[at : at + 4] = rng.choice(LENGTHS).to_bytes(4, "big")


_DAMAGE: tuple[Callable[[random.Random, bytearray], None], ...] = (
    _flip,
    _flip,
    _insert,
    _delete,
    _repeat,
    _truncate,
    _length,
)
