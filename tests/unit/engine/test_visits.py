"""Operations of an adapter: what it is given, what it sends, and what its answer comes to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import httpx
import pytest

from deadheat import BlockingVisit, Outcome, Visit, World
from deadheat.engine.caller import Caller, http_client
from deadheat.engine.cast import Cast
from deadheat.errors import Trouble
from deadheat.history import Plane, Recorder, StepKind
from deadheat.settings import OperationSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.engine.cast import Part
    from deadheat.invariants.settled import Answer


class Shop:
    """A site of two pages, and a person at it."""

    def __init__(self) -> None:
        self.came: list[httpx.Request] = []
        self.silent = False
        world = World("aa")
        self.ada = world.user()
        self.part: Part = Cast([self.ada], "price_1", "http://t")[self.ada]
        self.recorder = Recorder(1)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.came.append(request)
        if self.silent:
            raise httpx.ReadError("gone")
        if request.url.path == "/sign-up":
            return httpx.Response(201, json={"id": 42}, headers={"set-cookie": "s=1"})
        return httpx.Response(200 if request.headers.get("cookie") == "s=1" else 401)

    def do(self, method: Callable[[Any], Any]) -> Answer:
        operation = OperationSettings(name="sign-up", calls=(), method=method)
        caller = Caller(http_client("http://t"), self.recorder)
        return asyncio.run(caller.do(operation, self.part, "A", in_race=True))

    def labels(self) -> list[str]:
        return [step.label for step in self.recorder.history().of(Plane.HTTP, StepKind.REQUEST)]


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    made = Shop()

    async def handle(transport: Any, request: httpx.Request) -> httpx.Response:
        return await made.answer(request)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)
    return made


async def sign_up(visit: Visit) -> Outcome:
    form = {"email": visit.user.email, "price": visit.price}
    answer = await visit.request("POST", "/sign-up", form=form, headers={"Origin": visit.url})
    user_id = str(answer.json()["id"])
    visit.keep("token", "t-1")
    await visit.request("GET", f"/users/{visit.user.id}/cards?q={visit.values['token']}")
    return Outcome(
        status=answer.status,
        success=True,
        customer="cus_1",
        promises_customer=True,
        checkout_session="https://pay.example/cs_test_1",
        session=True,
        user_id=user_id,
    )


def sign_up_in_a_thread(visit: BlockingVisit) -> Outcome:
    answer = visit.request("POST", "/sign-up", json={"email": visit.user.email})
    cards = visit.request("GET", f"/users/{visit.user.id}/cards")
    visit.keep("token", visit.values["user.id"])
    return Outcome(status=cards.status, success=answer.status == 201, user_id="42")


def test_a_coroutine_of_an_adapter_is_an_operation(shop: Shop) -> None:
    answer = shop.do(sign_up)
    assert (answer.operation, answer.actor, answer.status, answer.success) == ("sign-up", "A", 201, True)
    assert (answer.customer, answer.promises_customer, answer.session) == ("cus_1", True, True)
    assert (answer.user_id, shop.part.ids) == ("42", [shop.ada.id, "42"])
    assert shop.part.session_for("A") == "cs_test_1"
    assert shop.part.values("A").fill("{token}") == "t-1"
    sent = shop.came[0]
    assert parse_qs(sent.content.decode()) == {"email": [shop.ada.email], "price": ["price_1"]}
    assert sent.headers["origin"] == "http://t"
    assert sent.headers["content-type"] == "application/x-www-form-urlencoded"
    assert shop.came[1].headers["cookie"] == "s=1"
    assert answer.seq == shop.recorder.history().steps[-1].seq


def test_steps_are_named_the_same_in_every_run(shop: Shop) -> None:
    shop.do(sign_up)
    assert shop.labels() == ["POST /sign-up", "GET /users/{user.id}/cards"]


def test_a_plain_function_runs_beside_the_loop(shop: Shop) -> None:
    answer = shop.do(sign_up_in_a_thread)
    assert (answer.status, answer.success, answer.promises_customer) == (200, True, False)
    assert shop.part.values("A").fill("{token}") == shop.ada.id
    assert shop.labels() == ["POST /sign-up", "GET /users/{user.id}/cards"]


@pytest.mark.parametrize("method", [sign_up, sign_up_in_a_thread])
def test_no_answer_is_an_answer_without_status(shop: Shop, method: Any) -> None:
    shop.silent = True
    answer = shop.do(method)
    assert (answer.status, answer.success, answer.customer) == (None, False, None)


def test_what_is_no_success_names_no_customer(shop: Shop) -> None:
    async def refused(visit: Visit) -> Outcome:
        return Outcome(
            status=409, success=False, refusal=True, customer="cus_1", checkout_session="cs_test_1"
        )

    answer = shop.do(refused)
    assert (answer.success, answer.refusal, answer.customer) == (False, True, None)
    assert shop.part.session_for("A") is None


async def broken(visit: Visit) -> Outcome:
    raise KeyError("token")


def broken_in_a_thread(visit: BlockingVisit) -> Outcome:
    raise KeyError("token")


async def forgetful(visit: Visit) -> Any:
    return 200


@pytest.mark.parametrize(
    ("method", "says"),
    [
        (broken, r"^the adapter's sign-up failed: KeyError: 'token' \(test_visits\.py:\d+\)$"),
        (broken_in_a_thread, r"^the adapter's sign-up failed: KeyError: 'token' \(test_visits\.py:\d+\)$"),
        (forgetful, r"^the adapter's sign-up gave 200; it should give an Outcome$"),
    ],
)
def test_an_adapter_that_fails_is_trouble_that_says_where(shop: Shop, method: Any, says: str) -> None:
    with pytest.raises(Trouble, match=says):
        shop.do(method)
