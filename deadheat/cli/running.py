"""Which `deadheat serve` runs here: a small file that it leaves, and the way to ask at its desk.

``.deadheat/serve.json`` holds address, key and process, for its owner's eyes only. It is taken away when
serve ends; what a killed one left behind is told by its process, so that no key goes to whoever listens
there now. Of several in one folder the latest is found.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import httpx

from deadheat.engine.stripe_desk import PATH
from deadheat.errors import ActRefused, SettingsError
from deadheat.report.disk import make_state_folder
from deadheat.safety import check_key, check_url
from deadheat.stripe_sim import form

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FILE = "serve.json"
KEY_VARIABLE = "STRIPE_SECRET_KEY"
ANSWER_SECONDS_MAX = 60.0  # longer than any delivery may take

HOW = (
    "Start one in this folder, or name one that runs elsewhere: "
    f"--stripe-url URL, with its key in {KEY_VARIABLE}."
)


@dataclass(frozen=True, slots=True)
class Running:
    """A serve that runs, as far as is known; ``pid`` is 0 where it was named by hand."""

    url: str
    key: str
    pid: int = 0

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Ask at the desk. ActRefused when Stripe would not do it, SettingsError for all else."""
        said = {name: value for name, value in arguments.items() if value is not None}
        try:
            response = httpx.post(
                f"{self.url.rstrip('/')}{PATH}{command}",
                headers={
                    "authorization": f"Bearer {self.key}",
                    "content-type": "application/x-www-form-urlencoded",
                },
                content=form.encode(said),
                timeout=ANSWER_SECONDS_MAX,
                trust_env=False,
            )
            answer = response.json()
            if response.status_code == 200:
                return dict(answer)
            message = str(answer["error"]["message"])
        except httpx.HTTPError as error:
            raise SettingsError(f"No deadheat serve answers at {self.url} ({error}). {HOW}") from None
        except (ValueError, KeyError, TypeError):
            raise SettingsError(f"What answers at {self.url} is no deadheat serve. {HOW}") from None
        if response.status_code == 401:
            raise SettingsError(f"The deadheat serve at {self.url} has another key. {HOW}")
        raise (ActRefused if response.status_code == 409 else SettingsError)(message)


@contextlib.contextmanager
def noted(state_folder: Path, running: Running) -> Iterator[None]:
    """Leave the file while the block runs; SettingsError when it cannot be written."""
    make_state_folder(state_folder)
    path = state_folder / FILE
    try:
        handle, name = tempfile.mkstemp(prefix=f".{FILE}.", dir=state_folder)  # mode 0600 from the start
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(running), file)
        os.replace(name, path)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}.") from error
    try:
        yield
    finally:
        if _read(path) == running:  # and not a later one's
            path.unlink(missing_ok=True)


def find_running(state_folder: Path, *, url: str | None, environ: Mapping[str, str]) -> Running:
    """Give the serve at ``url``, else the one that left its file; SettingsError says what to do."""
    if url is not None:
        check_url(url, where="--stripe-url")
        key = environ.get(KEY_VARIABLE, "")
        check_key(key, where=KEY_VARIABLE)
        if not key:
            raise SettingsError(
                f"--stripe-url {url}: {KEY_VARIABLE} is not set. It is in the environment that deadheat "
                "serve prints."
            )
        return Running(url, key)
    path = state_folder / FILE
    found = _read(path)
    if found is None:
        raise SettingsError(f"No deadheat serve runs in this folder. {HOW}")
    check_url(found.url, where=str(path))
    if not _lives(found.pid):
        raise SettingsError(
            f"No deadheat serve runs in this folder: {path} is left over from process {found.pid}. {HOW}"
        )
    return found


def _read(path: Path) -> Running | None:
    """Read the file; None when there is none, or nothing that we wrote."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return Running(url=str(said["url"]), key=str(said["key"]), pid=int(said["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
