"""Run settings: what may be given on the command line, in the environment and in a file alike.

One table, `run_kinds`, says what each is; a layer is one place that gives some of them. Each layer
is read whole, so that a mistake shows even where another layer would win.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deadheat.errors import SettingsError, closest
from deadheat.program import FAULTS_MAX
from deadheat.safety import POSTGRES_SCHEMES
from deadheat.schedule import BY_NAME, STRATEGIES
from deadheat.settings import kinds
from deadheat.settings.kinds import Kind, Mismatch, read

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from deadheat.settings.table import Table

PREFIX = "DEADHEAT_"
SEED_MAX = 2**32 - 1
IN_FILES = (
    "strategy",
    "preemptions",
    "faults",
    "schedules",
    "seconds",
    "seed",
    "workers",
    "postgres",
    "stripe-mock",
    "stripe-mock-mode",
    "stripe-latency-ms",
    "stripe-port",
    "postgres-port",
    "stripe-key",
    "webhook-secret",
    "scenarios",
)
ONLY_WITHOUT_START = ("stripe-port", "postgres-port", "stripe-key", "webhook-secret")
NOT_IN_THE_ENVIRONMENT = ("scenarios", "stripe-latency-ms")
LATENCY_MS_MAX = 10_000
# Variables with our prefix that other parts read for themselves.
READ_ELSEWHERE = (
    "DEADHEAT_EXAMPLES",  # scenarios/test_generated.py
    "DEADHEAT_PG_USER",
    "DEADHEAT_POSTGRES_IMAGE",
    "DEADHEAT_STRIPE_MOCK_IMAGE",
)


@dataclass(frozen=True, slots=True)
class Given:
    """A value that was given, already read, and where."""

    value: Any
    where: str


Layer = dict[str, Given]


def run_kinds(base: Path) -> dict[str, Kind[Any]]:
    """Say what each run setting may be; ``base`` is the folder that relative paths start from."""

    def path(value: object) -> Path:
        return base / kinds.text(value)

    return {
        "target": kinds.text,
        "postgres": _postgres,
        "stripe-mock": lambda value: _stripe_mock(value, base),
        "stripe-mock-mode": kinds.one_of("enforce", "warn"),
        "stripe-port": kinds.whole_number(1, 65535),
        "postgres-port": kinds.whole_number(1, 65535),
        "stripe-key": kinds.text,
        "webhook-secret": kinds.text,
        "stripe-latency-ms": _latency,
        "strategy": kinds.one_of(*STRATEGIES, *BY_NAME),
        "preemptions": kinds.whole_number(0, 20),
        "faults": kinds.whole_number(0, FAULTS_MAX),
        "schedules": kinds.whole_number(1, 10**9),
        "seconds": kinds.seconds,
        "seed": kinds.whole_number(0, SEED_MAX),
        "workers": kinds.whole_number(1, 64),
        "target-workers": kinds.whole_number(1, 64),
        "keep": kinds.one_of("all"),
        "junit": path,
        "json": path,
        "scenarios": kinds.list_of(path, "folders"),
    }


def from_options(options: Mapping[str, object], cwd: Path) -> Layer:
    """Read what the command line gave; None and an empty list stand for nothing."""
    known = run_kinds(cwd)
    layer: Layer = {}
    for name, value in options.items():
        key = name.replace("_", "-")
        if key not in known:
            raise SettingsError(f"there is no option --{key}.{closest(key, known)}")
        if value is not None and value not in ((), []):
            value = str(value) if hasattr(value, "__fspath__") else value
            layer[key] = Given(read(value, known[key], f"--{key}"), f"--{key}")
    return layer


def from_environ(environ: Mapping[str, str], cwd: Path) -> Layer:
    """Read what ``DEADHEAT_…`` gives; an empty variable counts as unset, an unknown one is refused."""
    named = {
        PREFIX + key.upper().replace("-", "_"): (key, kind)
        for key, kind in run_kinds(cwd).items()
        if key not in NOT_IN_THE_ENVIRONMENT
    }
    layer: Layer = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable in READ_ELSEWHERE or not value:
            continue
        if variable not in named:
            raise SettingsError(f"the environment: there is no {variable}.{closest(variable, named)}")
        key, kind = named[variable]
        layer[key] = Given(read(value, kind, variable), variable)
    return layer


def from_file(top: Table, folder: Path) -> Layer:
    """Read the run settings at the top of a file."""
    known = run_kinds(folder)
    layer: Layer = {}
    for key in IN_FILES:
        value = top.take(key, known[key], None)
        if value is not None:
            layer[key] = Given(value, top.where(key))
    return layer


def merge(*layers: Layer) -> Layer:
    """Let earlier layers win over later ones."""
    merged: Layer = {}
    for layer in reversed(layers):
        merged.update(layer)
    return merged


def _latency(value: object) -> tuple[float, float]:
    """Take the least and the most that a call takes, in milliseconds."""
    found = value if isinstance(value, list) and len(value) == 2 else ()
    numbers = [float(n) for n in found if isinstance(n, int | float) and not isinstance(n, bool)]
    if len(numbers) != 2 or not 0 <= numbers[0] <= numbers[1] <= LATENCY_MS_MAX:
        raise Mismatch(f"two numbers of milliseconds up to {LATENCY_MS_MAX}, as in [5, 50]")
    return numbers[0], numbers[1]


def _postgres(value: object) -> str:
    words = ("auto", "embedded", "docker")
    if isinstance(value, str):
        if value in words or (value.partition("://")[0] in POSTGRES_SCHEMES and "://" in value):
            return value
        hint = closest(value, words)
    else:
        hint = ""
    raise Mismatch(f'{", ".join(words)} or a DSN, as in "postgresql://user@localhost/postgres"', hint)


def _stripe_mock(value: object, base: Path) -> str:
    words = ("auto", "docker", "off")
    expected = f"{', '.join(words)}, the path of stripe-mock or its URL"
    if not isinstance(value, str) or not value.strip():
        raise Mismatch(expected)
    if value in words or value.startswith(("http://", "https://")):
        return value
    if "/" in value or (base / value).exists():
        return str(base / value)
    found = shutil.which(value)
    if found is None:
        raise Mismatch(expected, closest(value, words))
    return found
