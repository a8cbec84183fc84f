"""The caller: cookies per user, bodies filled, values captured, and what each answer comes to."""

from __future__ import annotations

import asyncio
import json
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpx
import pytest

from deadheat import World
from deadheat.engine import caller
from deadheat.engine.caller import Caller, http_client
from deadheat.engine.cast import Cast
from deadheat.errors import Trouble
from deadheat.history import Plane, Recorder, StepKind
from deadheat.settings import OperationSettings, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.invariants.settled import Answer
    from deadheat.program import User

LOG_IN = Request(method="POST", path="/log-in", json={"email": "{user.email}"})
ACCOUNT = Request(method="GET", path="/account")
OK = httpx.Response(200)


class Site:
    """A web site with sessions. ``came`` are the requests; ``says`` overrules how a path is answered."""

    def __init__(self) -> None:
        self.came: list[httpx.Request] = []
        self.says: dict[str, Callable[[], httpx.Response]] = {}

    async def __call__(self, transport: Any, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.came.append(request)
        path = request.url.path
        if path in self.says:
            return self.says[path]()
        if path == "/log-in":
            email = json.loads(request.content)["email"]
            return httpx.Response(200, headers={"set-cookie": f"session={email}; Path=/; HttpOnly"})
        if path == "/log-out":
            return httpx.Response(200, headers={"set-cookie": 'session=""; Max-Age=0; Path=/'})
        return httpx.Response(200 if "session" in self.sent(request) else 401)

    @staticmethod
    def sent(request: httpx.Request) -> dict[str, str]:
        return {
            name: morsel.value for name, morsel in SimpleCookie(request.headers.get("cookie", "")).items()
        }


class Browsers:
    """Ada and Bob at a site, each with as many tabs as they like."""

    def __init__(self, site: Site) -> None:
        world = World("aa")
        self.ada, self.bob = world.user(), world.user()
        self.cast = Cast([self.ada, self.bob], "price_1", "http://t")
        self.recorder = Recorder(1)
        self.caller = Caller(http_client("http://t"), self.recorder)
        self.site = site

    def do(self, user: User, *calls: Request, tab: str = "A", **places: Any) -> Answer:
        operation = OperationSettings(name="it", calls=calls, **places)
        return asyncio.run(self.caller.do(operation, self.cast[user], tab, in_race=True))

    def paths(self) -> list[str]:
        return [request.url.path for request in self.site.came]


@pytest.fixture
def browsers(monkeypatch: pytest.MonkeyPatch) -> Browsers:
    site = Site()

    async def handle(transport: Any, request: httpx.Request) -> httpx.Response:
        return await site(transport, request)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)
    return Browsers(site)


def test_an_operation_that_needs_the_session_has_it(browsers: Browsers) -> None:
    assert browsers.do(browsers.ada, ACCOUNT).status == 401
    assert browsers.do(browsers.ada, LOG_IN, ACCOUNT).status == 200
    assert browsers.do(browsers.ada, ACCOUNT).status == 200


def test_two_tabs_share_their_users_cookies_and_two_users_do_not(browsers: Browsers) -> None:
    browsers.do(browsers.ada, LOG_IN, tab="A")
    assert browsers.do(browsers.ada, ACCOUNT, tab="B").status == 200
    assert browsers.do(browsers.bob, ACCOUNT, tab="C").status == 401


def test_several_cookies_are_sent_as_they_were_last_set(browsers: Browsers) -> None:
    values = iter([[("set-cookie", "a=1"), ("set-cookie", "b=2")], [("set-cookie", "a=3")]])
    browsers.site.says["/set"] = lambda: httpx.Response(200, headers=next(values))
    put = Request(method="GET", path="/set")
    browsers.do(browsers.ada, put, put, ACCOUNT)
    assert [Site.sent(request) for request in browsers.site.came] == [
        {},
        {"a": "1", "b": "2"},
        {"a": "3", "b": "2"},
    ]


