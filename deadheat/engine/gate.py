"""The Stripe plane of one run: holds or times each call, says whose it is, injects faults, records steps.

The simulator's server awaits `hold` before each of the three crossings of a call and reports it
with `crossed` at once afterwards, so that history has effects in the order in which they happened.
In a race under control each crossing is a step that the conductor chooses (*received* only where an
idempotency key makes it matter); under barrage calls take the time that is drawn for them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deadheat.engine.cast import Cast, Part, planted
from deadheat.engine.conduct.strands import Variant
from deadheat.engine.stripe_server import OpenGate
from deadheat.history import Plane, Recorder, StepKind
from deadheat.schedule import CALL_MS
from deadheat.stripe_sim import FaultRule, Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deadheat.engine.conduct import Conductor
    from deadheat.engine.conduct.strands import Strand
    from deadheat.program import Fault
    from deadheat.schedule import Barrage
    from deadheat.stripe_sim import Account, Call
    from deadheat.stripe_sim.faults import When

NOBODY = "unattributed"


@dataclass(slots=True)
class RunGate:
    """Lets the Stripe calls of one run pass. ``armed`` faults strike only while it is set.

    ``barrage`` draws how long calls take, within ``call_ms``; ``conductor`` knows the strands of the
    run, and holds.
    """

    account: Account
    cast: Cast
    recorder: Recorder
    barrage: Barrage | None = None
    conductor: Conductor | None = None
    call_ms: tuple[float, float] = CALL_MS
    armed: bool = False
    in_flight: int = 0
    faults: Faults = field(default_factory=Faults)
    _to_response_ms: dict[int, float] = field(default_factory=dict)
    _strands: dict[int, tuple[Strand, str]] = field(default_factory=dict)
    actors: dict[str, set[str]] = field(default_factory=dict)
    on_effect: Callable[[], None] = lambda: None

    def arm(self, faults: tuple[Fault, ...]) -> None:
        """Let these faults strike from now on."""
        self.faults = Faults(*(fault.rule() for fault in faults))
        self.armed = True

    async def hold(self, kind: StepKind, call: Call) -> None:
        """Wait until the crossing may happen."""
        if kind is StepKind.RECEIVED:
            self.in_flight += 1
        if self.conductor is not None:
            await self._conducted(self.conductor, kind, call)
        if self.barrage is not None:
            await self._timed(self.barrage, kind, call)

    def crossed(self, kind: StepKind, call: Call) -> None:
        """Take note of a crossing that has just happened."""
        part = self.cast.whose(planted(call.params, call.request.path))
        if kind is StepKind.RECEIVED:
            self._strike(call, part)
        elif kind is StepKind.EFFECT:
            if part is not None:
                self.cast.made(call.object_ids, part)
            self.on_effect()
        strand, rung = self._strands.get(id(call), (None, "planted" if part else NOBODY))
        if strand is not None:
            strand.told.update(call.object_ids)
        self.recorder.record(
            actor=self._actor(part, strand),
            plane=Plane.STRIPE,
            kind=kind,
            label=_route(call),
            attribution=rung,
            data={**({"strand": strand.name} if strand else {}), **self._data(kind, call)},
        )
        if kind is StepKind.RESPONSE:
            self._over(call)

    def abandoned(self, call: Call) -> None:
        """Take note that a call will cross no further."""
        self._over(call)

    async def _conducted(self, conductor: Conductor, kind: StepKind, call: Call) -> None:
        """Wait until the conductor lets the call cross; what it is between crossings is under way."""
        if kind is StepKind.RECEIVED:
            label = f"call {_route(call)}"
            found = conductor.attribute(label, values=planted(call.params, call.request.path))
            assert found.strand is not None
            conductor.moved(found.strand, label, learn=found.certain)
            strand = found.strand
            self._strands[id(call)] = strand, found.rung
        else:
            strand, _ = self._strands[id(call)]
            strand.calls -= 1
        if kind is StepKind.RECEIVED and call.key is None:
            strand.calls += 1
            return
        gone = asyncio.get_running_loop().create_future()

        def release() -> None:
            strand.calls += 1
            if not gone.done():
                gone.set_result(None)

        touched = frozenset({_route(call).split("/")[2]}) if _route(call).count("/") > 1 else frozenset()
        reads = call.request.method == "GET"
        conductor.hold(
            strand,
            kind.value,
            _route(call),
            release,
            reads=touched if reads else frozenset(),
            writes=frozenset() if reads else touched,
            variants=tuple(self._variants(kind, call, release)),
        )
        await gone

    def _variants(self, kind: StepKind, call: Call, release: Callable[[], None]) -> Iterator[Variant]:
        """Give what may go wrong with a call at a crossing, unless it was made to fail already."""
        if call.fault is not None:
            return

        def fails(when: When) -> Callable[[], None]:
            def apply() -> None:
                self.account.fail_by(call, FaultRule(when=when))
                release()

            return apply

        def loses() -> None:
            self.account.lose(call)
            release()

        if kind is StepKind.EFFECT and not call.decided:
            yield Variant("500 before", fails("before"))
            if call.request.method != "GET":  # a call that has no effect fails in one way only
                yield Variant("500 after", fails("after"))
        elif kind is StepKind.RESPONSE:
            yield Variant("lost", loses)

    async def _timed(self, barrage: Barrage, kind: StepKind, call: Call) -> None:
        if kind is StepKind.EFFECT:
            latency = barrage.latency(self.call_ms)
            self._to_response_ms[id(call)] = latency.to_response_ms
            await asyncio.sleep(latency.to_effect_ms / 1000)
        elif kind is StepKind.RESPONSE:
            await asyncio.sleep(self._to_response_ms.pop(id(call), 0.0) / 1000)

    def _over(self, call: Call) -> None:
        self.in_flight -= 1
        strand, _ = self._strands.pop(id(call), (None, ""))
        if strand is not None and self.conductor is not None:
            strand.calls -= 1
            self.conductor.rested(strand)

    def _strike(self, call: Call, part: Part | None) -> None:
        if not self.armed or part is None or call.decided:
            return
        rule = self.faults.strike(call, self.account.locked, user=part.user.id)
        if rule is not None:
            self.account.fail_by(call, rule)
            self.recorder.record(
                actor=self._actor(part, self._strands.get(id(call), (None, ""))[0]),
                plane=Plane.FAULT,
                kind=StepKind.RECEIVED,
                label=str(rule),
            )

    def _actor(self, part: Part | None, strand: Strand | None) -> str:
        """Name the strand's actor, else the one live actor of that user, else the user."""
        if strand is not None:
            return strand.actor
        if part is None:
            return NOBODY
        live = self.actors.get(part.user.id, set())
        return next(iter(live)) if len(live) == 1 else part.user.name.split(" ")[0]

    def _data(self, kind: StepKind, call: Call) -> dict[str, Any]:
        if kind is StepKind.RECEIVED:
            key = call.request.headers.get("idempotency-key")
            return {"params": call.params, "idempotency_key": key}
        if kind is StepKind.EFFECT:
            return {"objects": list(call.object_ids)}
        return {"status": call.response.status if call.response and not call.lost else None}


def _route(call: Call) -> str:
    return call.route or f"{call.request.method} {call.request.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedGate(OpenGate):
    """Lets every call take the same time, in milliseconds: until received, to the effect, to the response.

    For a simulator without a run (`StripeServer.gate`): a near Stripe and a far one, and webhooks that
    overtake the response by as much as the last of the three.
    """

    received_ms: float = 0.0
    effect_ms: float = 0.0
    response_ms: float = 0.0

    async def hold(self, kind: StepKind, call: Call) -> None:
        """Wait for as long as it takes."""
        takes_ms = {
            StepKind.RECEIVED: self.received_ms,
            StepKind.EFFECT: self.effect_ms,
            StepKind.RESPONSE: self.response_ms,
        }
        await asyncio.sleep(takes_ms[kind] / 1000)
