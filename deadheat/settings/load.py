"""Loading: the command line over the environment over one settings file, made into `Settings`.

Which file that is depends on the target. ``--target FILE`` (or its folder) is that file; without
``--target`` it is the project's in the working folder, and where that describes no target, or there
is none, the reference that Deadheat brings. ``reference``, ``before`` and a URL take only Deadheat's
own files: a project's Postgres or switched-off invariants say nothing of another application. The
one thing that is always the project's to say is ``[safety] allow-hosts``: it is about hosts.

Nothing here opens a connection. Hosts are judged last, when everything that names one is known;
live keys are refused as soon as they are met.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from deadheat.bundled import bundled
from deadheat.errors import SettingsError, closest
from deadheat.history import redact
from deadheat.safety import check_dsn, check_key, check_url, check_variable
from deadheat.settings import kinds
from deadheat.settings.file import OWN_NAME, SettingsFile, project_file, project_hosts, read_file
from deadheat.settings.invariants import read_invariants
from deadheat.settings.model import Settings, TargetSettings
from deadheat.settings.run import (
    ONLY_WITHOUT_START,
    SEED_MAX,
    Given,
    Layer,
    from_environ,
    from_file,
    from_options,
    merge,
)
from deadheat.settings.target import read_target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from deadheat.invariants.invariant import Invariant

OURS = {"reference": OWN_NAME, "before": f"before/{OWN_NAME}"}


def load_settings(*, options: Mapping[str, object], environ: Mapping[str, str], cwd: Path) -> Settings:
    """Load and validate the settings of one invocation.

    ``options`` are those of the command line by name (``stripe_mock`` or ``stripe-mock``), None
    where one was not given; ``cwd`` is absolute. SettingsError names the option, the variable or the
    file and key that is wrong; Refused says what is unsafe.
    """
    _refuse_live_keys(options, environ)
    outside = merge(from_options(options, cwd), from_environ(environ, cwd))
    said = _read(outside.get("target"), cwd, environ)
    given = merge(outside, said.run)
    fields: dict[str, Any] = {
        key.replace("-", "_"): value.value
        for key, value in given.items()
        if key not in ("target", "target-workers", "keep")
    }
    fields.setdefault("seed", secrets.randbelow(SEED_MAX + 1))
    settings = Settings(
        target=_with_workers(said.target, given.get("target-workers")),
        target_name=said.name,
        keep_all="keep" in given,
        invariants=said.invariants,
        own_invariants=said.own_invariants,
        allow_hosts=tuple(dict.fromkeys((*said.allow_hosts, *project_hosts(cwd, environ)))),
        state_folder=cwd / ".deadheat",
        **fields,
    )
    _check_wires(settings, given)
    _refuse_foreign_hosts(settings, given, said.where)
    return settings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What files said. ``name`` is the target's in reports, ``where`` who named its address."""

    name: str
    where: str
    target: TargetSettings
    run: Layer
    invariants: Mapping[str, str]
    own_invariants: tuple[Invariant, ...]
    allow_hosts: tuple[str, ...]


def _read(wanted: Given | None, cwd: Path, environ: Mapping[str, str]) -> _Said:
    """Read the files that count for a target; None for whatever the working folder describes."""
    if wanted is None:
        project = project_file(cwd, environ)
        if project is None:
            return _ours("reference", cwd, environ)
        if "target" in project.data or not project.table:
            return _said(project.shown, project)
        return _said("reference", project, beneath=_ours("reference", cwd, environ))
    if wanted.value in OURS:
        return _ours(wanted.value, cwd, environ)
    if "://" in wanted.value:
        return _at(kinds.read(wanted.value, kinds.url, wanted.where), wanted.where, cwd, environ)
    path = cwd / wanted.value
    path = path / OWN_NAME if path.is_dir() else path
    if not path.is_file():
        raise SettingsError(
            f"{wanted.where}: there is no file {wanted.value}.{closest(wanted.value, OURS)} "
            "A target is reference, before, a settings file or a URL."
        )
    file = read_file(path, cwd, environ)
    return _said(file.shown, file)


def _ours(name: str, cwd: Path, environ: Mapping[str, str]) -> _Said:
    """Read a file that Deadheat brings."""
    return _said(name, read_file(bundled("reference_impl") / OURS[name], cwd, environ))


