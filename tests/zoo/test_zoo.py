"""The zoo can be relied on: right one operation at a time, and measured as it is described."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from deadheat.engine.postgres import open_postgres
from deadheat.invariants import BUILT_IN

from .zoo import FRAIL, HASTY, HERE, MEASURED, ZOO, Mutant, settings_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HARD_SHARE_MAX = 0.05
APPS = [(mutant, mended) for mutant in (*ZOO, FRAIL, HASTY) for mended in (False, True)]


def measured(mutant: Mutant) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))[mutant.name]
    return line


def one_at_a_time(mutant: Mutant, mended: bool, folder: Path, dsn: str) -> str:
    """Run a mutant or its twin serially, once; gives what there is to say unless it is clean."""
    file = settings_file(mutant, folder, mended=mended)
    command = [sys.executable, "-m", "deadheat", "run", mutant.scenario, "--target", str(file)]
    command += ["--strategy", "serial", "--schedules", "1", "--workers", "1"]
    command += ["--postgres", dsn, "--stripe-mock", "off"]
    done = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    """One Postgres for all of them: each run makes a database of its own there."""
    with asyncio.Runner() as runner:
        opening = open_postgres("embedded")
        yield runner.run(opening.__aenter__()).dsn_for("postgres")
        runner.run(opening.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def serially(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, bool], str]:
    """What each app did one operation at a time. Most of it is waiting, so several wait at once."""
    folder = tmp_path_factory.mktemp("zoo")
    with ThreadPoolExecutor(4) as pool:
        said = pool.map(lambda app: one_at_a_time(app[0], app[1], folder, dsn), APPS)
        return {(mutant.name, mended): text for (mutant, mended), text in zip(APPS, said, strict=True)}


@pytest.mark.slow
@pytest.mark.parametrize("mended", [False, True], ids=["mutant", "mended"])
@pytest.mark.parametrize("name", [mutant.name for mutant in (*ZOO, FRAIL, HASTY)])
def test_one_at_a_time_it_is_right(serially: dict[tuple[str, bool], str], name: str, mended: bool) -> None:
    assert not serially[name, mended]


def test_there_are_ten_of_a_kind_each() -> None:
    assert len({mutant.name for mutant in ZOO}) == len(ZOO) == 10


def test_every_app_is_some_mutants() -> None:
    named = {module for mutant in (*ZOO, FRAIL, HASTY) for module in (mutant.module, mutant.twin)}
    assert named == {path.stem for path in (HERE / "apps").glob("*.py")} - {"__init__"}


@pytest.mark.parametrize("mutant", ZOO, ids=lambda mutant: mutant.name)
def test_it_is_measured_as_it_is_described(mutant: Mutant) -> None:
    line = measured(mutant)
    assert mutant.invariant in {invariant.id for invariant in BUILT_IN}
    assert (line["scenario"], line["invariant"]) == (mutant.scenario, mutant.invariant)
    assert line["barrage"]["runs"] == line["mended"]["runs"] == 200
    assert line["mended"]["violated"] == 0
    assert mutant.hard == (line["barrage"]["violated"] <= HARD_SHARE_MAX * line["barrage"]["runs"])


def test_at_least_four_are_hard() -> None:
    assert sum(mutant.hard for mutant in ZOO) >= 4
