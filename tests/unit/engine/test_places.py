"""Places in answers and placeholders in requests."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deadheat.adapter import HttpAnswer
from deadheat.engine.places import Values, look_up
from deadheat.errors import SettingsError


def answer(body: object = None, **headers: str) -> HttpAnswer:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return HttpAnswer(200, pairs, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("$.id", "cus_1"),
        ("$.deep.er", "7"),
        ("$.list.1.id", "b"),
        ("$.list.9.id", None),
        ("$.none", None),
        ("$.id.deeper", None),
        ("header:Stripe-Customer-Id", "cus_2"),
        ("header:absent", None),
        ("cookie:session", "abc"),
        ("cookie:absent", None),
    ],
)
def test_look_up(place: str, found: str | None) -> None:
    body = {"id": "cus_1", "deep": {"er": 7}, "list": [{"id": "a"}, {"id": "b"}], "none": None}
    given_answer = answer(body, stripe_customer_id="cus_2", set_cookie="session=abc; Path=/; HttpOnly")
    assert look_up(place, given_answer) == found


def test_a_body_that_is_not_json_holds_nothing() -> None:
    assert look_up("$.id", HttpAnswer(200, (), b"<html>")) is None


def test_a_deleted_cookie_is_no_value() -> None:
    assert look_up("cookie:session", answer(set_cookie='session=""; Max-Age=0')) is None


def test_fill_reaches_every_string() -> None:
    values = Values(shared={"user.id": "u1", "code": "shared"})
    values.own["code"] = "mine"
    template = {"a": "{user.id}", "b": ["x{code}y", 3, None], "c": {"d": "{code}{code}"}}
    assert values.fill(template) == {"a": "u1", "b": ["xminey", 3, None], "c": {"d": "minemine"}}


def test_an_actor_without_a_value_of_its_own_takes_its_users() -> None:
    first = Values(shared={})
    second = Values(shared=first.shared)
    first.capture("code", "one")
    assert second.fill("{code}") == "one"
    second.capture("code", "two")
    assert (first.fill("{code}"), second.fill("{code}")) == ("one", "two")


def test_a_placeholder_without_value_is_named_with_the_closest() -> None:
    with pytest.raises(SettingsError, match=r'\{user\.mail\} a value.*Did you mean "user\.email"'):
        Values(shared={"user.email": "a@b"}).fill("{user.mail}")


@given(st.text().filter(lambda text: "{" not in text))
def test_text_without_placeholders_is_left_alone(text: str) -> None:
    assert Values().fill(text) == text
