"""What the settings are, once read: plain values that the engine takes as they stand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from deadheat.invariants import BUILT_IN
from deadheat.schedule import CALL_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deadheat.invariants.invariant import Invariant
    from deadheat.program import Cancel, Pay, Refund, Renew

PLACEHOLDER = re.compile(r"\{([a-zA-Z_][\w.-]*)(:int)?\}")
"""A placeholder in a request: its name, and whether it stands for a JSON number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP call of an operation.

    The path and every string of ``json``, ``form`` and ``headers`` may hold placeholders: ``{user.id}``,
    ``{user.email}``, ``{user.name}``, ``{price}``, ``{target.url}`` and captured names (``{code}``). A
    path that is nothing but one placeholder is a URL that was captured. ``capture`` maps a name to a
    place in the answer (`deadheat.engine.places`); capturing ``user.id`` tells which id the target gave
    to the user. ``follow``: redirects within the target are followed, and the last answer is the call's.
    """

    method: str
    path: str
    json: Mapping[str, Any] | None = None
    form: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    follow: bool = False
    success: tuple[int, ...] = (200,)
    capture: Mapping[str, str] = field(default_factory=dict)

    def placeholders(self) -> tuple[str, ...]:
        """Give the names that stand in braces anywhere in the call, each once, in order."""
        texts = (self.path, *_strings(self.json), *_strings(self.form), *self.headers.values())
        return tuple(dict.fromkeys(found[1] for text in texts for found in PLACEHOLDER.finditer(text)))


def _strings(value: Any) -> Iterator[str]:
    """Give every string of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSettings:
    """One of the target's operations: its calls, and where the last answer holds what it promises.

    ``customer`` (the Stripe customer named), ``checkout_session`` (the session to pay) and
    ``session`` (what proves a login, ``cookie:NAME``) are places as in `Request.capture`;
    ``refusals`` are statuses that are neither success nor failure. ``at_stripe`` is the act that the person
    does at Stripe after the calls. An operation of the team's adapter is its ``method``, which may keep the
    values that ``keeps`` names.
    """

    name: str
    calls: tuple[Request, ...]
    customer: str | None = None
    checkout_session: str | None = None
    session: str | None = None
    refusals: tuple[int, ...] = ()
    at_stripe: type[Pay | Cancel | Renew | Refund] | None = None
    method: Callable[[Any], Any] | None = None
    keeps: tuple[str, ...] = ()

    def wants(self) -> tuple[str, ...]:
        """Give the placeholders that no earlier call of its own fills, each once, in order."""
        known: set[str] = set()
        found: dict[str, None] = {}
        for call in self.calls:
            found.update(dict.fromkeys(name for name in call.placeholders() if name not in known))
            known.update(call.capture)
        return tuple(found)

    def gives(self) -> tuple[str, ...]:
        """Give the names that the operation gives values to."""
        return (*(name for call in self.calls for name in call.capture), *self.keeps)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """Where the target takes Stripe's events. Empty ``types`` means every type.

    ``name`` tells several apart, and stands in the placeholder of the secret. ``secret`` is that of an
    endpoint of a target that runs already.
    """

    path: str
    api_version: str | None = None
    types: tuple[str, ...] = ()
    name: str = ""
    secret: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSettings:
    """The target: a command to start (run from ``folder``) or a base URL.

    ``webhooks`` are its endpoints for events, with names of their own.
    ``tables`` are queries by relation, ``statuses`` the target's names of a subscription's status (case
    folded) with what they stand for at Stripe, ``cleanup`` the statements that take a run's rows away.
    """

    folder: Path
    start: str | None = None
    base_url: str | None = None
    ready: str = "/"
    ready_seconds: float = 30.0
    migrate: str | None = None
    workers: int = 1
    env: Mapping[str, str] = field(default_factory=dict)
    operations: Mapping[str, OperationSettings] = field(default_factory=dict)
    webhooks: tuple[WebhookSettings, ...] = ()
    tables: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[str, frozenset[str]] = field(default_factory=dict)
    cleanup: tuple[str, ...] = ()

    @property
    def events_version(self) -> str | None:
        """The API version in which the target's account makes events: that of its first endpoint."""
        return next((webhook.api_version for webhook in self.webhooks), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a run needs to know, validated.

    ``scenarios`` are folders of scenario modules, absolute, and none stands for those that Deadheat
    brings; which of their scenarios to run is no setting. ``schedules`` and ``seconds`` are budgets
    for each scenario, ``preemptions`` the bound of an exhaustive search, ``faults`` how many a schedule
    may have beside its scenario's own. ``workers`` run side by side,
    each with a deployment of its own; those of
    `TargetSettings` are processes within one. ``stripe_mock`` is a word, a URL or an absolute path.
    ``stripe_latency_ms`` is between what a Stripe call takes where no conductor holds it.
    ``stripe_port`` and ``postgres_port`` are where a target that runs already finds our simulator and our
    proxy; ``stripe_key`` and ``webhook_secret`` are those that it was started with, the secret that of
    endpoints which have none of their own.
    """

    target: TargetSettings
    target_name: str = "reference"
    postgres: str = "auto"
    stripe_mock: str = "auto"
    stripe_mock_mode: Literal["enforce", "warn"] = "enforce"
    stripe_latency_ms: tuple[float, float] = CALL_MS
    stripe_port: int | None = None
    postgres_port: int | None = None
    stripe_key: str | None = None
    webhook_secret: str | None = None
    strategy: str | None = None
    schedules: int | None = None
    seconds: float | None = None
    preemptions: int = 2
    faults: int = 0
    seed: int = 0
    workers: int = 2
    keep_all: bool = False
    scenarios: tuple[Path, ...] = ()
    invariants: Mapping[str, str] = field(default_factory=dict)
    own_invariants: tuple[Invariant, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    state_folder: Path = Path(".deadheat")
    junit: Path | None = None
    json: Path | None = None

    @property
    def every_invariant(self) -> tuple[Invariant, ...]:
        """The invariants that are built in, and the team's own."""
        return (*BUILT_IN, *self.own_invariants)
