"""What the Docker tests need of the machine: an engine, images, a compose; each lack is a skip by name."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

POSTGRES = "postgres:17"
STRIPE_MOCK = "stripe/stripe-mock:v0.197.0"


@contextmanager
def need(*images: str) -> Iterator[Any]:
    """Give a client of the engine; skip where there is none, or an image is not here and not to be had."""
    docker = pytest.importorskip("docker", reason='no testcontainers here: pip install "deadheat[docker]"')
    try:
        _knock(docker.utils.parse_host(os.environ.get("DOCKER_HOST")))
    except OSError as error:
        pytest.skip(f"no Docker engine answers here; a plain `dockerd`, as root, is enough ({error})")
    with closing(docker.from_env()) as engine:
        for image in images:
            try:
                engine.images.get(image)
            except docker.errors.ImageNotFound:
                _pull(docker, engine, image)
        yield engine


def _knock(address: str) -> None:
    """Connect and hang up; a client of docker's that finds nobody leaks its socket."""
    parts = urlsplit(address)
    if parts.scheme == "http+unix":
        with socket.socket(socket.AF_UNIX) as knocking:
            knocking.connect(parts.path)
    else:
        socket.create_connection((parts.hostname or "localhost", parts.port or 2375), timeout=5.0).close()


def _pull(docker: Any, engine: Any, image: str) -> None:
    try:
        engine.images.pull(image)
    except docker.errors.DockerException as error:
        pytest.skip(f"the image {image} is not here and cannot be pulled ({error})")


def need_compose(*command: str) -> tuple[str, ...]:
    """Give the command; skip where there is no such compose."""
    found = shutil.which(command[0]) and (
        subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0
    )
    if not found:
        pytest.skip(f"there is no `{' '.join(command)}` here")
    return command


def containers(engine: Any) -> set[str]:
    """Name the containers that any Deadheat has started, running or not."""
    found = engine.containers.list(all=True, filters={"label": "deadheat.order"}, ignore_removed=True)
    return {container.name for container in found}
