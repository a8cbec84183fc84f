"""The process that holds one container: ``python -P docker_keeper.py ORDER``, under a watcher.

`deadheat.engine.docker` starts it. ORDER is a file that says what is wanted, and that our parent keeps
locked for as long as it lives; the container's label names it, so that whoever finds the container can
tell whether its run is dead (`deserted`). What dead runs left is removed before anything is started.

All that blocks stands in here, testcontainers too, which is imported in no other process. SIGTERM ends
it at any moment and takes the container along, but for the moment between asking for a container and
knowing it: there it waits. What it has to say goes to standard output, a JSON object a line:
``{"notice": …}``, then ``{"port": N}`` once the container answers, or ``{"problem": …}`` if it never will.
Its exit code is `LEFT` when the container could not be removed; ORDER then stays too.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

LABEL = "deadheat.order"
PREFIX = "deadheat-docker-"  # of the files named ORDER
LEFT = 3
READY_SECONDS = 60.0
POLL_SECONDS = 0.1
LAST_LINES = 8
STRIPE_KEY = "sk_test_123"

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ENDED = ("exited", "dead")
_NO_ENGINE = "Start one, or name it in DOCKER_HOST."


class Stopped(BaseException):
    """SIGTERM has come."""


class Failed(Exception):
    """There will be no container, for a reason that a person can understand."""


def main(path: Path) -> int:
    """Hold the container that the file at ``path`` asks for until SIGTERM; give the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    order: dict[str, Any] = json.loads(path.read_text())
    engine: Any = None
    try:
        engine = reach_engine(order["installed"])
        sweep(engine)
        fetch(engine, order["image"], order["variable"])
        say(port=started(order, path))
        while True:
            signal.pause()
    except Stopped:
        pass
    except Failed as failed:
        say(problem=str(failed))
    except Exception as error:  # whatever it was, the other side gets one message and no traceback
        say(problem=f"Docker failed: {_why(error)}.")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    if engine is not None and not gone(engine, order["name"]):
        return LEFT
    path.unlink(missing_ok=True)
    return 0


def _stop(number: int, frame: object) -> NoReturn:
    raise Stopped


def say(**what: object) -> None:
    """Tell our parent, if it is still there."""
    with suppress(OSError):
        os.write(1, json.dumps(what).encode() + b"\n")


def reach_engine(how_to_install: str) -> Any:
    """Give a client of the Docker engine of this machine."""
    try:
        from testcontainers.core.docker_client import DockerClient, get_docker_host
    except ImportError as error:
        raise Failed(f"that takes testcontainers ({error}): {how_to_install}.") from None
    from docker.errors import DockerException

    host = get_docker_host() or ""
    if urlsplit(host).scheme != "unix" and urlsplit(host).hostname not in (None, *_LOOPBACK):
        raise Failed(f"the Docker engine at {host} is on another machine: its ports are not on our loopback.")
    try:
        return DockerClient().client
    except (DockerException, OSError, ValueError) as error:
        where = f"at {host}" if host else "at its usual place"
        raise Failed(f"no Docker engine answers {where} ({_why(error)}). {_NO_ENGINE}") from None


def fetch(engine: Any, image: str, variable: str) -> None:
    """Pull the image unless it is here."""
    from docker.errors import APIError, DockerException, ImageNotFound

    try:
        engine.images.get(image)
        return
    except ImageNotFound:
        say(notice=f"pulling the image {image}")
    except APIError as error:
        raise Failed(f"{image!r} ({variable}) cannot be an image: {_why(error)}.") from None
    try:
        engine.images.pull(image)
    except DockerException as error:
        raise Failed(
            f"the image {image} is not here and cannot be pulled ({_why(error)}). "
            f"Pull or build it, or name another in {variable}."
        ) from None


def started(order: dict[str, Any], path: Path) -> int:
    """Start the container and wait until it answers; give its port on 127.0.0.1."""
    from docker.errors import APIError

    container = _container(order)
    container.with_name(order["name"]).with_kwargs(labels={LABEL: str(path)})
    # testcontainers publishes on every interface; a tuple of an address alone is a free port there
    container.ports = {f"{order['port']}/tcp": ("127.0.0.1",)}
    container.waiting_for(_Answering(order))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until _Answering unblocks it
    try:
        container.start()
    except APIError as error:
        raise Failed(f"a container of {order['image']} cannot be started: {_why(error)}.") from None
    except TimeoutError as error:
        raise Failed(f"the container of {order['image']} {error}") from None
    return int(container.get_exposed_port(order["port"]))


