"""Findings on disk: kept whole, found again by scenario and target, forgotten when they pass."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from deadheat import Program, Scenario, World
from deadheat.engine.events import Finding
from deadheat.engine.memory import VERSION, Findings, NoMemory, read_finding
from deadheat.errors import TokenError
from deadheat.history import Plane, Recorder, StepKind
from deadheat.invariants.settled import Evidence, Violation
from deadheat.portable import program_to_json
from deadheat.schedule import Schedule, Switch

if TYPE_CHECKING:
    from pathlib import Path

SCHEDULE = Schedule(
    scenario="checkout.two-tabs",
    source="1a2b3c4d",
    seed=7,
    switches=(Switch("A1s4f2", ("B1s2rf",)),),
    steps=("A1s4f2", "B1s2rf", "A1s4f22"),
)
LONG = replace(SCHEDULE, switches=tuple(Switch(f"A1s4f2{n}", ("B1s2rf",)) for n in range(2, 60)))


def build(world: World) -> Program:
    ada = world.user()
    return Program(race=[[ada.do("sign-up")], [ada.pay()]])


def scenario(name: str = "checkout.two-tabs", *, drawn: bool = False) -> Scenario:
    told = program_to_json(build(World("aa"))) if drawn else None
    return Scenario(name=name, needs=(), build=build, about="Two tabs pay.", drawn=told)


def finding(schedule: Schedule | None = SCHEDULE, invariant: str = "one-customer-per-user") -> Finding:
    recorder = Recorder(3)
    recorder.record(actor="A", plane=Plane.HTTP, kind=StepKind.REQUEST, label="POST /pay")
    return Finding(
        scenario="checkout.two-tabs",
        invariant=invariant,
        violation=Violation(invariant=invariant, evidence=(Evidence(says="it is so"),)),
        strategy="random-walk",
        run=3,
        history=recorder.history(),
        runs_until_found=3,
        shown_in=1,
        runs=9,
        schedule=schedule,
        replays=(20, 20),
    )


@pytest.fixture
def findings(tmp_path: Path) -> Findings:
    return Findings(tmp_path / ".deadheat" / "findings", "reference", "0.1.0")


def files(findings: Findings) -> list[Path]:
    return sorted(findings.folder.iterdir())


def test_what_is_kept_is_read_back_whole(findings: Findings) -> None:
    kept = findings.keep(finding(), scenario())
    (path,) = files(findings)
    read = read_finding(path)
    assert read.schedule == SCHEDULE
    assert read.schedule.steps == SCHEDULE.steps
    assert (read.target, read.version, read.invariants) == ("reference", "0.1.0", ("one-customer-per-user",))
    assert (read.id, read.about, read.program) == (path.stem, "Two tabs pay.", None)
    assert kept == replace(finding(), token=SCHEDULE.token(), history=kept.history)
    data = json.loads(path.read_text())
    assert (data["v"], data["token"], data["replays"]) == (VERSION, SCHEDULE.token(), [20, 20])
    assert [json.loads(line)["label"] for line in data["steps"]] == ["POST /pay"]


def test_a_schedule_too_long_for_a_token_is_named_by_its_file(findings: Findings) -> None:
    assert LONG.token() is None
    kept = findings.keep(finding(LONG), scenario())
    (path,) = files(findings)
    assert kept.token == f"dh1-@{path.stem}"
    assert read_finding(path).schedule == LONG


def test_a_drawn_program_is_named_by_its_file_and_stands_in_it(findings: Findings) -> None:
    drawn = scenario(drawn=True)
    kept = findings.keep(finding(), drawn)
    (path,) = files(findings)
    assert kept.token == f"dh1-@{path.stem}", "no source holds its program, however short its schedule"
    assert read_finding(path).program == drawn.drawn


def test_what_failed_is_given_for_its_scenario_on_this_target_alone(findings: Findings) -> None:
    findings.keep(finding(), scenario())
    assert list(findings.of("checkout.two-tabs")) == [SCHEDULE]
    assert list(findings.of("checkout.three-tabs")) == []
    assert list(replace(findings, target="another").of("checkout.two-tabs")) == []


def test_a_schedule_that_breaks_two_invariants_is_given_once_and_the_shortest_first(
    findings: Findings,
) -> None:
    shorter = replace(SCHEDULE, steps=("A1s4f2", "B1s2rf"), fingerprint="")
    for invariant in ("x", "y"):
        findings.keep(finding(invariant=invariant), scenario())
    findings.keep(finding(shorter, "z"), scenario())
    assert len(files(findings)) == 3
    assert list(findings.of("checkout.two-tabs")) == [shorter, SCHEDULE]


def test_a_newer_finding_of_the_same_invariant_replaces_the_older(findings: Findings) -> None:
    findings.keep(finding(LONG), scenario())
    findings.keep(finding(), scenario())
    (path,) = files(findings)
    assert read_finding(path).schedule == SCHEDULE


def test_other_targets_and_scenarios_have_files_of_their_own(findings: Findings) -> None:
    findings.keep(finding(), scenario())
    findings.keep(finding(), scenario("checkout.three-tabs"))
    replace(findings, target="another").keep(finding(), scenario())
    assert len(files(findings)) == 3


def test_what_passes_is_forgotten_and_nothing_else(findings: Findings) -> None:
    for invariant in ("x", "y"):
        findings.keep(finding(invariant=invariant), scenario())
    findings.keep(finding(LONG, "z"), scenario())
    another = replace(findings, target="another")
    another.keep(finding(), scenario())
    findings.passed(SCHEDULE)
    assert list(findings.of("checkout.two-tabs")) == [LONG]
    assert list(another.of("checkout.two-tabs")) == [SCHEDULE]
    findings.passed(SCHEDULE)


def test_without_a_folder_nothing_failed(findings: Findings) -> None:
    assert list(findings.of("checkout.two-tabs")) == []
    findings.passed(SCHEDULE)
    assert not findings.folder.exists()


def kept_data(findings: Findings) -> dict[str, object]:
    findings.keep(finding(), scenario())
    (path,) = files(findings)
    data: dict[str, object] = json.loads(path.read_text())
    return data


WRONG = [
    ("not json", "is no finding of Deadheat's: JSONDecodeError"),
    ("[]", "is no finding of Deadheat's: AttributeError"),
    ("\x00\xff", "is no finding of Deadheat's"),
    ({"v": VERSION + 1}, r"was written by another version of Deadheat \(v 2\)"),
    ({"v": None}, r"was written by another version of Deadheat \(v None\)"),
    ({"schedule": {"v": 1}}, "This is no schedule"),
    ({"schedule": {"v": 99, "scenario": "s", "source": "x"}}, "another version of Deadheat: its v is 99"),
    ({"invariants": 3}, "is no finding of Deadheat's: TypeError"),
    ({"id": ...}, "is no finding of Deadheat's: KeyError"),
]


@pytest.mark.parametrize(("wrong", "says"), WRONG)
def test_what_is_no_finding_is_passed_over_and_refused_by_name(
    findings: Findings, wrong: object, says: str
) -> None:
    data = kept_data(findings)
    path = findings.folder / "0000000000.json"
    if isinstance(wrong, dict):
        text = json.dumps({key: value for key, value in {**data, **wrong}.items() if value is not ...})
    else:
        text = str(wrong)
    path.write_bytes(text.encode("latin-1"))
    assert list(findings.of("checkout.two-tabs")) == [SCHEDULE]
    findings.passed(SCHEDULE)
    assert path.exists(), "it is not ours to remove"
    with pytest.raises(TokenError, match=says):
        read_finding(path)


def test_a_finding_that_is_not_there_is_named(findings: Findings) -> None:
    with pytest.raises(TokenError, match=r"there is no finding at .*/9\.json: No such file"):
        read_finding(findings.folder / "9.json")


def test_nothing_half_written_is_left(findings: Findings) -> None:
    findings.keep(finding(), scenario())
    assert [path.suffix for path in files(findings)] == [".json"]


def test_no_memory_gives_tokens_and_keeps_nothing() -> None:
    memory = NoMemory()
    assert memory.keep(finding(), scenario()).token == SCHEDULE.token()
    assert memory.keep(finding(LONG), scenario()).token is None
    assert memory.keep(finding(None), scenario()).token is None
    memory.passed(SCHEDULE)
    assert list(memory.of("checkout.two-tabs")) == []


def test_a_drawn_program_is_a_scenario_again(tmp_path: Path) -> None:
    Findings(tmp_path, "reference", "1").keep(finding(), scenario(drawn=True))
    (path,) = tmp_path.glob("*.json")
    again = read_finding(path).drawn()
    assert again is not None
    assert (again.name, again.source) == ("checkout.two-tabs", scenario(drawn=True).source)
    assert program_to_json(again(World("bb"))) == scenario(drawn=True).drawn


@pytest.mark.parametrize(
    ("replays", "needed"),
    [(None, 1), ((20, 20), 1), ((19, 20), 3), ((10, 20), 10), ((1, 20), 20), ((0, 20), 20)],
)
def test_the_less_sure_a_finding_the_more_replays_it_needs(
    replays: tuple[int, int] | None, needed: int, tmp_path: Path
) -> None:
    Findings(tmp_path, "reference", "1").keep(replace(finding(), replays=replays), scenario())
    (path,) = tmp_path.glob("*.json")
    kept = read_finding(path)
    assert (kept.replays, kept.replays_needed()) == (replays, needed)
    assert kept.drawn() is None
