"""The Stripe plane under control: which crossings of a call are held, whose it is, and what it leaves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from conduct_stage import People, go, played, turns, until

from deadheat.engine.gate import RunGate
from deadheat.history import Plane, Recorder, StepKind
from deadheat.stripe_sim import Account, ApiRequest
from deadheat.stripe_sim.form import encode

if TYPE_CHECKING:
    from deadheat.engine.conduct.strands import Strand
    from deadheat.program import User
    from deadheat.stripe_sim import Call

KEY = "sk_test_plane"
ROUTE = "POST /v1/customers"


class Stripe:
    """An account behind a gate that a conductor holds; A is Ada's tab, B is Bob's."""

    def __init__(self, *, controls: bool = True) -> None:
        self.people = People()
        self.conductor = self.people.conductor
        self.conductor.controls = controls
        self.account = Account(seed=1, started_at=1_700_000_000, secret_key=KEY)
        self.recorder = Recorder(1)
        self.gate = RunGate(self.account, self.people.cast, self.recorder, conductor=self.conductor)
        self.a = self.people.strand("A1", self.people.ada)
        self.b = self.people.strand("B1", self.people.bob)

    def parse(
        self, user: User | None, key: str | None = None, method: str = "POST", path: str = "/v1/customers"
    ) -> Call:
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/x-www-form-urlencoded"}
        if key is not None:
            headers["idempotency-key"] = key
        body = encode({"email": user.email}).encode() if user else b""
        return self.account.parse(ApiRequest(method=method, path=path, headers=headers, body=body))

    async def cross(self, call: Call) -> None:
        """Take a call through its three crossings, as the simulator's server does."""
        for kind, cross in (
            (StepKind.RECEIVED, self.account.received),
            (StepKind.EFFECT, self.account.effect),
            (StepKind.RESPONSE, self.account.response),
        ):
            await self.gate.hold(kind, call)
            cross(call)
            self.gate.crossed(kind, call)

    async def held(self, strand: Strand) -> str:
        """Wait until something of a strand is held; gives what."""
        await until(lambda: bool(strand.held))
        assert strand.calls == 0, "it is held, and not under way"
        return strand.held[0].kind

    def crossed(self) -> list[StepKind]:
        return [step.kind for step in self.recorder.history().of(Plane.STRIPE)]


@pytest.mark.parametrize(
    ("key", "kinds"),
    [(None, ["effect", "response"]), ("k", ["received", "effect", "response"])],
    ids=["without-a-key", "with-a-key"],
)
def test_crossings_are_held_in_turn_and_the_first_only_where_a_key_makes_it_matter(
    key: str | None, kinds: list[str]
) -> None:
    async def test() -> None:
        stripe = Stripe()
        call = asyncio.create_task(stripe.cross(stripe.parse(stripe.people.bob, key)))
        for kind in kinds:
            assert await stripe.held(stripe.b) == kind
            assert str(stripe.b.held[0].name) == f"B1 {kind} {ROUTE}"
            go(stripe.b)
            assert stripe.b.calls == 1, "it is under way until it is held again, or over"
            await turns(3)
        await call
        assert (stripe.b.calls, stripe.b.held, stripe.a.held) == (0, [], [])

    asyncio.run(test())


@played
async def test_what_is_held_has_not_happened() -> None:
    stripe = Stripe()
    call = asyncio.create_task(stripe.cross(stripe.parse(stripe.people.bob)))
    await stripe.held(stripe.b)
    assert stripe.account.made_since(0).customers == ()
    assert stripe.crossed() == [StepKind.RECEIVED]
    go(stripe.b)
    assert await stripe.held(stripe.b) == "response"
    assert len(stripe.account.made_since(0).customers) == 1
    assert not call.done()
    go(stripe.b)
    await call


@played
async def test_a_call_touches_what_its_route_names() -> None:
    stripe = Stripe()
    writes = asyncio.create_task(stripe.cross(stripe.parse(stripe.people.bob)))
    await stripe.held(stripe.b)
    assert (stripe.b.held[0].reads, stripe.b.held[0].writes) == (frozenset(), frozenset({"customers"}))
    go(stripe.b)
    await stripe.held(stripe.b)
    go(stripe.b)
    await writes
    reads = asyncio.create_task(stripe.cross(stripe.parse(stripe.people.bob, method="GET")))
    await stripe.held(stripe.b)
    assert (stripe.b.held[0].reads, stripe.b.held[0].writes) == (frozenset({"customers"}), frozenset())
    stripe.conductor.controls = False
    go(stripe.b)
    await reads


@played
async def test_a_call_is_its_strands_to_the_end_and_the_history_says_how_that_is_known() -> None:
    stripe = Stripe()
    stripe.b.executing = 1
    call = asyncio.create_task(stripe.cross(stripe.parse(None)))
    await stripe.held(stripe.a)
    stripe.b.executing = 0
    go(stripe.a)
    await stripe.held(stripe.a)
    go(stripe.a)
    await call
    steps = stripe.recorder.history().of(Plane.STRIPE)
    assert {(s.actor, s.attribution, s.data["strand"]) for s in steps} == {("A", "cause", "A1")}


@played
async def test_calls_of_two_strands_are_held_side_by_side() -> None:
    stripe = Stripe()
    calls = [
        asyncio.create_task(stripe.cross(stripe.parse(user)))
        for user in (stripe.people.ada, stripe.people.bob)
    ]
    assert [await stripe.held(strand) for strand in (stripe.a, stripe.b)] == ["effect", "effect"]
    for strand in (stripe.b, stripe.b, stripe.a, stripe.a):
        await stripe.held(strand)
        go(strand)
    await asyncio.gather(*calls)
    assert [s.actor for s in stripe.recorder.history().of(Plane.STRIPE, StepKind.EFFECT)] == ["B", "A"]


@played
async def test_a_call_that_fails_on_its_way_leaves_nothing_behind() -> None:
    stripe = Stripe()
    call = stripe.parse(stripe.people.bob)
    crossing = asyncio.create_task(stripe.cross(call))
    await stripe.held(stripe.b)
    go(stripe.b)
    assert await stripe.held(stripe.b) == "response"
    go(stripe.b)
    crossing.cancel()
    await asyncio.gather(crossing, return_exceptions=True)
    stripe.gate.abandoned(call)
    assert (stripe.b.calls, stripe.gate.in_flight, stripe.b.held) == (0, 0, [])


@played
async def test_outside_a_race_a_call_goes_through_and_teaches_what_follows() -> None:
    stripe = Stripe(controls=False)
    await stripe.cross(stripe.parse(stripe.people.bob, "k"))
    assert stripe.crossed() == [StepKind.RECEIVED, StepKind.EFFECT, StepKind.RESPONSE]
    assert stripe.b.calls == 0
    assert stripe.people.sequels.knows("sign-up", "request POST /sign-up", f"call {ROUTE}")
