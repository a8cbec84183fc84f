"""Whether a process wants the processor: the system's scheduler knows it, however busy the machine is.

Silence alone says little where others take the processor as well: a target that got none for 50 ms shows
nothing in them. Linux tells each thread's state (proc(5), /proc/PID/task/TID/stat): running or waiting for
the processor is ``R``, waiting for a disk ``D``; who waits for a wire or a clock sleeps. Where no such
thing is told, nobody is known to want anything.
"""

from __future__ import annotations

import os

WANTING = (b"R", b"D")


def wants_processor(pid: int) -> bool:
    """Tell whether any thread of a process, or of those that it began, runs or is ready to."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return False
    return any(_thread_wants(f"/proc/{pid}/task/{thread}") for thread in threads)


def _thread_wants(folder: str) -> bool:
    try:
        # The name stands in brackets, and may hold anything.
        state = _read(f"{folder}/stat").rpartition(b") ")[2][:1]
        return state in WANTING or any(map(wants_processor, map(int, _read(f"{folder}/children").split())))
    except OSError:  # it has just ended
        return False


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
