"""The last words of a suite: the verdict, what was not looked at, and what clean is worth."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from deadheat.engine.events import Verdict
from deadheat.report.coverage import coverage_lines
from deadheat.report.plain import plain
from deadheat.report.prose import not_checked, strategies_of, stripe_mock_line, verdict_word, worth_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadheat.engine.events import Left, SuiteFinished, SuiteStarted

INTERRUPTED = 130

_CODES = {Verdict.CLEAN: 0, Verdict.VIOLATED: 1, Verdict.INCONCLUSIVE: 3}


def exit_code(verdict: Verdict, interrupted: bool = False) -> int:
    """Give the exit code of a suite: 0 clean, 1 violated, 3 inconclusive, 130 interrupted."""
    return INTERRUPTED if interrupted else _CODES[verdict]


def closing_lines(finished: SuiteFinished, started: SuiteStarted | None) -> list[str]:
    """Give the last lines: verdict first, then everything that qualifies it."""
    lines = [_verdict_line(finished)]
    clean = [e for e in finished.scenarios if not e.skipped and e.verdict is Verdict.CLEAN]
    if clean:
        some = "" if finished.verdict is Verdict.CLEAN else f"{_many(len(clean), 'scenario')} clean: "
        lines.append(f"  {some}{worth_line(clean)}")
    lines += [f"  {line}" for line in coverage_lines([e for e in finished.scenarios if not e.skipped])]
    if started is not None:
        lines.append(f"  {started.reach}")
        lines += [f"  not ours: {line}" for line in started.reach.cannot()]
    for name, reason in not_checked(finished.not_checked, finished.invariants).items():
        lines.append(f"  not checked: {plain(name)} ({plain(reason)})")
    for name in finished.unproven:
        lines.append(
            f"  unproven: {plain(name)} (nothing has violated it yet: put a bug in once to see it fail)"
        )
    lines += [f"  {line}" for line in left_lines(finished.left)]
    for exploration in finished.scenarios:
        if exploration.skipped:
            lacks = plain(", ".join(exploration.skipped))
            lines.append(f"  skipped: {plain(exploration.scenario)} (the target does not offer {lacks})")
    if started is not None and started.reach.stripe:
        lines.append(f"  {stripe_mock_line(finished.stripe_mock or started.stripe_mock)}")
    return lines


def left_lines(left: Left | None) -> Iterator[str]:
    """Say what is left in a database that is not ours."""
    if left is None:
        return
    rows = [f"{_many(count, 'row')} of {relation}" for relation, count in left.rows.items() if count]
    if rows:
        yield (
            f"left in the database: {', '.join(rows)}, of {_many(left.users, 'user')} whose e-mail is like "
            f"{left.like}, and whatever is not mapped; [target.cleanup] says how to take it away"
        )
    elif left.rows:
        yield f"left in the database: nothing in {', '.join(left.rows)}, of {_many(left.users, 'user')}"
    elif left.problem is None:
        yield (
            f"left in the database: unknown, since nothing is mapped; {_many(left.users, 'user')} had an "
            f"e-mail like {left.like}"
        )
    if left.problem is not None:
        yield f"left in the database: {plain(left.problem)}"


def _verdict_line(finished: SuiteFinished) -> str:
    word = "INTERRUPTED" if finished.interrupted else str(finished.verdict).upper()
    counts = Counter(verdict_word(exploration) for exploration in finished.scenarios)
    order = ("violated", "inconclusive", "clean", "skipped")
    of = ", ".join(f"{counts[one]} {one}" for one in order if counts[one])
    strategies: Counter[str] = Counter()
    for exploration in finished.scenarios:
        strategies.update(exploration.strategies)
    drawn = f" ({strategies_of(strategies)})" if strategies else ""
    proving = sum(exploration.proving for exploration in finished.scenarios)
    made = finished.runs + proving
    rate = f", {made / finished.elapsed_s:.1f} runs/s" if finished.elapsed_s > 0 else ""
    more = f" and {proving} to prove it" if proving else ""
    return (
        f"{word}: {_many(len(finished.scenarios), 'scenario')}{': ' + of if of else ''}; "
        f"{_many(finished.runs, 'run')}{drawn}{more} in {finished.elapsed_s:.1f} s{rate}"
    )


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
