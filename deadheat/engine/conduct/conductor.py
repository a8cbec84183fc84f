"""The conductor: holds every step of a race, and lets one go at a time.

Whoever owns a wire offers its steps here. The conductor waits until nothing moves any more, asks the
strategy which held step comes next, and releases it; so the order of everything is a choice, written
down as it is made. Nothing moves when every live strand is held, blocked in Postgres behind another
one, answered and done, or *silent*: it has shown no step for the quiet period. That period is waited
out only for a strand that shows nothing; everything else is known from the wires.

Outside a race the conductor only observes: steps go at once, and what follows what is learned.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from deadheat.engine.conduct.attribution import EARLIER, NONE, Attributed, Attribution, span_of
from deadheat.engine.conduct.pace import STUCK_SECONDS_MAX, Pace
from deadheat.engine.conduct.sequels import ANSWER, HUNG_UP, QUIET_MS, UNKNOWN_MS
from deadheat.engine.conduct.strands import UNATTRIBUTED, Hold, Strand
from deadheat.errors import Trouble
from deadheat.schedule import Exhaustive, Released, Replay, Serial

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence

    from deadheat.engine.cast import Cast, Part
    from deadheat.engine.conduct.sequels import Sequels
    from deadheat.engine.conduct.strands import Variant
    from deadheat.schedule import Strategy

IN_AIR_MAX = 6  # operations and deliveries at once: more of them only wait for each other in a pool
REPEATS_MAX = 3  # after that a strand goes behind all others, until one of them has moved
NAMED_SECONDS_MAX = 5.0  # how long a replay waits for a step that its schedule names


class Conductor:
    """Orders the steps of one run. ``on_release`` hears of each choice as it is made."""

    def __init__(
        self, cast: Cast, sequels: Sequels, *, past: Collection[str] = (), trace_id: str = "0" * 32
    ) -> None:
        self.attribution = Attribution(cast, sequels, past)
        self.sequels = sequels
        self.trace_id = trace_id
        self.strands: dict[str, Strand] = {}
        self.controls = False
        self.learns = True  # not while everybody runs at once: then nothing is certain
        self.trace: list[Released] = []
        self.late = 0
        self.unordered = 0  # steps that began together with another
        self.offers: list[Callable[[], None]] = []  # asked for more steps before each choice
        self.on_release: Callable[[Hold], None] = lambda hold: None
        self.faults_left = 0
        self.more_variants: Callable[[Hold], Iterable[Variant]] = lambda hold: ()  # of any plane's steps
        self.on_fault: Callable[[Hold], None] = lambda hold: None
        self.pace = Pace(self)
        self.meanwhile: set[asyncio.Task[None]] = set()  # what is over soon, and waited for
        self.between: set[str] = set()  # actors that are in our own hands: about to go on
        self._failure: BaseException | None = None  # of such work
        self._changed = asyncio.Event()
        self._arrivals = 0
        self._repeats: dict[str, Counter[str]] = {}

    # -- strands ------------------------------------------------------------------------------------

    def strand(
        self,
        name: str,
        *,
        actor: str,
        operation: str,
        order: tuple[Any, ...] = (),
        part: Part | None = None,
        values: Iterable[str] = (),
    ) -> Strand:
        """Give the strand of that name, made at first sight."""
        found = self.strands.get(name)
        if found is None:
            found = Strand(name, actor, order, operation, part=part, values=frozenset(values))
            self.strands[name] = found
        return found

    def live(self) -> list[Strand]:
        """Give the strands of which anything may still come."""
        now = time.perf_counter()
        return [s for s in self.strands.values() if s.is_live or s.tail_until > now]

    def opened(self, strand: Strand, label: str) -> None:
        """Hear that a request of a strand went out."""
        self.between -= {strand.actor, strand.name}
        strand.is_open = True
        self.moved(strand, label, learn=False)  # what we do next is no work of the target's

    def answered(self, strand: Strand, *, to_be_continued: bool = True, hung_up: bool = False) -> None:
        """Hear that a strand's request is answered; its actor is in our hands until it holds again.

        ``hung_up``: nobody waits for the answer any more, and the target may be in the midst of its work.
        """
        strand.is_open = False
        self.moved(strand, HUNG_UP if hung_up else ANSWER)
        self._await_tail(strand)
        if to_be_continued and self.controls:
            self.between.add(strand.actor)

    def left(self, actor: str) -> None:
        """Hear that an actor has nothing left to do."""
        self.between.discard(actor)
        self.wake()

    def moved(self, strand: Strand, label: str = "", *, learn: bool = True) -> None:
        """Note a sign of life, and that ``label`` followed what the strand did last."""
        now = time.perf_counter()
        if label:
            if learn and self.learns:
                for before in {strand.done.last, strand.done.own}:
                    self.sequels.learn(strand.operation, before, label)
                if label != ANSWER and not strand.is_open:
                    self.sequels.went_on(strand.operation, strand.done)
            strand.done.add(label)
        strand.moved_at = now
        self._shows_itself(strand)
        self.wake()

    def _shows_itself(self, strand: Strand) -> None:
        """Count what comes of a strand that was silent while another was in the air: it is late."""
        self.late += strand.shows_nothing and self.controls and self.pace.in_air not in (None, strand)
        strand.silent = strand.owing = False

    def rested(self, strand: Strand) -> None:
        """Note that a piece of work is over; more may follow even where the answer is out already."""
        strand.moved_at = time.perf_counter()
        if not strand.is_open:
            self._await_tail(strand)
        self.wake()

    def await_too(self, work: Coroutine[Any, Any, None]) -> None:
        """Have the next choice wait until some work of ours is done."""
        task = asyncio.get_running_loop().create_task(work)
        self.meanwhile.add(task)
        task.add_done_callback(self._done_too)

    def _done_too(self, task: asyncio.Task[None]) -> None:
        self.meanwhile.discard(task)
        if not task.cancelled():
            self._failure = self._failure or task.exception()
        self.wake()

    def wake(self) -> None:
        """Let whoever waits look again."""
        self._changed.set()

    def _await_tail(self, strand: Strand) -> None:
        tail_ms = self.sequels.tail_ms(strand.operation, strand.done)
        if self.pace.is_full():  # it may have to wait for a connection: then it is owed
            tail_ms = min(tail_ms, UNKNOWN_MS)
        strand.tail_until = time.perf_counter() + tail_ms / 1000

    def headers(self, strand: Strand) -> dict[str, str]:
        """Give what a strand's requests carry: W3C's trace context, for applications that hand it on.

        A target that works on after its answer may read no further on that connection until it is done
        (uvicorn does so): whoever came next on it would wait for work that they can overtake.
        """
        headers = {"traceparent": f"00-{self.trace_id}-{span_of(strand)}-01"}
        return {**headers, "connection": "close"} if self.sequels.works_on else headers

    # -- attribution --------------------------------------------------------------------------------

    def attribute(
        self,
        label: str,
        *,
        values: Iterable[str] = (),
        text: str = "",
        bound: Strand | None = None,
        firm: bool = True,
    ) -> Attributed:
        """Say whose a step is; what is nobody's belongs to the strand ``?``."""
        live = [s for s in (*self.live(), *self._owing()) if s.name != EARLIER]
        awaited = self.pace.room_at > 0
        found = self.attribution.of(
            label, live, values=values, text=text, bound=bound, firm=firm, awaited=awaited
        )
        if found.strand is None:
            name = UNATTRIBUTED if found.rung == NONE else EARLIER
            nobody = self.strand(name, actor=name, operation="", order=(1 << 30,))
            return Attributed(nobody, found.rung)
        return found

    # -- holding ------------------------------------------------------------------------------------

    def hold(
        self,
        strand: Strand,
        kind: str,
        label: str,
        release: Callable[[], None],
        *,
        reads: frozenset[str] = frozenset(),
        writes: frozenset[str] = frozenset(),
        variants: tuple[Variant, ...] = (),
        **data: Any,
    ) -> None:
        """Hold a step until it is chosen; at once released where nothing is controlled.

        ``variants`` are what may go wrong in its place, while there are faults left.
        """
        name = strand.step(f"{kind} {label}")
        if not self.controls or strand.name == EARLIER:
            self.late += strand.name == EARLIER
            release()
            return
        self._arrivals += 1
        held = Hold(strand, name, kind, release, self._arrivals, reads=reads, writes=writes, data=data)
        held.variants = variants
        self._shows_itself(strand)
        strand.held.append(held)
        self.between.discard(strand.actor)
        self.wake()

    async def take(self, strand: Strand, kind: str, label: str, **data: Any) -> None:
        """Wait until a step of our own may go."""
        if not self.controls:
            strand.step(f"{kind} {label}")
            return
        gone = asyncio.get_running_loop().create_future()

        def release() -> None:
            self.between.add(strand.actor)
            if not gone.done():
                gone.set_result(None)

        self.hold(strand, kind, label, release, **data)
        await gone

    def withdraw(self, holds: Iterable[Hold]) -> None:
        """Take back held steps whose connection is gone."""
        for held in holds:
            if held in held.strand.held:
                held.strand.held.remove(held)
        self.wake()

    # -- the race -----------------------------------------------------------------------------------

    async def conduct(self, strategy: Strategy, is_over: Callable[[], bool]) -> None:
        """Release step after step until nothing is held, nothing moves and ``is_over`` says so."""
        self.controls = True
        self.pace.patient = strategy.name == Serial.name
        self.pace.slow = strategy.name == Exhaustive.name  # a step that is late leaves schedules out
        self.faults_left = strategy.faults
        try:
            while True:
                await self.pace.quiet()
                if self._failure is not None:
                    raise self._failure
                for offer in self.offers:
                    offer()
                held = self._eligible()
                if held:
                    await self._choose(strategy, held)
                elif is_over() and not self.live():
                    if not self._await_what_is_owed():
                        return
                else:
                    await self._stuck()
        finally:
            self.controls = False
            self.pace.in_air = None
            self.pace.patient = False
            self.between.clear()
            for strand in list(self.strands.values()):
                strand.owing = False
                for hold in strand.held[:]:
                    strand.held.remove(hold)
                    hold.release()

    def _owing(self) -> list[Strand]:
        return [strand for strand in self.strands.values() if strand.owing]

    def _await_what_is_owed(self) -> bool:
        """Wait once more for work that was owed while somebody was held; says whether there was any."""
        owing = self._owing()
        for strand in owing:
            strand.owing = False
            strand.tail_until = time.perf_counter() + QUIET_MS / 1000
        return bool(owing)

    async def rest(self) -> None:
        """Wait until nothing moves, outside a race."""
        await self.pace.quiet(to_rest=True)

    async def pause(self, seconds: float) -> bool:
        """Wait for a sign of life, so long at the most; says whether there was one."""
        loop = asyncio.get_running_loop()
        if self._changed.is_set():
            self._changed.clear()
            return True
        handle = loop.call_later(max(seconds, 0.0), self._changed.set)
        began = loop.time()
        await self._changed.wait()
        self._changed.clear()
        handle.cancel()
        return loop.time() - began < seconds

    def _eligible(self) -> list[Hold]:
        held = [hold for strand in self.strands.values() for hold in strand.held]
        held.sort(key=lambda hold: (hold.strand.order, hold.arrived))
        if sum(s.is_open for s in self.strands.values()) >= IN_AIR_MAX or self.pace.is_crowded():
            held = [hold for hold in held if not hold.begins] or held
        fair = [hold for hold in held if not self._repeats_itself(hold)]
        return fair or held

    def _repeats_itself(self, hold: Hold) -> bool:
        counts = self._repeats.get(hold.strand.name)
        return counts is not None and counts[hold.name.label] >= REPEATS_MAX

    def _faults(self, held: Sequence[Hold]) -> list[Hold]:
        """Give what may go wrong in the place of the held steps, while there are faults left."""
        if not self.faults_left:
            return []
        return [hold.fault(v) for hold in held for v in (*hold.variants, *self.more_variants(hold))]

    async def _choose(self, strategy: Strategy, steps: Sequence[Hold]) -> None:
        held = [*steps, *self._faults(steps)]
        views = [hold.shown() for hold in held]
        chosen = strategy.choose(views)
        if not chosen:
            assert isinstance(strategy, Replay | Exhaustive)
            if not await self._wait_for_named(steps):
                strategy.give_up()
            return
        self.trace.append(Released(tuple(views), chosen))
        self.unordered += len(chosen) - 1
        for index in chosen:
            if (under_way := self._release(held[index])) is not None:
                await under_way

    async def _wait_for_named(self, held: Sequence[Hold]) -> bool:
        """Wait for more to be held than now; False when nothing came within the time for it."""
        known = {hold.arrived for hold in held}
        until = time.perf_counter() + NAMED_SECONDS_MAX
        while time.perf_counter() < until:
            await self.pause(until - time.perf_counter())
            for offer in self.offers:
                offer()
            if {hold.arrived for hold in self._eligible()} - known:
                return True
        return False

    def _release(self, hold: Hold) -> Awaitable[None] | None:
        strand = hold.strand
        if hold.variant is None or not hold.variant.stays:
            strand.held.remove(hold.instead_of or hold)
        for name, counts in self._repeats.items():
            if name != strand.name:
                counts.clear()
        self._repeats.setdefault(strand.name, Counter())[hold.name.label] += 1
        strand.turns += 1
        strand.moved_at = time.perf_counter()
        strand.silent = False
        self.pace.in_air = strand
        self.on_release(hold)
        if hold.variant is not None:
            self.faults_left -= 1
            self.learns = False  # what follows a fault is no habit
            self.on_fault(hold)
        return hold.release()

    async def _stuck(self) -> None:
        """Wait for anything to move when nothing is held; Trouble when nothing does for too long."""
        began = time.perf_counter()
        while not await self.pace.pause(QUIET_MS / 1000, self.pace.silent_since()):
            await self.pace.look()
            if any(self.pace.is_busy(strand) for strand in self.live()) or self._eligible():
                return
            if time.perf_counter() - began > STUCK_SECONDS_MAX:
                raise Trouble(f"nothing moved for {STUCK_SECONDS_MAX:.0f} s: {self.pace.situation()}")
