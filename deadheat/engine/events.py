"""The engine's one stream of events. Reports consume it and know nothing of each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from deadheat.engine.levels import WHOLE, Reach

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deadheat.history import History, Step
    from deadheat.invariants.settled import Violation
    from deadheat.schedule import Schedule


class Verdict(IntEnum):
    """Verdicts in order: the worst wins when they merge. ``str(verdict)`` is its word."""

    CLEAN = 0
    INCONCLUSIVE = 1
    VIOLATED = 2

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteStarted:
    """The suite begins: what is raced, on what, under which seed. ``planned`` are runs.

    ``reach`` says which wires of the target are ours, and so the level of control.
    """

    run_id: str
    target: str
    postgres: str
    stripe_mock: str
    seed: int
    scenarios: tuple[str, ...]
    planned: int | None
    reach: Reach = WHOLE
    unchecked: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingUp:
    """A part of the set-up has begun ("starting Postgres"), for progress."""

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something a person should know that changes no verdict."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioStarted:
    """An exploration begins; ``planned`` is None under a time budget, which is ``seconds``."""

    scenario: str
    strategies: tuple[str, ...]
    planned: int | None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """One run is over. ``reason`` says why an inconclusive one is.

    ``schedule`` is what ordered it, every step of it known; None where nothing did.
    """

    scenario: str
    strategy: str
    run: int
    verdict: Verdict
    elapsed_s: float
    violations: tuple[Violation, ...] = ()
    reason: str | None = None
    schedule: Schedule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A violated invariant of one scenario with the smallest run that shows it.

    ``shown_in`` of ``runs`` says how often the strategy hit it. Barrage cannot be replayed: then there
    is no ``token``, and nothing of what follows it. ``replays`` is how many of how many replays showed
    it again, and ``replays_diverged`` how many of them left the schedule; ``without_yields`` is the
    same with no yield points in the database, where the schedule has some. ``actors``, ``switches`` and
    ``faults`` are those of the minimal schedule, ``removed`` counts what each pass of the shrinker took
    away, and ``original`` is the schedule before that.
    """

    scenario: str
    invariant: str
    violation: Violation
    strategy: str
    run: int
    history: History
    runs_until_found: int
    shown_in: int
    runs: int
    schedule: Schedule | None = None
    token: str | None = None
    replays: tuple[int, int] | None = None
    replays_diverged: int = 0
    without_yields: tuple[int, int] | None = None
    actors: int | None = None
    switches: int | None = None
    faults: int = 0
    choices_before: int | None = None
    choices_after: int | None = None
    removed: Mapping[str, int] = field(default_factory=dict)
    original: Schedule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhausted:
    """How far an exhaustive search has come, over all invocations that went on with it.

    ``done`` schedules of at most ``preemptions`` were run: ``violated`` of them violated an invariant, in
    ``late`` of them steps came too late to be chosen where they could have gone, in ``differed`` of them the
    same choices had brought something else to choose from. ``waiting`` are known to be left, ``lost`` could
    not be followed to their end. ``earlier`` of those done were run by earlier commands, of the target as it
    was then.
    """

    preemptions: int
    done: int
    violated: int
    late: int
    waiting: int
    lost: int
    differed: int = 0
    earlier: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether every schedule was run."""
        return not (self.waiting or self.lost or self.late or self.differed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What the controlled runs of an exploration covered, and what they could not order.

    ``schedules`` are distinct ones, ``choices`` steps that were chosen; ``attributed`` all steps that
    the target sent, ``unattributed`` those of nobody known, ``disagreed`` those of whom one sign
    said this and another that, ``late`` those that came while another step was in the air.
    ``unordered`` are flights of which another overlapped. ``diverged`` replays left their schedule.
    ``silent_s`` is how long who showed nothing was waited for, in ``silences`` periods.
    ``repeated`` schedules were run twice; ``differing`` says how those differed that did.
    ``conflicting`` pairs of steps touch the same relation or Stripe objects, one of them writing, as far as
    statements say; ``in_both_orders`` of them were. ``exhausted`` is there of an exhaustive search.
    ``faults`` counts those of schedules by kind.
    """

    schedules: int = 0
    choices: int = 0
    attributed: int = 0
    unattributed: int = 0
    disagreed: int = 0
    late: int = 0
    unordered: int = 0
    silent_s: float = 0.0
    silences: int = 0
    diverged: int = 0
    repeated: int = 0
    differing: tuple[str, ...] = ()
    conflicting: int = 0
    in_both_orders: int = 0
    faults: Mapping[str, int] = field(default_factory=dict)
    exhausted: Exhausted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What runs left in a database that is not ours.

    ``rows`` counts by mapped relation what is there of ``users`` users, all of whose e-mails are
    ``like`` that; ``problem`` says why it could not all be taken away, or counted.
    """

    users: int
    rows: Mapping[str, int] = field(default_factory=dict)
    like: str = ""
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """An exploration that is over: many runs of one scenario. It is also the event that says so.

    ``proving`` counts the runs beside ``runs`` that made findings minimal, replayed them, or were made
    to see whether a schedule is the same twice. ``strategies`` maps a strategy to its runs,
    ``invariants`` an id to runs checked and runs violated, ``not_checked`` an id to the reason.
    ``skipped`` names the operations that the target lacks;
    nothing was run then. ``unproven`` are invariants of the team's own that nothing has ever violated,
    ``left`` what is left in a database that is not ours (None: it is). ``last_steps`` are those of the
    first run that came to nothing for ``reason``.
    """

    scenario: str
    verdict: Verdict
    strategies: Mapping[str, int] = field(default_factory=dict)
    runs: int = 0
    proving: int = 0
    inconclusive: int = 0
    elapsed_s: float = 0.0
    findings: tuple[Finding, ...] = ()
    reason: str | None = None
    skipped: tuple[str, ...] = ()
    invariants: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    not_checked: Mapping[str, str] = field(default_factory=dict)
    coverage: Coverage = field(default_factory=Coverage)
    unproven: tuple[str, ...] = ()
    left: Left | None = None
    last_steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimizing:
    """A finding is being made minimal, or replayed; ``runs`` counts the runs of it so far."""

    scenario: str
    invariant: str
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteFinished:
    """The suite is over. ``invariants`` maps an id to runs checked and runs violated.

    ``stripe_mock`` is as in `SuiteStarted`, with what became of it; empty where that is not known.
    """

    verdict: Verdict
    scenarios: tuple[Exploration, ...]
    runs: int
    elapsed_s: float
    invariants: Mapping[str, tuple[int, int]]
    not_checked: Mapping[str, str]
    interrupted: bool = False
    stripe_mock: str = ""
    unproven: tuple[str, ...] = ()
    left: Left | None = None


Event = (
    SuiteStarted
    | SettingUp
    | Notice
    | ScenarioStarted
    | RunFinished
    | Minimizing
    | Exploration
    | SuiteFinished
)
