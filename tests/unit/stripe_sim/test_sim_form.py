"""The form codec: what Stripe's clients send comes back as it was, and nonsense is refused."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deadheat.stripe_sim.form import DEPTH_MAX, PAIRS_MAX, MalformedForm, decode, encode

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="[]"), min_size=1, max_size=8)
LEAVES = st.text(max_size=12)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(NAMES.filter(lambda name: not name.isdigit()), inner, min_size=1, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_what_is_encoded_is_decoded(params: dict[str, Any]) -> None:
    assert decode(encode(params)) == params


@given(st.binary(max_size=300) | st.text("ab[]=&%0+ é", max_size=80).map(str.encode))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    with suppress(MalformedForm):  # and no other exception
        assert isinstance(decode(body), dict)


@pytest.mark.parametrize(
    ("form", "params"),
    [
        ("expand[]=a&expand[]=b", {"expand": ["a", "b"]}),
        ("items[][price]=p&items[][quantity]=2&items[][price]=q", None),
        ("items[0][price]=p&items[0][quantity]=2", {"items": [{"price": "p", "quantity": "2"}]}),
        ("items%5B0%5D%5Bprice%5D=p", {"items": [{"price": "p"}]}),
        ("items[1]=b&items[0]=a", {"items": ["a", "b"]}),
        ("items[3]=d", {"items": {"3": "d"}}),
        ("name=A+B%26C", {"name": "A B&C"}),
        ("email=", {"email": ""}),
        ("a=1&a=2", {"a": "2"}),
        ("&&", {}),
    ],
)
def test_shapes(form: str, params: dict[str, Any] | None) -> None:
    if params is None:
        params = {"items": [{"price": "p", "quantity": "2"}, {"price": "q"}]}
    assert decode(form) == params


@pytest.mark.parametrize(
    ("form", "param"),
    [
        ("a=1&a[b]=2", "a"),
        ("a[b]=2&a=1", "a"),
        ("[a]=1", "[a]"),
        ("a[b=1", "a[b"),
        ("a[b]c=1", "a[b]c"),
        ("a[b[c]]=1", "a[b[c]]"),
        ("a" + "[b]" * DEPTH_MAX + "=1", None),
        ("&".join(f"k{n}=v" for n in range(PAIRS_MAX + 1)), None),
        ("a=%ff", None),
    ],
)
def test_nonsense_is_refused(form: str, param: str | None) -> None:
    with pytest.raises(MalformedForm) as refused:
        decode(form)
    if param is not None:
        assert refused.value.param == param