def _at(url: str, where: str, cwd: Path, environ: Mapping[str, str]) -> _Said:
    """Take the reference's operations for a target that runs at a URL."""
    reference = _ours("reference", cwd, environ)
    there = replace(reference.target, start=None, base_url=url, migrate=None, env={}, workers=1)
    return replace(reference, name=redact(url), where=where, target=there)


def _said(name: str, file: SettingsFile, *, beneath: _Said | None = None) -> _Said:
    """Read a file whole; what it leaves out, its target above all, is that of ``beneath``."""
    top = file.top()
    folder = file.path.parent
    run = from_file(top, folder)
    invariants, own = read_invariants(top, folder)
    safety = top.table("safety")
    described = top.table("target")
    top.refuse_unknown()
    allow_hosts: tuple[str, ...] = ()
    if safety is not None:
        allow_hosts = safety.take("allow-hosts", kinds.hosts, ())
        safety.refuse_unknown()
    if described is not None:
        target = read_target(described, folder)
    elif beneath is not None:
        target = beneath.target
    else:
        raise SettingsError(
            f"{file.shown}: it describes no [target]. Describe one, or run with --target reference."
        )
    return _Said(
        name=name,
        where=top.where("target"),
        target=target,
        run=merge(run, beneath.run) if beneath else run,
        invariants={**beneath.invariants, **invariants} if beneath else invariants,
        own_invariants=(*beneath.own_invariants, *own) if beneath else own,
        allow_hosts=(*beneath.allow_hosts, *allow_hosts) if beneath else allow_hosts,
    )


def _with_workers(target: TargetSettings, wanted: Given | None) -> TargetSettings:
    if wanted is None:
        return target
    if target.start is None:
        raise SettingsError(f"{wanted.where}: this target runs already, and Deadheat does not start it.")
    return replace(target, workers=wanted.value)


def _check_wires(settings: Settings, given: Layer) -> None:
    """Refuse ports of ours for a target that we start, and a proxy with nothing on one of its sides."""
    named = [given[key].where for key in ONLY_WITHOUT_START if key in given]
    if settings.target.start is not None and named:
        raise SettingsError(
            f"{named[0]}: Deadheat starts this target, and gives it ports, key and secret of its own. It is "
            "for one that runs already: base-url without start."
        )
    if settings.stripe_port is not None and settings.stripe_key is None:
        raise SettingsError(
            f"{given['stripe-port'].where}: the simulator has to know the test key that the target was "
            "started with: stripe-key (DEADHEAT_STRIPE_KEY)."
        )
    unsigned = [hook.path for hook in settings.target.webhooks if hook.secret is None]
    if settings.stripe_port is not None and unsigned and settings.webhook_secret is None:
        raise SettingsError(
            f"{given['stripe-port'].where}: events for {unsigned[0]} are signed with the secret that the "
            "target was started with: webhook-secret (DEADHEAT_WEBHOOK_SECRET), or secret beside its path."
        )
    if settings.postgres_port is None:
        return
    where = given["postgres-port"].where
    if "://" not in settings.postgres:
        raise SettingsError(f"{where}: name the database behind it, that of the target: --postgres DSN.")
    if settings.stripe_port is None:
        raise SettingsError(
            f"{where}: statements are ordered together with Stripe calls, so --stripe-port is needed too."
        )


def _refuse_live_keys(options: Mapping[str, object], environ: Mapping[str, str]) -> None:
    for name, value in options.items():
        for item in value if isinstance(value, list | tuple) else (value,):
            check_key(str(item), where=f"--{name.replace('_', '-')}")
    for name, value in environ.items():
        check_key(value, where=f"the environment variable {name}")


def _refuse_foreign_hosts(settings: Settings, given: Layer, target_where: str) -> None:
    """Refuse a target, a database or a Stripe base that is neither here nor allowed."""
    allow, target = settings.allow_hosts, settings.target
    if target.base_url is not None:
        check_url(target.base_url, where=target_where, allow=allow)
    for name, value in target.env.items():
        check_variable(value, where=f"{target_where}.env.{name}", allow=allow)
    if "://" in settings.postgres:
        check_dsn(settings.postgres, where=given["postgres"].where, allow=allow)
    if settings.stripe_mock.startswith(("http://", "https://")):
        check_url(settings.stripe_mock, where=given["stripe-mock"].where, allow=allow)
