"""Runs in which something goes wrong: what failed is tried again, replays are exact, silence is explained."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING

import httpx
import pytest
from engine_stage import Shop

from deadheat import Program, World
from deadheat.engine.conduct import sequels
from deadheat.engine.run import run_program
from deadheat.history import Plane
from deadheat.schedule import Faulty, RandomWalk, Replay, Schedule, Serial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadheat.engine.run import Ran
    from deadheat.schedule import Strategy

pytestmark = pytest.mark.slow  # what a target does after its answers is waited for until it is known


@pytest.fixture(autouse=True)
def _known_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequels, "UNKNOWN_MS", 20.0)


class Server(Shop):
    """A shop that works on when its caller has hung up, as a server does."""

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.fails_with is not None:
            raise self.fails_with
        return await asyncio.shield(asyncio.ensure_future(super()._answer(request)))


class Only(Serial):
    """Serial, with this one fault at its first moment."""

    faults = 1

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what

    def choose(self, held):  # type: ignore[no-untyped-def]
        (chosen,) = super().choose(held)
        wanted = (
            i for i, step in enumerate(held) if step.is_fault_of(held[chosen]) and step.fault == self._what
        )
        return (next(wanted, chosen),)


def program(number: int) -> Program:
    world = World(f"r{number}")
    ada = world.user()
    return Program(race=[[ada.do("sign-up")], [world.deliveries(order="any")]])


def play(strategy: Strategy, number: int = 1, server: Server | None = None) -> Ran:
    return asyncio.run(run_program(program(number), server or Server(), strategy, number=number))  # type: ignore[arg-type]


def told(ran: Ran) -> list[str]:
    return [f"{step.actor} {step.label}" for step in ran.history.of(Plane.FAULT)]


@pytest.mark.parametrize(
    ("what", "says", "statuses", "customers"),
    [
        ("500 before", "A 500 before POST /v1/customers", [503, 200], 1),
        ("500 after", "A 500 after POST /v1/customers", [503, 200], 2),  # it has no idempotency key
        ("caller gone", "A caller gone POST /v1/customers", [None, 200], 1),
        ("answer lost", "B answer lost customer.created", [200], 1),
    ],
)
def test_what_failed_is_tried_again(what: str, says: str, statuses: list[int | None], customers: int) -> None:
    ran = play(Only(what))
    assert ran.settled is not None, ran.reason
    assert told(ran) == [says]
    assert [answer.status for answer in ran.settled.answers] == statuses
    assert [answer.retried for answer in ran.settled.answers] == [False, True][: len(statuses)]
    assert len(ran.settled.stripe.customers) == customers
    assert ran.settled.refused == ()


class Ours(Server):
    """A server whose process can be paused: ``stopped`` notes who still waited, before and after."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.stopped: list[str] = []
        self.target = SimpleNamespace(is_ours=True, paused=self._paused, wants_processor=lambda: False)

    @contextmanager
    def _paused(self) -> Iterator[None]:
        self.stopped.append("stop")
        yield
        self.stopped.append("go on")


class PausesBoth(Serial):
    """Lets each of two actors come as far as its Stripe call, and then pauses the target."""

    faults = 1

    def choose(self, held):  # type: ignore[no-untyped-def]
        by_kind = {(step.actor, step.kind): index for index, step in enumerate(held)}
        pause = next((i for i, step in enumerate(held) if step.fault == "pause"), 0)
        return (by_kind.get(("A", "request"), by_kind.get(("B", "request"), pause)),)


def test_a_pause_has_everybody_hang_up_who_waits_and_the_target_goes_on() -> None:
    world, server = World("r1"), Ours()
    ada, bob = world.user(), world.user()
    two = Program(race=[[ada.do("sign-up")], [bob.do("sign-up")]])
    ran = asyncio.run(run_program(two, server, PausesBoth(), number=1))  # type: ignore[arg-type]
    assert ran.settled is not None, ran.reason
    assert told(ran) == ["A pause POST /v1/customers"]
    assert server.stopped == ["stop", "go on"]
    asked = [(answer.actor, answer.status, answer.retried) for answer in ran.settled.answers]
    assert asked[:2] == [("A", None, False), ("B", None, False)]
    assert asked[2:] == [("A", 200, True), ("B", 200, True)]
    assert len(ran.settled.stripe.customers) == 2, "it went on with both, and made their customers once"


