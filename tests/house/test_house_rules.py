"""Each house rule finds what it is there to find, and leaves alone what it must."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import house_rules as rules
import pytest

Rule = Callable[[rules.Sources], Iterator[str]]

LONG_FUNCTION = "def f():\n" + "    x = 1\n" * rules.FUNCTION_LINES_MAX
FITTING_FUNCTION = "def f():\n" + "    x = 1\n" * (rules.FUNCTION_LINES_MAX - 1)
HOME = "/ho" + "me/ada/src"
NOTE = "TO" + "DO"

BROKEN: list[tuple[Rule, str, str, str]] = [
    (rules.long_functions, "a.py", LONG_FUNCTION, "f has 71 lines"),
    (
        rules.long_functions,
        "a.py",
        "class A:\n    async " + LONG_FUNCTION.replace("\n", "\n    "),
        "f has 71",
    ),
    (rules.long_files, "a.py", "x = 1\n" * 501, "501 lines"),
    (rules.debug_leftovers, "a.py", "def f():\n    print('here')\n", "a.py:2: print()"),
    (rules.debug_leftovers, "a.py", "breakpoint()\n", "breakpoint()"),
    (rules.debug_leftovers, "a.py", "import pdb\n", "pdb"),
    (rules.debug_leftovers, "a.py", "from pprint import pformat\n", "pprint"),
    (rules.debug_leftovers, "a.py", "pytest.set_trace()\n", "set_trace()"),
    (rules.reminders, "a.sql", f"-- {NOTE}: think\n", "a.sql:1"),
    (rules.reminders, "a.py", f"x = 1  # {NOTE} (soon)\n", "without an issue"),
    (rules.without_docstring, "a.py", "import os\n", "no docstring"),
    (rules.without_docstring, "tests/a.py", "# a comment\nx = 1\n", "no docstring"),
    (rules.machine_paths, "a.md", f"see {HOME}\n", "a.md:1"),
    (rules.machine_paths, "Makefile", "x = /ro" + "ot/.cache\n", "Makefile:1"),
    (rules.machine_paths, "a.toml", 'folder = "/wo' + 'rk/main"\n', "a.toml:1"),
    (rules.registry_hosts, "a.txt", "--index-url https://py" + "pi.org/simple\n", "a.txt:1"),
    (rules.registry_hosts, "a.txt", "https://files.python" + "hosted.org/x.whl\n", "is a registry"),
    (rules.lock_files_with_addresses, "uv.lock", 'url = "https://somewhere/x.whl"\n', "constraints.txt"),
    (rules.lock_files_with_addresses, "package-lock.json", '"resolved": "https://x/"\n', "lock file"),
    (rules.loose_pins, "constraints.txt", "httpx>=0.28\n", "constraints.txt:1"),
    (rules.loose_pins, "constraints.txt", "httpx @ file:///x.whl\n", "not name==version"),
    (rules.loose_pins, "constraints.txt", "--find-links x\n", "not name==version"),
]

KEPT: list[tuple[Rule, str, str]] = [
    (rules.long_functions, "a.py", FITTING_FUNCTION + FITTING_FUNCTION),
    (rules.long_files, "a.py", "x = 1\n" * 500),
    (rules.debug_leftovers, "a.py", "console.print('a report')\nname = 'print'\nclick.echo(print)\n"),
    (rules.debug_leftovers, "a.sh", "print\n"),
    (rules.reminders, "a.py", f"# {NOTE}(#12): think\n# {NOTE} #12\nTODOS = 1\n"),
    (rules.without_docstring, "a.py", '"""What it owns."""\n'),
    (rules.without_docstring, "a/__init__.py", ""),
    (
        rules.machine_paths,
        "a.md",
        "https://a.test/WRK/x a/root/x /homes/x ${D}/WRK/ ~/WRK/".replace("WRK", "work"),
    ),
    (rules.registry_hosts, "a.md", "pip install deadheat; the crate; example.org\n"),
    (rules.lock_files_with_addresses, "uv.lock", 'name = "x"\n'),
    (rules.lock_files_with_addresses, "clock.py", '"https://x"\n'),
    (rules.loose_pins, "constraints.txt", "# why\nhttpx==0.28.1\nast_serialize==0.13.1\n\n"),
    (rules.loose_pins, "other.txt", "httpx\n"),
]


@pytest.mark.parametrize(("rule", "name", "source", "says"), BROKEN)
def test_a_rule_finds_what_breaks_it(rule: Rule, name: str, source: str, says: str) -> None:
    found = list(rule({PurePosixPath(name): source}))
    assert len(found) == 1, found
    assert says in found[0]


@pytest.mark.parametrize(("rule", "name", "source"), KEPT)
def test_a_rule_leaves_the_rest_alone(rule: Rule, name: str, source: str) -> None:
    assert list(rule({PurePosixPath(name): source})) == []


PACKAGE = {
    "pyproject.toml": '[project.scripts]\nx = "p.cli:main"\n[project.entry-points.g]\ny = "p.plugin"\n',
    "p/__init__.py": "from p.a import f\n",
    "p/__main__.py": "",
    "p/a.py": "def g():\n    from p.sub import b\n",
    "p/cli.py": 'LATE = "p.late"\n',
    "p/plugin.py": "from .sub.c import x\n",
    "p/late.py": "",
    "p/sub/__init__.py": "",
    "p/sub/b.py": "",
    "p/sub/c.py": "",
}


def dead(sources: dict[str, str]) -> list[str]:
    """Give the files that the rule calls dead."""
    paths = {PurePosixPath(path): source for path, source in sources.items()}
    return [sentence.partition(":")[0] for sentence in rules.dead_modules(paths, package="p")]


def test_modules_that_are_imported_somehow_are_alive() -> None:
    assert dead(PACKAGE) == []


@pytest.mark.parametrize(
    ("change", "died"),
    [
        ({"p/d.py": ""}, ["p/d.py"]),
        ({"p/d.py": "import p.d\n"}, ["p/d.py"]),
        ({"p/plugin.py": ""}, ["p/sub/c.py"]),
        ({"p/cli.py": ""}, ["p/late.py"]),
        ({"p/gone/__init__.py": '"""Empty."""', "p/gone/e.py": ""}, ["p/gone/__init__.py", "p/gone/e.py"]),
        ({"pyproject.toml": ""}, ["p/cli.py", "p/plugin.py"]),
    ],
)
def test_modules_that_nothing_imports_are_dead(change: dict[str, str], died: list[str]) -> None:
    assert dead(PACKAGE | change) == died
