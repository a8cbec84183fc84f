"""``pgbench -S`` through the forwarding proxy, directly, and through pgbouncer: `make bench`.

Nothing is installed here. pgbench comes with the embedded server's programs; pgbouncer does not
(Debian, Ubuntu: ``apt-get install pgbouncer``; macOS: ``brew install pgbouncer``) and is left out where
there is none. The proxy is a process of its own and runs on uvloop where that is installed
(``pip install 'deadheat[fast]'``), as pgbouncer is one.

The ways take turns, round after round, and what is printed are medians and their ratios in this one
run: two runs on a shared machine differ by more than what is measured.

    python tests/benchmarks/bench_proxy.py [--seconds 3] [--rounds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import re
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from deadheat.engine.loopback import free_port
from deadheat.engine.postgres import binaries, open_postgres
from deadheat.engine.postgres.proxy import PostgresProxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from typing import Any

DATABASE = "deadheat_bench"
SCALE = 5
CLIENTS = (1, 8)
PROTOCOLS = ("simple", "prepared")
COLUMNS = (
    "clients",
    "protocol",
    "direct tps",
    "pgbouncer tps",
    "proxy tps",
    "proxy/direct",
    "proxy/pgbouncer",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", metavar="HOST:PORT", help="only be the proxy, until stdin ends")
    options = parser.parse_args()
    if options.serve:
        host, _, port = options.serve.rpartition(":")
        run_fast(serve(host, int(port)))
    else:
        asyncio.run(measure(options.seconds, options.rounds))


def run_fast(work: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where there is one."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(work)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work)


async def serve(host: str, port: int) -> None:
    """Be the proxy, and say where and on which loop."""
    async with PostgresProxy((host, port)) as proxy:
        print(proxy.port, type(asyncio.get_running_loop()).__module__.partition(".")[0], flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def measure(seconds: int, rounds: int) -> None:
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(open_postgres("embedded"))
        await server.create_database(DATABASE)
        at = urlsplit(server.dsn_for(DATABASE))
        assert at.port is not None
        bench = Pgbench(at.username or "", at.password or "")
        await bench.run(at.port, "--initialize", "--quiet", f"--scale={SCALE}")
        ways = {"direct": at.port}
        ways["proxy"], loop = await stack.enter_async_context(proxied(at.port))
        program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            print("pgbouncer: not here, so not measured (apt-get install pgbouncer)")
        else:
            ways["pgbouncer"] = await stack.enter_async_context(pgbouncer(program, at.port, bench.password))
        print(f"{server.describe}; {os.cpu_count()} cores; the proxy on {loop}; {rounds} x {seconds} s each")
        print(f"\n| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
        for clients, protocol in itertools.product(CLIENTS, PROTOCOLS):
            tps: dict[str, list[float]] = {way: [] for way in ways}
            for _, (way, port) in itertools.product(range(rounds), ways.items()):
                tps[way].append(await bench.tps(port, clients, protocol, seconds))
            print(line(clients, protocol, tps), flush=True)


def line(clients: int, protocol: str, tps: dict[str, list[float]]) -> str:
    middle = {way: statistics.median(each) for way, each in tps.items()}
    cells = [str(clients), protocol]
    cells += [f"{middle[way]:,.0f}" if way in middle else "-" for way in ("direct", "pgbouncer", "proxy")]
    for other in ("direct", "pgbouncer"):
        pairs = [mine / theirs for mine, theirs in zip(tps["proxy"], tps.get(other, []), strict=False)]
        cells.append(f"{statistics.median(pairs):.2f}" if pairs else "-")
    return f"| {' | '.join(cells)} |"


class Pgbench:
    """The pgbench of the embedded server."""

    def __init__(self, user: str, password: str) -> None:
        folder = binaries._package() / binaries.INSTALL / "bin"
        self.program = str(folder / "pgbench")
        self.user = user
        self.password = password

    async def run(self, port: int, *options: str) -> str:
        argv = [self.program, "-h", "127.0.0.1", "-p", str(port), "-U", self.user, *options, DATABASE]
        done = await asyncio.create_subprocess_exec(
            *argv,
            env={"PGPASSWORD": self.password, "PGSSLMODE": "disable", "PGGSSENCMODE": "disable"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await done.communicate()
        if done.returncode != 0:
            sys.exit(f"pgbench failed: {said.decode()}")
        return said.decode()

    async def tps(self, port: int, clients: int, protocol: str, seconds: int) -> float:
        said = await self.run(
            port, "-S", "-n", f"-c{clients}", f"-j{min(clients, 2)}", f"-T{seconds}", f"-M{protocol}"
        )
        found = re.search(r"^tps = ([\d.]+)", said, re.MULTILINE)
        assert found is not None, said
        return float(found[1])


@contextlib.asynccontextmanager
async def proxied(port: int) -> AsyncIterator[tuple[int, str]]:
    """Run the proxy in a process of its own; gives its port and its event loop."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        "--serve",
        f"127.0.0.1:{port}",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        mine, loop = (await process.stdout.readline()).decode().split()
        yield int(mine), loop
    finally:
        process.stdin.close()
        await process.wait()


@contextlib.asynccontextmanager
async def pgbouncer(program: str, port: int, password: str) -> AsyncIterator[int]:
    """Run pgbouncer with a session for each client, as the proxy has; it does not run as root."""
    account = binaries.ordinary_account()
    mine = free_port()
    with tempfile.TemporaryDirectory(prefix="deadheat-bench-") as folder:
        settings = Path(folder) / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n{DATABASE} = host=127.0.0.1 port={port} user=postgres password={password}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {mine}\nunix_socket_dir =\n"
            "auth_type = any\npool_mode = session\nlog_connections = 0\nlog_disconnections = 0\n"
        )
        who = {} if account is None else {"user": account.uid, "group": account.gid}
        if account is not None:
            for path in (Path(folder), settings):
                os.chown(path, account.uid, account.gid)
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            program,
            str(settings),
            stdout=quiet,
            stderr=quiet,
            **who,
        )
        try:
            await accepts(mine)
            yield mine
        finally:
            process.kill()
            await process.wait()


async def accepts(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


if __name__ == "__main__":
    main()
