"""The watcher: the small process between us and one child of ours. Run by path, never imported.

    python -I -S watcher.py CONTROL STATUS IN-USE FOLDER

`watch.spawn` starts it in a session of its own, so that Ctrl-C does not reach it. CONTROL is the
read end of a pipe whose write end only we hold: first the child's specification comes through it,
then nothing, until it closes, because we closed it or because we are gone, by whatever signal. Then
the watcher stops the child's process group and ends itself. On Linux it is also the parent of all that
the child leaves behind in sessions of its own, and kills that last. There is one way to stop a child, and
the kernel takes it when we no longer can. The watcher is the child's parent, so it sees the child
end and never signals a group whose number somebody else has by now.

STATUS is the write end of a pipe to us: ``started PID``, or ``failed ERRNO PATH``; later ``exited
CODE`` (negative: the signal that ended it); then its end. IN-USE is held open and nothing else (see
`watch.temporary_folder`). FOLDER, unless empty, is removed at the very end. Without a specification
there is no child, and the watcher is the keeper of its folder.

Only modules that cost little are imported: 17 ms from start to child, 9 of them the interpreter.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

HEADER = 10  # the length of a specification, in decimal digits, stands before it
REMOVE_SECONDS = 10.0


def main(control: int, status: int, in_use: int, folder: str) -> None:
    """Start the child that CONTROL specifies, watch both sides, stop what is left, remove FOLDER."""
    for fd in (control, status, in_use):
        if fd >= 0:
            os.set_inheritable(fd, False)
    woken = wake_on(signal.SIGCHLD, signal.SIGTERM)
    specification = read_specification(control)
    if specification is not None:
        run(specification, control, status, woken)
    else:
        let_go()
    if folder:
        remove(folder)


def wake_on(*signals: signal.Signals) -> int:
    """Give a descriptor that becomes readable when one of ``signals`` has come."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    for one in signals:
        signal.signal(one, lambda number, frame: None)
    return read


def read_specification(control: int) -> list[bytes] | None:
    """Read the fields that `watch` wrote; None when the pipe closed before all of them had come."""
    header = read_exactly(control, HEADER)
    body = read_exactly(control, int(header)) if header else None
    return body.split(b"\0") if body else None


def read_exactly(fd: int, count: int) -> bytes | None:
    """Read ``count`` bytes, or None when the other end closes first."""
    got = b""
    while len(got) < count:
        more = os.read(fd, count - len(got))
        if not more:
            return None
        got += more
    return got


def run(specification: list[bytes], control: int, status: int, woken: int) -> None:
    """Start the child, wait until it ends or shall end, leave nobody of its group behind."""
    stop_signal, grace_s, uid, gid, cwd, count, *rest = specification
    argv, pairs = rest[: int(count)], rest[int(count) :]
    env = dict(pair.split(b"=", 1) for pair in pairs)
    try:
        pid = start(argv, env, cwd, int(uid), int(gid))
    except OSError as error:
        tell(status, f"failed {error.errno} {error.filename}")
        return
    tell(status, f"started {pid}")
    let_go()
    adopt()
    code = until_ended(pid, control, woken)
    if code is None:
        code = stop(pid, int(stop_signal), float(grace_s), woken)
    signal_group(pid, signal.SIGKILL)
    end_adopted()
    tell(status, f"exited {code}")


def start(argv: list[bytes], env: dict[bytes, bytes], cwd: bytes, uid: int, gid: int) -> int:
    """Fork and exec in a new session; OSError with the path at fault when that cannot be done."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        at_fault = cwd
        try:
            become(cwd, uid, gid)
            at_fault = argv[0]
            os.execvpe(argv[0], argv, env)
        except OSError as error:
            os.write(write, b"%d %s" % (error.errno or 0, at_fault))
        finally:
            os._exit(127)
    os.close(write)
    problem = os.read(read, 4096)  # nothing: exec closed the other end
    os.close(read)
    if problem:
        os.waitpid(pid, 0)
        number, _, path = problem.partition(b" ")
        raise OSError(int(number), os.strerror(int(number)), os.fsdecode(path))
    return pid


def become(cwd: bytes, uid: int, gid: int) -> None:
    """In the child: a session, default signals, the working folder, and the account if one is asked for."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for one in (signal.SIGPIPE, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(one, signal.SIG_DFL)
    os.chdir(cwd)
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def let_go() -> None:
    """Keep nothing of our surroundings: neither anyone's output pipe nor a folder."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)
    os.chdir("/")


def until_ended(pid: int, control: int, woken: int) -> int | None:
    """Wait for the child to end and give its exit code; None when it shall be stopped."""
    while True:
        code = ended(pid)
        if code is not None:
            return code
        ready, _, _ = select.select([control, woken], [], [])
        if control in ready or (woken in ready and signal.SIGTERM in os.read(woken, 64)):
            return None


def stop(pid: int, stop_signal: int, grace_s: float, woken: int) -> int:
    """Signal the group, and kill it when its leader has not ended after ``grace_s``; give its exit code."""
    signal_group(pid, stop_signal)
    signal_group(pid, signal.SIGCONT)
    deadline = time.monotonic() + grace_s
    while (left := deadline - time.monotonic()) > 0:
        code = ended(pid)
        if code is not None:
            return code
        if woken in select.select([woken], [], [], left)[0]:
            os.read(woken, 64)
    signal_group(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def adopt() -> None:
    """Become the parent of every descendant whose own parent ends (Linux: prctl(2), a child subreaper)."""
    if sys.platform != "linux":
        return
    import ctypes  # costs some milliseconds, which the child does not wait for

    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def end_adopted() -> None:
    """Kill what the child left in sessions of its own, and what that leaves, until nobody is left."""
    deadline = time.monotonic() + REMOVE_SECONDS
    while time.monotonic() < deadline:
        for pid in children():
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.001)
        except ChildProcessError:
            return


def children() -> list[int]:
    """Give our children's pids; none where the system does not tell (proc(5), task/TID/children)."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as listed:
            return [int(pid) for pid in listed.read().split()]
    except OSError:
        return []


def ended(pid: int) -> int | None:
    """Reap whoever has ended; gives the child's exit code if it was the child."""
    while True:
        reaped, wait_status = os.waitpid(-1, os.WNOHANG)
        if reaped == pid:
            return os.waitstatus_to_exitcode(wait_status)
        if not reaped:
            return None


def signal_group(pid: int, number: int) -> None:
    """Signal what is left of the child's process group."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
        return


def tell(status: int, line: str) -> None:
    """Report to us, if we are still there."""
    try:
        os.write(status, os.fsencode(line) + b"\n")
    except BrokenPipeError:
        return


def remove(folder: str) -> None:
    """Remove the folder and all in it; again while something that is just ending still writes there."""
    import shutil  # costs 6 ms, and only a keeper needs it

    deadline = time.monotonic() + REMOVE_SECONDS
    while os.path.lexists(folder) and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        if os.path.lexists(folder):
            time.sleep(0.05)


if __name__ == "__main__":
    _control, _status, _in_use = map(int, sys.argv[1:4])
    main(_control, _status, _in_use, sys.argv[4])
    os._exit(0)
