"""``summary.json``: the verdict for machines, with the keys of DESIGN 6.

Findings that share a schedule are one, with the invariants that it violates. What only control can
know is null where there was none: ``token``, ``replays`` and ``replays_diverged`` (how many of them
left the schedule), ``switches``, ``choices_before`` and ``choices_after``; ``without_yields`` is null
where the schedule has no yield points. ``coverage`` says what was ordered (``schedules`` are distinct
ones) and what was not. A scenario that was skipped has the verdict "skipped", and an invocation that
was interrupted with nothing found has "interrupted": neither was clean. ``strategy`` joins the
strategies with "+". ``unproven`` are invariants of the team's own that nothing has ever violated; ``left``
is what was left in a database that is not ours, null where it is.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from deadheat.engine.events import SuiteFinished, SuiteStarted, Verdict
from deadheat.history import Plane, redacted
from deadheat.report.disk import check_writable, make_state_folder, write_atomically
from deadheat.report.findings import grouped
from deadheat.report.prose import not_checked, sampled, verdict_word, violated_in

if TYPE_CHECKING:
    from pathlib import Path

    from deadheat.engine.events import Event, Exploration
    from deadheat.report.findings import Group

NAME = "summary.json"


class SummaryReport:
    """Writes ``summary.json`` when the suite is over, and a copy where it is asked for.

    The summary of an earlier invocation goes when this one starts: it would speak of another.
    """

    def __init__(self, state_folder: Path, copy: Path | None = None) -> None:
        self.path = state_folder / NAME
        self._copy = copy
        self._started: SuiteStarted | None = None

    def start(self) -> None:
        """Make sure that both files can be written, and drop what an earlier invocation left."""
        make_state_folder(self.path.parent)
        if self._copy is not None:
            check_writable(self._copy, "--json")
        self.path.unlink(missing_ok=True)

    def handle(self, event: Event) -> None:
        """Wait for the end."""
        if isinstance(event, SuiteStarted):
            self._started = event
        elif isinstance(event, SuiteFinished) and self._started is not None:
            text = json.dumps(redacted(summary(self._started, event)), indent=2) + "\n"
            for path in (self.path, self._copy):
                if path is not None:
                    write_atomically(path, text)

    def finish(self) -> None:
        """Nothing is held open."""


def summary(started: SuiteStarted, finished: SuiteFinished) -> dict[str, Any]:
    """Give the summary as JSON data."""
    word = str(finished.verdict)
    if finished.interrupted and finished.verdict is not Verdict.VIOLATED:
        word = "interrupted"
    made = finished.runs + sum(exploration.proving for exploration in finished.scenarios)
    return {
        "verdict": word,
        "seed": started.seed,
        "postgres": started.postgres,
        "stripe_mock": finished.stripe_mock or started.stripe_mock,
        "level": started.reach.level,
        "not_ours": list(started.reach.cannot()),
        "elapsed_s": round(finished.elapsed_s, 3),
        "runs": finished.runs,
        "runs_per_s": round(made / finished.elapsed_s, 2) if finished.elapsed_s > 0 else 0.0,
        "not_checked": not_checked(finished.not_checked, finished.invariants),
        "unproven": list(finished.unproven),
        "left": None if finished.left is None else asdict(finished.left),
        "scenarios": [_scenario(exploration) for exploration in finished.scenarios],
        "invariants": {
            name: {"checked": checked, "violated": violated}
            for name, (checked, violated) in finished.invariants.items()
        },
    }


def _scenario(exploration: Exploration) -> dict[str, Any]:
    return {
        "name": exploration.scenario,
        "strategy": "+".join(exploration.strategies),
        "runs": exploration.runs,
        "proving_runs": exploration.proving,
        "inconclusive": exploration.inconclusive,
        "diverged": exploration.coverage.diverged,
        "verdict": verdict_word(exploration),
        "violated": list(violated_in(exploration)),
        "findings": [_finding(group) for group in grouped(exploration.findings)],
        "coverage": _coverage(exploration),
    }


def _finding(group: Group) -> dict[str, Any]:
    """Give findings that share a schedule; ``actors`` without one are those that the run saw act."""
    first = group.first
    acting = {step.actor for step in first.history if step.plane in (Plane.HTTP, Plane.WEBHOOK)}
    return {
        "token": first.token,
        "invariants": list(group.invariants),
        "replays": _of(group.replays),
        "replays_diverged": group.replays_diverged,
        "actors": len(acting) if first.actors is None else first.actors,
        "switches": first.switches,
        "faults": first.faults,
        "runs_until_found": group.runs_until_found,
        "choices_before": first.choices_before,
        "choices_after": first.choices_after,
        "without_yields": _of(group.without_yields),
    }


def _coverage(exploration: Exploration) -> dict[str, Any]:
    """Give what was ordered and what not; ``sampled`` runs are those that ``bound`` is three of."""
    covered = exploration.coverage
    drawn = sampled(exploration)
    is_clean = exploration.verdict is Verdict.CLEAN and drawn > 3
    return {
        "sampled": drawn,
        "bound": round(3 / drawn, 4) if is_clean else None,
        "schedules": covered.schedules,
        "choices": covered.choices,
        "steps": covered.attributed,
        "unattributed": covered.unattributed,
        "disagreed": covered.disagreed,
        "late": covered.late,
        "overlapped": covered.unordered,
        "silent_s": round(covered.silent_s, 3),
        "silences": covered.silences,
        "repeated": covered.repeated,
        "differing": list(covered.differing),
        "conflicting": covered.conflicting,
        "in_both_orders": covered.in_both_orders,
        "faults": dict(covered.faults),
        "exhausted": None if covered.exhausted is None else asdict(covered.exhausted),
    }


def _of(times: tuple[int, int] | None) -> str | None:
    return f"{times[0]}/{times[1]}" if times is not None else None
