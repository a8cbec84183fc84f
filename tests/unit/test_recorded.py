"""What a token stands for: read from itself or from the files of findings, and checked against now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import deadheat
from deadheat import Program, Scenario, World
from deadheat.bundled import bundled
from deadheat.cli.recorded import differences, read_recorded, scenario_of
from deadheat.engine.events import Finding
from deadheat.engine.memory import Findings
from deadheat.errors import TokenError, UnknownScenario
from deadheat.history import History
from deadheat.invariants.settled import Violation
from deadheat.portable import program_to_json
from deadheat.schedule import Schedule, Switch
from deadheat.settings import Settings, TargetSettings

if TYPE_CHECKING:
    from pathlib import Path

NAME = "signup.two-at-once"
SCHEDULE = Schedule(
    scenario=NAME, source="0a1b2c3d", switches=(Switch("A1sabc", ("B1sabc",)),), steps=("A1sxyz", "B1sabc")
)
TOKEN = SCHEDULE.token() or ""


def build(world: World) -> Program:
    ada = world.user()
    return Program(race=[[ada.do("sign-up")], [ada.do("sign-up")]])


def two_tabs() -> Scenario:
    return Scenario(name=NAME, needs=(), build=build, about="Two tabs.")


def keep(
    folder: Path,
    invariant: str = "answers-agree",
    scenario: Scenario | None = None,
    *,
    version: str = deadheat.__version__,
) -> str:
    """Keep a finding as an exploration does; gives its token."""
    scenario = scenario or two_tabs()
    finding = Finding(
        scenario=scenario.name,
        invariant=invariant,
        violation=Violation(invariant=invariant, evidence=()),
        strategy="random-walk",
        run=1,
        history=History(()),
        runs_until_found=1,
        shown_in=1,
        runs=1,
        schedule=replace(SCHEDULE, scenario=scenario.name),
        replays=(20, 20),
    )
    return Findings(folder, target="before", version=version).keep(finding, scenario).token or ""


def test_a_token_is_enough(tmp_path: Path) -> None:
    recorded = read_recorded(TOKEN, tmp_path / "none")
    assert recorded.schedule == replace(SCHEDULE, steps=())
    assert recorded.invariants == ()


def test_a_token_that_was_kept_knows_what_it_violated(tmp_path: Path) -> None:
    assert keep(tmp_path) == keep(tmp_path, "one-customer-per-user") == TOKEN
    (tmp_path / "other.json").write_text("{}")  # not ours to judge
    assert read_recorded(TOKEN, tmp_path).invariants == ("answers-agree", "one-customer-per-user")


def test_a_file_and_its_name_hold_every_step(tmp_path: Path) -> None:
    keep(tmp_path)
    keep(tmp_path, "one-customer-per-user")
    path = sorted(tmp_path.glob("*.json"))[0]
    by_file, by_name = read_recorded(str(path), tmp_path), read_recorded(f"dh1-@{path.stem}", tmp_path)
    assert by_file.schedule == by_name.schedule == SCHEDULE
    assert by_file.token == TOKEN
    assert by_name.invariants == ("answers-agree", "one-customer-per-user")


@pytest.mark.parametrize(
    "text", ["", "nonsense", "dh1-", "dh1-@0123", "dh1-@../x", "dh2-x", "none.json", f"{TOKEN}x", TOKEN[:-1]]
)
def test_what_is_no_token_is_said(text: str, tmp_path: Path) -> None:
    with pytest.raises(TokenError):
        read_recorded(text, tmp_path)


@pytest.mark.parametrize("at", range(len(TOKEN)))
def test_a_flipped_character_is_seen(at: int, tmp_path: Path) -> None:
    flipped = TOKEN[:at] + ("z" if TOKEN[at] != "z" else "y") + TOKEN[at + 1 :]
    with pytest.raises(TokenError):
        read_recorded(flipped, tmp_path)


def test_the_scenario_is_found_by_its_name(tmp_path: Path) -> None:
    recorded = read_recorded(TOKEN, tmp_path)
    assert scenario_of(recorded, [bundled("scenarios")]).name == NAME


def test_an_unknown_scenario_says_where_it_was_looked_for(tmp_path: Path) -> None:
    token = replace(SCHEDULE, scenario="signup.two-at-onse").token() or ""
    with pytest.raises(UnknownScenario, match=r"Did you mean \"signup.two-at-once\".*deadheat.toml"):
        scenario_of(read_recorded(token, tmp_path), [bundled("scenarios")])


def test_a_drawn_program_comes_from_the_file(tmp_path: Path) -> None:
    drawn = program_to_json(build(World("x")))
    token = keep(tmp_path, scenario=Scenario(name="program", needs=(), build=build, about="", drawn=drawn))
    assert token.startswith("dh1-@")
    scenario = scenario_of(read_recorded(token, tmp_path), [])
    assert scenario.drawn == drawn
    assert len(scenario(World("y")).race) == 2


def test_what_is_not_as_it_was_is_said(tmp_path: Path) -> None:
    keep(tmp_path, version="0.0.1")
    recorded = read_recorded(TOKEN, tmp_path)
    settings = Settings(target=TargetSettings(folder=tmp_path), target_name="reference")
    source, version, target = differences(recorded, two_tabs(), settings)
    assert "the source of signup.two-at-once has changed since (0a1b2c3d then" in source
    assert version == f"recorded by Deadheat 0.0.1; this is {deadheat.__version__}"
    assert target == "recorded against before; this is reference"


def test_what_is_as_it_was_is_not_mentioned(tmp_path: Path) -> None:
    keep(tmp_path)
    recorded = read_recorded(TOKEN, tmp_path)
    same = replace(recorded, schedule=replace(recorded.schedule, source=two_tabs().source))
    assert (
        differences(same, two_tabs(), Settings(target=TargetSettings(folder=tmp_path), target_name="before"))
        == []
    )
