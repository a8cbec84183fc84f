"""The code base keeps its own rules: lint, types, layering, lengths, and nothing left lying about."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import requires
from pathlib import Path, PurePosixPath

import house_rules as rules
import pytest
from house_sources import CODE, PRODUCT, TOP, code, copy, sources, tool
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import deadheat

Rule = Callable[[rules.Sources], Iterator[str]]


def broken(found: Iterator[str]) -> str:
    """Give what breaks a rule as the text of a failure."""
    return "\n".join(found)


@pytest.mark.parametrize(
    "rule", [rules.long_functions, rules.long_files, rules.without_docstring], ids=lambda rule: rule.__name__
)
def test_all_code_keeps_to(rule: Rule) -> None:
    assert not broken(rule(code(*CODE)))


@pytest.mark.parametrize(
    "rule",
    [
        rules.reminders,
        rules.machine_paths,
        rules.registry_hosts,
        rules.lock_files_with_addresses,
        rules.loose_pins,
    ],
    ids=lambda rule: rule.__name__,
)
def test_all_files_keep_to(rule: Rule) -> None:
    assert not broken(rule(sources()))


def test_nothing_is_left_of_debugging() -> None:
    # The reference is an application and may print; ruff's T10 keeps breakpoints out of it too.
    assert not broken(rules.debug_leftovers(code("deadheat", "scenarios")))


def test_no_module_is_dead() -> None:
    product = code(*PRODUCT) | {PurePosixPath("pyproject.toml"): (TOP / "pyproject.toml").read_text()}
    assert not broken(rules.dead_modules(product, package="deadheat"))


def test_the_version_is_one() -> None:
    assert tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["version"] == deadheat.__version__


def needed(name: str, extra: str, seen: set[tuple[str, str]]) -> Iterator[str]:
    """Give what a distribution and its dependencies need here, by canonical name."""
    if (name, extra) in seen:
        return
    seen.add((name, extra))
    for line in requires(name) or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield canonicalize_name(requirement.name)
            for wanted in ("", *requirement.extras):
                yield from needed(requirement.name, wanted, seen)


def test_constraints_pin_all_that_is_needed() -> None:
    pinned = {
        canonicalize_name(line.partition("==")[0])
        for line in (TOP / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    missing = set(needed("deadheat", "dev", set())) - pinned - {"deadheat"}
    assert not missing, "constraints.txt lacks these; its head says how to renew it"


class TestLint:
    """ruff, with the settings of pyproject.toml."""

    def test_the_code_is_clean(self) -> None:
        checked = tool("ruff", "check", "--output-format", "concise", ".")
        assert checked.returncode == 0, checked.stdout

    def test_the_code_is_formatted(self) -> None:
        checked = tool("ruff", "format", "--check", ".")
        assert checked.returncode == 0, f"{checked.stdout}Run: ruff format ."

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            ('"""A module."""\n\nimport os\n', "F401"),
            ('"""A module."""\n\nbreakpoint()\n', "T100"),
            ('"""A module."""\n\n\ndef public():\n    return 1\n', "D103"),
            ('"""A module."""\n\nimport time\n\n\nasync def _f():\n    time.sleep(1)\n', "ASYNC251"),
        ],
    )
    def test_it_finds_what_is_wrong(self, tmp_path: Path, source: str, says: str) -> None:
        checked = tool("ruff", "check", ".", folder=copy(tmp_path, {"deadheat/bad.py": source}))
        assert checked.returncode == 1
        assert says in checked.stdout

    def test_it_finds_what_is_not_formatted(self, tmp_path: Path) -> None:
        checked = tool(
            "ruff", "format", "--check", ".", folder=copy(tmp_path, {"deadheat/bad.py": "x = { }\n"})
        )
        assert checked.returncode == 1
        assert "bad.py" in checked.stdout


@pytest.mark.slow
class TestTypes:
    """mypy --strict, with the settings of pyproject.toml."""

    def test_the_code_is_typed(self) -> None:
        checked = tool("mypy")
        assert checked.returncode == 0, checked.stdout + checked.stderr

    def test_it_finds_what_is_not_typed(self, tmp_path: Path) -> None:
        bad = tmp_path / "bad.py"
        bad.write_text("def f(x):\n    return x\n\n\ndef g() -> int:\n    return 'one'\n")
        checked = tool("mypy", "--config-file", str(TOP / "pyproject.toml"), str(bad), folder=tmp_path)
        assert checked.returncode == 1
        assert "[no-untyped-def]" in checked.stdout
        assert "[return-value]" in checked.stdout


@pytest.mark.slow
class TestLayers:
    """import-linter, with the contracts of pyproject.toml."""

    def test_the_code_is_layered(self) -> None:
        checked = tool("lint-imports", "--no-cache")
        assert checked.returncode == 0, checked.stdout

    @pytest.mark.parametrize(
        ("module", "added"),
        [
            ("deadheat/schedule/strategy.py", "from deadheat import history\n"),
            ("deadheat/schedule/strategy.py", "from deadheat import Program\n"),
            ("deadheat/schedule/strategy.py", "from deadheat.stripe_sim import clock\n"),
            ("deadheat/stripe_sim/clock.py", "import asyncio\n"),
            ("deadheat/stripe_sim/clock.py", "def f():\n    from deadheat.engine import events\n"),
            ("deadheat/engine/events.py", "from deadheat import report\n"),
            ("deadheat/engine/events.py", "from deadheat import cli\n"),
            ("deadheat/engine/events.py", "import rich\n"),
            ("deadheat/report/__init__.py", "from deadheat import pytest_plugin\n"),
            ("deadheat/report/__init__.py", "from deadheat.cli import main\n"),
            ("deadheat/bundled.py", "import reference_impl\n"),
            ("deadheat/bundled.py", "import scenarios\n"),
            ("deadheat/nowhere.py", '"""A module in no layer."""\n'),
            ("reference_impl/__init__.py", "from deadheat import errors\n"),
            ("scenarios/__init__.py", "from deadheat.program import Program\n"),
            ("scenarios/__init__.py", "from deadheat.engine import events\n"),
        ],
    )
    def test_it_finds_what_crosses_a_layer(self, tmp_path: Path, module: str, added: str) -> None:
        folder = copy(tmp_path, {module: added})
        checked = tool("lint-imports", "--no-cache", folder=folder)
        assert checked.returncode == 1, checked.stdout
        name = re.sub(r"(/__init__)?\.py$", "", module).replace("/", ".")
        assert name in checked.stdout.partition("Broken contracts")[2]
