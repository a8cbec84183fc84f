"""A million hostile inputs on every port, or as many as fit into the time: `make fuzz`.

Everything stays on this machine. The figures are printed at the end; an input that was not treated as
it must be ends it with 1 and its number: with the seed, `--from` has that input again.

    python tests/integration/fuzz.py [--inputs 1000000] [--minutes 20] [--seed N] [--from N]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from typing import TYPE_CHECKING

from hostile_ports import bombard, open_ports

from deadheat.engine import loop

if TYPE_CHECKING:
    from hostile_ports import Ports

TOLD_EVERY = 10_000
SOCKETS_LEFT_MAX = 10
SETTLES_SECONDS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--from", type=int, default=0, dest="first", help="the number of the first input")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    loop.run(fuzz(options.seed, options.first, options.inputs, options.minutes * 60))


async def fuzz(seed: int, first: int, inputs: int, seconds: float) -> None:
    began = time.monotonic()
    async with open_ports() as ports:
        sent = 0
        while sent < inputs and time.monotonic() < began + seconds:
            at = first + sent
            numbers = range(at, at + min(TOLD_EVERY, inputs - sent))
            sent += await bombard(ports, seed=seed, numbers=numbers, until=began + seconds)
            elapsed_s = time.monotonic() - began
            print(f"{sent:,} inputs in {elapsed_s:.0f} s, {ports.grown_mib()} MiB more", flush=True)
        await settled(ports)
        print(f"\n{sent:,} inputs, seed {seed}, in {time.monotonic() - began:.0f} s\n{ports.figures()}")


async def settled(ports: Ports) -> None:
    """Wait until what the hostile had open is closed."""
    until_s = time.monotonic() + SETTLES_SECONDS
    while ports.sockets() >= SOCKETS_LEFT_MAX:
        assert time.monotonic() < until_s, f"{ports.sockets()} sockets stay open"
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    main()