@pytest.mark.parametrize(
    "deletion",
    [
        'session=""; Max-Age=0; Path=/',
        "session=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/",
        "session=deleted; Max-Age=0; Path=/",
        "session=deleted; Max-Age=-1; Expires=Thu, 01 Jan 2099 00:00:00 GMT",
        "session=deleted; Expires=Thu, 01-Jan-1970 00:00:00 GMT",
        "session=deleted; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/",
    ],
)
def test_a_deleted_cookie_is_no_longer_sent(browsers: Browsers, deletion: str) -> None:
    browsers.site.says["/log-out"] = lambda: httpx.Response(200, headers={"set-cookie": deletion})
    browsers.do(browsers.ada, LOG_IN)
    browsers.do(browsers.ada, Request(method="POST", path="/log-out"), ACCOUNT)
    assert [Site.sent(request) for request in browsers.site.came[1:]] == [{"session": browsers.ada.email}, {}]
    assert browsers.cast[browsers.ada].cookies == {}


@pytest.mark.parametrize(
    "ends",
    [
        "Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "Expires=Thu, 01 Jan 2099 00:00:00 GMT",
        "Expires=whenever",
    ],
)
def test_a_cookie_that_ends_later_is_sent(browsers: Browsers, ends: str) -> None:
    browsers.site.says["/in"] = lambda: httpx.Response(200, headers={"set-cookie": f"session=x; {ends}"})
    assert browsers.do(browsers.ada, Request(method="POST", path="/in"), ACCOUNT).status == 200


def test_the_body_and_the_path_are_filled_and_noted(browsers: Browsers) -> None:
    browsers.site.says["/of/" + browsers.ada.id] = lambda: OK
    body = {"userId": "{user.id}", "lines": [{"price": "{price}", "quantity": 2}]}
    browsers.do(browsers.ada, Request(method="PUT", path="/of/{user.id}", json=body), ACCOUNT)
    first, second = browsers.site.came
    sent = {"userId": browsers.ada.id, "lines": [{"price": "price_1", "quantity": 2}]}
    assert (first.method, first.url.path) == ("PUT", f"/of/{browsers.ada.id}")
    assert json.loads(first.content) == sent
    assert first.headers["content-type"] == "application/json"
    assert second.content == b""
    noted = browsers.recorder.history().of(Plane.HTTP, StepKind.REQUEST)
    assert [(step.label, step.data["json"]) for step in noted] == [
        ("PUT /of/{user.id}", sent),
        ("GET /account", None),
    ]


def test_what_is_captured_goes_into_later_calls(browsers: Browsers) -> None:
    browsers.site.says["/begin"] = lambda: httpx.Response(200, json={"link": {"code": "c-7"}})
    browsers.site.says["/end/c-7"] = lambda: OK
    begin = Request(method="POST", path="/begin", capture={"code": "$.link.code"})
    end = Request(method="POST", path="/end/{code}", json={"code": "{code}"})
    assert browsers.do(browsers.ada, begin, end).success
    assert json.loads(browsers.site.came[1].content) == {"code": "c-7"}


def test_a_captured_user_id_is_the_users_from_then_on(browsers: Browsers) -> None:
    browsers.site.says["/sign-up"] = lambda: httpx.Response(200, json={"id": 42})
    browsers.site.says["/of/42"] = lambda: OK
    sign_up = Request(method="POST", path="/sign-up", capture={"user.id": "$.id"})
    answer = browsers.do(browsers.ada, sign_up, Request(method="GET", path="/of/{user.id}"))
    assert browsers.paths() == ["/sign-up", "/of/42"]
    assert answer.user_id == "42"
    assert browsers.cast[browsers.ada].ids == [browsers.ada.id, "42"]


def test_a_success_that_holds_nothing_to_capture_is_trouble(browsers: Browsers) -> None:
    browsers.site.says["/begin"] = lambda: httpx.Response(200, json={"kode": "c-7"})
    begin = Request(method="POST", path="/begin", capture={"code": "$.code"})
    with pytest.raises(
        Trouble, match=r"operations\.it\] captures code from \$\.code, and the answer 200 to POST /begin"
    ):
        browsers.do(browsers.ada, begin)


