"""What ``[target]`` may say of statuses and of cleaning up, and what is said of mistakes in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deadheat.errors import SettingsError
from deadheat.settings import TargetSettings, load_settings
from deadheat.settings.statements import takes_users, with_users

if TYPE_CHECKING:
    from pathlib import Path


def target(folder: Path, text: str) -> TargetSettings:
    """Read a target of this text."""
    (folder / "deadheat.toml").write_text(f"[target]\nstart = 'serve'\n{text}", encoding="utf-8")
    return load_settings(options={}, environ={}, cwd=folder).target


def complaint(folder: Path, text: str) -> str:
    """Give what is said of a target that is wrong."""
    with pytest.raises(SettingsError) as error:
        target(folder, text)
    said = str(error.value)
    assert said.startswith("deadheat.toml: ")
    return said


def test_names_of_statuses(tmp_path: Path) -> None:
    read = target(tmp_path, "[target.statuses]\nPaid = ['active', 'trialing']\n'on hold' = 'past_due'")
    assert read.statuses == {"paid": frozenset({"active", "trialing"}), "on hold": frozenset({"past_due"})}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("paid = 'activ'", "statuses.paid: should be a list of Stripe's statuses, each one of active"),
        ("paid = 'activ'", 'was "activ". Did you mean "active"?'),
        ("paid = ['active', 'ended']", "target.statuses.paid: should be a list"),
        ("paid = []", "should be a list of Stripe's statuses, at least one"),
        ("paid = 1", "target.statuses.paid"),
    ],
)  # fmt: skip
def test_a_status_that_stripe_has_not(tmp_path: Path, text: str, says: str) -> None:
    assert says in complaint(tmp_path, f"[target.statuses]\n{text}")


def test_cleaning_up_takes_statements_one_by_one(tmp_path: Path) -> None:
    read = target(
        tmp_path,
        "[target.cleanup]\nsql = '''\n"
        "delete from credits where user_id = any(:users); -- first what points at users\n"
        "delete from users where note = ':users;' and id = any(:users);\n'''",
    )
    assert read.cleanup == (
        "delete from credits where user_id = any(:users)",
        "delete from users where note = ':users;' and id = any(:users)",
    )
    listed = target(tmp_path, "[target.cleanup]\nsql = ['delete from a where b = any(:users)']")
    assert listed.cleanup == ("delete from a where b = any(:users)",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sql = 'delete from users'", "target.cleanup.sql: each statement has to say whose rows it takes"),
        (
            "sql = 'delete from a where b = any(:users); delete from c'",
            "This one does not: delete from c",
        ),
        ("sql = \"delete from a where b = ':users'\"", "each statement has to say"),
        ("sql = 'delete from a -- :users'", "each statement has to say"),
        ("sql = 'delete from a where b = 1::users'", "each statement has to say"),
        ("sql = []", "target.cleanup.sql: should be a list of SQL statements, at least one"),
        ("sql = ''", "target.cleanup.sql: should be"),
        ("", "[target.cleanup] needs sql."),
        ("sqll = 'x'\nsql = 'delete from a where b = any(:users)'", 'no key "sqll". Did you mean "sql"?'),
    ],
)
def test_cleaning_up_that_would_take_other_peoples_rows_is_refused(
    tmp_path: Path, text: str, says: str
) -> None:
    assert says in complaint(tmp_path, f"[target.cleanup]\n{text}")


@pytest.mark.parametrize(
    ("sql", "filled"),
    [
        ("a = any(:users)", "a = any($1)"),
        ("a = any(:users::uuid[]) or b in (:users)", "a = any($1::uuid[]) or b in ($1)"),
        ("a = ':users' and \":users\" = $$:users$$", None),
        ("a::users", None),
        ("a = :usersx", None),
    ],
)
def test_users_are_looked_for_outside_of_quotes_and_casts(sql: str, filled: str | None) -> None:
    assert with_users(sql, "$1") == (filled or sql)
    assert takes_users(sql) is (filled is not None)
