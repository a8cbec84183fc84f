"""What may go wrong at any step of the target: a caller hangs up, its processes are paused, or killed.

All of them leave the step where it is. A person who hung up goes on with what they do next, and Stripe tries
again, while the target works for nobody. A killed target is started again at its port before the next
choice; what it had sent to Stripe is on its way all the same, its statements end with their connections, and
its callers have no answer.

A paused target (a garbage collection, a virtual machine that moves) stands still for longer than anybody
waits: everybody who waits for an answer hangs up, people and Stripe, and then it goes on where it was, with
its transactions, its locks and what it believes. How much later that is nobody in it can tell, so the pause
takes no time here. One worker of several is not paused or killed alone: which requests it has is decided by
who accepts a connection first, so a replay would strike others. A caller who hangs up is what is left of a
pause of a worker that has one request.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deadheat.engine.conduct.strands import Variant
from deadheat.engine.postgres.proxy import OpenGate
from deadheat.engine.stripe_server import OpenGate as OpenStripe
from deadheat.errors import Trouble
from deadheat.history import Plane, StepKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deadheat.engine.conduct import Conductor
    from deadheat.engine.conduct.strands import Hold, Strand
    from deadheat.engine.deployment import Deployment
    from deadheat.history import Recorder

KINDS = {kind.value: kind for kind in StepKind}  # of held steps; a parked write is a flight
OURS = ("request", "delivery", "act")  # kinds of steps that are not the target's
END_SECONDS_MAX = 10.0  # for a stricken target's connections and calls to end


@dataclass(frozen=True, slots=True)
class Mishaps:
    """What may befall the steps of one run at a deployment."""

    deployment: Deployment
    conductor: Conductor
    recorder: Recorder

    def of(self, hold: Hold) -> Iterator[Variant]:
        """Give what may go wrong at a held step."""
        if hold.kind in OURS:
            return
        if _waits(hold.strand):
            yield Variant("caller gone", lambda: self._hang_up(hold.strand), stays=True)
        if self.deployment.target.is_ours and any(map(_waits, self.conductor.strands.values())):
            yield Variant("pause", self._pause, stays=True)
        plane = self.conductor.pace.sql
        # A parked backend does not see that its client has gone: it would wait for ever.
        if self.deployment.target.is_ours and plane is not None and plane.parking is None:
            yield Variant("kill", self._kill, stays=True)

    def note(self, fault: Hold) -> None:
        """Record what goes wrong, before it does; whoever made the step possible makes it happen."""
        step, variant = fault.instead_of, fault.variant
        assert step is not None  # it is a fault
        assert variant is not None
        self.recorder.record(
            actor=fault.strand.actor,
            plane=Plane.FAULT,
            kind=KINDS.get(step.kind, StepKind.FLIGHT),
            label=f"{variant.what} {step.name.label.partition(' ')[2]}",
            data={"strand": fault.strand.name, "fault": variant.what, "step": str(step.name)},
        )

    def _hang_up(self, strand: Strand) -> None:
        assert strand.call is not None  # it was offered
        # People go on, or have nothing left to do; Stripe tries again.
        self.conductor.between.add(strand.name if strand.is_delivery else strand.actor)
        strand.call.cancel()

    async def _pause(self) -> None:
        """Stop the target, have everybody hang up who waits for it, and let it go on."""
        waiting = [strand for strand in self.conductor.strands.values() if _waits(strand)]
        with self.deployment.target.paused():
            for strand in waiting:
                self._hang_up(strand)
            await self._until(lambda: not any(strand.is_open for strand in waiting), "was paused")

    async def _kill(self) -> None:
        """Kill the target, wait until nothing of it is left, and start it again with the wires open."""
        deployment = self.deployment
        proxy, server = deployment.proxy, deployment.server
        assert proxy is not None  # its statements are ordered
        backends = list(proxy.pids())
        await deployment.target.kill()
        await self._ended()
        if deployment.blocking is not None:
            for pid in backends:
                await deployment.blocking.ended(pid)
        plane, gate = proxy.gate, server.gate
        proxy.gate, server.gate = OpenGate(), OpenStripe()
        try:
            await deployment.target.start_again()
        finally:
            proxy.gate, server.gate = plane, gate
        self.conductor.pace.recheck = self.conductor.pace.slow = True

    async def _ended(self) -> None:
        """Wait until every connection of the target's and every request to it has ended."""
        proxy, strands = self.deployment.proxy, self.conductor.strands
        await self._until(
            lambda: not (proxy and proxy.connections) and not any(s.is_open for s in strands.values()),
            "was killed",
        )

    async def _until(self, is_over: Callable[[], bool], what: str) -> None:
        until = time.perf_counter() + END_SECONDS_MAX
        while not is_over():
            if time.perf_counter() > until:
                raise Trouble(f"the target {what}, and not all ended: {self.conductor.pace.situation()}")
            await asyncio.sleep(0.001)


def _waits(strand: Strand) -> bool:
    """Whether somebody waits for the answer to a strand's request."""
    return strand.call is not None and not strand.call.done()
