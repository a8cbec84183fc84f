"""A soak at a stage without sockets: the crowd, the storm, the settling and what is left of all."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx
from engine_stage import Stage
from stripe import SignatureVerificationError, WebhookSignature

from deadheat import World
from deadheat.engine.soak.play import Play
from deadheat.engine.soak.settling import lanes_of
from deadheat.engine.soak.wire import Acted, Answered, Joined, Left, Named
from deadheat.history import Plane, StepKind
from deadheat.stripe_sim import MONTHLY, ApiRequest, Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from deadheat import User
    from deadheat.invariants.settled import Settled


def post(stage: Stage, path: str, **params: str) -> str:
    """Make an object at Stripe as the target would, through the gate; gives its id."""
    headers = {"authorization": "Bearer sk_test_x", "content-type": "application/x-www-form-urlencoded"}
    body = urlencode({key.replace("__", "["): value for key, value in params.items()}).encode()
    call = stage.account.parse(ApiRequest(method="POST", path=path, query="", headers=headers, body=body))
    gate = stage.server.gate
    for kind, cross in (
        (StepKind.RECEIVED, stage.account.received),
        (StepKind.EFFECT, stage.account.effect),
        (StepKind.RESPONSE, stage.account.response),
    ):
        cross(call)
        gate.crossed(kind, call)
    assert call.response is not None
    made: dict[str, Any] = json.loads(call.response.body)
    return str(made["id"])


class Soak:
    """A play that has begun, and its people."""

    def __init__(self, hooks: Callable[[str], int] = lambda event_id: 200, **of_the_stage: Any) -> None:
        self.stage = Stage(hooks=hooks)
        for name, value in of_the_stage.items():
            setattr(self.stage, name, value)
        self.play = Play(self.stage, seed=1, sink=lambda step: None)  # type: ignore[arg-type]
        self.play.open()
        self.play.gate.in_flight = 0
        self.world = World("m1")

    def join(self) -> User:
        user = self.world.user()
        self.play.hear(Joined(id=user.id, email=user.email, name=user.name))
        return user

    def customer(self, user: User) -> str:
        self.play.gate.in_flight += 1
        return post(self.stage, "/v1/customers", email=user.email.upper())

    def session(self, customer: str) -> str:
        self.play.gate.in_flight += 1
        items = {"line_items[0][price]": MONTHLY, "line_items[0][quantity]": "1"}
        return post(
            self.stage, "/v1/checkout/sessions", customer=customer, mode="subscription",
            success_url="https://example.test", **items,
        )  # fmt: skip

    def answered(self, user: User, status: int | None = 200, **more: Any) -> None:
        said = {"person": user.id, "tab": "A", "operation": "sign-up", "user_id": user.id, **more}
        self.play.hear(Answered(status=status, success=status == 200, **said))

    async def end(self) -> Settled:
        storm = asyncio.create_task(self.play.storming())
        await asyncio.sleep(0)
        self.play.storm.calm()
        await storm
        return await self.play.settled()


def run(soaking: Coroutine[Any, Any, Settled]) -> Settled:
    return asyncio.run(soaking)


def test_what_a_target_makes_is_its_persons() -> None:
    async def soaking() -> Settled:
        soak = Soak()
        ada, bob = soak.join(), soak.join()
        customers = [soak.customer(ada), soak.customer(bob)]
        assert [soak.play.crowd.owner[one] for one in customers] == [ada.id, bob.id]
        soak.play.hear(Named(person=ada.id, user_id="u-7"))
        soak.answered(ada, user_id="u-7", customer=customers[0])
        return await soak.end()

    settled = run(soaking())
    assert settled.people[0].ids[-1] == "u-7"
    assert [answer.customer for answer in settled.answers] == [settled.stripe.customers[0]["id"]]


def test_a_payment_is_delivered_more_than_once_and_once_more_at_the_end() -> None:
    seen: list[str] = []

    async def soaking() -> Settled:
        soak = Soak(hooks=lambda event_id: seen.append(event_id) or 200)  # type: ignore[func-returns-value]
        ada = soak.join()
        session = soak.session(soak.customer(ada))
        soak.play.hear(Acted(person=ada.id, tab="A", act="pay", session=session))
        soak.play.hear(Acted(person=ada.id, tab="B", act="pay", session=session))
        soak.play.hear(Acted(person=ada.id, tab="A", act="cancel"))
        return await soak.end()

    settled = run(soaking())
    (subscription,) = settled.stripe.subscriptions
    assert subscription["status"] == "canceled"
    assert list(settled.asked_for.values()) == [2]
    true = Counter(d.event_id for d in settled.deliveries if d.forged is None and d.phase == "race")
    again = Counter(d.event_id for d in settled.deliveries if d.forged is None and d.phase == "again")
    events = [event["id"] for event in settled.stripe.events]
    assert set(true) == set(again) == set(events)
    assert set(again.values()) == {1}
    assert sum(true.values()) > len(events), "the last gust brings each twice"
    assert {d.forged for d in settled.deliveries if d.forged} == {"unsigned", "badly-signed", "stale"}
    assert len(seen) == len(settled.deliveries)
    paid_twice = [s for s in settled.history.of(Plane.STRIPE) if s.label == "pay"][1]
    assert "only an open one can be paid" in paid_twice.data["notes"][0]


def test_each_endpoint_gets_its_types_signed_with_its_secret() -> None:
    endpoints = {
        "": Endpoint(url="http://t/billing", secret="whsec_b", types=("customer.*",)),
        "credits": Endpoint(
            url="http://t/credits", secret="whsec_c", types=("invoice.paid", "customer.created")
        ),
    }
    came: Counter[tuple[str, str, bool]] = Counter()

    def taken(request: httpx.Request) -> httpx.Response:
        body, path = request.content.decode(), request.url.path
        secret = {"/billing": "whsec_b", "/credits": "whsec_c"}[path]
        try:
            WebhookSignature.verify_header(body, request.headers.get("stripe-signature", ""), secret, 300)
        except SignatureVerificationError:
            came[path, "forged", False] += 1
            return httpx.Response(400)
        kind = json.loads(body)["type"]
        came[path, kind, True] += 1
        # The second endpoint fails at first, and is tried again by itself.
        return httpx.Response(500 if path == "/credits" and came[path, kind, True] == 1 else 200)

    async def soaking() -> Settled:
        soak = Soak(endpoints=endpoints, client=httpx.AsyncClient(transport=httpx.MockTransport(taken)))
        ada = soak.join()
        session = soak.session(soak.customer(ada))
        soak.play.hear(Acted(person=ada.id, tab="A", act="pay", session=session))
        return await soak.end()

    settled = run(soaking())
    assert settled.refused == ()
    assert came["/billing", "forged", False] == came["/credits", "forged", False] == 3
    types = {(path, kind) for path, kind, true in came if true}
    assert types >= {
        ("/billing", "customer.created"), ("/billing", "customer.subscription.created"),
        ("/credits", "customer.created"), ("/credits", "invoice.paid"),
    }  # fmt: skip
    assert all(kind.startswith("customer.") for path, kind in types if path == "/billing")
    assert all(kind in ("customer.created", "invoice.paid") for path, kind in types if path == "/credits")
    again = Counter(d.event_type for d in settled.deliveries if d.phase == "again" and not d.forged)
    assert (again["customer.created"], again["invoice.paid"]) == (2, 1)


def test_what_is_refused_is_tried_again_and_told_when_refused_to_the_end() -> None:
    bad: list[str] = []

    async def soaking() -> Settled:
        soak = Soak(hooks=lambda event_id: 500 if event_id in bad else 200)
        soak.customer(soak.join())
        soak.customer(soak.join())
        bad.append(soak.play.outbox.emitted()[0])
        return await soak.end()

    settled = run(soaking())
    assert settled.refused == tuple(bad)
    assert sum(d.event_id == bad[0] and d.phase == "race" for d in settled.deliveries) >= 3


def test_nobody_is_judged_whose_answer_was_lost() -> None:
    async def soaking() -> Settled:
        soak = Soak()
        ada, bob, cleo = soak.join(), soak.join(), soak.join()
        for user in (ada, bob, cleo):
            soak.answered(user, customer=soak.customer(user))
        soak.answered(ada, None)
        soak.play.hear(Left(cut=(bob.id,)))
        assert soak.play.unanswered == 2
        return await soak.end()

    settled = run(soaking())
    assert [person.name.split()[0] for person in settled.people] == ["Cleo"]
    assert len(settled.answers) == 1
    assert settled.stripe.strangers == {c["id"] for c in settled.stripe.customers[:2]}


def test_failures_are_counted_by_kind_and_refusals_are_none() -> None:
    soak = Soak()
    ada = soak.join()
    for status, refused in ((500, False), (500, False), (409, True), (None, False), (200, False)):
        soak.answered(ada, status, refused=refused)
    assert soak.play.failures == {"sign-up answered 500": 2, "sign-up answered nothing at all": 1}


def test_only_the_end_of_a_crossing_is_kept() -> None:
    soak = Soak()
    soak.customer(soak.join())
    kept = [(step.plane, step.kind, step.actor) for step in soak.play.recorder.history()]
    assert kept == [(Plane.STRIPE, StepKind.EFFECT, "ada.0.m1")]


def test_a_lane_is_a_customers_and_keeps_their_order() -> None:
    soak = Soak()
    ada, bob = soak.join(), soak.join()
    customers = [soak.customer(ada), soak.customer(bob)]
    for customer in (*customers, *customers):
        soak.play._pay(soak.session(customer), soak.play.crowd.person(ada.id))
    emitted = soak.play.outbox.emitted()
    lanes = lanes_of(soak.stage.account, emitted)
    assert len(lanes) == 2
    assert sorted(event for lane in lanes for event in lane) == sorted(emitted)
    assert all(lane == [event for event in emitted if event in lane] for lane in lanes)
