"""What the doctor looks up on this machine, and how its lines are shown."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from deadheat.cli.doctor import lines, verdict
from deadheat.engine.doctor.check import Check, Health, Page
from deadheat.engine.doctor.machine import (
    examine_folder,
    examine_machine,
    examine_packages,
    first_line,
)

if TYPE_CHECKING:
    from pathlib import Path


def distribution(folder: Path, name: str, *requires: str) -> None:
    """Put a package's metadata into a folder, as an installer does."""
    info = folder / f"{name}-1.2.3.dist-info"
    info.mkdir()
    required = "".join(f"Requires-Dist: {text}\n" for text in requires)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n{required}")


def test_packages_are_named_with_their_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path, "whole", "part>=1", "more ; extra == 'more'")
    distribution(tmp_path, "part")
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[Check] = []
    examine_packages(Page("here", made.append), "whole")
    assert [(check.health, check.seen) for check in made] == [(Health.OK, "whole 1.2.3 with part 1.2.3")]


def test_a_package_that_is_missing_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path, "whole", "nowhere-to-be-found>=1")
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[Check] = []
    examine_packages(Page("here", made.append), "whole")
    assert made[0].health is Health.FAIL
    assert "nowhere-to-be-found" in made[0].remedy


def test_a_folder_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    made: list[Check] = []
    examine_folder(Page("here", made.append), tmp_path / "new" / ".deadheat")
    assert made[0].health is Health.OK
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made: list[Check] = []
    examine_folder(Page("here", made.append), tmp_path / "file" / ".deadheat")
    assert made[0].health is Health.FAIL


def test_programs_that_fail_or_are_not_here_say_nothing() -> None:
    async def ask() -> tuple[str | None, ...]:
        return (
            await first_line("no-such-program-anywhere"),
            await first_line(sys.executable, "-c", "raise SystemExit(3)"),
            await first_line(sys.executable, "-c", "print('one'); print('two')"),
        )

    assert asyncio.run(ask()) == (None, None, "one")


@pytest.mark.parametrize("host", ["tcp://docker.example.com:2375", "ssh://me@build.example.com"])
def test_an_engine_on_another_machine_is_not_asked(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    asked = tmp_path / "asked"
    (tmp_path / "docker").write_text(f"#!/bin/sh\ntouch {asked}\necho 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    made: list[Check] = []
    asyncio.run(examine_machine(Page("here", made.append), state_folder=tmp_path))
    docker = next(check for check in made if check.name == "docker")
    assert docker.health is Health.WARN
    assert "not asked" in docker.seen
    assert not asked.exists()


def test_lines_hide_secrets_and_show_what_would_steer_a_terminal() -> None:
    key = "sk_" + "test_" + "4eC39HqLyjWDarjtT1zdp7dc"
    check = Check(
        area="target",
        name="start",
        health=Health.FAIL,
        seen=f"it ended:\n    \x1b[2Jkey {key}\nok    target: forged",
        remedy="see postgres://me:pw@localhost/db",
    )
    assert key not in check.as_json()["seen"]
    assert ":pw@" not in check.as_json()["remedy"]
    shown = list(lines(check))
    assert shown[0] == "fail  target: start: it ended:"
    assert key not in "".join(shown)
    assert "\x1b" not in "".join(shown)
    assert ":pw@" not in "".join(shown)
    assert not any(line.startswith("ok") for line in shown)
    assert shown[-1].startswith("      > see postgres://me:***@")


def test_the_last_line_names_what_failed() -> None:
    good = Check(area="here", name="a", health=Health.OK, seen="")
    odd = Check(area="here", name="b", health=Health.WARN, seen="")
    bad = Check(area="here", name="c", health=Health.FAIL, seen="")
    assert verdict([good]) == "A run could be made."
    assert verdict([good, odd]) == "A run could be made, with 1 warning."
    assert verdict([good, odd, bad]) == "No run could be made: c."
