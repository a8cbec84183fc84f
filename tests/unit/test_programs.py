"""Drawn programs: what is drawn, that all of it can be drawn, and what it shrinks to."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings

import deadheat
from deadheat.errors import ProgramError
from deadheat.program import Deliveries, Do, Program, name_of
from deadheat.programs import LIFE


def tabs(program: Program) -> list[tuple[object, ...]]:
    return [tuple(a) for a in program.race if not isinstance(a[0], Deliveries)]


@given(deadheat.programs(users=3, actors=4, steps=2))
def test_each_tab_is_one_persons_and_begins_at_the_target(program: Program) -> None:
    assert 2 <= len(tabs(program)) <= 4
    for tab in tabs(program):
        assert len(tab) <= 2
        assert isinstance(tab[0], Do)
        assert len({operation.user for operation in tab}) == 1  # type: ignore[attr-defined]
    assert len(program.race) - len(tabs(program)) <= 1
    assert len(program.users()) <= 3


@given(deadheat.programs(("sign-up", "check-out", "pay"), users=2))
def test_nobody_has_come_anywhere_who_does_not_race(program: Program) -> None:
    racing = {o.user for tab in tabs(program) for o in tab}  # type: ignore[attr-defined]
    before: dict[object, list[str]] = {}
    for operation in program.before:
        before.setdefault(operation.user, []).append(name_of(operation))  # type: ignore[union-attr]
    assert set(before) <= racing
    life = ["sign-up", "check-out", "pay"]
    assert all(done == life[: len(done)] for done in before.values())


@pytest.fixture(scope="module")
def drawn() -> list[Program]:
    """Two hundred programs, the same in every session."""
    programs: list[Program] = []

    @settings(
        max_examples=200, phases=(Phase.generate,), database=None, deadline=None, derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip
    @given(deadheat.programs())
    def draw(program: Program) -> None:
        programs.append(program)

    draw()
    return programs


def test_every_operation_is_drawn_into_a_race(drawn: list[Program]) -> None:
    done = {name_of(o) for program in drawn for actor in program.race for o in actor}
    assert done == {*LIFE, "deliveries"}


def test_every_kind_of_deliveries_is_drawn(drawn: list[Program]) -> None:
    streams = {o for p in drawn for o in p.race[-1] if isinstance(o, Deliveries)}
    assert {s.order for s in streams} == {"emitted", "reversed", "any"}
    assert {(s.duplicates, s.lost) for s in streams} == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_one_person_often_races_against_themselves(drawn: list[Program]) -> None:
    against = [p for p in drawn if len(tabs(p)) > len({tab[0].user for tab in tabs(p)})]  # type: ignore[attr-defined]
    assert len(against) > len(drawn) / 2


def test_it_shrinks_to_two_tabs_of_one_person() -> None:
    smallest = find(deadheat.programs(), lambda program: True)
    assert [[name_of(o) for o in actor] for actor in smallest.race] == [["sign-up"], ["sign-up"]]
    assert smallest.before == ()
    assert len(smallest.users()) == 1


@pytest.mark.parametrize(
    ("operations", "says"),
    [
        (("pay", "cancel"), "needs an operation of the target"),
        ((), "needs an operation of the target"),
        (("sign-up", "deliveries"), "deliveries is none"),
        (("sign-up", "at-stripe"), "at-stripe is none"),
        ("sign-up", "names in a list"),
    ],
)
def test_what_draws_nothing_is_refused(operations: tuple[str, ...], says: str) -> None:
    with pytest.raises(ProgramError, match=says):
        deadheat.programs(operations)


@pytest.mark.parametrize("wrong", [{"users": 0}, {"actors": 1}, {"steps": 0}])
def test_too_few_of_anything_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ProgramError, match="at least"):
        deadheat.programs(**wrong)  # type: ignore[arg-type]


def test_deadheat_alone_does_not_import_hypothesis() -> None:
    code = "import deadheat, sys; sys.exit('hypothesis' in sys.modules or 'pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
