"""Calls as they go out: bodies, headers, URLs that were captured, and where redirects lead."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deadheat.adapter import HttpAnswer
from deadheat.engine.calls import Outgoing, encoded, outgoing, redirected
from deadheat.engine.places import Values, look_up
from deadheat.errors import NothingCaptured, Trouble
from deadheat.settings import Request

BASE = "http://127.0.0.1:8000"
ADA = {"user.id": "7", "user.email": "ada+1@example.test", "target.url": BASE}


def values(**captured: str) -> Values:
    return Values(shared={**ADA, **captured})


def test_a_form_is_encoded_and_says_that_it_is_one() -> None:
    form = {"user[email]": "{user.email}", "tags": ["a b", "c"], "agree": True, "n": 2}
    sent = outgoing(Request(method="POST", path="/", form=form), values())
    assert sent.form == "user%5Bemail%5D=ada%2B1%40example.test&tags=a+b&tags=c&agree=true&n=2"
    assert sent.headers == {"content-type": "application/x-www-form-urlencoded"}
    assert (sent.json, sent.body) == (None, sent.form)


@given(st.dictionaries(st.text(min_size=1), st.text(min_size=1) | st.lists(st.text(min_size=1), min_size=1)))
def test_a_form_reads_back_as_it_was(form: dict[str, str | list[str]]) -> None:
    pairs = [(k, one) for k, v in form.items() for one in (v if isinstance(v, list) else [v])]
    assert parse_qsl(encoded(form), keep_blank_values=True) == pairs


def test_headers_are_filled() -> None:
    headers = {"Origin": "{target.url}", "X-CSRF-Token": "{csrf}", "Authorization": "Bearer {token}"}
    sent = outgoing(Request(method="POST", path="/", headers=headers), values(csrf="c/1", token="t"))
    assert sent.headers == {"origin": BASE, "x-csrf-token": "c/1", "authorization": "Bearer t"}


def test_a_header_of_the_file_wins_over_the_forms_own() -> None:
    call = Request(method="POST", path="/", form={"a": "b"}, headers={"Content-Type": "text/plain"})
    assert outgoing(call, values()).headers == {"content-type": "text/plain"}


def test_a_value_in_a_path_is_percent_encoded() -> None:
    call = Request(method="GET", path="/of/{user.id}?email={user.email}&next={next}")
    sent = outgoing(call, values(next="/a?b=c&d"))
    assert sent.path == "/of/7?email=ada%2B1%40example.test&next=%2Fa%3Fb%3Dc%26d"


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("/confirm?code=a%2Bb", "/confirm?code=a%2Bb"),
        ("https://shop.example/confirm?code=1#top", "/confirm?code=1"),
        ("https://shop.example?code=1", "/?code=1"),
    ],
)
def test_a_path_that_is_one_placeholder_is_a_url_called_at_the_target(link: str, path: str) -> None:
    assert outgoing(Request(method="GET", path="{link}"), values(link=link)).path == path


def test_a_captured_url_that_is_none_is_trouble() -> None:
    with pytest.raises(Trouble, match=r"\{link\} should be a URL or a path to call, and is 'soon'"):
        outgoing(Request(method="GET", path="{link}"), values(link="soon"))


def test_what_stands_for_a_number_is_one() -> None:
    body = {"id": "{user.id:int}", "as text": "{user.id}", "within": "no {user.id:int}"}
    assert outgoing(Request(method="POST", path="/", json=body), values()).json == {
        "id": 7,
        "as text": "7",
        "within": "no 7",
    }
    with pytest.raises(Trouble, match=r"\{user\.email:int\} should be a whole number"):
        values().fill("{user.email:int}")


@pytest.mark.parametrize("call", [
    Request(method="GET", path="/{code}"),
    Request(method="GET", path="{code}"),
    Request(method="POST", path="/", form={"a": ["{code}"]}),
    Request(method="POST", path="/", json={"a": "{code:int}"}),
    Request(method="POST", path="/", headers={"a": "{code}"}),
])  # fmt: skip
def test_what_was_never_captured_is_named_wherever_it_stands(call: Request) -> None:
    assert call.placeholders() == ("code",)
    with pytest.raises(NothingCaptured, match=r"nothing has given \{code\} a value"):
        outgoing(call, values())


def answer(status: int, location: str) -> HttpAnswer:
    return HttpAnswer(status, (("location", location),))


FORM = Outgoing(
    method="POST",
    path="/a/sign-in?x=1",
    form="a=b",
    headers={"content-type": "f", "origin": "o", "cookie": "c"},
)


@pytest.mark.parametrize("status", [301, 302, 303])
@pytest.mark.parametrize(
    ("location", "path"),
    [("/b?c=1", "/b?c=1"), ("b", "/a/b"), (f"{BASE}/b#d", "/b"), ("?y=2", "/a/sign-in?y=2")],
)
def test_a_redirect_within_the_target_is_a_get_without_body(status: int, location: str, path: str) -> None:
    there = redirected(FORM, answer(status, location), f"{BASE}/")
    assert there == Outgoing(method="GET", path=path, headers={"origin": "o"})


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_that_keeps_the_method_keeps_the_body(status: int) -> None:
    there = redirected(FORM, answer(status, "/b"), BASE)
    assert there is not None
    assert (there.method, there.path, there.form) == ("POST", "/b", "a=b")


@pytest.mark.parametrize(
    ("status", "location"),
    [
        (200, "/b"),
        (304, "/b"),
        (303, ""),
        (303, "https://checkout.stripe.com/c/pay/cs_test_1"),
        (303, "http://127.0.0.1:8001/b"),
        (303, "//other.example/b"),
    ],
)
def test_what_leads_nowhere_or_away_is_the_answer(status: int, location: str) -> None:
    assert redirected(FORM, answer(status, location), BASE) is None


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("header:Location?code", "a+b"),
        ("header:Location?state", None),
        ("header:Absent?code", None),
        ("$.url?session_id", "cs_test_1"),
        (r'regex:name="csrf" value="([^"]+)"', "a&b"),
        (r"regex:csrf", "csrf"),
        (r"regex:nothing (here)", None),
        (r"regex:csrf|(never)", None),
    ],
)
def test_places_in_urls_and_pages(place: str, found: str | None) -> None:
    headers = (
        ("location", "https://shop.example/done?code=a%2Bb"),
        ("content-type", "text/html; charset=utf-8"),
    )
    page = b'<input name="csrf" value="a&amp;b">'
    data = b'{"url": "https://pay.example/p?session_id=cs_test_1"}'
    assert look_up(place, HttpAnswer(200, headers, data if place.startswith("$") else page)) == found


def test_what_is_no_html_is_taken_as_it_stands() -> None:
    assert look_up("regex:a.*", HttpAnswer(200, (("content-type", "text/plain"),), b"a&amp;b")) == "a&amp;b"
