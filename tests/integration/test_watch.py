"""Children under a watcher: they end with the block, and with us, however we end."""

from __future__ import annotations

import ast
import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from processes import Parent, all_gone, below, eventually, lives

from deadheat.engine import watch, watcher
from deadheat.engine.watch import last_words, spawn, temporary_folder

ENV = {"PATH": os.environ["PATH"]}

# A parent of a child, a grandchild in the child's group, and a folder that the child lives in.
FAMILY = """
import asyncio, json, sys
from deadheat.engine.watch import spawn, temporary_folder

async def main():
    async with temporary_folder() as folder:
        pids = folder.path / "pids"
        shell = sys.argv[1].replace("PIDS", str(pids))
        env, grace_s = {"PATH": sys.argv[2]}, float(sys.argv[3])
        async with spawn(["sh", "-c", shell], env=env, folder=folder, grace_s=grace_s) as child:
            while not pids.exists() or not pids.read_text().endswith("\\n"):
                await asyncio.sleep(0.005)
            said = {"child": child.pid, "grandchild": int(pids.read_text()), "folder": str(folder.path)}
            print(json.dumps(said), flush=True)
            await child.wait()

asyncio.run(main())
"""
OBEDIENT = "sleep 1000 & echo $! > PIDS; wait"
DEAF = "trap '' TERM INT; (trap '' TERM INT; while :; do sleep 1000; done) & echo $! > PIDS; wait; wait"


def family(shell: str, grace_s: float = 5.0) -> Parent:
    return Parent(FAMILY, shell, ENV["PATH"], str(grace_s))


@pytest.mark.slow
@pytest.mark.parametrize(("shell", "grace_s"), [(OBEDIENT, 5.0), (DEAF, 0.2)], ids=["obedient", "deaf"])
def test_a_killed_parent_leaves_neither_process_nor_folder(shell: str, grace_s: float) -> None:
    with family(shell, grace_s) as parent:
        said = parent.says()
        everybody = below(parent.process.pid)
        assert {said["child"], said["grandchild"]} < everybody
        assert len(everybody) >= 4, "a keeper and a watcher beside the family"
        parent.process.kill()
        all_gone(everybody, said["folder"])


@pytest.mark.slow
def test_the_output_of_a_killed_parent_ends_at_once() -> None:
    """Whoever reads our output must not wait for children that take their time to stop."""
    with family(DEAF, 1000.0) as parent:
        said = parent.says()
        parent.process.kill()
        rest, _ = parent.process.communicate(timeout=20)
        assert rest == ""
        assert lives(said["child"])
        os.killpg(said["child"], signal.SIGKILL)
        all_gone([said["child"], said["grandchild"]], said["folder"])


