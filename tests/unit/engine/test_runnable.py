"""Who wants the processor, by real processes: one that counts, one that waits, and those that they began."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deadheat.engine.runnable import wants_processor

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the system tells no thread's state"),
]

SAYS_SO = "print(flush=True);"
WAITS = f"{SAYS_SO} import sys; sys.stdin.read()"
WORKS = f"{SAYS_SO}\nwhile True: pass"
IN_A_THREAD = f"import threading; threading.Thread(target=lambda: exec({WORKS!r}), daemon=True).start(); "
IN_A_CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


@contextmanager
def process(*code: str) -> Iterator[int]:
    """Run code until the block is over, which begins when it says that it does what it is for."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", *code], stdin=pipe, stdout=pipe, process_group=0) as running:
        assert running.stdout is not None
        running.stdout.readline()
        try:
            yield running.pid
        finally:
            os.killpg(running.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    "code",
    [(WORKS,), (IN_A_THREAD + "import sys; sys.stdin.read()",), (IN_A_CHILD, WORKS)],
    ids=["itself", "a thread", "a child"],
)
def test_who_works_wants_it_each_time(code: tuple[str, ...]) -> None:
    with process(*code) as pid:
        assert all(wants_processor(pid) for _ in range(20))


@pytest.mark.parametrize("code", [(WAITS,), (IN_A_CHILD, WAITS)], ids=["itself", "a child"])
def test_who_waits_does_not_want_it_for_long(code: tuple[str, ...]) -> None:
    with process(*code) as pid:
        # It says so before it waits; who never slept would go on here for ever, and the test with it.
        while wants_processor(pid):
            pass
        assert not all(wants_processor(pid) for _ in range(20))


def test_who_has_ended_wants_nothing() -> None:
    with process(WAITS) as pid:
        pass
    assert not wants_processor(pid)
