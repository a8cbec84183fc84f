"""Explorations under control: a finding is minimal, replays, is kept, and is tried first next time."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from engine_stage import Shop

from deadheat import Program, Scenario, World
from deadheat.engine.conduct import sequels
from deadheat.engine.events import Exploration, Minimizing, RunFinished, Verdict
from deadheat.engine.explore import REPEATED_MAX, Budget, Explorer
from deadheat.engine.memory import Findings
from deadheat.engine.minimize import Minimal, Tries, minimize
from deadheat.engine.run import Ran, run_program
from deadheat.engine.searches import Searches
from deadheat.history import History, Plane, Recorder, StepKind
from deadheat.invariants import judge
from deadheat.schedule import Replay, Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.engine.events import Event
    from deadheat.engine.explore import HistorySink
    from deadheat.engine.seen import Found
    from deadheat.history import Step
    from deadheat.invariants.settled import Judgement, Settled

pytestmark = pytest.mark.slow
AGREE = "answers-agree"


@pytest.fixture(autouse=True)
def _known_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequels, "UNKNOWN_MS", 20.0)
    monkeypatch.setattr("deadheat.engine.run.WARM_QUIET_SECONDS", 0.001)
    monkeypatch.setattr("deadheat.engine.conduct.conductor.NAMED_SECONDS_MAX", 0.2)


class Sink:
    def begin(self, run: int, scenario: str, strategy: str) -> Callable[[Step], None]:
        return lambda step: None

    def end(self, run: int, verdict: Verdict, reason: str | None) -> None:
        assert reason is None, reason


def build(world: World) -> Program:
    ada, bob = world.user(), world.user()
    return Program(
        race=[
            [ada.do("sign-up")],
            [ada.do("sign-up"), ada.do("sign-up")],
            [bob.do("sign-up")],
            [world.deliveries(order="any", duplicates=1)],
        ]
    )


def two_tabs() -> Scenario:
    return Scenario(name="some.one", needs=(), build=build, about="")


BUDGET = Budget(strategies=("serial", "random-walk"), schedules=9)


@dataclass(eq=False)
class Moody(Shop):
    """Takes the same steps in every run, and in replays tells everybody another name at each sign-up."""

    careful: bool = True
    is_replayed: bool = False
    told: Counter[str] = field(default_factory=Counter)

    def begin(self, run: int, scenario: str, strategy: str) -> Callable[[Step], None]:
        self.is_replayed = strategy == "replay"
        return lambda step: None

    def end(self, run: int, verdict: Verdict, reason: str | None) -> None:
        assert reason is None, reason

    async def _sign_up(self, email: str) -> httpx.Response:
        answer = await super()._sign_up(email)
        self.told[email] += 1
        if self.is_replayed:
            return httpx.Response(200, json={"customer": f"cus_{self.told[email]}"})
        return answer


class Exploring:
    """One invocation after the other on a shop, with one memory."""

    def __init__(self, folder: Path) -> None:
        self.memory = Findings(folder, "shop", "0.1.0")
        self.events: list[Event] = []

    def explorer(self, *shops: Shop, sink: HistorySink | None = None) -> Explorer:
        return Explorer(
            deployments=list(shops),  # type: ignore[arg-type]
            sink=sink or Sink(),
            memory=self.memory,
            searches=Searches(Path("nowhere"), "shop", "", "0.1.0"),
            emit=self.events.append,
            invocation="ab",
            seed=1,
            postgres="none",
            mock=None,
        )

    def explore(self, *shops: Shop, sink: HistorySink | None = None) -> Exploration:
        self.events.clear()
        return asyncio.run(self.explorer(*shops, sink=sink).explore(two_tabs(), BUDGET))

    def strategies(self) -> list[str]:
        return [event.strategy for event in self.events if isinstance(event, RunFinished)]


@pytest.fixture
def exploring(tmp_path: Path) -> Exploring:
    return Exploring(tmp_path / "findings")


def test_a_finding_is_made_minimal_and_replayed(exploring: Exploring) -> None:
    explored = exploring.explore(Shop())
    assert explored.verdict is Verdict.VIOLATED
    found = {finding.invariant: finding for finding in explored.findings}[AGREE]
    assert found.strategy == "random-walk", "serial is clean"
    assert found.replays == (20, 20)
    assert (found.actors, found.choices_after) == (2, 6)
    assert found.choices_before is not None
    assert found.choices_before > 6
    assert found.switches is not None
    assert found.switches <= 3
    assert found.schedule is not None
    assert found.token == found.schedule.token()
    assert any(isinstance(event, Minimizing) for event in exploring.events)
    assert explored.runs == 9, "what makes it minimal is not counted"
    assert (explored.coverage.diverged, explored.coverage.unattributed, explored.coverage.late) == (0, 0, 0)


def test_what_no_replay_shows_says_so(exploring: Exploring, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(found: Found, tries: Tries) -> None:
        """Show it in no replay."""

    monkeypatch.setattr("deadheat.engine.explore.minimize", never)
    found = {finding.invariant: finding for finding in exploring.explore(Shop()).findings}[AGREE]
    assert (found.token, found.replays) == (None, (0, 20))


def test_its_token_replays_it_in_another_invocation(exploring: Exploring) -> None:
    found = {finding.invariant: finding for finding in exploring.explore(Shop()).findings}[AGREE]
    assert found.token is not None
    schedule = Schedule.parse(found.token)
    told: list[str] = []
    explorer = exploring.explorer(Shop())
    replayed = explorer.replay(two_tabs(), schedule, on_release=lambda hold: told.append(hold.name.key))
    ran, judgement = asyncio.run(replayed)
    assert ran.diverged is None
    assert judgement is not None
    assert AGREE in {violation.invariant for violation in judgement.violations}
    assert tuple(told) == found.schedule.steps if found.schedule else False


def test_what_failed_is_tried_first_and_forgotten_once_it_passes(exploring: Exploring) -> None:
    exploring.explore(Shop())
    kept = len(exploring.memory.of(two_tabs().name))
    assert kept >= 1
    again = exploring.explore(Shop())
    assert exploring.strategies()[: kept + 1] == ["replay"] * kept + ["serial"]
    assert again.verdict is Verdict.VIOLATED
    assert exploring.memory.of(two_tabs().name)
    assert exploring.explore(Shop(careful=True)).verdict is Verdict.CLEAN
    assert list(exploring.memory.of(two_tabs().name)) == []
    exploring.explore(Shop(careful=True))
    assert "replay" not in exploring.strategies()


def test_what_failed_in_another_source_is_forgotten_unasked(exploring: Exploring) -> None:
    exploring.explore(Shop())
    for path in exploring.memory.folder.iterdir():
        path.write_text(path.read_text().replace(two_tabs().source, "0" * 8))
    assert exploring.memory.of(two_tabs().name)
    exploring.explore(Shop(careful=True))
    assert "replay" not in exploring.strategies()
    assert list(exploring.memory.of(two_tabs().name)) == []


def test_clean_schedules_are_run_twice_and_do_not_differ(exploring: Exploring) -> None:
    explored = exploring.explore(Shop(careful=True))
    coverage = explored.coverage
    assert explored.verdict is Verdict.CLEAN
    assert 1 <= coverage.repeated <= REPEATED_MAX
    assert (coverage.differing, coverage.diverged) == ((), 0)
    assert 2 <= coverage.schedules <= 9
    assert coverage.choices >= 9 * 10


def test_the_same_steps_that_violate_only_when_run_again_are_told_as_differing(
    exploring: Exploring,
) -> None:
    shop = Moody()
    explored = exploring.explore(shop, sink=shop)
    coverage = explored.coverage
    assert coverage.repeated >= 1
    assert coverage.diverged == 0, "no step came otherwise"
    assert coverage.differing == (
        "the same steps were clean once and violated an invariant once",
    ) * coverage.repeated  # fmt: skip
    told = [event for event in exploring.events if isinstance(event, RunFinished)]
    again = [event for event in told if event.strategy == "replay"]
    assert len(again) == coverage.repeated
    assert {event.verdict for event in again} == {Verdict.VIOLATED}
    assert len({event.run for event in told}) == len(told), "each has a number of its own"
    assert explored.verdict is Verdict.VIOLATED
    (found,) = [finding for finding in explored.findings if finding.invariant == AGREE]
    assert (found.strategy, found.shown_in, found.runs) == ("replay", len(again), len(again))


@pytest.mark.parametrize(("sqlstate", "differs"), [("40P01", False), ("40001", True)])
def test_a_run_that_a_deadlock_sent_another_way_does_not_differ(
    exploring: Exploring, monkeypatch: pytest.MonkeyPatch, sqlstate: str, differs: bool
) -> None:
    """Whom Postgres chooses to end is chance; after any other error the steps are to be the same."""

    async def ran(*arguments: Any, **options: Any) -> Ran:
        made = await run_program(*arguments, **options)
        if not isinstance(arguments[2], Replay):
            return made
        recorder = Recorder(made.run)
        recorder.record(
            actor="A",
            plane=Plane.SQL,
            kind=StepKind.RESULT,
            label="update users",
            data={"sqlstate": sqlstate},
        )
        history = History((*made.history, *recorder.history()))
        return replace(made, history=history, diverged="step 3 was to be another one")

    monkeypatch.setattr("deadheat.engine.explore.run_program", ran)
    explored = exploring.explore(Shop(careful=True))
    assert explored.verdict is Verdict.CLEAN
    assert explored.coverage.repeated >= 1
    assert explored.coverage.diverged == 0
    assert explored.coverage.differing == ("step 3 was to be another one",) * (
        explored.coverage.repeated * differs
    )


@pytest.mark.parametrize("shares", [True, False])
def test_of_what_breaks_in_turns_only_what_the_kept_run_broke_shares_its_schedule(
    exploring: Exploring, monkeypatch: pytest.MonkeyPatch, shares: bool
) -> None:
    made: list[str] = []

    def judged(settled: Settled, *settings: Any) -> Judgement:
        judgement = judge(settled, *settings)
        also = tuple(replace(violation, invariant="zz-too") for violation in judgement.violations)
        return replace(judgement, violations=(*judgement.violations, *also))

    async def watched(found: Found, tries: Tries) -> Minimal | None:
        made.append(found.violation.invariant)
        minimal = await minimize(found, tries)
        assert minimal is not None
        kept = tuple(v for v in minimal.violations if v.invariant == made[-1])
        return minimal if shares else replace(minimal, violations=kept)

    monkeypatch.setattr("deadheat.engine.explore.judge", judged)
    monkeypatch.setattr("deadheat.engine.explore.minimize", watched)
    findings = exploring.explore(Shop()).findings
    assert [finding.invariant for finding in findings] == [AGREE, "zz-too"]
    assert [finding.replays for finding in findings] == [(20, 20)] * 2
    assert made == [AGREE] + ["zz-too"] * (not shares)


def test_two_deployments_share_the_runs_and_find_the_same(exploring: Exploring) -> None:
    shops = Shop(), Shop()
    explored = exploring.explore(*shops)
    assert (explored.runs, explored.verdict) == (9, Verdict.VIOLATED)
    assert all(shop.customers for shop in shops)
    assert {finding.replays for finding in explored.findings if finding.token} == {(20, 20)}
