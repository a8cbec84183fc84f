"""A replay as it happens, a line for each step, and what came of it in the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deadheat.engine.events import Finding, Verdict
from deadheat.history import History, Plane, StepKind
from deadheat.report.findings import evidence_lines, proofs_of, why_lines
from deadheat.report.mermaid import mermaid_lines
from deadheat.report.plain import plain
from deadheat.report.steps import says
from deadheat.schedule.names import strand_key, strand_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from deadheat.engine.conduct.strands import Hold, Strand
    from deadheat.engine.explore import HistorySink
    from deadheat.engine.run import Ran
    from deadheat.history import Step
    from deadheat.invariants.settled import Judgement
    from deadheat.schedule import Schedule, Switch

SQL_CHARS_MAX = 90
MARGIN = " " * 5


class Followed:
    """A sink of histories that also tells each step, and each choice that a schedule switches at."""

    def __init__(self, sink: HistorySink, schedule: Schedule, tell: Callable[[str], None] | None) -> None:
        self._sink = sink
        self._tell = tell
        self._switched = {key: switch for switch in schedule.switches for key in switch.to}
        self._strands: dict[str, Strand] = {}

    def begin(self, run: int, scenario: str, strategy: str) -> Callable[[Step], None]:
        """Begin a run; returns what takes its steps."""
        take = self._sink.begin(run, scenario, strategy)
        tell = self._tell
        if tell is None:
            return take

        def told(step: Step) -> None:
            take(step)
            tell(step_line(step))

        return told

    def end(self, run: int, verdict: Verdict, reason: str | None) -> None:
        """End a run."""
        self._sink.end(run, verdict, reason)

    def released(self, hold: Hold) -> None:
        """Hear of a choice: tell those that leave the default, and what leaves no step behind."""
        if self._tell is None:
            return
        self._strands[strand_key(hold.strand.name)] = hold.strand
        switch = self._switched.get(hold.name.key)
        if switch is not None and hold.name.key == switch.to[0]:
            self._switch(switch, hold)
        if hold.kind == "park":
            who, what = plain(hold.strand.actor), plain(hold.name.label.removeprefix("park "))
            self._tell(f"{MARGIN} {who:<7} sql      {what}: its write goes on")

    def _switch(self, switch: Switch, hold: Hold) -> None:
        """Tell a choice that leaves the default, unless it has become the default meanwhile.

        A fault in the place of the step that would have gone leaves a step of its own behind, which tells it.
        """
        assert self._tell is not None
        strand = hold.strand.name
        if len(switch.to) > 1:
            also = " and ".join(plain(strand_of(key)) for key in switch.to[1:])
            self._tell(f"{MARGIN} * {plain(strand)} and {also} go together")
        elif strand_of(switch.at) == strand_key(strand):
            if hold.variant is None:
                self._tell(f"{MARGIN} * another step of {plain(strand)} goes")
        elif self._might_go(switch.at):
            self._tell(f"{MARGIN} * {plain(strand)} goes, not {plain(strand_of(switch.at))}")

    def _might_go(self, key: str) -> bool:
        """Whether a step is held; of a strand that has not moved yet that is not known, and taken so."""
        strand = self._strands.get(strand_of(key))
        return strand is None or any(held.name.key == key for held in strand.held)


def step_line(step: Step) -> str:
    """Give a step as one line: number, actor, plane, and what it is."""
    return f"{step.seq:>5} {plain(step.actor):<7} {step.plane.value:<8} {plain(_says(step))}"


def _says(step: Step) -> str:
    said = says([step])
    if step.plane is Plane.SQL and step.kind is StepKind.FLIGHT:
        sql = " ".join("; ".join(map(str, step.data.get("sql", ()))).split())
        return f"{said}: {sql[:SQL_CHARS_MAX]}{'…' if len(sql) > SQL_CHARS_MAX else ''}"
    if step.plane is Plane.SQL:
        tags = ", ".join(map(str, step.data.get("tags") or ()))
        came = said if " -> " in said else f"{said} -> {tags or 'done'}"
        behind = ", ".join(map(str, step.data.get("waited_for") or ()))
        return f"{came} (waited for {behind})" if behind else came
    if step.plane is Plane.HTTP and step.kind is StepKind.REQUEST:
        return f"{said} ({step.data.get('operation')})"
    return said


@dataclass(slots=True, kw_only=True)
class Replays:
    """What came of the replays of one schedule. ``recorded`` are the invariants that it was kept for.

    ``steps`` are those of the latest run.
    """

    token: str
    scenario: str
    recorded: tuple[str, ...]
    history: Path
    runs: int = 0
    verdict: Verdict = Verdict.CLEAN
    violated: int = 0
    inconclusive: int = 0
    invariants: Counter[str] = field(default_factory=Counter)
    reason: str | None = None
    diverged: list[str] = field(default_factory=list)
    shown: list[Finding] = field(default_factory=list)  # by the last run that was violated
    steps: History = field(default_factory=History)

    def add(self, ran: Ran, judgement: Judgement | None, verdict: Verdict) -> None:
        """Take in one run."""
        self.runs += 1
        self.steps = ran.history
        self.verdict = max(self.verdict, verdict)
        if ran.diverged is not None:
            self.diverged.append(ran.diverged)
        if judgement is None:
            self.inconclusive += 1
            self.reason = self.reason or ran.reason
            return
        if judgement.violations:
            self.violated += 1
            self.invariants.update(violation.invariant for violation in judgement.violations)
            self.shown = [
                Finding(
                    scenario=self.scenario,
                    invariant=violation.invariant,
                    violation=violation,
                    strategy="replay",
                    run=self.runs,
                    history=ran.history,
                    runs_until_found=self.runs,
                    shown_in=self.violated,
                    runs=self.runs,
                    token=self.token,
                )
                for violation in judgement.violations
            ]

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON data."""
        return {
            "v": 1,
            "verdict": str(self.verdict),
            "token": self.token,
            "scenario": self.scenario,
            "runs": self.runs,
            "violated": self.violated,
            "inconclusive": self.inconclusive,
            "diverged": len(self.diverged),
            "first_divergence": self.diverged[0] if self.diverged else None,
            "invariants": dict(self.invariants),
            "recorded": list(self.recorded),
            "history": str(self.history),
        }