def test_what_is_no_success_ends_the_operation_and_captures_nothing(browsers: Browsers) -> None:
    browsers.site.says["/begin"] = lambda: httpx.Response(409, json={"code": "c-7", "customer": "cus_1"})
    begin = Request(method="POST", path="/begin", capture={"code": "$.code"})
    answer = browsers.do(browsers.ada, begin, ACCOUNT, customer="$.customer", refusals=(409,))
    assert browsers.paths() == ["/begin"]
    assert (answer.status, answer.success, answer.refusal, answer.customer) == (409, False, True, None)
    assert "code" not in browsers.cast[browsers.ada].shared


def test_redirects_are_answers_and_not_followed(browsers: Browsers) -> None:
    browsers.site.says["/go"] = lambda: httpx.Response(303, headers={"location": "/account"})
    go = Request(method="POST", path="/go", success=(303,))
    answer = browsers.do(browsers.ada, go, checkout_session="header:Location")
    assert (answer.status, answer.success, browsers.paths()) == (303, True, ["/go"])
    assert browsers.cast[browsers.ada].session_for("A") == "/account"


@pytest.mark.parametrize("error", [httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError])
def test_no_answer_is_an_answer_without_status(browsers: Browsers, error: type[httpx.TransportError]) -> None:
    def hang_up() -> httpx.Response:
        raise error("gone")

    browsers.site.says["/account"] = hang_up
    answer = browsers.do(browsers.ada, LOG_IN, ACCOUNT, ACCOUNT, customer="$.id")
    assert browsers.paths() == ["/log-in", "/account"]
    assert (answer.status, answer.success, answer.customer, answer.promises_customer) == (
        None,
        False,
        None,
        True,
    )
    last = browsers.recorder.history().steps[-1]
    assert (last.kind, last.seq, last.data["status"]) == (StepKind.ANSWER, answer.seq, None)
    assert answer.why == last.data["why"] != ""


def test_an_answer_without_end_is_none(browsers: Browsers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "ANSWER_BYTES_MAX", 1 << 20)
    browsers.site.says["/account"] = lambda: httpx.Response(200, content=b" " * ((1 << 20) + 1))
    answer = browsers.do(browsers.ada, ACCOUNT)
    assert (answer.status, answer.why) == (None, "its body is longer than 1 MB")


def test_a_session_counts_whichever_call_sets_it(browsers: Browsers) -> None:
    assert browsers.do(browsers.ada, LOG_IN, ACCOUNT, session="cookie:session").session
    assert browsers.do(browsers.bob, LOG_IN, session="cookie:session").session
    assert not browsers.do(browsers.bob, ACCOUNT, session="cookie:session").session
    assert not browsers.do(browsers.bob, LOG_IN).session


def test_a_success_names_the_customer_and_the_session_to_pay(browsers: Browsers) -> None:
    answers = iter([{"customer": "cus_1", "id": "cs_1"}, {"customer": "cus_2", "id": "cs_2"}])
    browsers.site.says["/check-out"] = lambda: httpx.Response(200, json=next(answers))
    check_out = Request(method="POST", path="/check-out")
    places = {"customer": "$.customer", "checkout_session": "$.id"}
    named = [browsers.do(browsers.ada, check_out, tab=tab, **places).customer for tab in ("A", "B")]
    part = browsers.cast[browsers.ada]
    assert named == ["cus_1", "cus_2"]
    assert (part.session_for("A"), part.session_for("B"), part.session_for("C")) == ("cs_1", "cs_2", "cs_2")


