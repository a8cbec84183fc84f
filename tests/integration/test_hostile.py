"""Ten thousand hostile inputs on every port; `make fuzz` sends a million."""

from __future__ import annotations

import asyncio

import pytest
from hostile_ports import bombard, open_ports
from proxy_stage import until

pytestmark = pytest.mark.slow

INPUTS = 10_000
SEED = 20261127
OPEN_MAX = 400
GROWTH_MAX_MIB = 150


def test_hostile_inputs_disturb_nobody() -> None:
    async def story() -> None:
        async with open_ports() as ports:
            assert await bombard(ports, seed=SEED, numbers=range(INPUTS)) == INPUTS
            await until(lambda: all(n > 20 for n in ports.ours.values()), "those who behave have been served")
            assert len(ports.ours) == 3
            assert ports.open_most < OPEN_MAX
            refused = {port.name: port.outcomes["refused with 08P01"] for port in ports.ports}
            assert refused["controlled, past the start-up"] > 1000
            assert next(p for p in ports.ports if p.name == "stripe").outcomes["answered 400"] > 500
            await until(lambda: ports.sockets() < 10, "what the hostile had open is closed")
        assert ports.sockets() == 0
        assert ports.grown_mib() < GROWTH_MAX_MIB

    asyncio.run(story())
