"""The Stripe plane of one run: times each call, says whose it is, injects faults, records steps.

The simulator's server awaits `hold` before each of the three crossings of a call and reports it
with `crossed` at once afterwards, so that history has effects in the order in which they happened.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deadheat.engine.cast import Cast, Part, planted
from deadheat.history import Plane, Recorder, StepKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.program import Fault
    from deadheat.schedule import Strategy
    from deadheat.stripe_sim import Account, Call

NOBODY = "unattributed"


@dataclass(slots=True)
class _Pending:
    """A fault that still waits for its calls."""

    fault: Fault
    left: int


@dataclass(slots=True)
class RunGate:
    """Lets the Stripe calls of one run pass. ``armed`` faults strike only while it is set."""

    account: Account
    cast: Cast
    recorder: Recorder
    strategy: Strategy
    timed: bool = False
    armed: bool = False
    in_flight: int = 0
    faults: list[_Pending] = field(default_factory=list)
    _to_response_ms: dict[int, float] = field(default_factory=dict)
    actors: dict[str, set[str]] = field(default_factory=dict)
    on_effect: Callable[[], None] = lambda: None

    def arm(self, faults: tuple[Fault, ...]) -> None:
        """Let these faults strike from now on."""
        self.faults = [_Pending(fault, fault.times) for fault in faults]
        self.armed = True

    async def hold(self, kind: StepKind, call: Call) -> None:
        """Wait until the crossing may happen."""
        if kind is StepKind.RECEIVED:
            self.in_flight += 1
        elif self.timed and kind is StepKind.EFFECT:
            latency = self.strategy.latency()
            self._to_response_ms[id(call)] = latency.to_response_ms
            await asyncio.sleep(latency.to_effect_ms / 1000)
        elif kind is StepKind.RESPONSE:
            await asyncio.sleep(self._to_response_ms.pop(id(call), 0.0) / 1000)

    def crossed(self, kind: StepKind, call: Call) -> None:
        """Take note of a crossing that has just happened."""
        part = self.cast.whose(planted(call.params, call.request.path))
        if kind is StepKind.RECEIVED:
            self._strike(call, part)
        elif kind is StepKind.EFFECT:
            if part is not None:
                self.cast.made(call.object_ids, part)
            self.on_effect()
        elif kind is StepKind.RESPONSE:
            self.in_flight -= 1
        self.recorder.record(
            actor=self._actor(part),
            plane=Plane.STRIPE,
            kind=kind,
            label=call.route or f"{call.request.method} {call.request.path}",
            attribution="planted" if part else NOBODY,
            data=self._data(kind, call),
        )

    def abandoned(self, call: Call) -> None:
        """Take note that a call will cross no further."""
        self.in_flight -= 1

    def _strike(self, call: Call, part: Part | None) -> None:
        if not self.armed or part is None or call.decided:
            return
        for pending in self.faults:
            fault = pending.fault
            if pending.left and fault.route == call.route and fault.user == part.user:
                pending.left -= 1
                self.account.fail(call, status=fault.status, when=fault.when)
                self.recorder.record(
                    actor=self._actor(part),
                    plane=Plane.FAULT,
                    kind=StepKind.RECEIVED,
                    label=f"{fault.when} {fault.status} {fault.route}",
                )
                return

    def _actor(self, part: Part | None) -> str:
        """Name the one live actor of that user; the user where several of theirs are live."""
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
