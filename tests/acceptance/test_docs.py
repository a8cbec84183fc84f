"""README and docs are true: their commands run, their examples load, their tables are the code's.

A command is a line of a ``sh`` block. It is run in an empty folder, with a budget of one run for
each scenario where it names none; what it must exit with stands behind ``# exit``, else 0. Those of
``deadheat stripe`` are run by `test_stripe_by_hand`, and two of the whole suite by `test_verdicts`.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from conftest import CHECKOUT, environment
from documented import BY_HAND, COMMANDS, PAGES, WHOLE_SUITE, blocks

from deadheat.bundled import bundled
from deadheat.engine.discover import discover
from deadheat.invariants import BUILT_IN
from deadheat.schedule import STRATEGIES, Schedule
from deadheat.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path


def test_there_are_commands_to_run() -> None:
    assert {"make race", "make test"} <= {command for _, command, _ in COMMANDS}
    assert any(command.startswith("deadheat run") for _, command, _ in COMMANDS)


@pytest.mark.parametrize("command", sorted({c for _, c, _ in COMMANDS if c.startswith("make ")}))
def test_make_knows_the_goal(command: str) -> None:
    words = [word for word in shlex.split(command)[1:] if "=" not in word]
    done = subprocess.run(["make", "-n", *words], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "code"),
    sorted(
        {
            (c, code)
            for _, c, code in COMMANDS
            if c.startswith("deadheat ") and not c.startswith(BY_HAND) and c not in WHOLE_SUITE.values()
        }
    ),
)
def test_the_command_runs(command: str, code: int, tmp_path: Path, a_dsn: str) -> None:
    words = shlex.split(command.replace("postgresql://me@127.0.0.1/postgres", a_dsn))[1:]
    done = subprocess.run(
        [sys.executable, "-m", "deadheat", *words],
        cwd=tmp_path,
        env=environment(DEADHEAT_SCHEDULES="1"),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr


@pytest.mark.parametrize("command", sorted({c for _, c, _ in COMMANDS}))
def test_every_command_is_of_a_kind_that_is_run(command: str) -> None:
    assert command.startswith(("make ", "deadheat ", "pip install ")), command


def test_the_table_of_invariants_is_the_code_s() -> None:
    rows = re.findall(
        r"^\| ([a-z-]+) \| (.*) \|$", (CHECKOUT / "docs/invariants.md").read_text(), re.MULTILINE
    )
    assert [row for row in rows if row[0] != "id"] == [(i.id, i.holds_when) for i in BUILT_IN]


def test_the_configuration_loads(tmp_path: Path) -> None:
    example, *_ = blocks(CHECKOUT / "docs/configuration.md", "toml")
    (tmp_path / "deadheat.toml").write_text(example)
    target = load_settings(options={}, environ={}, cwd=tmp_path).target
    assert set(target.operations) == {"sign-up", "check-out"}
    assert set(target.tables) == {"customers", "subscriptions"}


def test_the_scenarios_load(tmp_path: Path) -> None:
    for n, example in enumerate(blocks(CHECKOUT / "docs/scenarios.md", "python")):
        (tmp_path / f"test_billing{n}.py").write_text(example)
    assert list(discover([tmp_path])) == ["billing0.second-tab", "billing1.unpaid-renewal"]


def options_of(command: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-m", "deadheat", command, "--help"], capture_output=True, text=True, check=True
    )
    return set(re.findall(r"--[a-z-]+", done.stdout)) - {"--help"}


@pytest.mark.parametrize("command", ["run", "explore"])
def test_every_option_of_run_is_in_the_readme(command: str) -> None:
    text = (CHECKOUT / "README.md").read_text()
    assert {option for option in options_of(command) if option not in text} == set()


@pytest.mark.parametrize("command", ["replay", "report", "compare", "risk"])
def test_every_option_is_in_the_docs(command: str) -> None:
    text = (CHECKOUT / "docs/cli.md").read_text()
    assert {option for option in options_of(command) if option not in text} == set()


def test_every_picture_is_there_and_small() -> None:
    shown = [
        page.parent / name
        for page in PAGES
        for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text())
    ]
    assert shown
    assert {path.name: path.stat().st_size for path in shown if path.stat().st_size > 300_000} == {}


def test_every_strategy_is_in_the_readme_and_explained() -> None:
    (row,) = [x for x in (CHECKOUT / "README.md").read_text().splitlines() if x.startswith("| `--strategy")]
    assert row.partition("` |")[0].removeprefix("| `--strategy ").replace("\\|", " ").split() == [*STRATEGIES]
    explained = re.findall(r"^\| `([a-z-]+)` \|", (CHECKOUT / "docs/control.md").read_text(), re.MULTILINE)
    assert explained == [*STRATEGIES]


def test_the_tokens_are_of_scenarios_as_they_are() -> None:
    tokens = {token for page in PAGES for token in re.findall(r"\bdh1-[a-z][^\s`]+_k\w+", page.read_text())}
    found = discover([bundled("scenarios")])
    for schedule in map(Schedule.parse, tokens):
        assert schedule.source == found[schedule.scenario].source, "write the token anew"
    assert tokens
