"""Before and after a fix: the schedules that violated something on one target, on another.

The first target is explored within the budget, and every schedule that violated anything is kept. On the
second each of them is followed (`Explorer.follow`): to the letter and, where the fixed code does not take
those steps any more, in their order as far as that goes. Then the second is explored by the same seed and
budget, since a fix may break something else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from deadheat.engine.discover import lacking, rehearse
from deadheat.engine.events import Exploration, Notice, RunFinished, Verdict
from deadheat.engine.levels import reach_of
from deadheat.engine.suite import budget_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from deadheat.engine.events import Event
    from deadheat.engine.explore import Explorer
    from deadheat.program import Scenario
    from deadheat.schedule import Schedule
    from deadheat.settings import Settings

BY_NO_SCHEDULE = "found without control, which leaves no schedule to replay"


class Came(StrEnum):
    """What came of an invariant of a scenario from the first target to the second."""

    HOLDS = "holds now"
    STILL = "still violated"
    NEW = "new"
    UNKNOWN = "could not be compared"


@dataclass(slots=True)
class Before:
    """Takes in the events of the first target: its explorations, and the schedules that violated anything."""

    explored: dict[str, Exploration] = field(default_factory=dict)
    schedules: dict[str, dict[str, tuple[Schedule, set[str]]]] = field(default_factory=dict)
    """By scenario and fingerprint, with the invariants that it violated."""

    def take(self, event: Event) -> None:
        """Take in one event."""
        if isinstance(event, RunFinished) and event.schedule is not None:
            self._keep(event.scenario, event.schedule, [v.invariant for v in event.violations])
        elif isinstance(event, Exploration):
            self.explored[event.scenario] = event
            for finding in event.findings:
                if finding.schedule is not None:
                    self._keep(event.scenario, finding.schedule, [finding.invariant])

    def _keep(self, scenario: str, schedule: Schedule, violated: Sequence[str]) -> None:
        if violated:
            known = self.schedules.setdefault(scenario, {})
            known.setdefault(schedule.fingerprint, (schedule, set()))[1].update(violated)


@dataclass(slots=True)
class Replayed:
    """What came of the first target's schedules of one scenario on the second.

    ``judged`` and ``violated`` count schedules by invariant, ``judged`` those that had violated it on the
    first. ``diverged`` says how those differed that could not be followed to the letter.
    """

    schedules: int = 0
    judged: Counter[str] = field(default_factory=Counter)
    violated: Counter[str] = field(default_factory=Counter)
    diverged: list[str] = field(default_factory=list)
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An invariant of a scenario, or all of them (None), and what came of it.

    ``before`` and ``after`` are runs violated and runs checked by the explorations of the two targets,
    ``replayed`` schedules violated and judged on the second.
    """

    scenario: str
    invariant: str | None
    came: Came
    why: str = ""
    before: tuple[int, int] = (0, 0)
    replayed: tuple[int, int] = (0, 0)
    after: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two targets compared."""

    rows: tuple[Row, ...]
    replayed: Mapping[str, Replayed]

    @property
    def verdict(self) -> Verdict:
        """Violated when anything is on the second target; inconclusive where that is not known."""
        came = {row.came for row in self.rows}
        if came & {Came.STILL, Came.NEW}:
            return Verdict.VIOLATED
        return Verdict.INCONCLUSIVE if Came.UNKNOWN in came else Verdict.CLEAN


async def compare(
    before: Before,
    explorer: Explorer,
    scenarios: Sequence[Scenario],
    settings: Settings,
    emit: Callable[[Event], None],
) -> Comparison:
    """Follow on the second target what the first one violated, and explore it."""
    rows: list[Row] = []
    replays: dict[str, Replayed] = {}
    for made in scenarios:
        first = before.explored[made.name]
        lack = lacking(made, settings.target, reach_of(settings))
        if lack:
            skipped = Exploration(scenario=made.name, verdict=Verdict.CLEAN, skipped=lack)
            emit(skipped)
            rows += compared(first, Replayed(), skipped)
            continue
        rehearse(made, settings.target)
        replayed = replays[made.name] = Replayed()
        for schedule, violated in before.schedules.get(made.name, {}).values():
            await _follow(explorer, made, schedule, violated, replayed)
        if replayed.schedules:
            schedules = "1 schedule" if replayed.schedules == 1 else f"{replayed.schedules} schedules"
            told = f"{made.name}: {schedules} replayed, {len(replayed.diverged)} diverged"
            emit(Notice(text=told))
        rows += compared(first, replayed, await explorer.explore(made, budget_of(settings)))
    return Comparison(tuple(rows), replays)


async def _follow(
    explorer: Explorer, made: Scenario, schedule: Schedule, violated: set[str], replayed: Replayed
) -> None:
    """Follow one schedule, and take in what came of it."""
    replayed.schedules += 1
    judged: set[str] = set()
    shown: set[str] = set()
    for ran, judgement in await explorer.follow(made, schedule):
        if ran.diverged is not None and len(replayed.diverged) < replayed.schedules:
            replayed.diverged.append(ran.diverged)
        if judgement is None:
            replayed.reason = replayed.reason or ran.reason
            continue
        judged.update(judgement.checked)
        shown.update(violation.invariant for violation in judgement.violations)
    replayed.judged.update(judged & violated)
    replayed.violated.update(shown)


def compared(first: Exploration, replayed: Replayed, second: Exploration) -> Iterator[Row]:
    """Say of each invariant that either target violated what came of it."""
    on_first = {finding.invariant for finding in first.findings}
    on_second = {finding.invariant for finding in second.findings} | set(replayed.violated)
    for invariant in sorted(on_first | on_second):
        came, why = _came(invariant, on_first, on_second, replayed, second)
        yield Row(
            scenario=first.scenario,
            invariant=invariant,
            came=came,
            why=why,
            before=_times(first, invariant),
            replayed=(replayed.violated[invariant], replayed.judged[invariant]),
            after=_times(second, invariant),
        )
    for explored in (first, second):
        if explored.verdict is Verdict.INCONCLUSIVE:
            why = explored.reason or "no reason was given"
            yield Row(scenario=first.scenario, invariant=None, came=Came.UNKNOWN, why=why)
            return


def _came(
    invariant: str, on_first: set[str], on_second: set[str], replayed: Replayed, second: Exploration
) -> tuple[Came, str]:
    if invariant in on_second:
        return (Came.STILL if invariant in on_first else Came.NEW), ""
    if second.skipped:
        return Came.UNKNOWN, f"the target does not offer {', '.join(second.skipped)}"
    if replayed.judged[invariant]:
        return Came.HOLDS, ""
    if not replayed.schedules:
        return Came.UNKNOWN, BY_NO_SCHEDULE
    why = second.not_checked.get(invariant) or replayed.reason or BY_NO_SCHEDULE
    return Came.UNKNOWN, why


def _times(explored: Exploration, invariant: str) -> tuple[int, int]:
    """Give the runs that violated an invariant, and those in which it was checked."""
    checked, violated = explored.invariants.get(invariant, (0, 0))
    return violated, checked
