"""What the settings are, once read: plain values that the engine takes as they stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP call of an operation.

    Values of ``json`` may hold ``{user.id}``, ``{user.email}``, ``{user.name}``, ``{price}`` and
    captured names (``{code}``), as may the path. ``capture`` maps a name to where the answer holds
    it: ``$.a.b`` (JSONPath, the dotted subset), ``header:Name``, ``cookie:name``. Capturing
    ``user.id`` tells which id the target gave to the user.
    """

    method: str
    path: str
    json: Mapping[str, Any] | None = None
    success: tuple[int, ...] = (200,)
    capture: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSettings:
    """One of the target's operations: its calls, and where the last answer holds what it promises.

    ``customer`` (the Stripe customer named), ``checkout_session`` (the session to pay) and
    ``session`` (what proves a login, ``cookie:NAME``) are places as in `Request.capture`;
    ``refusals`` are statuses that are neither success nor failure.
    """

    name: str
    calls: tuple[Request, ...]
    customer: str | None = None
    checkout_session: str | None = None
    session: str | None = None
    refusals: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """Where the target takes Stripe's events. Empty ``types`` means every type."""

    path: str
    api_version: str | None = None
    types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSettings:
    """The target: a command to start (run from ``folder``) or a base URL."""

    folder: Path
    start: str | None = None
    base_url: str | None = None
    ready: str = "/"
    ready_seconds: float = 30.0
    migrate: str | None = None
    workers: int = 1
    env: Mapping[str, str] = field(default_factory=dict)
    operations: Mapping[str, OperationSettings] = field(default_factory=dict)
    webhook: WebhookSettings | None = None
    tables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a run needs to know, validated.

    ``scenarios`` are folders of scenario modules, absolute, and none stands for those that Deadheat
    brings; which of their scenarios to run is no setting. ``schedules`` and ``seconds`` are budgets
    for each scenario. ``workers`` run side by side, each with a deployment of its own; those of
    `TargetSettings` are processes within one. ``stripe_mock`` is a word, a URL or an absolute path.
    """

    target: TargetSettings
    target_name: str = "reference"
    postgres: str = "auto"
    stripe_mock: str = "auto"
    stripe_mock_mode: Literal["enforce", "warn"] = "enforce"
    strategy: str | None = None
    schedules: int | None = None
    seconds: float | None = None
    seed: int = 0
    workers: int = 2
    keep_all: bool = False
    scenarios: tuple[Path, ...] = ()
    invariants: Mapping[str, str] = field(default_factory=dict)
    allow_hosts: tuple[str, ...] = ()
    state_folder: Path = Path(".deadheat")
    junit: Path | None = None
    json: Path | None = None
