"""An invariant of a team's own is unproven until it has been violated as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.engine.proven import Proven
from deadheat.invariants.own import of_query

if TYPE_CHECKING:
    from pathlib import Path

DEBT = of_query("no-debt", "select user_id from debts")
CREDIT = of_query("no-credit", "select user_id from credits")


def test_one_that_was_violated_is_proven_until_its_text_changes(tmp_path: Path) -> None:
    path = tmp_path / "state" / "proven.json"
    assert Proven(path, (DEBT, CREDIT)).without(()) == ("no-debt", "no-credit")
    assert Proven(path, (DEBT, CREDIT)).without({"no-debt", "charged-once"}) == ("no-credit",)
    assert Proven(path, (DEBT, CREDIT)).without(()) == ("no-credit",)
    changed = of_query("no-debt", "select user_id from debts where amount > 0")
    assert Proven(path, (changed,)).without(()) == ("no-debt",)


def test_without_invariants_of_its_own_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "proven.json"
    assert Proven(path, ()).without({"charged-once"}) == ()
    assert not path.exists()


def test_a_record_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "proven.json"
    path.write_text("[")
    assert Proven(path, (DEBT,)).without(()) == ("no-debt",)
    assert Proven(path, (DEBT,)).without({"no-debt"}) == ()
