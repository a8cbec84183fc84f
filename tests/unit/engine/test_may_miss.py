"""A fault that no call ran into: inconclusive, unless the scenario says that it may miss."""

from __future__ import annotations

import pytest
from test_explore import explore

from deadheat import Program, World
from deadheat.engine import quiet
from deadheat.engine.events import Verdict
from deadheat.engine.explore import Budget


@pytest.fixture(autouse=True)
def _at_rest_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "QUIET_MS", 1)
    monkeypatch.setattr(quiet, "POLL_MS", 1)


@pytest.mark.parametrize(("may_miss", "verdict"), [(True, Verdict.CLEAN), (False, Verdict.INCONCLUSIVE)])
def test_a_call_that_nobody_made(may_miss: bool, verdict: Verdict) -> None:
    def build(world: World) -> Program:
        ada = world.user()
        fault = world.stripe_fails(ada, "GET /v1/subscriptions/:id", may_miss=may_miss)
        return Program(race=[[ada.do("sign-up")]], faults=[fault])

    explored, _, _ = explore(build, Budget(strategies=("serial",), schedules=1))
    assert explored.verdict is verdict
