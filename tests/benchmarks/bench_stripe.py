"""The simulator beside stripe-mock and localstripe, few customers beside many, and its memory: `make bench`.

One client for all: raw sockets that stay open, one request at a time on each, every answer read whole
and its status looked at. Each server is a process of its own. What is compared takes turns, round after
round, and what is printed are medians and the medians of the ratios of each round: two runs on a shared
machine differ by more than what is measured. Behind each rate, and each ratio of rates, stands the same by
what the server's processes spent of the processor for a request, in microseconds, where /proc tells it:
other load disturbs that less. What the client itself spends is told at the end: it shares the machine.

stripe-mock is the one that the simulator would start (DEADHEAT_STRIPE_MOCK, .tools or the PATH), and
localstripe a program of an environment of its own (``pip install localstripe`` in there): what is not
here is left out. The simulator runs on the loop that a deployment runs on.

    python tests/benchmarks/bench_stripe.py [--seconds 0.5] [--rounds 3] [--localstripe PATH]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import resource
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from deadheat.engine import loop
from deadheat.engine.loopback import free_port
from deadheat.engine.stripe_mock import VARIABLE, StripeMock
from deadheat.engine.stripe_server import StripeServer
from deadheat.stripe_sim import MONTHLY, Account, ApiRequest
from deadheat.stripe_sim.form import encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEY = "sk_test_bench"
START = 1_700_000_000
CONNECTIONS = (1, 8)
FEW, MANY, LOCALSTRIPE_HAS = 100, 100_000, 1_000
TOOL = Path(__file__).parents[2] / ".tools" / "stripe-mock"
HEAD = f"host: 127.0.0.1\r\nauthorization: Bearer {KEY}\r\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--customers", type=int, default=MANY, help="how many are many")
    parser.add_argument("--localstripe", metavar="PATH", help="takes some minutes")
    parser.add_argument("--serve", metavar="N", type=int, help="only be a simulator with N customers")
    parser.add_argument("--mock", metavar="PATH", default="off", help="with --serve: stripe-mock behind it")
    parser.add_argument("--subscribe", metavar="N", type=int, help="only subscribe N customers")
    options = parser.parse_args()
    if options.serve is not None:
        loop.run(serve(options.serve, options.mock))
    elif options.subscribe is not None:
        subscribe(options.subscribe)
    else:
        seconds, rounds = options.seconds, options.rounds
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {rounds} x {seconds:g} s each")
        with contextlib.ExitStack() as stack:
            compare_servers(stack, seconds, rounds, options.localstripe)
        with contextlib.ExitStack() as stack:
            compare_sizes(stack, seconds, rounds, options.customers)
        measure_memory(options.customers)
        client_us = CLIENT.cpu_s / CLIENT.answered * 1e6
        print(f"\nthe client spent {client_us:,.0f} µs of the processor on each request")


# -- the comparisons ------------------------------------------------------------------------------------


def compare_servers(stack: contextlib.ExitStack, seconds: float, rounds: int, local: str | None) -> None:
    """Make and fetch customers at each server."""
    servers = {"simulator": stack.enter_context(simulator(FEW))}
    if binary := os.environ.get(VARIABLE) or (str(TOOL) if TOOL.exists() else shutil.which("stripe-mock")):
        servers["with stripe-mock"] = stack.enter_context(simulator(FEW, mock=binary))
        servers["stripe-mock"] = stack.enter_context(stripe_mock(binary))
    if local:
        servers["localstripe"] = stack.enter_context(localstripe(local))
    fetched = {way: made_customer(server.port) for way, server in servers.items()}
    names = ("simulator", "with stripe-mock", "stripe-mock", "localstripe")
    ratios = (("simulator", "stripe-mock"), ("with stripe-mock", "stripe-mock"), ("simulator", "localstripe"))
    print(
        "\nrequests/s (and µs of the processor); "
        f"{LOCALSTRIPE_HAS:,} customers at localstripe, else {FEW} and more\n"
    )
    head = ["request", "connections", *names, *("/".join(pair) for pair in ratios)]
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for request, connections in itertools.product(("POST", "GET"), CONNECTIONS):
        rates: dict[str, list[Measured]] = {way: [] for way in servers}
        for _, (way, server) in itertools.product(range(rounds), servers.items()):
            asked = [created(n) for n in range(100)] if request == "POST" else [got(fetched[way])]
            rates[way].append(measured(server, asked, connections, seconds))
        print(row((request, str(connections)), names, ratios, rates), flush=True)


def compare_sizes(stack: contextlib.ExitStack, seconds: float, rounds: int, many: int) -> None:
    """Ask an account with few customers and one with many the same."""
    sizes = (f"{FEW:,}", f"{many:,}")
    servers = {
        size: stack.enter_context(simulator(count)) for size, count in zip(sizes, (FEW, many), strict=True)
    }
    searched = quote_plus("email:'u50@bench.test'"), quote_plus("metadata['user']:'u50'")
    paths = {
        "list": ["/v1/customers?limit=10"],
        "list by e-mail": ["/v1/customers?email=u50%40bench.test"],
        "search by e-mail": [f"/v1/customers/search?query={searched[0]}"],
        "search by metadata": [f"/v1/customers/search?query={searched[1]}"],
        "events": ["/v1/events?limit=10"],
        "events by type": ["/v1/events?type=customer.created"],
    }
    fetched = {size: made_customer(server.port) for size, server in servers.items()}
    print("\nrequests/s (and µs of the processor) on one connection, by the number of customers stored\n")
    head = ["request", *sizes, "many/few"]
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for request in ("GET", *paths, "POST"):
        rates: dict[str, list[Measured]] = {size: [] for size in sizes}
        for _, (size, server) in itertools.product(range(rounds), servers.items()):
            if request == "POST":
                asked = [created(n) for n in range(100)]
            else:
                asked = [got(path) for path in paths.get(request, [fetched[size]])]
            rates[size].append(measured(server, asked, 1, seconds))
        print(row((request,), sizes, (sizes[::-1],), rates), flush=True)


def measure_memory(customers: int) -> None:
    """Subscribe customers in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--subscribe", str(customers)], check=True, capture_output=True, text=True
    )
    print(f"\n{done.stdout.strip()}")


