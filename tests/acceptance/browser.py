"""A headless Chromium that is asked over the pipe of its DevTools protocol: no port, no library.

It reads commands from descriptor 3 and writes answers and events to 4, each JSON with a zero byte behind.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHROMIUM = shutil.which("chromium")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
)
# The descriptors are put in their places by a process of its own: a fork of a threaded one may not do much.
STARTER = (
    "import fcntl, os, sys\n"
    "ours, theirs = (fcntl.fcntl(int(n), fcntl.F_DUPFD, 10) for n in sys.argv[1:3])\n"
    "os.dup2(ours, 3)\n"
    "os.dup2(theirs, 4)\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)


class Tab:
    """A tab; ``requests`` are the addresses that it asked for, ``said`` what stood on its console."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back = to, back
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self._events: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.said: list[str] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and give its result."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            command["sessionId"] = self._session
        os.write(self._to, json.dumps(command).encode() + b"\0")
        while True:
            message = self._read()
            if message.get("id") == self._number:
                assert "error" not in message, message["error"]
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def open(self, page: Path, *, width: int = 1200, height: int = 900, scheme: str = "light") -> float:
        """Open a file; gives the seconds until it had loaded and could be measured."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", features=features)
        for told in (self.requests, self.said, self._events):
            told.clear()
        began = time.perf_counter()
        self.ask("Page.navigate", url=page.as_uri())
        self._until(lambda message: message.get("method") == "Page.loadEventFired")
        self.value("document.documentElement.scrollHeight")  # its layout is done
        took = time.perf_counter() - began
        assert self.value("location.href") == page.as_uri()
        return took

    def press(self, key: str, text: str = "") -> None:
        """Press a key where the focus is."""
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, text=text)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    def value(self, expression: str) -> Any:
        """Give the value of an expression on the page."""
        got = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    def shot(self, path: Path, *, y: float = 0, width: int, height: int) -> None:
        """Write what stands there to a PNG."""
        clip = {"x": 0, "y": y, "width": width, "height": height, "scale": 1}
        made = self.ask("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(made["data"]))

    def _until(self, holds: Callable[[dict[str, Any]], bool]) -> None:
        while self._events:
            if holds(self._events.pop(0)):
                return
        while not holds(message := self._read()):
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        self._events.append(message)
        told = message.get("params", {})
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif message.get("method") in (
            "Runtime.consoleAPICalled",
            "Log.entryAdded",
            "Runtime.exceptionThrown",
        ):
            self.said.append(json.dumps(told))

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            piece = os.read(self._back, 1 << 16)
            assert piece, "Chromium has gone"
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message


@contextmanager
def browsing() -> Iterator[Tab]:
    """Start a Chromium with a profile of its own, and end it."""
    assert CHROMIUM is not None
    in_, to = os.pipe()
    back, out = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                sys.executable, "-c", STARTER, str(in_), str(out),
                CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-pipe",
            ],
            pass_fds=(in_, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(in_)
        os.close(out)
        try:
            yield Tab(to, back)
        finally:
            os.close(to)  # it ends with its pipe
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
            os.close(back)
