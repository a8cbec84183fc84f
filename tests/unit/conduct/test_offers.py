"""Deliveries under control: what is offered when, under which names, and when there is nothing left."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
from conduct_stage import People, go, played, until

from deadheat import World
from deadheat.engine.conduct.offers import Offers
from deadheat.engine.courier import Courier
from deadheat.engine.postbag import Postbag
from deadheat.history import Plane, Recorder, StepKind
from deadheat.stripe_sim import Account, Endpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from deadheat.engine.conduct.strands import Strand

CREATED = "customer.created"


class Stream:
    """One stream of deliveries ``C1`` that the test lets go by hand, to a target that takes everything."""

    def __init__(self, *, dropped: tuple[str, ...] = ()) -> None:
        self.people = People()
        self.conductor = self.people.conductor
        self.conductor.controls = True
        self.account = Account(seed=1, started_at=1_700_000_000, secret_key="sk_test_offers")
        self.outbox = Postbag.of(
            self.account, {"": Endpoint(url="http://t/hook", secret="whsec_1")}, since=self.account.mark()
        )
        self.recorder = Recorder(1)
        self.came: list[str] = []
        self.traceparents: list[str] = []
        self.before_answer: Callable[[], Awaitable[object]] = partial(asyncio.sleep, 0)
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._take), base_url="http://t")
        self.courier = Courier(client, self.outbox, self.recorder, conductor=self.conductor)
        self.others_live = True
        self.dropped = dropped
        self.offers: Offers

    @asynccontextmanager
    async def of(self, **deliveries: Any) -> AsyncIterator[Stream]:
        async with asyncio.TaskGroup() as group:
            self.offers = Offers(
                name="C1",
                actor="C",
                order=(1, "C", 1),
                deliveries=World("aa").deliveries(**deliveries),
                conductor=self.conductor,
                courier=self.courier,
                others_live=lambda: self.others_live,
                takes_part=lambda strand: strand not in self.dropped,
                group=group,
                done=asyncio.get_running_loop().create_future(),
            )
            yield self

    def emit(self, events: int = 1) -> None:
        for _ in range(events):
            self.account.make_customer(email=self.people.ada.email, name="Ada")

    def offered(self) -> list[str]:
        """Offer what can be delivered now; gives the names of all that is held."""
        self.offers.offer()
        return [str(hold.name) for strand in self._strands() for hold in strand.held]

    def held(self) -> list[str]:
        return [name.split(" ")[0] for name in self.offered()]

    def go(self, strand: str) -> None:
        """Let a delivery go; its answer comes in a later turn."""
        go(self.conductor.strands[strand])

    async def delivered(self, strand: str) -> None:
        """Let a delivery go and wait until it is answered."""
        before = len(self.courier.delivered)
        self.go(strand)
        await until(lambda: len(self.courier.delivered) > before)

    def _strands(self) -> list[Strand]:
        return sorted(self.conductor.strands.values(), key=lambda strand: strand.order)

    async def _take(self, request: httpx.Request) -> httpx.Response:
        self.came.append(json.loads(request.content)["id"])
        self.traceparents.append(request.headers["traceparent"])
        await self.before_answer()
        return httpx.Response(200)


@played
async def test_in_any_order_everything_emitted_is_offered_at_once() -> None:
    async with Stream().of(order="any") as stream:
        stream.emit(2)
        first = f"C1/{CREATED}/1 delivery {CREATED}"
        assert stream.offered() == [first, first.replace("/1", "/2")]
        stream.emit()
        assert len(stream.offered()) == 3
        assert len(stream.offered()) == 3, "each is offered once"
        await stream.delivered(f"C1/{CREATED}/2")
        assert stream.came == [stream.outbox.emitted()[1]]


@played
async def test_as_emitted_means_one_after_the_other() -> None:
    async with Stream().of(order="emitted") as stream:
        stream.emit(2)
        assert stream.held() == [f"C1/{CREATED}/1"]
        stream.go(f"C1/{CREATED}/1")
        assert stream.held() == [], "it is on its way"
        await until(lambda: not stream.offers.under_way)
        assert stream.held() == [f"C1/{CREATED}/2"]
        await stream.delivered(f"C1/{CREATED}/2")
        assert stream.came == list(stream.outbox.emitted())


@played
async def test_as_emitted_a_duplicate_is_over_before_the_next_event() -> None:
    async with Stream().of(order="emitted", duplicates=1) as stream:
        stream.emit(2)
        stream.offered()
        await stream.delivered(f"C1/{CREATED}/1")
        assert stream.held() == [f"C1/{CREATED}/1/b"]
        await stream.delivered(f"C1/{CREATED}/1/b")
        assert stream.held() == [f"C1/{CREATED}/2"]


@played
async def test_reversed_begins_with_the_last_once_nobody_else_can_emit() -> None:
    async with Stream().of(order="reversed") as stream:
        stream.emit(3)
        assert stream.held() == []
        stream.others_live = False
        for n in (3, 2, 1):
            assert stream.held() == [f"C1/{CREATED}/{n}"]
            await stream.delivered(f"C1/{CREATED}/{n}")
        assert stream.came == list(reversed(stream.outbox.emitted()))


@played
async def test_a_duplicate_is_offered_once_the_first_went_out_and_before_it_is_answered() -> None:
    async with Stream().of(order="any", duplicates=2) as stream:
        stream.emit()
        assert stream.held() == [f"C1/{CREATED}/1"]
        stream.go(f"C1/{CREATED}/1")
        assert stream.came == []
        assert stream.held() == [f"C1/{CREATED}/1/b", f"C1/{CREATED}/1/c"]
        for copy in "bc":
            await stream.delivered(f"C1/{CREATED}/1/{copy}")
        assert stream.came == [stream.outbox.emitted()[0]] * 3
        made = stream.recorder.history().of(Plane.WEBHOOK, StepKind.DELIVERY)
        assert [step.data["attempt"] for step in made] == [1, 0, 0]


@played
async def test_a_lost_answer_brings_a_retry_of_the_same_strand() -> None:
    async with Stream().of(order="any", lost=1) as stream:
        stream.emit()
        stream.offered()
        await stream.delivered(f"C1/{CREATED}/1")
        assert stream.outbox.pending() == stream.outbox.emitted(), "Stripe saw no answer"
        assert stream.offered() == [f"C1/{CREATED}/1 delivery {CREATED} #2"]
        await stream.delivered(f"C1/{CREATED}/1")
        assert stream.offered() == []
        assert stream.outbox.pending() == ()
        assert len(stream.came) == 2


@played
async def test_events_are_counted_by_type_and_each_strand_has_its_own_trace() -> None:
    async with Stream().of(order="any") as stream:
        stream.emit()
        stream.account.make_product("Something new")
        stream.emit()
        names = stream.held()
        assert names == [f"C1/{CREATED}/1", "C1/product.created/1", f"C1/{CREATED}/2"]
        for name in names:
            await stream.delivered(name)
        assert len(set(stream.traceparents)) == 3


@played
async def test_a_delivery_is_its_users_and_carries_its_event() -> None:
    async with Stream().of(order="any") as stream:
        cast = stream.people.cast
        stream.emit()
        (event,) = stream.outbox.emitted()
        customer = stream.account.event_json(event)["data"]["object"]["id"]
        cast.made([customer], cast[stream.people.ada])
        stream.offered()
        strand = stream.conductor.strands[f"C1/{CREATED}/1"]
        assert strand.part is cast[stream.people.ada]
        assert strand.values == {event}
        assert (strand.actor, strand.operation) == ("C", f"deliveries {CREATED}")
        await stream.delivered(strand.name)


@played
async def test_dropped_strands_take_no_part_and_keep_the_names_of_the_others() -> None:
    dropped = (f"C1/{CREATED}/1", f"C1/{CREATED}/2/b")
    async with Stream(dropped=dropped).of(order="any", duplicates=1) as stream:
        stream.emit(2)
        assert stream.held() == [f"C1/{CREATED}/2"]
        await stream.delivered(f"C1/{CREATED}/2")
        assert stream.held() == []
        stream.others_live = False
        stream.offered()
        assert stream.offers.done.done()
        assert stream.came == [stream.outbox.emitted()[1]]


@played
async def test_what_was_delivered_before_the_race_keeps_its_number_and_is_not_offered() -> None:
    async with Stream().of(order="any") as stream:
        stream.emit()
        await stream.courier.one_by_one(World("aa").deliveries(), "before")
        stream.emit()
        assert stream.held() == [f"C1/{CREATED}/2"]
        await stream.delivered(f"C1/{CREATED}/2")


@played
async def test_it_is_done_when_nobody_else_is_live_and_everything_was_answered() -> None:
    async with Stream().of(order="any") as stream:
        assert stream.held() == []
        assert not stream.offers.done.done(), "somebody may still emit"
        stream.emit()
        stream.offered()
        stream.others_live = False
        stream.offered()
        assert not stream.offers.done.done(), "one is held"
        await stream.delivered(f"C1/{CREATED}/1")
        stream.offered()
        assert stream.offers.done.done()
        assert "C" in stream.conductor.between, "its actor goes on"
        stream.offered()


@played
async def test_forgeries_are_sent_in_place_of_true_deliveries() -> None:
    async with Stream().of(order="any", forged="unsigned") as stream:
        stream.emit()
        stream.offered()
        await stream.delivered(f"C1/{CREATED}/1")
        assert [d.forged for d in stream.courier.delivered] == ["unsigned"]
        assert stream.outbox.pending() == stream.outbox.emitted()