def row(
    first: tuple[str, ...],
    names: tuple[str, ...],
    ratios: tuple[tuple[str, ...], ...],
    rates: Mapping[str, list[Measured]],
) -> str:
    cells = []
    for name in names:
        found = rates.get(name, [])
        rate = f"{statistics.median(each.per_s for each in found):,.0f}" if found else "-"
        cpu_us = [each.cpu_us for each in found if each.cpu_us]
        cells.append(f"{rate} ({statistics.median(cpu_us):,.0f})" if cpu_us else rate)
    for mine, theirs in ratios:
        pairs = list(zip(rates.get(mine, ()), rates.get(theirs, ()), strict=False))
        by_rate = [a.per_s / b.per_s for a, b in pairs]
        by_cpu = [b.cpu_us / a.cpu_us for a, b in pairs if a.cpu_us and b.cpu_us]
        ratio = f"{statistics.median(by_rate):.2f}" if by_rate else "-"
        cells.append(f"{ratio} ({statistics.median(by_cpu):.2f})" if by_cpu else ratio)
    return f"| {' | '.join((*first, *cells))} |"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that runs: its port and its process."""

    port: int
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Answers a second, and what the server's processes spent on each (0: not known)."""

    per_s: float
    cpu_us: float


def measured(server: Server, requests: list[bytes], connections: int, seconds: float) -> Measured:
    before_s = cpu_seconds(server.pid)
    answered, took_s = load(server.port, requests, connections, seconds)
    return Measured(per_s=answered / took_s, cpu_us=(cpu_seconds(server.pid) - before_s) / answered * 1e6)


@dataclass(slots=True)
class Client:
    """What the client has spent so far, and on how many answers."""

    answered: int = 0
    cpu_s: float = 0.0


CLIENT = Client()


def cpu_seconds(pid: int) -> float:
    """Give what a process and those that it started have spent; 0 where there is no /proc.

    By the scheduler's nanoseconds of each thread: the process's own ticks are of 10 ms.
    """
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    spent_ns = 0
    for path in (path for each in family for path in Path(f"/proc/{each}/task").glob("*/schedstat")):
        with contextlib.suppress(OSError):
            spent_ns += int(path.read_text().split()[0])
    return spent_ns / 1e9


# -- the client -----------------------------------------------------------------------------------------


def created(number: int) -> bytes:
    """Ask for a new customer."""
    form = f"email=u{number}%40bench.test&name=Ada+Lovelace&metadata[user]=u{number}".encode()
    head = f"POST /v1/customers HTTP/1.1\r\n{HEAD}content-type: application/x-www-form-urlencoded\r\n"
    return f"{head}content-length: {len(form)}\r\n\r\n".encode() + form


def got(path: str) -> bytes:
    """Ask for what is at a path."""
    return f"GET {path} HTTP/1.1\r\n{HEAD}\r\n".encode()


def load(port: int, requests: list[bytes], connections: int, seconds: float) -> tuple[int, float]:
    """Send these over and over, on so many connections; gives how many were answered in how many seconds."""
    asked = itertools.cycle(requests)
    answered = 0
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for _ in range(connections):
            peer = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.sendall(next(asked))
            read_answer(peer)  # whatever is made when it is first asked for, as an index is, is there now
            selector.register(peer, selectors.EVENT_READ, peer)
        for key in selector.get_map().values():
            key.data.sendall(next(asked))
        began, spent_s = time.perf_counter(), time.process_time()
        while (now := time.perf_counter()) < began + seconds or not answered:
            for key, _ in selector.select(1.0):
                read_answer(key.data)
                answered += 1
                key.data.sendall(next(asked))
    CLIENT.answered += answered
    CLIENT.cpu_s += time.process_time() - spent_s
    return answered, now - began


