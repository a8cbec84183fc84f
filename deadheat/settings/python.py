"""Python that a team writes beside its settings file, named as ``"module:name"``.

The module is looked for below the file's folder first, then among what is installed. What it imports
itself may lie in that folder too.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from deadheat.errors import SettingsError, closest
from deadheat.settings.kinds import Mismatch

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


def reference(value: object) -> str:
    """Take a module and a name in it: ``"billing_rules:credits_add_up"``."""
    module, colon, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not (colon and name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise Mismatch('a module and a name in it, as in "billing_rules:credits_add_up"')
    return str(value)


def load(named: str, folder: Path, where: str) -> Any:
    """Import what a reference names; SettingsError when it cannot be, or is not there."""
    module_name, _, name = named.partition(":")
    try:
        module = _module(module_name, folder)
    except (Exception, SystemExit) as error:
        raise SettingsError(
            f"{where}: cannot import {module_name} from {folder}: {type(error).__name__}: {error}"
        ) from error
    found = getattr(module, name, None)
    if not callable(found):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise SettingsError(f"{where}: {module_name} has no {name} to call.{closest(name, known)}")
    return found


def _module(name: str, folder: Path) -> ModuleType:
    path = folder / f"{name.replace('.', '/')}.py"
    if not path.is_file():
        return importlib.import_module(name)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    # Two folders may each have a module of that name.
    unique = f"deadheat_own_{blake2b(str(folder).encode(), digest_size=4).hexdigest()}.{name}"
    if unique in sys.modules:
        return sys.modules[unique]
    spec = importlib.util.spec_from_file_location(unique, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return module
