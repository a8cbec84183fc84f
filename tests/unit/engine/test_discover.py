"""Scenarios are found by importing a folder, and chosen by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deadheat.engine.discover import discover, select
from deadheat.errors import SettingsError, UnknownScenario

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
from deadheat import Program, World, scenario

@scenario(needs=("sign-up",))
def two_at_once(world: World) -> Program:
    return Program(race=[[world.user().do("sign-up")]])

@scenario()
def alone(world: World) -> Program:
    return Program(race=[[world.deliveries()]])

def not_a_scenario() -> None: ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test_signup.py").write_text(MODULE)
    return tmp_path


def test_modules_are_imported_and_scenarios_named(folder: Path) -> None:
    assert list(discover([folder])) == ["signup.two-at-once", "signup.alone"]


def test_select_by_name_by_pattern_or_all(folder: Path) -> None:
    found = discover([folder])
    assert [made.name for made in select(found, ["signup.alone"])] == ["signup.alone"]
    assert len(select(found, ["signup.*"])) == 2
    assert len(select(found, [])) == 2


def test_an_unknown_scenario_suggests_the_closest(folder: Path) -> None:
    with pytest.raises(UnknownScenario, match=r'Did you mean "signup\.alone"'):
        select(discover([folder]), ["signup.alon"])


def test_two_scenarios_of_one_name_are_refused(folder: Path) -> None:
    (folder / "signup.py").write_text(MODULE)
    with pytest.raises(SettingsError, match=r"two scenarios are called signup\."):
        discover([folder])


def test_a_module_that_cannot_be_imported_is_named(folder: Path) -> None:
    (folder / "test_broken.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(SettingsError, match=r"cannot import .*test_broken\.py.*nothing_of_that_name"):
        discover([folder])


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no folder of scenarios"):
        discover([tmp_path / "nowhere"])
