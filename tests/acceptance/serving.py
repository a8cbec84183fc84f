"""``deadheat serve`` in a process of its own, and a webhook endpoint to bring events to."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from conftest import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEADLINE_S = 60.0


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Return as soon as ``holds``; fail when it does not within the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:.0f} s: {what}"
        time.sleep(0.01)


class Serving:
    """A ``deadheat serve`` that is up: its environment block, and what it says afterwards."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        assert process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(process.stdout,))
        self._reader.start()
        eventually(lambda: self.says("Ctrl-C ends it.") or process.poll() is not None, "serve is up")
        assert process.poll() is None, "\n".join(self.lines)
        exports = (line.removeprefix("export ") for line in self.lines if line.startswith("export "))
        pairs = (line.partition("=") for line in exports)
        self.env = {name: value for name, _, value in pairs}

    def _read(self, stdout: Iterator[str]) -> None:
        for line in stdout:
            self.lines.append(line.rstrip("\n"))

    def says(self, *pieces: str) -> bool:
        """Whether one line holds all these pieces."""
        return any(all(piece in line for piece in pieces) for line in list(self.lines))

    def interrupt(self) -> int:
        """Do what Ctrl-C does and give the exit code."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGINT)
        code = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return code


@contextmanager
def serving(*arguments: str, folder: Path) -> Iterator[Serving]:
    """Run ``deadheat serve`` until the block ends; it must then end well."""
    process = subprocess.Popen(
        [sys.executable, "-m", "deadheat", "serve", *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        served = None
        try:
            served = Serving(process)
            yield served
            assert served.interrupt() == 0, "\n".join(served.lines)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            if served is not None:
                served.interrupt()


class Receiver:
    """A webhook endpoint: keeps what it gets; one body is answered 500 for each text of ``refuse``."""

    def __init__(self) -> None:
        self.got: queue.Queue[tuple[bytes, str]] = queue.Queue()
        self.refuse: list[bytes] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                refused = next((text for text in receiver.refuse if text in body), None)
                if refused is not None:
                    receiver.refuse.remove(refused)
                self.send_response(500 if refused else 200)
                self.send_header("content-length", "0")
                self.end_headers()
                receiver.got.put((body, self.headers["stripe-signature"]))

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
