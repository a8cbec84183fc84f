"""What an exploration has seen so far: counts, and for each invariant the smallest run that broke it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deadheat.engine.events import Coverage, Exhausted, Exploration, Finding, RunFinished, Verdict
from deadheat.engine.minimize import REPLAYS
from deadheat.history import Plane
from deadheat.invariants import Tally
from deadheat.schedule import Faultable, conflicts_of, pairs_in_both_orders

if TYPE_CHECKING:
    from deadheat.engine.run import Ran
    from deadheat.history import Step
    from deadheat.invariants.settled import Judgement, Violation
    from deadheat.program import Scenario
    from deadheat.schedule import Frontier, Schedule


LAST_STEPS = 8  # of a run that came to nothing, as they are told
NO_RACE_NEEDED = ("serial", "exhaustive")  # they say which orders they run; some have no race


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A run that broke an invariant. ``schedule`` is None where nothing ordered it."""

    ran: Ran
    violation: Violation
    strategy: str
    run: int
    schedule: Schedule | None = None

    @property
    def size(self) -> tuple[bool, int, int]:
        """Say how large it is: what can be replayed goes first, then the fewer choices and steps."""
        return self.schedule is None, len(self.ran.trace), len(self.ran.history)


@dataclass(slots=True)
class Seen:
    """What an exploration has seen so far."""

    scenario: Scenario
    runs: Counter[str] = field(default_factory=Counter)
    verdict: Verdict = Verdict.CLEAN
    proving: int = 0
    inconclusive: int = 0
    in_a_row: int = 0
    diverged: int = 0
    unstruck: set[str] = field(default_factory=set)
    struck: bool = False
    reasons: Counter[str] = field(default_factory=Counter)
    last_steps: dict[str, tuple[Step, ...]] = field(default_factory=dict)  # of the first run, by reason
    actors: int = 0
    raced: bool = False
    invariants: Tally = field(default_factory=Tally)
    shown: Counter[tuple[str, str]] = field(default_factory=Counter)
    best: dict[str, Found] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)  # minimal ones, by invariant
    unshown: set[str] = field(default_factory=set)  # invariants that no replay violated
    schedules: set[str] = field(default_factory=set)  # fingerprints
    choices: int = 0
    attributed: int = 0
    unattributed: int = 0
    disagreed: int = 0
    late: int = 0
    unordered: int = 0
    silent_s: float = 0.0
    silences: int = 0
    repeated: int = 0
    differing: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)  # those of schedules, by kind
    faultable: Faultable = field(default_factory=Faultable)
    frontier: Frontier | None = None
    conflicts: set[tuple[str, str]] = field(default_factory=set)

    def note(
        self,
        strategy: str,
        number: int,
        ran: Ran,
        judgement: Judgement | None,
        schedule: Schedule | None = None,
    ) -> RunFinished:
        """Take in one run."""
        self.runs[strategy] += 1
        verdict = verdict_of(judgement)
        self.verdict = max(self.verdict, verdict)
        faults = ran.history.of(Plane.FAULT)
        self.struck |= any("fault" not in step.data for step in faults)
        self.faults.update(step.data["fault"] for step in faults if "fault" in step.data)
        self.in_a_row = self.in_a_row + 1 if judgement is None else 0
        self.raced |= strategy != "serial" and ran.raced(self.scenario.races)
        self._count(ran, schedule)
        if judgement is None:
            self.inconclusive += 1
            reason = ran.reason or "no reason given"
            self.reasons[reason] += 1
            self.last_steps.setdefault(reason, tuple(ran.history)[-LAST_STEPS:])
        else:
            self.invariants.add(judgement)
            for violation in judgement.violations:
                self._show(
                    Found(ran=ran, violation=violation, strategy=strategy, run=number, schedule=schedule)
                )
        return RunFinished(
            scenario=self.scenario.name,
            strategy=strategy,
            run=number,
            verdict=verdict,
            elapsed_s=ran.elapsed_s,
            violations=judgement.violations if judgement else (),
            reason=ran.reason,
            schedule=schedule,
        )

    def _count(self, ran: Ran, schedule: Schedule | None) -> None:
        if schedule is not None:
            self.schedules.add(schedule.fingerprint)
        self.choices += len(ran.trace)
        self.conflicts |= conflicts_of(ran.trace)
        if ran.trace:
            self.attributed += ran.attributed
            self.unattributed += ran.unattributed
            self.disagreed += ran.disagreed
            self.late += ran.late
            self.unordered += ran.unordered
            self.silent_s += ran.silent_s
            self.silences += ran.silences

    def _show(self, found: Found) -> None:
        invariant = found.violation.invariant
        self.shown[found.strategy, invariant] += 1
        self.first.setdefault(invariant, sum(self.runs.values()))
        best = self.best.get(invariant)
        if best is None or found.size < best.size:
            self.best[invariant] = found

    def unproven(self) -> list[str]:
        """Give the invariants whose smallest run can be replayed and was not made minimal yet."""
        return [i for i, found in sorted(self.best.items()) if found.schedule and i not in self.findings]

    def finding(self, invariant: str) -> Finding:
        """Give the finding as it was seen: the smallest run, as it is."""
        found = self.best[invariant]
        return Finding(
            scenario=self.scenario.name,
            invariant=invariant,
            violation=found.violation,
            strategy=found.strategy,
            run=found.run,
            history=found.ran.history,
            runs_until_found=self.first[invariant],
            shown_in=self.shown[found.strategy, invariant],
            runs=self.runs[found.strategy],
            replays=(0, REPLAYS) if invariant in self.unshown else None,
            choices_before=len(found.ran.trace) or None,
            original=found.schedule,
        )

    def finish(self, elapsed_s: float) -> Exploration:
        """Give the exploration; a race or a fault that never happened makes it inconclusive."""
        reason = None
        last_steps: tuple[Step, ...] = ()
        if self.reasons:
            reason, times = self.reasons.most_common(1)[0]
            last_steps = self.last_steps.get(reason, ())
            reason = f"{reason} ({times} of {sum(self.runs.values())} runs)"
        races = self.scenario.races
        expected = bool(races) or self.actors > 1
        drawn = sum(runs for name, runs in self.runs.items() if name not in NO_RACE_NEEDED)
        if drawn and expected and not self.raced and self.verdict is Verdict.CLEAN:
            self.verdict = Verdict.INCONCLUSIVE
            never = f"{races[0]} and {races[1]} were never" if races else "no two requests or deliveries were"
            reason = f"the race never happened: {never} in the air at the same moment"
        if self.unstruck and not self.struck and self.verdict is Verdict.CLEAN:
            self.verdict = Verdict.INCONCLUSIVE
            reason = f"the fault on {', '.join(sorted(self.unstruck))} never struck: nobody made such a call"
        return Exploration(
            scenario=self.scenario.name,
            verdict=self.verdict,
            strategies=dict(self.runs),
            runs=sum(self.runs.values()),
            proving=self.proving,
            inconclusive=self.inconclusive,
            elapsed_s=elapsed_s,
            findings=tuple(self.findings.get(i) or self.finding(i) for i in sorted(self.best)),
            reason=reason,
            invariants=self.invariants.counts(),
            not_checked=self.invariants.not_checked(),
            coverage=self.coverage(),
            last_steps=last_steps,
        )

    def coverage(self) -> Coverage:
        """Say what the runs under control covered, and what they could not order."""
        conflicting, in_both_orders = pairs_in_both_orders(self.conflicts)
        return Coverage(
            schedules=len(self.schedules),
            choices=self.choices,
            attributed=self.attributed,
            unattributed=self.unattributed,
            disagreed=self.disagreed,
            late=self.late,
            unordered=self.unordered,
            silent_s=self.silent_s,
            silences=self.silences,
            diverged=self.diverged,
            repeated=self.repeated,
            differing=tuple(self.differing),
            conflicting=conflicting,
            in_both_orders=in_both_orders,
            faults=dict(sorted(self.faults.items())),
            exhausted=None if self.frontier is None else _exhausted(self.frontier),
        )


def _exhausted(frontier: Frontier) -> Exhausted:
    return Exhausted(
        preemptions=frontier.preemptions,
        done=frontier.done,
        violated=frontier.violated,
        late=frontier.late,
        waiting=len(frontier.waiting) + len(frontier.under_way),
        lost=frontier.lost,
        differed=frontier.differed,
        earlier=frontier.earlier,
    )


def verdict_of(judgement: Judgement | None) -> Verdict:
    """Give the verdict of one run: None means that it could not be judged."""
    if judgement is None:
        return Verdict.INCONCLUSIVE
    return Verdict.VIOLATED if judgement.violations else Verdict.CLEAN
