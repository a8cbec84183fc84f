"""What may go wrong in the place of a held step: when it is offered, and what it does on each wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from conduct_stage import Hand, People, played, until
from test_offers import CREATED, Stream
from test_stripe_plane import ROUTE, Stripe

from deadheat.engine.conduct.strands import Variant
from deadheat.history import Plane
from deadheat.stripe_sim import FaultRule

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.engine.conduct.strands import Hold, Strand


def fail(strand: Strand, what: str) -> Hold:
    """Let what may go wrong with the first held step of a strand go in its place."""
    step = strand.held[0]
    fault = next(step.fault(v) for v in step.variants if v.what == what)
    strand.held.remove(step)
    assert fault.release() is None, "nothing is to be waited for"
    return fault


def kinds(strand: Strand) -> list[str]:
    return [variant.what for variant in strand.held[0].variants]


class Desk:
    """A conductor with two steps held, each of which may break; ``done`` is what went."""

    def __init__(self) -> None:
        self.conductor = People().conductor
        self.conductor.controls = True
        self.done: list[str] = []
        self.faults: list[str] = []
        self.conductor.on_fault = lambda hold: self.faults.append(str(hold.name))
        for actor in "AB":
            strand = self.conductor.strand(f"{actor}1", actor=actor, operation="op", order=(actor,))
            self.conductor.hold(
                strand,
                "flight",
                "x",
                self.does(f"{actor} x"),
                variants=(Variant("broken", self.does(f"{actor} broke")),),
            )

    def does(self, what: str) -> Callable[[], None]:
        return lambda: self.done.append(what)


@played
async def test_while_faults_are_left_they_stand_behind_all_steps() -> None:
    desk, hand = Desk(), Hand("B1 fault", faults=1)
    await desk.conductor.conduct(hand, lambda: True)
    assert hand.seen == [
        ("A1 flight x", "B1 flight x", "A1 fault broken flight x", "B1 fault broken flight x"),
        ("A1 flight x",),
    ]
    assert desk.done == ["B broke", "A x"]
    assert desk.faults == ["B1 fault broken flight x"]
    assert [step.kind for choice in desk.conductor.trace for step in choice.steps] == ["fault", "flight"]


@played
async def test_without_any_left_none_is_shown() -> None:
    desk, hand = Desk(), Hand(faults=0)
    await desk.conductor.conduct(hand, lambda: True)
    assert hand.seen == [("A1 flight x", "B1 flight x"), ("B1 flight x",)]
    assert desk.faults == []


@played
async def test_what_a_fault_takes_is_waited_for_before_the_next_choice() -> None:
    desk = Desk()
    strand = desk.conductor.strand("A1", actor="A", operation="op")

    async def slow() -> None:
        await asyncio.sleep(0)
        desk.done.append("mended")

    strand.held[0].variants = (Variant("broken", slow),)
    await desk.conductor.conduct(Hand("A1 fault", faults=1), lambda: True)
    assert desk.done == ["mended", "B x"]


@played
async def test_a_step_that_stays_is_still_to_come() -> None:
    desk, hand = Desk(), Hand("A1 fault", faults=1)
    strand = desk.conductor.strand("A1", actor="A", operation="op")
    strand.held[0].variants = (Variant("kill", desk.does("kill"), stays=True),)
    await desk.conductor.conduct(hand, lambda: True)
    assert desk.done == ["kill", "A x", "B x"]


@played
async def test_what_may_befall_any_step_is_asked_for_at_each_choice() -> None:
    desk, hand = Desk(), Hand(faults=1)
    desk.conductor.more_variants = lambda hold: (
        [Variant("gone", desk.does("gone"))] if hold.strand.name == "B1" else []
    )
    await desk.conductor.conduct(hand, lambda: True)
    assert hand.seen[0][2:] == (
        "A1 fault broken flight x",
        "B1 fault broken flight x",
        "B1 fault gone flight x",
    )


@played
async def test_what_follows_a_fault_is_not_learned() -> None:
    desk = Desk()
    await desk.conductor.conduct(Hand("A1 fault", faults=1), lambda: True)
    assert not desk.conductor.learns


@pytest.mark.parametrize(("what", "made"), [("500 before", 0), ("500 after", 1)])
def test_a_call_fails_with_its_effect_or_without(what: str, made: int) -> None:
    async def test() -> None:
        stripe = Stripe()
        mark = stripe.account.mark()
        call = stripe.parse(stripe.people.ada)
        crossing = asyncio.create_task(stripe.cross(call))
        assert await stripe.held(stripe.a) == "effect"
        assert kinds(stripe.a) == ["500 before", "500 after"]
        assert str(fail(stripe.a, what).name) == f"A1 fault {what} effect {ROUTE}"
        await stripe.held(stripe.a)
        assert kinds(stripe.a) == [], "it has gone wrong already"
        stripe.a.held.pop().release()
        await crossing
        assert call.response is not None
        assert call.response.status == 500
        assert len(stripe.account.made_since(mark).customers) == made

    asyncio.run(test())


def test_a_lost_answer_is_not_sent_though_the_call_had_its_effect() -> None:
    async def test() -> None:
        stripe = Stripe()
        mark = stripe.account.mark()
        call = stripe.parse(stripe.people.ada)
        crossing = asyncio.create_task(stripe.cross(call))
        await stripe.held(stripe.a)
        stripe.a.held.pop().release()
        assert await stripe.held(stripe.a) == "response"
        assert kinds(stripe.a) == ["lost"]
        fail(stripe.a, "lost")
        await crossing
        assert call.lost
        assert len(stripe.account.made_since(mark).customers) == 1
        (response,) = (s for s in stripe.recorder.history().of(Plane.STRIPE) if s.kind == "response")
        assert response.data["status"] is None

    asyncio.run(test())


def test_a_read_fails_in_one_way_and_a_call_that_a_rule_struck_in_none() -> None:
    async def test() -> None:
        stripe = Stripe()
        reading = asyncio.create_task(stripe.cross(stripe.parse(None, method="GET")))
        await until(lambda: any(s.held for s in stripe.conductor.strands.values()))
        strand = next(s for s in stripe.conductor.strands.values() if s.held)
        assert kinds(strand) == ["500 before"]
        strand.held.pop().release()
        await until(lambda: bool(strand.held))
        strand.held.pop().release()
        await reading

    asyncio.run(test())


def test_only_an_answer_that_is_there_can_be_lost() -> None:
    stripe = Stripe()
    call = stripe.parse(stripe.people.ada)
    with pytest.raises(ValueError, match="is parsed"):
        stripe.account.lose(call)
    stripe.account.received(call)
    stripe.account.fail_by(call, FaultRule())
    with pytest.raises(ValueError, match="is received"):
        stripe.account.lose(call)


@played
async def test_a_delivery_whose_answer_is_lost_is_tried_again() -> None:
    stream = Stream()
    async with stream.of() as offering:
        offering.emit()
        assert offering.offered() == [f"C1/{CREATED}/1 delivery {CREATED}"]
        (strand,) = (s for s in offering.conductor.strands.values() if s.held)
        assert kinds(strand) == ["answer lost"]
        fail(strand, "answer lost")
        await until(lambda: bool(strand.held))
        assert str(strand.held[0].name) == f"C1/{CREATED}/1 delivery {CREATED} #2"
        assert len(offering.outbox.pending()) == 1, "Stripe saw no answer"
        strand.held.pop().release()
        await until(lambda: not offering.outbox.pending())
        offering.others_live = False
        await until(lambda: not offering.offers.under_way)
        offering.offers.offer()
    assert [one.status for one in offering.courier.delivered] == [None, 200]


@played
async def test_a_delivery_that_times_out_is_offered_again_beside_the_attempt_that_goes_on() -> None:
    stream, answers = Stream(), asyncio.Event()
    stream.before_answer = answers.wait
    async with stream.of(duplicates=1) as offering:
        offering.emit()
        offering.offered()
        offering.go(f"C1/{CREATED}/1")
        await until(lambda: len(stream.came) == 1)
        for sent, last in enumerate("cd", 2):  # the duplicate is b
            strand = next(s for s in stream.conductor.strands.values() if s.call and not s.call.done())
            assert strand.is_delivery
            assert strand.call is not None
            strand.call.cancel()
            await until(lambda name=f"C1/{CREATED}/1/{last}": name in stream.held())  # type: ignore[misc]
            assert not strand.is_open
            offering.go(f"C1/{CREATED}/1/{last}")
            await until(lambda n=sent: len(stream.came) == n)  # type: ignore[misc]
        answers.set()
        await until(lambda: not offering.outbox.pending())
        await offering.delivered(f"C1/{CREATED}/1/b")
        offering.others_live = False
        offering.offers.offer()
    assert [one.status for one in offering.courier.delivered] == [None, None, 200, 200]
    assert len(set(stream.came)) == 1


@played
async def test_a_duplicate_that_times_out_is_not_tried_again() -> None:
    stream = Stream()
    async with stream.of(duplicates=1) as offering:
        offering.emit()
        offering.offered()
        await offering.delivered(f"C1/{CREATED}/1")
        stream.before_answer = asyncio.Event().wait
        offering.go(f"C1/{CREATED}/1/b")
        await until(lambda: len(stream.came) == 2)
        call = stream.conductor.strands[f"C1/{CREATED}/1/b"].call
        assert call is not None
        call.cancel()
        await until(lambda: not offering.offers.under_way)
        assert offering.held() == []
        offering.others_live = False
        offering.offers.offer()


@played
async def test_a_forged_delivery_has_no_answer_to_lose() -> None:
    stream = Stream()
    async with stream.of(forged="unsigned") as offering:
        offering.emit()
        offering.offered()
        (strand,) = (s for s in offering.conductor.strands.values() if s.held)
        assert kinds(strand) == []
        strand.held.pop().release()
        await until(lambda: not offering.offers.under_way)
        offering.others_live = False
        offering.offers.offer()