def diagram_lines(replays: Replays) -> list[str]:
    """Give the latest run as a Mermaid diagram, what its evidence and proofs name marked."""
    marked = {seq for finding in replays.shown for one in finding.violation.evidence for seq in one.steps}
    marked |= {seq for proof in proofs_of(replays.shown) for seq in proof.steps}
    return mermaid_lines(replays.steps, marked)


def replay_lines(replays: Replays) -> Iterator[str]:
    """Say what came of one replay: the proofs, then the verdict and what qualifies it."""
    yield ""
    for finding in replays.shown:
        yield f"{plain(replays.scenario)}: {plain(finding.invariant)} is violated"
        yield from evidence_lines(finding)
    for proof in proofs_of(replays.shown):
        yield from why_lines(proof)
    if replays.shown:
        yield ""
    if replays.verdict is Verdict.VIOLATED:
        yield f"VIOLATED: {plain(replays.scenario)}: {', '.join(map(plain, replays.invariants))}"
    elif replays.verdict is Verdict.INCONCLUSIVE:
        yield f"INCONCLUSIVE: {plain(replays.scenario)}: {plain(replays.reason or 'no reason was given')}"
    else:
        yield f"CLEAN: {plain(replays.scenario)} in this one order; nothing is said of any other"
    if replays.diverged:
        yield f"  diverged, so this was another run than the one recorded: {plain(replays.diverged[0])}"
    yield from _against_the_record(replays)
    yield f"  history: {plain(replays.history)}"


def times_lines(replays: Replays) -> Iterator[str]:
    """Say what came of many replays, in counts."""
    of = replays.runs
    word = str(replays.verdict).upper()
    yield f"{word}: {plain(replays.scenario)}: violated {replays.violated}/{of}"
    for invariant, count in sorted(replays.invariants.items()):
        yield f"  {plain(invariant)}: {count}/{of}"
    if replays.inconclusive:
        reason = plain(replays.reason or "no reason was given")
        yield f"  could not be judged: {replays.inconclusive}/{of}, first because {reason}"
    first = f", first: {plain(replays.diverged[0])}" if replays.diverged else ""
    yield f"  diverged: {len(replays.diverged)}/{of}{first}"
    yield from _against_the_record(replays)
    yield f"  history: {plain(replays.history)}"


def _against_the_record(replays: Replays) -> Iterator[str]:
    """Say how what was violated now differs from what was recorded, where that is known."""
    if not replays.recorded:
        return
    missing = [name for name in replays.recorded if name not in replays.invariants]
    new = [name for name in replays.invariants if name not in replays.recorded]
    if missing:
        yield f"  recorded as violated, and not now: {', '.join(map(plain, missing))}"
    if new:
        yield f"  violated now, and not recorded: {', '.join(map(plain, new))}"
