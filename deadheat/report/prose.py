"""What reports say of an exploration, in words that console, JUnit and pytest share.

Every line is plain text: what came from the target has been made harmless. A clean verdict is never
said to be more than it is: so many runs of this sampler, with the bound that follows (the rule of
three: with nothing in N independent runs, the rate is below 3/N with 95% confidence).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.engine.events import Verdict
from deadheat.engine.explore import STOPPED
from deadheat.report.coverage import coverage_lines
from deadheat.report.findings import group_lines, grouped
from deadheat.report.plain import plain
from deadheat.report.steps import told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from deadheat.engine.events import Exploration

NOT_SAMPLERS = ("serial", "replay", "exhaustive")  # always the same, chosen before, each just once


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


def exploration_lines(exploration: Exploration, history: Path | None, replay_options: str = "") -> list[str]:
    """Give what is to be said of one exploration that is over.

    ``replay_options`` is what ``deadheat replay`` needs besides a token to meet the same target.
    """
    name = plain(exploration.scenario)
    if exploration.skipped:
        return [f"{name} is skipped: the target does not offer {plain(', '.join(exploration.skipped))}"]
    lines: list[str] = []
    for group in grouped(exploration.findings):
        lines += ([""] if lines else []) + group_lines(group, history, replay_options)
    if exploration.inconclusive or exploration.verdict is Verdict.INCONCLUSIVE:
        lines += [inconclusive_line(exploration), *last_steps_lines(exploration)]
    if lines:
        return lines
    covered = [f"  {line}" for line in coverage_lines([exploration])]
    return [f"{name} is clean: {worth_line([exploration])}", *covered]


def inconclusive_line(exploration: Exploration) -> str:
    """Say what could not be judged, and why."""
    reason = plain(exploration.reason or "no reason was given")
    runs = f"{exploration.inconclusive} of {_runs(exploration.runs)}"
    return f"INCONCLUSIVE: {plain(exploration.scenario)}: {runs} could not be judged: {reason}"


def last_steps_lines(exploration: Exploration) -> list[str]:
    """Give the last steps of the first run that came to nothing."""
    steps = exploration.last_steps
    if not steps:
        return []
    lines = [f"    {one.seqs:>7} {plain(one.actor):<8} {one.says}" for one in told(steps)]
    return [f"  its last steps (run {steps[-1].run}):", *lines]


def sampled(exploration: Exploration) -> int:
    """Give the judged runs that sample an order: serial always has the same one, a replay that of before."""
    drawn = sum(runs for name, runs in exploration.strategies.items() if name not in NOT_SAMPLERS)
    return max(0, drawn - exploration.inconclusive)


def worth_line(explorations: Sequence[Exploration]) -> str:
    """Say what clean runs are worth: all schedules within a bound, or a bound on the rate."""
    searches = [e.coverage.exhausted for e in explorations if e.coverage.exhausted is not None]
    if not searches or len(searches) < len(explorations):
        return _bound_line(explorations)
    done = sum(search.done for search in searches)
    bound = max(search.preemptions for search in searches)
    most = f"at most {bound} {'preemption' if bound == 1 else 'preemptions'}"
    earlier = sum(search.earlier for search in searches)
    before = f" ({earlier} of them by earlier commands, of the target as it was then)" if earlier else ""
    if all(search.is_complete for search in searches):
        violated = sum(search.violated for search in searches)  # this time none, in an earlier part perhaps
        broke = f"{violated or 'none'} violated an invariant"
        return f"all {done} schedules of {most} were run{before}, and {broke}"
    waiting, lost = sum(s.waiting for s in searches), sum(s.lost for s in searches)
    late = sum(search.late for search in searches)
    left = f"at least {waiting} are left: the same command goes on with them" if waiting else ""
    astray = f"{lost} could not be followed, and what lies below them was not run" if lost else ""
    unsure = f"in {late} of them steps came late, and what else could have gone is not known" if late else ""
    differed = sum(search.differed for search in searches)
    other = (
        f"in {differed} of them the same choices brought other steps, which were not all run"
        if differed
        else ""
    )
    why = "; ".join(filter(None, (left, unsure, other, astray)))
    return f"{done} schedules of {most} were run{before}; {why}"


def _bound_line(explorations: Sequence[Exploration]) -> str:
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
