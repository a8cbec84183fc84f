"""Deliveries whose answer gets lost: the target took them, and Stripe brings them again."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from deadheat import World
from deadheat.engine.courier import Courier
from deadheat.history import Plane, Recorder, StepKind
from deadheat.schedule import make_strategy
from deadheat.stripe_sim import Account, Endpoint, Outbox


class Post:
    """A courier before a target that takes everything; ``came`` are the events as they came."""

    def __init__(self, answers: int = 200) -> None:
        self.came: list[str] = []
        self.account = Account(seed=1, started_at=1_700_000_000, secret_key="sk_test_courier")
        self.outbox = Outbox(self.account, Endpoint(url="http://t/hook", secret="whsec_1"))
        self.recorder = Recorder(1)

        def take(request: httpx.Request) -> httpx.Response:
            self.came.append(json.loads(request.content)["id"])
            return httpx.Response(answers)

        client = httpx.AsyncClient(transport=httpx.MockTransport(take), base_url="http://t")
        strategy = make_strategy("serial", 1)
        self.courier = Courier(client, "/hook", self.outbox, self.recorder, strategy)

    def emit(self, events: int) -> tuple[str, ...]:
        for n in range(events):
            self.account.make_customer(email=f"{n}@example.test", name="Ada")
        return self.outbox.emitted()


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_each_lost_answer_brings_the_event_once_more(lost: int) -> None:
    post = Post()
    one, two = post.emit(2)
    asyncio.run(post.courier.one_by_one(World("aa").deliveries(lost=lost), "A"))
    assert post.came == [one] * (lost + 1) + [two] * (lost + 1)
    assert post.outbox.pending() == ()


def test_in_a_stream_too() -> None:
    post = Post()
    events = post.emit(3)
    deliveries = World("aa").deliveries(order="any", lost=1)
    asyncio.run(post.courier.stream(deliveries, "A", lambda: False))
    assert sorted(post.came) == sorted(events * 2)
    assert post.outbox.pending() == ()


def test_what_stripe_did_not_see_is_told_apart_from_what_was_answered() -> None:
    post = Post()
    post.emit(1)
    asyncio.run(post.courier.one_by_one(World("aa").deliveries(lost=1), "A"))
    assert [d.status for d in post.courier.delivered] == [None, 200]
    answers = post.recorder.history().of(Plane.WEBHOOK, StepKind.ANSWER)
    assert [(a.data["status"], a.data["lost"]) for a in answers] == [(200, True), (200, False)]


def test_a_refusal_is_left_to_settling() -> None:
    post = Post(answers=503)
    events = post.emit(1)
    asyncio.run(post.courier.one_by_one(World("aa").deliveries(lost=1), "A"))
    assert post.came == list(events) * 2
    assert post.outbox.pending() == events
