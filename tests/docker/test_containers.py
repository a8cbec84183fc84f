"""The containers of `--postgres docker` and `--stripe-mock docker`: what they are, and that they go."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from engine_here import POSTGRES, STRIPE_MOCK, containers, need

from deadheat.engine.docker_keeper import PREFIX
from deadheat.engine.postgres import open_postgres
from deadheat.engine.stripe_mock import StripeMock
from deadheat.errors import PostgresUnavailable, StripeMockUnavailable
from deadheat.stripe_sim.wire import ApiRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.docker, pytest.mark.slow]

DEADLINE_S = 60.0

PARENT = """
import asyncio, sys
from deadheat.engine.stripe_mock import StripeMock

async def main():
    async with StripeMock.open("docker") as mock:
        print("up", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    with need(POSTGRES, STRIPE_MOCK) as engine:
        yield engine


@pytest.fixture(autouse=True)
def _nothing_stays(engine: Any) -> Iterator[None]:
    """Whatever a test does, no container of its own may be there when it has ended."""
    before, orders_before = containers(engine), orders()
    yield
    left = containers(engine) - before
    for name in left:
        engine.containers.get(name).remove(force=True, v=True)
    assert not left
    assert orders() <= orders_before


def orders() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*")}


def eventually(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S:.0f} s: {what}"
        time.sleep(0.05)


def begun(*, before: set[str], engine: Any) -> tuple[subprocess.Popen[str], str]:
    """Start a parent of a container; give it once all is up, with the container's name."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    assert parent.stderr is not None
    assert parent.stdout.readline() == "up\n", parent.stderr.read()
    (name,) = containers(engine) - before
    return parent, name


def test_postgres(engine: Any) -> None:
    async def look() -> tuple[str, dict[str, Any], list[Any]]:
        async with open_postgres("docker") as server:
            await server.create_database("plain_name")
            connection = await server.connect("plain_name")
            try:
                row = await connection.fetchrow(
                    "select current_setting('deadlock_timeout') as deadlock,"
                    " current_setting('fsync') as sync, current_setting('server_version') as version"
                )
            finally:
                await connection.close()
            (name,) = containers(engine) - before
            container = engine.containers.get(name)
            ports = container.attrs["NetworkSettings"]["Ports"]["5432/tcp"]
            return server.describe, dict(row), ports

    before = containers(engine)
    volumes = {volume.name for volume in engine.volumes.list()}
    describe, row, ports = asyncio.run(look())
    assert describe == f"{row['version'].split()[0]} docker"
    assert (row["deadlock"], row["sync"]) == ("20ms", "off")
    assert [port["HostIp"] for port in ports] == ["127.0.0.1"]
    assert {volume.name for volume in engine.volumes.list()} <= volumes


def test_stripe_mock(engine: Any) -> None:
    async def look() -> tuple[str, int | None]:
        async with StripeMock.open("docker") as mock:
            assert mock is not None
            answer = await mock.answer(ApiRequest(method="GET", path="/v1/tax_rates"))
            return mock.version, answer.status if answer else None

    assert asyncio.run(look()) == ("v0.197.0", 200)


def test_the_engine_of_ours_imports_no_testcontainers(engine: Any) -> None:
    """They block; in the process of their own (and only there) they block nobody."""
    script = PARENT.replace(
        "        await asyncio.sleep(600)\n",
        "        print([m for m in sys.modules if m.split('.')[0] in ('docker', 'testcontainers')])\n",
    )
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[1:] == ["[]"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_it_goes_when_we_are_stopped(engine: Any, number: signal.Signals) -> None:
    before = containers(engine)
    parent, name = begun(before=before, engine=engine)
    with parent:
        os.killpg(parent.pid, number)
        parent.communicate()
    eventually(lambda: name not in containers(engine), f"{name} is removed")


def test_interrupting_a_start_leaves_nothing(engine: Any) -> None:
    """At any moment of it; most moments are in the wait for Postgres to answer."""

    async def interrupted(after: float) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(after), open_postgres("docker"):
                await asyncio.sleep(600)

    before = containers(engine)
    for after in (0.01, 0.4, 0.8, 1.2):
        asyncio.run(interrupted(after))
        assert containers(engine) <= before


def test_what_a_killed_run_left_is_removed_by_the_next(engine: Any) -> None:
    before = containers(engine)
    parent, name = begun(before=before, engine=engine)
    with parent:
        for pid in family(parent.pid):  # watcher and keeper too: nobody is left to clean up
            os.kill(pid, signal.SIGKILL)
        parent.communicate()
    assert name in containers(engine)
    notices: list[str] = []
    asyncio.run(nothing(notices))
    assert notices == [f"removed the container {name}, left behind by a run that was killed"]
    assert name not in containers(engine)


def test_what_a_living_run_has_is_left_alone(engine: Any) -> None:
    before = containers(engine)
    parent, name = begun(before=before, engine=engine)
    with parent:
        notices: list[str] = []
        asyncio.run(nothing(notices))
        assert notices == []
        assert name in containers(engine)
        parent.send_signal(signal.SIGINT)
        parent.communicate()


async def nothing(notices: list[str]) -> None:
    async with StripeMock.open("docker", notice=notices.append):
        pass


def family(pid: int) -> list[int]:
    """Give a process and its descendants, children before their parents."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    children: dict[int, list[int]] = {}
    for line in listed.stdout.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found[::-1]


def test_an_image_that_is_not_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEADHEAT_STRIPE_MOCK_IMAGE", "localhost:1/stripe-mock:none")
    with pytest.raises(StripeMockUnavailable, match=r"cannot be pulled .* DEADHEAT_STRIPE_MOCK_IMAGE\."):
        asyncio.run(nothing([]))


def test_an_image_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Postgres, asked to be stripe-mock, has no password and says so."""
    monkeypatch.setenv("DEADHEAT_STRIPE_MOCK_IMAGE", POSTGRES)
    with pytest.raises(StripeMockUnavailable, match=r"(?s)ended before it answered.*superuser password"):
        asyncio.run(nothing([]))


def test_an_image_that_cannot_run_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEADHEAT_POSTGRES_IMAGE", "no such image")
    with pytest.raises(PostgresUnavailable, match="cannot be an image"):
        asyncio.run(opened())


async def opened() -> None:
    async with open_postgres("docker"):
        pass


def test_a_suite_on_both_is_clean(engine: Any, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "deadheat", "run", "signup.two-at-once", "--schedules", "3"]
    ended = subprocess.run(
        [*argv, "--postgres", "docker", "--stripe-mock", "docker"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    summary = json.loads((tmp_path / ".deadheat" / "summary.json").read_text())
    assert summary["verdict"] == "clean"
    assert summary["postgres"].endswith(" docker")
    assert summary["stripe_mock"] == "v0.197.0"