class Looks(Server):
    """A server that looks the customer of an event up; ``at_once`` says how many deliveries it was at."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.at_once: list[int] = []
        self._at = 0

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/hook":
            return await asyncio.shield(asyncio.ensure_future(self._look(request)))
        return await super()._answer(request)

    async def _look(self, request: httpx.Request) -> httpx.Response:
        self._at += 1
        self.at_once.append(self._at)
        await self._call("GET", f"/v1/customers/{json.loads(request.content)['data']['object']['id']}", {})
        self._at -= 1
        return await Shop._answer(self, request)


class StripeGone(Serial):
    """Has Stripe hang up at a step of the first attempt to deliver, and lets the next begin before that."""

    faults = 1

    def choose(self, held):  # type: ignore[no-untyped-def]
        gone = (i for i, step in enumerate(held) if (step.actor, step.fault) == ("B", "caller gone"))
        delivery = (i for i, step in enumerate(held) if step.kind == "delivery")
        return (next(gone, next(delivery, super().choose(held)[0])),)


def test_stripe_hangs_up_and_tries_again_while_the_target_is_at_the_first_attempt() -> None:
    server = Looks()
    ran = play(StripeGone(), server=server)
    assert ran.settled is not None, ran.reason
    assert told(ran) == ["B caller gone GET /v1/customers/:id"]
    assert server.at_once[:2] == [1, 2]
    assert len(set(server.received)) == 1
    assert ran.settled.refused == ()
    schedule = Schedule(scenario="s", source="0" * 8).recorded(ran.trace)
    again = Looks()
    replayed = play(Replay(schedule), 2, again)
    assert replayed.diverged is None
    assert (told(replayed), again.at_once) == (told(ran), server.at_once)


def test_a_target_that_is_not_ours_is_not_paused() -> None:
    ran = play(Only("pause"))
    assert ran.settled is not None, ran.reason
    assert told(ran) == []


def test_nor_is_one_that_nobody_waits_for() -> None:
    class Hurried(Only):
        """The caller is gone, and then the target would be paused."""

        faults = 2

        def choose(self, held):  # type: ignore[no-untyped-def]
            offered.append({step.fault for step in held if step.fault})
            return super().choose(held)

    offered: list[set[str]] = []
    ran = play(Hurried("caller gone"), server=Ours())
    assert ran.settled is not None, ran.reason
    assert told(ran) == ["A caller gone POST /v1/customers"]
    assert any("pause" in kinds for kinds in offered)
    assert not any("pause" in kinds for kinds in offered if "caller gone" not in kinds)


def test_silence_that_no_fault_explains_is_inconclusive() -> None:
    server = Server()
    server.fails_with = httpx.ReadError("gone")
    ran = play(Serial(), server=server)
    assert ran.settled is None
    assert ran.reason is not None
    assert "got no answer at all" in ran.reason


def test_silence_when_it_is_tried_again_is_inconclusive_too() -> None:
    class Dies(Server):
        async def _answer(self, request: httpx.Request) -> httpx.Response:
            answer = await super()._answer(request)
            if answer.status_code == 503:
                self.fails_with = httpx.ReadError("gone")
            return answer

    ran = play(Only("500 before"), server=Dies())
    assert ran.settled is None
    assert ran.reason is not None
    assert "got no answer at all" in ran.reason


def test_faults_replay_to_the_letter() -> None:
    strategy, seen = Faulty(RandomWalk(3), 3, 2), set()
    server = Server()
    for number in range(1, 9):
        ran = play(strategy, number, server)
        schedule = Schedule(scenario="s", source="0" * 8).recorded(ran.trace)
        replay = Replay(schedule)
        again = play(replay, 100 + number, server)
        assert again.diverged is None
        assert told(again) == told(ran)
        seen.update(told(ran))
    assert len(seen) > 2
