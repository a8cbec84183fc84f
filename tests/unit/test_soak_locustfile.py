"""The load tests as files: what they may use of Deadheat, and that each visit can be made."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING

import pytest

from deadheat import Program, Scenario, World
from deadheat.bundled import bundled
from deadheat.engine.soak.locust import Plan, command, environment
from deadheat.engine.soak.wire import DESK
from deadheat.program import Do
from deadheat.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = bundled("loadtests")


def visits() -> dict[Scenario, int]:
    """Import the visits as locust would, and leave no trace."""
    sys.path.insert(0, str(FOLDER))
    try:
        from visits import VISITS  # type: ignore[import-not-found]

        found: dict[Scenario, int] = VISITS
        return found
    finally:
        sys.path.remove(str(FOLDER))
        sys.modules.pop("visits", None)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_load_tests_use_only_what_is_made_for_them(path: Path) -> None:
    used = [
        node.module or ""
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
    ]
    ours = {name for name in used if name.partition(".")[0] in ("deadheat", "reference_impl", "scenarios")}
    assert ours <= {"deadheat", "deadheat.loadtest"}


def test_locust_is_never_imported_with_what_a_soak_imports() -> None:
    import deadheat.cli  # noqa: F401

    assert "locust" not in sys.modules
    assert "gevent" not in sys.modules


@pytest.mark.parametrize("visit", list(visits()), ids=lambda visit: visit.name)
def test_a_visit_needs_what_it_does_and_the_reference_has_it(visit: Scenario, tmp_path: Path) -> None:
    program = visit(World("m1"))
    assert isinstance(program, Program)
    assert len(program.users()) == 1, "a visit is one person's"
    assert {o.operation for o in program.operations() if isinstance(o, Do)} == set(visit.needs)
    offered = load_settings(options={"target": "reference"}, environ={}, cwd=tmp_path).target.operations
    assert set(visit.needs) <= set(offered)


def test_the_environment_of_locust_is_not_the_users() -> None:
    outside = {"PATH": "/bin", "LOCUST_USERS": "9000", "DEADHEAT_WORKERS": "3"}
    assert environment("here", outside) == {"PATH": "/bin", DESK: "here", "PYTHONUNBUFFERED": "1"}


def test_several_processes_talk_over_loopback_alone() -> None:
    argv = command(Plan(processes=2), locustfile=FOLDER / "locustfile.py", host="http://127.0.0.1:1")
    assert argv[argv.index("--master-bind-host") + 1] == "127.0.0.1"
    assert argv[argv.index("--master-bind-port") + 1] == argv[argv.index("--master-port") + 1]
    assert "--processes" not in command(Plan(), locustfile=FOLDER, host="http://127.0.0.1:1")
