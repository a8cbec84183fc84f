"""Deliveries: answers that get lost bring the event again, and a stream waits for what comes late."""

from __future__ import annotations

import asyncio
import functools
import json
from typing import TYPE_CHECKING

import httpx
import pytest

from deadheat import World
from deadheat.engine.cast import Cast
from deadheat.engine.conduct import Conductor, Sequels
from deadheat.engine.courier import Courier
from deadheat.engine.postbag import Postbag
from deadheat.history import Plane, Recorder, StepKind
from deadheat.stripe_sim import MONTHLY, Account, Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.program import Order


class Post:
    """A courier before a target that takes everything; ``came`` are the events as they came."""

    def __init__(self, answers: int = 200) -> None:
        self.came: list[str] = []
        self.account = Account(seed=1, started_at=1_700_000_000, secret_key="sk_test_courier")
        self.outbox = Postbag.of(
            self.account, {"": Endpoint(url="http://t/hook", secret="whsec_1")}, since=self.account.mark()
        )
        self.recorder = Recorder(1)

        def take(request: httpx.Request) -> httpx.Response:
            self.came.append(json.loads(request.content)["id"])
            return httpx.Response(answers)

        client = httpx.AsyncClient(transport=httpx.MockTransport(take), base_url="http://t")
        self.courier = Courier(client, self.outbox, self.recorder)

    def emit(self, events: int) -> tuple[str, ...]:
        for n in range(events):
            self.account.make_customer(email=f"{n}@example.test", name="Ada")
        return self.outbox.emitted()

    def rests_after(self, deliveries: int) -> bool:
        """Say whether a stream has made so many deliveries and waits for news."""
        return len(self.courier.delivered) == deliveries and not self.courier.news.is_set()


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


def test_what_follows_a_lost_answer_is_a_retry_and_no_duplicate() -> None:
    post = Post()
    post.emit(1)
    asyncio.run(post.courier.one_by_one(World("aa").deliveries(lost=2), "A"))
    made = post.recorder.history().of(Plane.WEBHOOK, StepKind.DELIVERY)
    assert [step.data["attempt"] for step in made] == [1, 2, 3]


def test_a_refusal_is_left_to_settling() -> None:
    post = Post(answers=503)
    events = post.emit(1)
    asyncio.run(post.courier.one_by_one(World("aa").deliveries(lost=1), "A"))
    assert post.came == list(events) * 2
    assert post.outbox.pending() == events


@pytest.mark.parametrize("order", ["emitted", "any"])
def test_a_stream_waits_for_what_is_emitted_late_in_the_race(order: Order) -> None:
    post = Post()
    racing = True

    async def race() -> None:
        nonlocal racing
        deliveries = World("aa").deliveries(order=order)
        stream = asyncio.create_task(post.courier.stream(deliveries, "A", lambda: racing))
        post.emit(1)
        for events in (1, 2, 3):
            await _until(functools.partial(post.rests_after, events))
            assert not stream.done(), "somebody is still racing"
            post.emit(1)
            post.courier.news.set()
        racing = False
        post.courier.news.set()
        await stream

    asyncio.run(race())
    assert post.came == list(post.outbox.emitted())
    assert [(d.event_id, d.phase) for d in post.courier.delivered] == [(e, "race") for e in post.came]
    assert len(post.came) == 4


@pytest.mark.fidelity("Events are delivered in any order")
def test_a_reversed_stream_waits_for_the_others_and_begins_with_the_last_event() -> None:
    post = Post()
    racing = True

    async def race() -> None:
        nonlocal racing
        deliveries = World("aa").deliveries(order="reversed", duplicates=1)
        stream = asyncio.create_task(post.courier.stream(deliveries, "A", lambda: racing))
        for _ in range(3):
            post.emit(1)
            post.courier.news.set()
            await _until(lambda: not post.courier.news.is_set())
        assert post.came == []
        racing = False
        post.courier.news.set()
        await stream

    asyncio.run(race())
    assert post.came == [event for event in reversed(post.outbox.emitted()) for _ in range(2)]


async def _until(holds: Callable[[], bool]) -> None:
    """Let the others run until something holds; nothing here waits for time to pass."""
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to hold")


def test_each_delivery_but_those_of_a_race_has_the_target_to_itself() -> None:
    """Work after one answer that ran beside the next delivery would go by that one's name."""
    post = Post()
    one, two = post.emit(2)

    async def rest() -> None:
        post.came.append("rest")

    conductor = Conductor(Cast([], MONTHLY), Sequels())
    conductor.rest = rest  # type: ignore[method-assign]
    post.courier.conductor = conductor
    asyncio.run(post.courier.settle(rest))
    assert post.came == [one, "rest", two, "rest", "rest"]
    post.came.clear()
    asyncio.run(post.courier.again())
    assert post.came == [one, "rest", two, "rest"]
    post.came.clear()
    asyncio.run(post.courier.one_by_one(World("aa").deliveries(), "before"))
    assert post.came == []
    (three,) = set(post.emit(1)) - {one, two}
    asyncio.run(post.courier.one_by_one(World("aa").deliveries(), "before"))
    assert post.came == [three, "rest"]