def read_answer(peer: socket.socket) -> bytes:
    """Read one answer to its end; gives its body."""
    answer = peer.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 200"), answer[:2000]
    while (head := answer.find(b"\r\n\r\n")) < 0:
        answer += peer.recv(1 << 16)
    at = answer.lower().find(b"content-length:", 0, head)
    if at < 0:  # in chunks
        while not answer.endswith(b"\r\n0\r\n\r\n"):
            answer += peer.recv(1 << 16)
        return answer[head + 4 :]
    length = int(answer[at + 15 : answer.index(b"\r\n", at)])
    while len(answer) < head + 4 + length:
        answer += peer.recv(1 << 16)
    return answer[head + 4 :]


def made_customer(port: int) -> str:
    """Make a customer and give its path."""
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(created(0))
        answer = read_answer(peer)
    customer_id = answer[answer.index(b"cus_") :].partition(b'"')[0].decode()
    return f"/v1/customers/{customer_id}"


# -- the servers ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def running(argv: list[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    """Run a program for as long as it is needed."""
    process = subprocess.Popen(argv, text=True, stdin=subprocess.PIPE, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def simulator(customers: int, mock: str = "off") -> Iterator[Server]:
    argv = [sys.executable, __file__, "--serve", str(customers), "--mock", mock]
    with running(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield Server(port=int(process.stdout.readline()), pid=process.pid)


@contextlib.contextmanager
def stripe_mock(binary: str) -> Iterator[Server]:
    port = free_port()
    argv = [binary, "-http-addr", f"127.0.0.1:{port}", "-https-addr", "127.0.0.1:0"]
    with running(argv, stdout=subprocess.DEVNULL) as process:
        wait_for(port)
        yield Server(port=port, pid=process.pid)


@contextlib.contextmanager
def localstripe(program: str) -> Iterator[Server]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="deadheat-bench-") as folder:
        argv = [program, "--port", str(port), "--from-scratch"]
        quiet = subprocess.DEVNULL
        environment = {**os.environ, "TMPDIR": folder}
        with running(argv, stdout=quiet, stderr=quiet, env=environment, cwd=folder) as process:
            wait_for(port)
            with socket.create_connection(("127.0.0.1", port)) as peer:
                for n in range(LOCALSTRIPE_HAS):
                    peer.sendall(created(n))
                    read_answer(peer)
            yield Server(port=port, pid=process.pid)


def wait_for(port: int) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < until, f"nothing listens on {port}"
            time.sleep(0.02)
        else:
            return


async def serve(customers: int, mock: str) -> None:
    """Be a simulator, say where, and stay until stdin ends."""
    account = Account(seed=1, started_at=START, secret_key=KEY)
    for n in range(customers):
        make_customer(account, n)
    account.tick(3600)  # what was made is found by search
    async with StripeMock.open(mock) as behind, StripeServer(account, mock=behind) as server:
        print(server.url.rpartition(":")[2], flush=True)
        await asyncio.to_thread(sys.stdin.read)


def subscribe(customers: int) -> None:
    """Make customers who each pay a checkout for a subscription, and say what that took."""
    account = Account(seed=1, started_at=START, secret_key=KEY)
    began = time.perf_counter()
    for n in range(customers):
        mark = account.mark()
        make_customer(account, n)
        customer_id = account.ids_since(mark)[0][1]
        asked = {"mode": "subscription", "success_url": "https://bench.test", "customer": customer_id}
        mark = account.mark()
        ask(account, "/v1/checkout/sessions", {**asked, "line_items": [{"price": MONTHLY, "quantity": 1}]})
        account.complete_session(account.ids_since(mark)[0][1])
    elapsed_s = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(
        f"{customers:,} customers with a paid checkout and a subscription each: {peak / 2**20:,.0f} MiB at "
        f"the peak, {peak / customers / 1024:.1f} KiB each; {customers / elapsed_s:,.0f} a second, no HTTP"
    )


def make_customer(account: Account, number: int) -> None:
    email = f"u{number}@bench.test"
    ask(account, "/v1/customers", {"email": email, "name": "Ada", "metadata": {"user": f"u{number}"}})


def ask(account: Account, path: str, params: Mapping[str, object]) -> None:
    headers = {"authorization": f"Bearer {KEY}"}
    call = account.parse(ApiRequest(method="POST", path=path, headers=headers, body=encode(params).encode()))
    account.received(call)
    account.effect(call)
    assert account.response(call).status == 200, call.response


if __name__ == "__main__":
    main()
