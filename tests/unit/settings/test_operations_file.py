"""What a file may say of an operation's calls beyond JSON, and what is said of mistakes in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deadheat.errors import SettingsError
from deadheat.settings import OperationSettings, Request, load_settings

if TYPE_CHECKING:
    from pathlib import Path


def operation(folder: Path, text: str) -> OperationSettings:
    """Read an operation of this text."""
    whole = f"[target]\nstart = 'serve'\n[target.operations.it]\n{text}"
    (folder / "deadheat.toml").write_text(whole, encoding="utf-8")
    return load_settings(options={}, environ={}, cwd=folder).target.operations["it"]


def complaint(folder: Path, text: str) -> str:
    """Give what is said of an operation that is wrong."""
    with pytest.raises(SettingsError) as error:
        operation(folder, text)
    return str(error.value)


LOG_IN = r"""
[[target.operations.it.calls]]
request = "GET /login"
capture = { csrf = 'regex:name="csrf" value="([^"]+)"' }
[[target.operations.it.calls]]
request = "POST /login"
form = { email = "{user.email}", roles = ["a", "b"], keep = true }
headers = { Origin = "{target.url}", "X-CSRF-Token" = "{csrf}" }
follow = true
success = [200]
capture = { next = "header:Location", code = "header:Location?code" }
[[target.operations.it.calls]]
request = "GET {next}"
headers = { Authorization = "Bearer {code}" }
"""


def test_forms_headers_captures_and_redirects(tmp_path: Path) -> None:
    assert operation(tmp_path, LOG_IN).calls == (
        Request(method="GET", path="/login", capture={"csrf": 'regex:name="csrf" value="([^"]+)"'}),
        Request(
            method="POST",
            path="/login",
            form={"email": "{user.email}", "roles": ["a", "b"], "keep": True},
            headers={"Origin": "{target.url}", "X-CSRF-Token": "{csrf}"},
            follow=True,
            capture={"next": "header:Location", "code": "header:Location?code"},
        ),
        Request(method="GET", path="{next}", headers={"Authorization": "Bearer {code}"}),
    )


@pytest.mark.parametrize(
    "place", ["$.a.b?code", "header:Location?a[b]", "regex:a b?", "regex:[{}]", "$.links.0.href?x-y_z.w"]
)
def test_places_that_are_right(tmp_path: Path, place: str) -> None:
    assert operation(tmp_path, f"request = 'GET /'\ncustomer = '{place}'").customer == place


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("form = []", "it.form: should be a table, was an empty list."),
        ("form = { a = { b = 1 } }", "it.form: should be a table of what a form can say: a is no string"),
        ("form = { a = [[]] }", "a is no string, number, true or false"),
        ("form = { at = 2026-01-01 }", "at is no string"),
        ("form = { a = '{user.mail}' }", 'nothing fills {user.mail}. Did you mean "user.email"?'),
        ("form = { a = ['{cod}'] }\ncapture = { code = '$.c' }", 'nothing fills {cod}. Did you mean "code"?'),
        ("form = {}\njson = {}", "[target.operations.it] has both json and form. A call has one body."),
        ("forms = {}", 'has no key "forms". Did you mean "form"?'),
        ("header = {}", 'has no key "header". Did you mean "headers"?'),
        ("headers = 'a: b'", 'it.headers: should be a table, was "a: b".'),
        ("headers = { 'a b' = 'x' }", "a table of headers, each a line of text: a b is none"),
        ('headers = { a = "x\\ny" }', "a is none"),
        ("headers = { a = 1 }", "a is none"),
        ("headers = { Cookie = 'a=b' }", "without Cookie, which Deadheat sends itself"),
        ("headers = { Content-Length = '1' }", "without Content-Length, which Deadheat sends itself"),
        ("headers = { Origin = '{target.ur}' }", 'nothing fills {target.ur}. Did you mean "target.url"?'),
        ("follow = 'yes'", 'it.follow: should be true or false, was "yes".'),
        ("capture = { c = 'regex:(' }", "it.capture.c: should be a regular expression after regex: ("),
        ("capture = { c = 'cookie:a?b' }", "it.capture.c: should be a place in the answer"),
        ("capture = { c = 'header:Location?' }", "it.capture.c: should be a place in the answer"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    said = complaint(tmp_path, f"request = 'POST /'\n{text}")
    assert said.startswith("deadheat.toml: ")
    assert says in said


@pytest.mark.parametrize("key", ["form = {}", "headers = {}", "follow = true"])
def test_what_belongs_to_a_call_does_not_stand_beside_calls(tmp_path: Path, key: str) -> None:
    said = complaint(tmp_path, f"calls = [{{ request = 'GET /' }}]\n{key}")
    assert f"it.{key.partition(' ')[0]} belongs into one of the calls." in said


@pytest.mark.parametrize("request_line", ["GET {nothing}", "GET /x{nothing}"])
def test_a_url_that_nothing_captures_is_named(tmp_path: Path, request_line: str) -> None:
    assert "nothing fills {nothing}." in complaint(tmp_path, f"request = '{request_line}'")