def test_a_form_and_headers_are_sent(browsers: Browsers) -> None:
    browsers.site.says["/sign-in"] = lambda: OK
    sign_in = Request(
        method="POST", path="/sign-in", form={"email": "{user.email}"}, headers={"Origin": "{target.url}"}
    )
    browsers.do(browsers.ada, LOG_IN, sign_in)
    sent = browsers.site.came[1]
    assert parse_qs(sent.content.decode()) == {"email": [browsers.ada.email]}
    assert sent.headers["content-type"] == "application/x-www-form-urlencoded"
    assert sent.headers["origin"] == "http://t"
    assert Site.sent(sent) == {"session": browsers.ada.email}
    noted = browsers.recorder.history().of(Plane.HTTP, StepKind.REQUEST)
    assert parse_qs(noted[1].data["json"]) == {"email": [browsers.ada.email]}


def test_a_token_of_a_page_goes_back_in_a_header(browsers: Browsers) -> None:
    page = '<meta name="csrf-token" content="a&amp;b">'
    browsers.site.says["/form"] = lambda: httpx.Response(200, html=page)
    browsers.site.says["/sign-in"] = lambda: OK
    form = Request(
        method="GET", path="/form", capture={"csrf": 'regex:name="csrf-token" content="([^"]+)"'}
    )  # fmt: skip
    browsers.do(
        browsers.ada, form, Request(method="POST", path="/sign-in", headers={"X-CSRF-Token": "{csrf}"})
    )
    assert browsers.site.came[1].headers["x-csrf-token"] == "a&b"


def test_a_bearer_token_is_its_users(browsers: Browsers) -> None:
    tokens = iter(["t-ada", "t-bob"])
    browsers.site.says["/token"] = lambda: httpx.Response(200, json={"token": next(tokens)})
    browsers.site.says["/me"] = lambda: OK
    get = Request(method="POST", path="/token", capture={"token": "$.token"})
    me = Request(method="GET", path="/me", headers={"Authorization": "Bearer {token}"})
    for user in (browsers.ada, browsers.bob):
        browsers.do(user, get)
    for user in (browsers.ada, browsers.bob):
        browsers.do(user, me)
    sent = [request.headers.get("authorization") for request in browsers.site.came[2:]]
    assert sent == ["Bearer t-ada", "Bearer t-bob"]


def test_a_redirect_is_followed_when_asked_for_and_what_it_sets_is_kept(browsers: Browsers) -> None:
    hop = {"location": "http://t/welcome?id=7", "set-cookie": "session=s; Path=/"}
    browsers.site.says["/sign-up"] = lambda: httpx.Response(303, headers=hop)
    browsers.site.says["/welcome"] = lambda: httpx.Response(200, json={"customer": "cus_1"})
    call = Request(method="POST", path="/sign-up", form={"a": "b"}, follow=True, capture={"c": "$.customer"})
    answer = browsers.do(browsers.ada, call, customer="$.customer", session="cookie:session")
    assert (answer.status, answer.success, answer.customer, answer.session) == (200, True, "cus_1", True)
    second = browsers.site.came[1]
    assert (second.method, str(second.url), second.content) == ("GET", "http://t/welcome?id=7", b"")
    assert Site.sent(second) == {"session": "s"}
    labels = [step.label for step in browsers.recorder.history().of(Plane.HTTP, StepKind.REQUEST)]
    assert labels == ["POST /sign-up", "POST /sign-up (redirect 1)"]


def test_a_redirect_away_is_the_answer_and_its_url_names_the_session_to_pay(browsers: Browsers) -> None:
    away = "https://checkout.stripe.com/c/pay/cs_test_a1B2#fid"
    browsers.site.says["/check-out"] = lambda: httpx.Response(303, headers={"location": away})
    call = Request(method="POST", path="/check-out", follow=True, success=(303,))
    answer = browsers.do(browsers.ada, call, checkout_session="header:Location")
    assert (answer.status, browsers.paths()) == (303, ["/check-out"])
    assert browsers.cast[browsers.ada].session_for("A") == "cs_test_a1B2"


def test_a_circle_of_redirects_ends(browsers: Browsers) -> None:
    browsers.site.says["/go"] = lambda: httpx.Response(302, headers={"location": "/go"})
    answer = browsers.do(browsers.ada, Request(method="GET", path="/go", follow=True))
    assert (answer.status, answer.success, len(browsers.paths())) == (302, False, 11)
