"""docker-compose.yml: read alike by docker-compose 1.29 and the v2 plugin, healthy, and raced on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from engine_here import POSTGRES, STRIPE_MOCK, need, need_compose

from deadheat.engine.loopback import free_port
from deadheat.engine.postgres import opening
from deadheat.engine.stripe_mock import IMAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.docker, pytest.mark.slow]

FILE = Path(__file__).parents[2] / "docker-compose.yml"
HEALTHY_SECONDS = 90.0
COMPOSES = pytest.mark.parametrize(
    "command", [("docker-compose",), ("docker", "compose")], ids=lambda words: " ".join(words)
)


def test_its_images_are_those_of_the_engine() -> None:
    lines = {line.strip() for line in FILE.read_text().splitlines()}
    assert {f"image: {opening.IMAGE}", f"image: {IMAGE}"} <= lines
    assert (opening.IMAGE, IMAGE) == (POSTGRES, STRIPE_MOCK)


@COMPOSES
def test_it_is_read(command: tuple[str, ...]) -> None:
    config = compose(need_compose(*command), "config", ports=(15432, 22111)).stdout
    # One writes ports as "127.0.0.1:15432:5432/tcp", the other as a mapping of host_ip and published.
    assert config.count("127.0.0.1:15432:5432") == 1 or 'published: "15432"' in config
    assert config.count("127.0.0.1:22111:12111") == 1 or 'published: "22111"' in config
    assert "0.0.0.0" not in config.replace("127.0.0.1", "")
    assert "wget -qO /dev/null --header ''Authorization: Bearer sk_test_123'' http://127.0.0.1" in config


@pytest.fixture(params=[("docker-compose",), ("docker", "compose")], ids=lambda words: " ".join(words))
def services(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """Put up what the file says, wait until it is healthy, give the ports; take it down again."""
    command = need_compose(*request.param)
    ports = (free_port(), free_port())
    with need(POSTGRES, STRIPE_MOCK) as engine:
        try:
            compose(command, "up", "--detach", ports=ports)
            _wait_until_healthy(engine)
            yield ports
        finally:
            compose(command, "down", "--volumes", ports=ports)


def project() -> str:
    return f"deadheat-test-{os.getpid()}"


def compose(command: tuple[str, ...], *arguments: str, ports: tuple[int, int]) -> Any:
    postgres, stripe_mock = map(str, ports)
    done = subprocess.run(
        [*command, "--file", str(FILE), "--project-name", project(), *arguments],
        env={**os.environ, "POSTGRES_PORT": postgres, "STRIPE_MOCK_PORT": stripe_mock},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def _wait_until_healthy(engine: Any) -> None:
    deadline = time.monotonic() + HEALTHY_SECONDS
    while True:
        label = f"com.docker.compose.project={project()}"
        found = engine.containers.list(all=True, filters={"label": label})
        health = {container.name: container.attrs["State"]["Health"]["Status"] for container in found}
        if sorted(health.values()) == ["healthy", "healthy"]:
            return
        assert time.monotonic() < deadline, health
        time.sleep(0.1)


def test_a_run_on_it_is_clean(services: tuple[int, int], tmp_path: Path) -> None:
    postgres, stripe_mock = services
    argv = [sys.executable, "-m", "deadheat", "run", "signup.two-at-once", "--schedules", "3"]
    argv += ["--postgres", f"postgresql://postgres:deadheat@127.0.0.1:{postgres}/postgres"]
    argv += ["--stripe-mock", f"http://127.0.0.1:{stripe_mock}"]
    ended = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    summary = json.loads((tmp_path / ".deadheat" / "summary.json").read_text())
    assert summary["verdict"] == "clean"
    assert summary["postgres"].endswith(f" at 127.0.0.1:{postgres}")
    assert summary["stripe_mock"] != "off"
