"""What the tests of provisioning ask the operating system: who lives, who is gone, and a parent to kill."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

DEADLINE_S = 20.0


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Return as soon as ``holds``; fail when it does not within the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:.0f} s: {what}"
        time.sleep(0.01)


def lives(pid: int) -> bool:
    """A process that has ended and that nobody has reaped does not live."""
    state = _ps("-o", "stat=", "-p", str(pid)).strip()
    return bool(state) and not state.startswith("Z")


def user_of(pid: int) -> str:
    return _ps("-o", "user=", "-p", str(pid)).strip()


def below(pid: int) -> set[int]:
    """Give the descendants of a process."""
    children: dict[int, list[int]] = {}
    for line in _ps("-A", "-o", "pid=,ppid=").splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        new = [child for child in children.get(waiting.pop(), []) if child not in found]
        found.update(new)
        waiting += new
    return found


def all_gone(pids: Iterable[int], *folders: str | Path) -> None:
    """Wait until nothing of it is left."""
    for pid in pids:
        eventually(lambda pid=pid: not lives(pid), f"process {pid} has ended")
    for folder in folders:
        eventually(lambda folder=folder: not Path(folder).exists(), f"{folder} is removed")


class Parent:
    """A script in an interpreter of its own that prints one JSON value when all is up."""

    def __init__(
        self, script: str, *arguments: str, env: Mapping[str, str] | None = None, before: Iterable[str] = ()
    ) -> None:
        self.process = subprocess.Popen(
            [*before, sys.executable, "-c", script, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            start_new_session=True,
        )

    def __enter__(self) -> Parent:
        self.process.__enter__()
        return self

    def __exit__(self, *problem: object) -> None:
        self.process.kill()
        self.process.__exit__(None, None, None)

    def says(self) -> Any:
        """Give what it printed; fails with its traceback when it ended instead."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return json.loads(line)


def _ps(*arguments: str) -> str:
    return subprocess.run(["ps", *arguments], capture_output=True, text=True, check=False).stdout
