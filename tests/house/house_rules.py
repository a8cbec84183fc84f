"""The house rules as functions: each takes sources and gives sentences about what breaks it.

A sentence says where, what, and what to do instead. The rules know nothing of git or of pytest;
`test_house_rules.py` shows each a source that breaks it, `test_house.py` shows them the code base.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500

Sources = Mapping[PurePosixPath, str]

_LEFTOVER_CALLS = ("print", "breakpoint", "pprint", "set_trace")
_LEFTOVER_MODULES = ("pdb", "ipdb", "pudb", "pprint", "icecream")
_REMINDER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b(?!\s*\(?#\d+)")
_MACHINE_PATH = re.compile(r"(?<![\w.~$}{)-])/(?:work|root)/|(?<![\w.~$}{)-])/(?:home|Users)/[A-Za-z0-9_]")
_REGISTRY = re.compile(
    r"(?i)\b(?:[a-z0-9-]+\.)*(?:pypi\.org|python"
    r"hosted\.org|proxy\.golang\.org|registry\.npmjs\.org"
    r"|crates\.io|repo1?\.maven\.(?:org|apache\.org)|deb\.debian\.org|archive\.ubuntu\.com)\b"
)
_DOTTED = re.compile(r"[a-z_]\w*(\.\w+)+")
_LOCK = re.compile(r"(?i)(?:^|[./_-])lock(?:file)?(?:\.[a-z]+)?$|-lock\.[a-z]+$|^go\.sum$")


def long_functions(sources: Sources) -> Iterator[str]:
    """Find functions of more lines than a screen holds, their decorators left out."""
    for path, source in _python(sources):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    yield (
                        f"{path}:{node.lineno}: {node.name} has {lines} lines, {FUNCTION_LINES_MAX} at most. "
                        "Name its parts and make each a function."
                    )


def long_files(sources: Sources) -> Iterator[str]:
    """Find files that nobody reads to the end."""
    for path, source in _python(sources):
        lines = source.count("\n")
        if lines > FILE_LINES_MAX:
            yield f"{path}: {lines} lines, {FILE_LINES_MAX} at most. Split it by what its parts own."


def debug_leftovers(sources: Sources) -> Iterator[str]:
    """Find what was printed or stopped at while looking for a bug."""
    for path, source in _python(sources):
        for node in ast.walk(ast.parse(source)):
            name = ""
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                # Of methods only set_trace: a console's print is how reports speak.
                if called in (_LEFTOVER_CALLS if isinstance(node.func, ast.Name) else ("set_trace",)):
                    name = f"{called}()"
            elif isinstance(node, ast.Import | ast.ImportFrom):
                name = next((n for n in _imported(node) if n.partition(".")[0] in _LEFTOVER_MODULES), "")
            if name:
                at = f"{path}:{getattr(node, 'lineno', 0)}"
                yield f"{at}: {name} is left over. What people should see is an event or click.echo."


def reminders(sources: Sources) -> Iterator[str]:
    """Find notes to oneself that no issue will ever remind anyone of."""
    for path, source in sources.items():
        for number, line in enumerate(source.splitlines(), start=1):
            if found := _REMINDER.search(line):
                yield f"{path}:{number}: {found[1]} without an issue. Write {found[1]}(#12), or do it now."


def without_docstring(sources: Sources) -> Iterator[str]:
    """Find modules that do not open with what they own; an empty file owns nothing."""
    for path, source in _python(sources):
        if source.strip() and not ast.get_docstring(ast.parse(source)):
            yield f"{path}:1: no docstring. Open with what the module owns and how it works."


def machine_paths(sources: Sources) -> Iterator[str]:
    """Find paths that exist on the machine of whoever wrote them."""
    for path, source in sources.items():
        for number, line in enumerate(source.splitlines(), start=1):
            if found := _MACHINE_PATH.search(line):
                yield f"{path}:{number}: {found[0]}… exists on one machine. Start from a folder given."


def registry_hosts(sources: Sources) -> Iterator[str]:
    """Find hosts of package registries: each machine has its own."""
    for path, source in sources.items():
        for number, line in enumerate(source.splitlines(), start=1):
            if found := _REGISTRY.search(line):
                yield f"{path}:{number}: {found[0]} is a registry. Name the package; the machine knows where."


def lock_files_with_addresses(sources: Sources) -> Iterator[str]:
    """Find lock files that tie an installation to hosts; constraints.txt pins versions alone."""
    for path, source in sources.items():
        if _LOCK.search(path.name) and "://" in source:
            yield f"{path}: a lock file with addresses. Pin versions in constraints.txt."


def loose_pins(sources: Sources) -> Iterator[str]:
    """Find lines of constraints.txt that are not ``name==version``."""
    for path, source in sources.items():
        if path.name != "constraints.txt":
            continue
        for number, line in enumerate(source.splitlines(), start=1):
            if (
                line
                and not line.startswith("#")
                and not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][\w.+!]*", line)
            ):
                yield f"{path}:{number}: not name==version. Its head says how to renew it."


def dead_modules(sources: Sources, *, package: str) -> Iterator[str]:
    """Find modules of a package that nothing but tests imports and no entry point names.

    ``sources`` holds pyproject.toml and the product's modules. A dotted name in a string counts as
    an import: that is how modules are found late.
    """
    modules = {_module(path): path for path, _ in _python(sources) if path.parts[0] == package}
    alive = set(_entry_points(sources)) | {package, f"{package}.__main__"}
    for path, source in _python(sources):
        alive.update(name for name in _mentioned(path, source) if name != _module(path))
    for name, path in sorted(modules.items()):
        contents = any(other.startswith(f"{name}.") and other in alive for other in modules)
        if name not in alive and not (path.name == "__init__.py" and contents):
            yield f"{path}: nothing imports {name}. Use it or remove it; tests alone do not count."


def _python(sources: Sources) -> Iterator[tuple[PurePosixPath, str]]:
    return ((path, source) for path, source in sources.items() if path.suffix == ".py")


def _module(path: PurePosixPath) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _entry_points(sources: Sources) -> Iterator[str]:
    """Give the modules that pyproject.toml names as entry points."""
    project = tomllib.loads(sources.get(PurePosixPath("pyproject.toml"), "")).get("project", {})
    groups: Iterable[Mapping[str, str]] = (
        project.get("scripts", {}),
        *project.get("entry-points", {}).values(),
    )
    for group in groups:
        for target in group.values():
            yield target.partition(":")[0]


def _mentioned(path: PurePosixPath, source: str) -> Iterator[str]:
    """Give the modules that a source imports, or names in a string; a name in a module gives both."""
    package = _module(path) if path.name == "__init__.py" else _module(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imported(node, package)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _DOTTED.fullmatch(node.value):
            yield node.value


def _imported(node: ast.Import | ast.ImportFrom, package: str = "") -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = node.module or ""
    if node.level:
        parents = package.split(".")
        base = ".".join([*parents[: len(parents) - node.level + 1], *([base] if base else [])])
    yield base
    yield from (f"{base}.{alias.name}" for alias in node.names)
