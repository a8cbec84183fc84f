"""This machine: Python and packages, the state folder, and the programs that Deadheat can use here."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import tempfile
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from deadheat.safety import is_loopback

if TYPE_CHECKING:
    from pathlib import Path

    from deadheat.engine.doctor.check import Page

ASKING_SECONDS = 10.0
DISTRIBUTION = "deadheat"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


async def examine_machine(page: Page, *, state_folder: Path) -> None:
    """Try what stands here by itself; Postgres and stripe-mock are tried by starting them."""
    page.ok(
        "python", f"{platform.python_implementation()} {platform.python_version()} on {platform.system()}"
    )
    examine_packages(page, DISTRIBUTION)
    examine_folder(page, state_folder)
    await _examine_go(page)
    await _examine_docker(page)
    _examine_locust(page)


def examine_packages(page: Page, distribution: str) -> None:
    """Look up the version of every package that a distribution cannot do without."""
    try:
        required = importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        page.warn(
            "packages",
            f"{distribution} runs from a folder and is not installed, so what it requires is not known",
            "pip install it (pip install -e . in a checkout).",
        )
        return
    names = [found[0] for text in required if "extra ==" not in text and (found := _NAME.match(text))]
    versions = {name: _version(name) for name in names}
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        page.fail("packages", f"not installed: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    else:
        own = _version(distribution)
        listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
        page.ok("packages", f"{distribution} {own} with {listed}")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def examine_folder(page: Page, state_folder: Path) -> None:
    """Write a file where histories go, and take it away again."""
    folder = state_folder
    while not folder.exists() and folder.parent != folder:
        folder = folder.parent
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".deadheat-doctor-"):
            pass
    except OSError as error:
        page.fail(
            "state folder",
            f"cannot write to {folder}: {error.strerror}",
            "Run in a folder that you may write to.",
        )
        return
    page.ok("state folder", f"{state_folder} can be written")


async def _examine_go(page: Page) -> None:
    said = await first_line("go", "version")
    if said is None:
        page.ok("go", "not here; it is only needed to build stripe-mock (make test does)")
    else:
        page.ok("go", said.removeprefix("go version "))


async def _examine_docker(page: Page) -> None:
    """Ask the engine for its version, by the client that the user has set up."""
    needed = "only --postgres docker and --stripe-mock docker need one"
    host = os.environ.get("DOCKER_HOST", "")
    if not _local(host):
        page.warn("docker", f"DOCKER_HOST leads to another machine, which is not asked; {needed}")
        return
    said = await first_line("docker", "version", "--format", "{{.Server.Version}}")
    if said is None:
        page.warn("docker", f"no engine answers; {needed}", "Start one, or do without.")
    else:
        page.ok("docker", f"engine {said} answers")


def _local(docker_host: str) -> bool:
    """Say whether an engine's address is this machine."""
    if not docker_host or docker_host.startswith(("unix://", "npipe://", "fd://")):
        return True
    return is_loopback(urlsplit(docker_host).hostname or "")


def _examine_locust(page: Page) -> None:
    if importlib.util.find_spec("locust") is None:  # importing it would change this process
        page.warn("locust", "not installed; only soak needs it", "pip install 'deadheat[soak]'")
    else:
        page.ok("locust", _version("locust") or "installed")


async def first_line(*argv: str) -> str | None:
    """Run a program that only says something; None when it is not here, fails or takes too long."""
    if shutil.which(argv[0]) is None:
        return None
    asked = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        said, _ = await asyncio.wait_for(asked.communicate(), ASKING_SECONDS)
    except TimeoutError:
        asked.kill()
        await asked.wait()
        return None
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[0] if asked.returncode == 0 and lines else None
