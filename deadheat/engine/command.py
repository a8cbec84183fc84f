"""What a target is started with: its command line and its environment, as plain values.

A command is split as a shell would split it, and no shell runs it. Placeholders are filled word by
word after that, so a value with a space stays one argument. The environment is built from nothing:
a variable that the target needs stands in ``[target.env]`` and works on every machine; one that
happens to be set (a live Stripe key, somebody's database) never reaches it.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from typing import TYPE_CHECKING

from deadheat.errors import SettingsError, closest
from deadheat.safety import check_key

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT = ("HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")  # and LC_*; PATH is kept behind our own folder

_PLACEHOLDER = re.compile(r"(?<!\$)\{([a-zA-Z_][\w.-]*)\}")


def placeholders(text: str) -> set[str]:
    """Give the names that stand in braces in ``text``; a shell's ``${NAME}`` is none.

    >>> sorted(placeholders("serve --port {port} --db {postgres.url} ${HOME}"))
    ['port', 'postgres.url']
    """
    return set(_PLACEHOLDER.findall(text))


def fill(text: str, values: Mapping[str, str], *, where: str) -> str:
    """Put values in place of their names; SettingsError names the closest for one that is unknown."""
    for name in sorted(placeholders(text) - set(values)):
        known = ", ".join(f"{{{one}}}" for one in sorted(values))
        raise SettingsError(
            f"{where}: nothing fills {{{name}}}.{closest(name, values) or f' Known: {known}.'}"
        )
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


def command(text: str, values: Mapping[str, str], *, where: str) -> list[str]:
    """Split a command line and fill its words; SettingsError when it cannot be split or is empty."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise SettingsError(f"{where}: this command cannot be split into words ({error}): {text}") from None
    if not words:
        raise SettingsError(f"{where}: the command is empty.")
    return [fill(word, values, where=where) for word in words]


def environment(
    given: Mapping[str, str], values: Mapping[str, str], outside: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Build a target's environment: what every program needs from ``outside``, and ``given``, filled.

    PATH begins with the folder of our own interpreter, so that ``uvicorn`` is the one beside it.
    Refused when a value holds a live Stripe key.
    """
    kept = {name: outside[name] for name in outside if name in KEPT or name.startswith("LC_")}
    path = os.pathsep.join((os.path.dirname(sys.executable), outside.get("PATH") or os.defpath))
    built = {**kept, "PATH": path, "PYTHONUNBUFFERED": "1"}
    for name, value in given.items():
        where = f"[target.env] {name}"
        built[name] = fill(value, values, where=where)
        check_key(built[name], where=where)
    return built
