"""What `deadheat compare` is told goes for both targets."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from deadheat.errors import SettingsError

if TYPE_CHECKING:
    import pytest

    from deadheat.settings import Settings


def test_both_targets_have_the_faults_and_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("deadheat.cli.compare")
    told: list[Settings] = []

    def compared(first: Settings, second: Settings, chosen: Any) -> None:
        told.extend((first, second))
        raise SettingsError("far enough")

    monkeypatch.setattr(module, "_compared", compared)
    ended = CliRunner().invoke(module.compare, ["before", "reference", "--faults", "1", "--seed", "3"])
    assert (ended.exit_code, [s.faults for s in told], [s.seed for s in told]) == (2, [1, 1], [3, 3])
    assert [s.target_name for s in told] == ["before", "reference"]