def _container(order: dict[str, Any]) -> Any:
    if order["role"] == "postgres":
        from testcontainers.community.postgres import PostgresContainer

        login = {"username": "postgres", "password": order["password"], "dbname": "postgres"}
        return PostgresContainer(
            order["image"],
            driver=None,
            command=order["command"],
            env={"POSTGRES_INITDB_ARGS": "--no-sync"},
            **login,
        )
    from testcontainers.core.container import DockerContainer

    return DockerContainer(order["image"])


class _Answering:
    """A wait strategy of testcontainers: called once the container is known, back when it answers."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._answers = _lets_in if order["role"] == "postgres" else _lists_customers
        self._port: int = order["port"]

    def wait_until_ready(self, container: Any) -> None:
        """Wait; TimeoutError when the container ends, or does not answer within READY_SECONDS."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers(container, self._port):
            container.reload()
            if container.status in _ENDED:
                raise TimeoutError(f"ended before it answered; it said:{_last_words(container)}")
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"did not answer within {READY_SECONDS:.0f} s; it said:{_last_words(container)}"
                )
            time.sleep(POLL_SECONDS)


def _lets_in(container: Any, port: int) -> bool:
    """Tell whether Postgres takes connections; while it is being set up only its Unix socket does."""
    from docker.errors import APIError

    try:
        asked = container.exec(["pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres"])
    except APIError:  # it is not running
        return False
    return bool(asked.exit_code == 0)


def _lists_customers(container: Any, port: int) -> bool:
    """Tell whether stripe-mock answers a GET with a key; without one it answers 401."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", container.get_exposed_port(port), timeout=5.0)
        connection.request("GET", "/v1/customers", headers={"Authorization": f"Bearer {STRIPE_KEY}"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def _last_words(container: Any) -> str:
    said = b"\n".join(container.get_logs()).decode(errors="replace").splitlines()
    kept = [line.rstrip() for line in said if line.strip()][-LAST_LINES:]
    return "".join(f"\n    {line}" for line in kept) or " nothing"


def sweep(engine: Any) -> None:
    """Remove the containers of dead runs, and say which."""
    for container in engine.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True):
        order = Path(container.labels[LABEL])
        if deserted(order, container.status) and gone(engine, container.name):
            say(notice=f"removed the container {container.name}, left behind by a run that was killed")
            if order.name.startswith(PREFIX):
                with suppress(OSError):
                    order.unlink()


def deserted(order: Path, status: str) -> bool:
    """Tell whether nobody holds the lock of a container's order any more.

    A missing order may lie in another container's /tmp, so then only what runs no more counts.
    """
    try:
        descriptor = os.open(order, os.O_RDONLY)
    except FileNotFoundError:
        return status in _ENDED
    except OSError:  # somebody else's
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def gone(engine: Any, name: str) -> bool:
    """Remove a container and its volumes; tell whether it is gone, whoever did it."""
    from docker.errors import APIError, DockerException, NotFound

    try:
        engine.containers.get(name).remove(force=True, v=True)
    except NotFound:
        return True
    except APIError as error:
        if error.status_code == 409:  # somebody else is at it
            return True
        say(notice=f"the container {name} could not be removed ({_why(error)}): docker rm -fv {name}")
        return False
    except (DockerException, OSError) as error:
        say(notice=f"the container {name} could not be removed ({_why(error)}): docker rm -fv {name}")
        return False
    return True


def _why(error: BaseException) -> str:
    """Say the reason at the bottom of an error, in one line."""
    explanation = getattr(error, "explanation", None)
    if isinstance(explanation, str) and explanation:
        return " ".join(explanation.split()).rstrip(".")
    *_, bottom = _chain(error)
    said = getattr(bottom, "strerror", None) or str(bottom) or type(bottom).__name__
    return " ".join(str(said).split()).rstrip(".")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
