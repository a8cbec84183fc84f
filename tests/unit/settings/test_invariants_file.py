"""What ``[invariants]`` may say, and what is said of mistakes in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deadheat.errors import SettingsError
from deadheat.invariants import BUILT_IN
from deadheat.settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

RULES = '''
from words import SAID

def credits_add_up(case):
    """Every credit is paid for."""
    yield SAID

NOT_CALLABLE = 1

def folder(case):
    """All is well in FOLDER."""
'''


def load(folder: Path, text: str) -> Settings:
    """Read a file whose [invariants] say this, beside a module of rules."""
    (folder / "rules.py").write_text(RULES.replace("FOLDER", folder.name), encoding="utf-8")
    (folder / "words.py").write_text("SAID = 'no'", encoding="utf-8")
    (folder / "broken.py").write_text("import nowhere_at_all", encoding="utf-8")
    (folder / "deadheat.toml").write_text(
        f"[target]\nstart = 'serve'\n[invariants]\n{text}", encoding="utf-8"
    )  # fmt: skip
    return load_settings(options={}, environ={}, cwd=folder)


def test_switches_and_a_teams_own(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        """
        charged-once = "off"
        [invariants.no-debt]
        sql = "select user_id from credits where amount < 0;"
        holds-when = "nobody owes credits"
        [invariants.credits-add-up]
        python = "rules:credits_add_up"
        needs = ["effects", "stripe"]
        """,
    )
    assert settings.invariants == {"charged-once": "off"}
    query, function = settings.own_invariants
    assert (query.id, query.sql) == ("no-debt", "select user_id from credits where amount < 0")
    assert (query.holds_when, query.needs) == ("nobody owes credits", ("database",))
    assert (function.id, function.sql, function.needs) == ("credits-add-up", None, ("effects", "stripe"))
    assert function.holds_when == "Every credit is paid for"
    assert settings.every_invariant == (*BUILT_IN, query, function)


def test_two_folders_may_each_have_a_module_of_that_name(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        settings = load(tmp_path / name, "[invariants.x]\npython = 'rules:folder'")
        found.append(settings.own_invariants[0].holds_when)
    assert found == ["All is well in one", "All is well in two"]


def test_a_pyproject_may_have_them_too(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[tool.deadheat.target]\nstart = 'x'\n[tool.deadheat.invariants.x]\nsql = 'select 1'\nsqk = 1\n"
    )
    with pytest.raises(
        SettingsError, match=r'\[tool\.deadheat\.invariants\.x\] has no key "sqk". Did you mean "sql"'
    ):
        load_settings(options={}, environ={}, cwd=tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[invariants.charged-once]\nsql = 'select 1'", "once]: charged-once is built in."),
        ("[invariants.Credits]\nsql = 'select 1'", "an invariant is named in kebab-case"),
        ("[invariants.x]", "needs either sql (a query whose rows offend) or python (a function)."),
        ("[invariants.x]\nsql = 'select 1'\npython = 'a:b'", "or python (a function), not both."),
        ("[invariants.x]\nsql = 'delete from x'", "invariants.x.sql: should be a SQL query, beginning with"),
        ("[invariants.x]\nsql = 'select 1'\nholds_when = 'x'", 'Did you mean "holds-when"?'),
        ("[invariants.x]\nsql = 'select 1'\nneeds = ['effects']", '[invariants.x] has no key "needs".'),
        ("[invariants.x]\npython = 'rules'", "x.python: should be a module and a name in it, as in"),
        ("[invariants.x]\npython = 'rules:a.b'", "invariants.x.python: should be a module and a name"),
        ("[invariants.x]\npython = 'rules:credit_adds_up'", 'Did you mean "credits_add_up"?'),
        ("[invariants.x]\npython = 'rules:NOT_CALLABLE'", "rules has no NOT_CALLABLE to call."),
        ("[invariants.x]\npython = 'nowhere_at_all:f'", "cannot import nowhere_at_all from"),
        ("[invariants.x]\npython = 'broken:f'", "cannot import broken from"),
        (
            "[invariants.x]\npython = 'rules:credits_add_up'\nneeds = ['effect']",
            'Did you mean "effects"?',
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError) as error:
        load(tmp_path, text)
    assert str(error.value).startswith("deadheat.toml: ")
    assert says in str(error.value)