@pytest.mark.slow
def test_an_interrupt_of_the_terminal_reaches_us_only(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    shell = "trap 'echo INT >> HEARD' INT; trap 'echo TERM >> HEARD; exit 0' TERM; " + OBEDIENT
    with family(shell.replace("HEARD", str(heard))) as parent:
        said = parent.says()
        everybody = below(parent.process.pid)
        os.killpg(parent.process.pid, signal.SIGINT)
        all_gone(everybody, said["folder"])
        assert parent.process.wait(timeout=20) != 0
    assert heard.read_text() == "TERM\n"


def test_the_end_of_the_block_stops_the_whole_group(tmp_path: Path) -> None:
    async def run() -> tuple[int, int]:
        pids = tmp_path / "pids"
        async with spawn(["sh", "-c", OBEDIENT.replace("PIDS", str(pids))], env=ENV) as child:
            await asyncio.to_thread(
                eventually, lambda: pids.exists() and pids.read_text().endswith("\n"), "pids"
            )
            assert child.alive()
        assert not child.alive()
        assert child.returncode == -signal.SIGTERM
        return child.pid, int(pids.read_text())

    all_gone(asyncio.run(run()))


def test_who_is_left_of_the_group_goes_when_its_leader_ends(tmp_path: Path) -> None:
    async def run() -> int:
        output = tmp_path / "output"
        async with spawn(["sh", "-c", "sleep 1000 & echo $!; exit 3"], env=ENV, output=output) as child:
            assert await child.wait() == 3
            assert not child.alive()
        return int(output.read_text())

    all_gone([asyncio.run(run())])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans to the watcher")
def test_orphans_in_sessions_of_their_own_go_when_the_leader_ends(tmp_path: Path) -> None:
    """The shell forks a daemon, whose own child it orphans: neither is of the group."""

    async def run() -> None:
        forks = "setsid sh -c 'setsid sleep 1000 & echo $! >> pids; exec sleep 1000' & echo $! >> pids"
        async with spawn(["sh", "-c", f"{forks}; while [ $(wc -l < pids) -lt 2 ]; do :; done"], env=ENV,
                         cwd=tmp_path) as child:  # fmt: skip
            assert await child.wait() == 0
        begun = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        assert len(begun) == 2
        assert not any(lives(pid) for pid in begun)

    asyncio.run(run())


def test_a_child_whose_watcher_was_killed_is_not_kept() -> None:
    async def run() -> int:
        async with spawn(["sleep", "1000"], env=ENV) as child:
            os.kill(child._watching.pid, signal.SIGKILL)
            assert await child.wait() == -signal.SIGKILL
        return child.pid

    all_gone([asyncio.run(run())])


def test_a_terminated_watcher_takes_its_child_along() -> None:
    async def run() -> int:
        async with spawn(["sleep", "1000"], env=ENV) as child:
            os.kill(child._watching.pid, signal.SIGTERM)
            assert await child.wait() == -signal.SIGTERM
        return child.pid

    all_gone([asyncio.run(run())])


def test_a_folder_outlives_those_who_live_in_it(tmp_path: Path) -> None:
    """The keeper sees its pipe close only after the watcher has; the child still writes when stopped."""
    proof = tmp_path / "proof"

    async def run() -> Path:
        async with temporary_folder(tmp_path) as folder:
            at_stop = f"sleep 0.1; touch {folder.path}/late && touch {proof}; exit"
            script = f"trap '{at_stop}' TERM; touch up; sleep 9 & wait"
            child = spawn(["sh", "-c", script], env=ENV, cwd=folder.path, folder=folder)
            await child.__aenter__()
            up = folder.path / "up"
            await asyncio.to_thread(eventually, up.exists, "the trap is set")
            stopping = asyncio.create_task(child.__aexit__(None, None, None))
            await asyncio.sleep(0)
        await stopping
        return folder.path

    assert not asyncio.run(run()).exists()
    assert proof.exists()


def test_environment_folder_and_output_are_what_was_asked(tmp_path: Path) -> None:
    async def run() -> None:
        argv = ["sh", "-c", "env; pwd; echo problem >&2; printf '%s\\n' \"$0\"", "a b\nc"]
        async with spawn(argv, env={**ENV, "ONE": "ö =1"}, cwd=tmp_path, output=tmp_path / "output") as child:
            assert await child.wait() == 0

    asyncio.run(run())
    said = (tmp_path / "output").read_text()
    assert "ONE=ö =1\n" in said
    assert said.endswith(f"{tmp_path}\nproblem\na b\nc\n")
    names = {line.split("=")[0] for line in said.splitlines() if "=" in line}
    assert names <= {"PATH", "ONE", "PWD", "OLDPWD", "SHLVL", "_"}


def test_a_specification_larger_than_a_pipe_arrives(tmp_path: Path) -> None:
    async def run() -> None:
        words = ["x" * 1000] * 300
        async with spawn(
            ["sh", "-c", 'echo "$#"', "sh", *words], env=ENV, output=tmp_path / "output"
        ) as child:
            assert await child.wait() == 0

    asyncio.run(run())
    assert (tmp_path / "output").read_text() == "300\n"


@pytest.mark.parametrize(
    ("argv", "cwd", "names"),
    [(["no-such-program"], None, "no-such-program"), (["true"], Path("/no/such/folder"), "/no/such/folder")],
)
def test_what_cannot_be_started_is_named(argv: list[str], cwd: Path | None, names: str) -> None:
    async def run() -> None:
        async with spawn(argv, env=ENV, cwd=cwd):
            raise AssertionError("it cannot have started")

    with pytest.raises(FileNotFoundError) as caught:
        asyncio.run(run())
    assert caught.value.filename == names


def test_a_signal_that_ends_the_child_is_told() -> None:
    async def run() -> int:
        async with spawn(["sh", "-c", "kill -USR1 $$"], env=ENV) as child:
            return await child.wait()

    assert asyncio.run(run()) == -signal.SIGUSR1


def read_all(descriptor: int) -> str:
    with open(descriptor) as pipe:
        return pipe.read()


def test_a_pipe_for_the_output_is_the_childs_alone() -> None:
    """It ends when the child closes it: neither the watcher nor the keeper holds it open."""

    async def run() -> None:
        read, write = os.pipe()
        script = "echo hello; exec >&- 2>&-; sleep 1000"
        async with temporary_folder() as folder:
            output = Path(f"/dev/fd/{write}")
            async with spawn(["sh", "-c", script], env=ENV, output=output, folder=folder) as child:
                os.close(write)
                assert await asyncio.wait_for(asyncio.to_thread(read_all, read), 20) == "hello\n"
                assert child.alive()

    asyncio.run(run())


def test_an_exception_in_the_block_stops_the_child_and_comes_through() -> None:
    pids: list[int] = []

    async def run() -> None:
        async with temporary_folder() as folder, spawn(["sleep", "1000"], env=ENV, folder=folder) as child:
            pids.append(child.pid)
            raise LookupError(str(folder.path))

    with pytest.raises(LookupError) as caught:
        asyncio.run(run())
    assert not Path(str(caught.value)).exists()
    assert not lives(pids[0])


def test_stopping_twice_is_harmless() -> None:
    async def run() -> None:
        async with spawn(["sleep", "1000"], env=ENV) as child:
            await child.stop()
            await child.stop()
            assert not child.alive()

    asyncio.run(run())


def test_the_watcher_imports_nothing_that_costs() -> None:
    """Its start-up is paid for every child, and it must not depend on what is installed."""
    tree = ast.parse(Path(watcher.__file__).read_text())
    at_start = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert at_start == {"os", "select", "signal", "sys", "time"}
    assert {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)} == {"__future__"}


def test_last_words_are_masked(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\n\ntwo sk_test_abc\nthree\n")
    assert last_words(log, 2) == "\n    two sk_test_***\n    three"
    assert last_words(tmp_path / "none") == " it said nothing"


def test_a_command_with_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        watch._specify(["a\0b"], {}, Path("/"), signal.SIGTERM, 1.0, None)
