"""Children that never outlive us: each runs under a watcher, in a process session of its own.

Postgres, the target and stripe-mock are our children. Ctrl-C must reach us only, so that we can stop
them in order; and when we die, by SIGKILL too, they must be stopped and their folders removed all the
same. `spawn` therefore starts a small process (`watcher.py` says how it works) that starts the child
and holds one end of a pipe: when our end closes, it stops the child's whole process group.

`temporary_folder` makes a folder under a keeper, a watcher without a child. The keeper sees its pipe
close only when we *and every watcher of a child that lives in that folder* have closed it, so the
folder goes after its inhabitants, in whatever way things end.

What a child puts into a session of its own escapes the group. Postgres' backends do: its postmaster
takes them down, which is why it is stopped by a signal and not at once by SIGKILL. Whatever else does is
killed by the watcher once the child has ended, on Linux; elsewhere it outlives us.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deadheat.engine import watcher
from deadheat.history import redact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

_WATCHER = str(Path(watcher.__file__).resolve())


@dataclass(frozen=True, slots=True)
class Account:
    """The operating-system account that a child runs under; needs us to be root."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class TemporaryFolder:
    """A folder under a keeper. ``in_use`` is the descriptor that holds off its removal."""

    path: Path
    in_use: int


class Watched:
    """A child under a watcher. ``pid`` is the leader of its session and process group."""

    def __init__(self, watching: subprocess.Popen[bytes], control: int, status: int) -> None:
        self.pid = 0
        self.returncode: int | None = None
        self._watching = watching
        self._control = control
        self._status = status
        self._loop = asyncio.get_running_loop()
        self._began: asyncio.Future[None] = self._loop.create_future()
        self._exited = asyncio.Event()
        self._gone = asyncio.Event()
        self._unread = b""
        os.set_blocking(status, False)
        self._loop.add_reader(status, self._read)

    def alive(self) -> bool:
        """Tell whether the child runs, as far as the event loop has heard."""
        return self.pid != 0 and not self._exited.is_set()

    async def begun(self) -> None:
        """Wait until the child runs; OSError, with the path at fault, when it could not be started."""
        await asyncio.shield(self._began)

    async def wait(self) -> int:
        """Wait until the child has ended and give its exit code; negative: the signal that ended it."""
        await self._exited.wait()
        assert self.returncode is not None
        return self.returncode

    async def stop(self) -> None:
        """Stop the child and wait until it and its watcher are gone. May be called again."""
        if self._control >= 0:
            os.close(self._control)
            self._control = -1
        await self._gone.wait()

    def _read(self) -> None:
        got = os.read(self._status, 4096)
        *lines, self._unread = (self._unread + got).split(b"\n")
        for line in lines:
            self._hear(*line.split(b" ", 2))
        if not got:
            self._close()

    def _hear(self, word: bytes, number: bytes, path: bytes = b"") -> None:
        if word == b"started":
            self.pid = int(number)
            self._settle(None)
        elif word == b"failed":
            self._settle(OSError(int(number), os.strerror(int(number)), os.fsdecode(path)))
        else:
            self.returncode = int(number)
            self._exited.set()

    def _close(self) -> None:
        """The watcher is gone: the child too, unless somebody killed the watcher."""
        self._loop.remove_reader(self._status)
        os.close(self._status)
        self._watching.wait()
        if self.pid and self.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self.returncode = -signal.SIGKILL
        self._settle(ChildProcessError("the watcher process ended before it had started anything"))
        self._exited.set()
        self._gone.set()

    def _settle(self, problem: OSError | None) -> None:
        if self._began.done():
            return
        if problem is None:
            self._began.set_result(None)
        else:
            self._began.set_exception(problem)
            self._began.exception()  # heard, even if nobody waits


@asynccontextmanager
async def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    output: Path | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    grace_s: float = 5.0,
    account: Account | None = None,
    folder: TemporaryFolder | None = None,
) -> AsyncIterator[Watched]:
    """Run ``argv`` with exactly ``env``; stop its process group when the block, or we, end.

    The command is looked up on the PATH in ``env``, from ``cwd`` (default: ours). Standard output
    and error are appended to ``output`` (default: discarded); there is no standard input. Stopping
    sends ``stop_signal`` to the group, SIGKILL after ``grace_s`` seconds or to whoever is left when
    its leader has ended. ``folder`` is not removed before the child is gone. OSError when the
    command cannot be run.
    """
    specification = _specify(argv, env, cwd or Path.cwd(), stop_signal, grace_s, account)
    child = _begin(specification, output, folder)
    try:
        await child.begun()
        yield child
    finally:
        await child.stop()


@asynccontextmanager
async def temporary_folder(
    parent: Path | None = None, *, prefix: str = "deadheat-"
) -> AsyncIterator[TemporaryFolder]:
    """Make a folder (mode 0700) in ``parent`` that is removed when the block, or we, end."""
    keeper, folder = _keep(parent, prefix)
    try:
        yield folder
    finally:
        os.close(folder.in_use)
        await asyncio.to_thread(keeper.wait)


def last_words(output: Path, lines: int = 8) -> str:
    """Give the last lines that a child has said, indented, to end a message with; secrets masked."""
    said = output.read_text(errors="replace").splitlines() if output.exists() else []
    kept = [line.rstrip() for line in said if line.strip()][-lines:]
    return redact("".join(f"\n    {line}" for line in kept)) or " it said nothing"


def _keep(parent: Path | None, prefix: str) -> tuple[subprocess.Popen[bytes], TemporaryFolder]:
    path = os.path.realpath(tempfile.mkdtemp(prefix=prefix, dir=parent))
    control, in_use = os.pipe()
    try:
        keeper = _start_watcher(control, folder=path)
    except BaseException:
        os.close(in_use)
        os.rmdir(path)
        raise
    finally:
        os.close(control)
    return keeper, TemporaryFolder(Path(path), in_use)


def _specify(
    argv: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    stop_signal: signal.Signals,
    grace_s: float,
    account: Account | None,
) -> bytes:
    """Write down a child as NUL-separated fields, which neither arguments nor environments contain."""
    uid, gid = (account.uid, account.gid) if account else (-1, -1)
    fields = [str(int(stop_signal)), str(grace_s), str(uid), str(gid), str(cwd), str(len(argv)), *argv]
    fields += [f"{name}={value}" for name, value in env.items()]
    if any("\0" in field for field in fields):
        raise ValueError("a command or its environment holds a NUL character")
    body = b"\0".join(os.fsencode(field) for field in fields)
    return b"%0*d" % (watcher.HEADER, len(body)) + body


def _begin(specification: bytes, output: Path | None, folder: TemporaryFolder | None) -> Watched:
    control_read, control = os.pipe()
    status, status_write = os.pipe()
    try:
        in_use = folder.in_use if folder else -1
        watching = _start_watcher(control_read, status=status_write, in_use=in_use, output=output)
    except BaseException:
        os.close(control)
        os.close(status)
        raise
    finally:
        os.close(control_read)
        os.close(status_write)
    with suppress(BrokenPipeError):  # what became of the watcher is told by the end of STATUS
        while specification:
            specification = specification[os.write(control, specification) :]
    return Watched(watching, control, status)


def _start_watcher(
    control: int, *, status: int = -1, in_use: int = -1, folder: str = "", output: Path | None = None
) -> subprocess.Popen[bytes]:
    arguments = [str(control), str(status), str(in_use), folder]
    with open(output or os.devnull, "ab") as sink:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", _WATCHER, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            pass_fds=[fd for fd in (control, status, in_use) if fd >= 0],
            start_new_session=True,
        )
