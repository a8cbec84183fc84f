"""What may go wrong at any step of the target: the caller hangs up, or the target's processes are killed.

Both leave the step where it is. Whoever hung up goes on with what they do next, while the target works
for nobody. A killed target is started again at its port before the next choice; what it had sent to Stripe
is on its way all the same, its statements end with their connections, and its callers have no answer.
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
    from collections.abc import Iterator

    from deadheat.engine.conduct import Conductor
    from deadheat.engine.conduct.strands import Hold, Strand
    from deadheat.engine.deployment import Deployment
    from deadheat.history import Recorder

KINDS = {kind.value: kind for kind in StepKind}  # of held steps; a parked write is a flight
OURS = ("request", "delivery", "act")  # kinds of steps that are not the target's
END_SECONDS_MAX = 10.0  # for a killed target's connections and calls to end


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
        call = hold.strand.call
        if call is not None and not call.done():
            yield Variant("caller gone", lambda: self._hang_up(hold.strand), stays=True)
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
        self.conductor.between.add(strand.actor)  # they go on, or have nothing left to do
        strand.call.cancel()

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
        proxy, conductor = self.deployment.proxy, self.conductor
        until = time.perf_counter() + END_SECONDS_MAX
        while (proxy is not None and proxy.connections) or any(s.is_open for s in conductor.strands.values()):
            if time.perf_counter() > until:
                raise Trouble(f"the target was killed, and not all of it ended: {conductor.pace.situation()}")
            await asyncio.sleep(0.001)
