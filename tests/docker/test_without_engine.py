"""What is said where Docker is asked for and is not there; none of it takes an engine."""

from __future__ import annotations

import asyncio
import fcntl
import json
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from deadheat.engine.docker_keeper import deserted
from deadheat.engine.postgres import open_postgres
from deadheat.engine.stripe_mock import StripeMock
from deadheat.errors import PostgresUnavailable, StripeMockUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


async def postgres() -> None:
    async with open_postgres("docker"):
        raise AssertionError("there cannot be a server")


async def stripe_mock(notices: list[str]) -> None:
    async with StripeMock.open("docker", notice=notices.append):
        raise AssertionError("there cannot be a stripe-mock")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DEADHEAT_STRIPE_MOCK_IMAGE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def _testcontainers() -> None:
    pytest.importorskip("testcontainers", reason='no testcontainers here: pip install "deadheat[docker]"')


@pytest.mark.slow
def test_without_testcontainers_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "testcontainers.py").write_text('raise ImportError("No module named testcontainers")\n')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(PostgresUnavailable, match=r'pip install "deadheat\[docker\]"'):
        asyncio.run(postgres())


@pytest.mark.slow
@pytest.mark.usefixtures("_testcontainers")
class TestNoEngine:
    def test_no_socket(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
        with pytest.raises(
            PostgresUnavailable, match=r"^--postgres docker: no Docker engine answers at unix"
        ):
            asyncio.run(postgres())

    def test_on_another_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
        with pytest.raises(StripeMockUnavailable, match="another machine"):
            asyncio.run(stripe_mock([]))

    def test_it_is_exit_code_2_and_one_message(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
        argv = [sys.executable, "-m", "deadheat", "run", "--postgres", "docker"]
        ended = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ended.returncode == 2, ended.stdout
        assert ended.stderr.count("\n") == 1
        assert ended.stderr.startswith("deadheat: --postgres docker: no Docker engine answers at unix")
        assert ended.stderr.endswith("Without Docker: --postgres embedded, or the DSN of a server.\n")

    def test_nothing_is_left_in_the_temporary_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "temporary"
        folder.mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
        with pytest.raises(PostgresUnavailable):
            asyncio.run(postgres())
        assert list(folder.iterdir()) == []


class _Engine(BaseHTTPRequestHandler):
    """A Docker engine with no image and no way to a registry."""

    def do_GET(self) -> None:
        if self.path.endswith("/version"):
            self._answer(200, {"ApiVersion": "1.41", "Version": "20.10", "MinAPIVersion": "1.12"})
        elif "/containers/json" in self.path:
            self._answer(200, [])
        else:
            self._answer(404, {"message": "no such image"})

    def do_POST(self) -> None:
        self._answer(500, {"message": "lookup registry.test: no such host"})

    def do_DELETE(self) -> None:
        self._answer(404, {"message": "no such container"})

    def _answer(self, status: int, body: object) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def engine_without_images() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Engine) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
@pytest.mark.usefixtures("_testcontainers")
def test_an_image_that_cannot_be_pulled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEADHEAT_STRIPE_MOCK_IMAGE", "mine/stripe-mock:v1")
    notices: list[str] = []
    with engine_without_images() as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        with pytest.raises(StripeMockUnavailable) as raised:
            asyncio.run(stripe_mock(notices))
    assert notices == ["pulling the image mine/stripe-mock:v1"]
    assert str(raised.value) == (
        "--stripe-mock docker: the image mine/stripe-mock:v1 is not here and cannot be pulled "
        "(lookup registry.test: no such host). Pull or build it, or name another in "
        "DEADHEAT_STRIPE_MOCK_IMAGE. Without Docker: --stripe-mock with the path of a binary, a URL, or off."
    )


class TestDeserted:
    """A container is a dead run's when nobody holds the lock of its order."""

    def test_a_living_run_holds_it(self, tmp_path: Path) -> None:
        order = tmp_path / "order"
        with order.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            assert not deserted(order, "running")
            assert not deserted(order, "exited")

    def test_a_dead_one_does_not(self, tmp_path: Path) -> None:
        order = tmp_path / "order"
        order.touch()
        assert deserted(order, "running")

    def test_a_missing_order_may_be_in_another_tmp(self, tmp_path: Path) -> None:
        assert not deserted(tmp_path / "none", "running")
        assert not deserted(tmp_path / "none", "created")
        assert deserted(tmp_path / "none", "exited")
