"""What reports say of an exploration, in words that console, JUnit and pytest share.

Every line is plain text: what came from the target has been made harmless. A clean verdict is never
said to be more than it is: so many runs of this sampler, with the bound that follows (the rule of
three: with nothing in N independent runs, the rate is below 3/N with 95% confidence).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.engine.events import Verdict
from deadheat.engine.explore import STOPPED
from deadheat.invariants import BUILT_IN
from deadheat.report.plain import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from deadheat.engine.events import Exploration, Finding

EVIDENCE_MAX = 3

_HOLDS_WHEN = {invariant.id: invariant.holds_when for invariant in BUILT_IN}


def verdict_word(exploration: Exploration) -> str:
    """Give clean, violated, inconclusive, or skipped where nothing was run."""
    return "skipped" if exploration.skipped else str(exploration.verdict)


def violated_in(exploration: Exploration) -> tuple[str, ...]:
    """Give the ids of the invariants that were violated."""
    return tuple(dict.fromkeys(finding.invariant for finding in exploration.findings))


def strategies_of(strategies: Mapping[str, int]) -> str:
    """Give strategies with their runs.

    >>> strategies_of({"serial": 1, "barrage": 24})
    'serial 1, barrage 24'
    """
    return ", ".join(f"{plain(name)} {runs}" for name, runs in strategies.items())


def finding_lines(finding: Finding, history: Path | None) -> list[str]:
    """Give a finding: what was violated, the proof, how often it was shown, where to read on."""
    lines = [f"{plain(finding.scenario)}: {plain(finding.invariant)} is violated"]
    if holds_when := _HOLDS_WHEN.get(finding.invariant):
        lines.append(f"  It holds when {holds_when}.")
    evidence = finding.violation.evidence
    lines += [f"  {plain(one.says)}" for one in evidence[:EVIDENCE_MAX]]
    if len(evidence) > EVIDENCE_MAX:
        lines.append(f"  ... and {len(evidence) - EVIDENCE_MAX} more of the kind.")
    lines.append(
        f"  Shown in {finding.shown_in} of {_runs(finding.runs)} of {plain(finding.strategy)}, first after "
        f"{_runs(finding.runs_until_found)} of the scenario. The steps above are those of run {finding.run}"
        + (f" in {plain(history)}" if history is not None else "")
    )
    return lines


def exploration_lines(exploration: Exploration, history: Path | None) -> list[str]:
    """Give what is to be said of one exploration that is over."""
    name = plain(exploration.scenario)
    if exploration.skipped:
        return [f"{name} is skipped: the target does not offer {plain(', '.join(exploration.skipped))}"]
    lines = [line for finding in exploration.findings for line in finding_lines(finding, history)]
    if exploration.inconclusive or exploration.verdict is Verdict.INCONCLUSIVE:
        lines.append(inconclusive_line(exploration))
    return lines or [f"{name} is clean: {bound_line([exploration])}"]


def inconclusive_line(exploration: Exploration) -> str:
    """Say what could not be judged, and why."""
    reason = plain(exploration.reason or "no reason was given")
    runs = f"{exploration.inconclusive} of {_runs(exploration.runs)}"
    return f"INCONCLUSIVE: {plain(exploration.scenario)}: {runs} could not be judged: {reason}"


def sampled(exploration: Exploration) -> int:
    """Give the judged runs that sample an order; serial runs always have the same one."""
    drawn = sum(runs for name, runs in exploration.strategies.items() if name != "serial")
    return max(0, drawn - exploration.inconclusive)


def bound_line(explorations: Sequence[Exploration]) -> str:
    """Say what clean runs are worth, by the scenario that was sampled least.

    The number is the least over the scenarios: each scenario is a sample of its own.
    """
    fewest = min((sampled(exploration) for exploration in explorations), default=0)
    each = " of each scenario" if len(explorations) > 1 else ""
    if fewest == 0:
        return "runs one after the other sample no order, and bound no rate"
    if fewest <= 3:
        return f"no violation in {_runs(fewest)} of this sampler{each}, too few to bound the violation rate"
    return (
        f"with no violation in {fewest} runs of this sampler{each} "
        f"the violation rate is below 3/{fewest} (95%), {3 / fewest:.1%}"
    )


def stripe_mock_line(stripe_mock: str) -> str:
    """Say in one line whether stripe-mock stood behind the simulator."""
    if stripe_mock == "off":
        return "stripe-mock: off. Only the calls that the simulator models were validated."
    if stripe_mock.endswith(STOPPED):
        return f"stripe-mock: {plain(stripe_mock)}. From then on only the simulator validated calls."
    return f"stripe-mock: {plain(stripe_mock)} validated the calls to Stripe."


def not_checked(reasons: Mapping[str, str], invariants: Mapping[str, tuple[int, int]]) -> dict[str, str]:
    """Give the invariants judged in no run, with the reason; one judged in some run was checked."""
    return {name: reason for name, reason in reasons.items() if invariants.get(name, (0, 0))[0] == 0}


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"
