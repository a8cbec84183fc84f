"""Shelves against a plain list, and ids that never come twice."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from deadheat.stripe_sim import ids
from deadheat.stripe_sim.ids import Ids
from deadheat.stripe_sim.packed import Packing
from deadheat.stripe_sim.shelf import Shelf, page

if TYPE_CHECKING:
    import pytest

EMAILS = st.sampled_from(["a", "b", None])
WRITES = st.lists(st.tuples(st.integers(0, 7), EMAILS), max_size=30)


@given(WRITES, EMAILS, st.integers(1, 4), st.booleans())
def test_pages_are_those_of_a_plain_list(
    writes: list[tuple[int, str | None]], email: str | None, limit: int, forward: bool
) -> None:
    packing, plain = Packing(), dict[str, dict[str, Any]]()
    shelf = Shelf(packing)
    for number, value in writes:
        made = {"id": f"cus_{number}", "email": value}
        shelf.put(made, packing.pack(made), now=0, searched_until=-1)
        plain[made["id"]] = made
    where = {} if email is None else {"email": email}
    newest_first = [o for o in reversed(plain.values()) if email is None or o["email"] == email]
    for start in [None, *plain]:
        at = list(plain).index(start) if start is not None else None
        if forward or start is None:
            rest = [o for o in newest_first if at is None or list(plain).index(o["id"]) < at]
            asked: dict[str, Any] = {"starting_after": start}
            expected = rest[:limit]
        else:
            rest = [o for o in newest_first if at is not None and list(plain).index(o["id"]) > at]
            asked = {"ending_before": start}
            expected = rest[-limit:]
        found = page(shelf, where, keep=lambda o: True, limit=limit, **asked)
        assert found == (expected, len(rest) > limit)


def test_ids_never_come_twice_whatever_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random.Random, "randbytes", lambda self, length: bytes(length))
    given_out = Ids(1)
    assert len({given_out.new("customer") for _ in range(10_000)}) == 10_000


def test_ids_have_stripes_shape_and_follow_from_the_seed() -> None:
    first, again, other = ([Ids(seed).new(kind) for kind in ids._PREFIXES] for seed in (1, 1, 2))
    assert first == again
    assert not set(first) & set(other)
    for made, (prefix, length) in zip(first, ids._PREFIXES.values(), strict=True):
        assert re.fullmatch(f"{prefix}[0-9A-Za-z]{{{length}}}", made)
