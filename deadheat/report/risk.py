"""A risk in words: "1 in 340 double clicks (95%: 1 in 200 to 1 in 700)", and as JSON.

The interval is that of Clopper and Pearson. None at all is less than three in as many as were tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deadheat.engine.interval import clopper_pearson
from deadheat.report.plain import plain
from deadheat.schedule.barrage import DELIVERY_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadheat.engine.risk import Risk, Sample


def risk_lines(risk: Risk, target: str) -> Iterator[str]:
    """Say how often it goes wrong where nothing orders it, under which conditions, and under search."""
    asked = ", ".join(map(plain, risk.asked)) or "any invariant"
    yield f"{plain(risk.scenario.name)} on {plain(target)}: {asked} violated"
    yield f"  plain concurrency: {rate_of(risk.plain.violated, risk.plain.judged, risk.noun)}"
    yield (
        f"    {risk.plain.violated} of {_runs(risk.plain.judged)}; begun {_range(risk.apart_ms)} ms apart, "
        f"Stripe calls of {_range(risk.stripe_ms)} ms, deliveries after {_range(DELIVERY_MS)} ms; "
        f"two in the air at once in {risk.plain.raced}"
    )
    yield from _inside(risk.plain)
    if risk.token is not None and not risk.plain.violated:
        yield "    if its schedule has a fault: none is made here, and what needs it does not show"
    if risk.search is None:
        yield "  under search: not tried, nothing orders the target's statements here"
        return
    searched = risk.search
    share = f", {searched.violated / searched.judged:.0%}" if searched.judged else ""
    yield f"  under search: {searched.violated} of {_runs(searched.judged)} of random-walk{share}"
    yield from _inside(searched)


def rate_of(violated: int, judged: int, noun: str) -> str:
    """Say a rate as one in so many, and how sure that is.

    >>> rate_of(3, 1020, "double click")
    '1 in 340 double clicks (95%: 1 in 117 to 1 in 1648, Clopper-Pearson)'
    >>> rate_of(0, 600, "race")
    'fewer than 1 in 200 races (95%, none in 600)'
    """
    if not violated:
        if judged <= 3:
            return f"none in {judged}, too few to say anything"
        return f"fewer than 1 in {_many(judged / 3)} {noun}s (95%, none in {judged})"
    low, high = clopper_pearson(violated, judged)
    if violated == judged:
        return f"every one of {judged} {noun}s (95%: at least 1 in {_many(1 / low)}, Clopper-Pearson)"
    between = f"1 in {_many(1 / high)} to 1 in {_many(1 / low)}"
    return f"1 in {_many(judged / violated)} {noun}s (95%: {between}, Clopper-Pearson)"


def risk_json(risk: Risk, target: str) -> dict[str, Any]:
    """Give it as JSON data; rates are between 0 and 1, times in milliseconds."""
    return {
        "v": 1,
        "verdict": str(risk.verdict),
        "scenario": risk.scenario.name,
        "token": risk.token,
        "target": target,
        "asked": list(risk.asked),
        "per": risk.noun,
        "apart_ms": list(risk.apart_ms),
        "stripe_ms": list(risk.stripe_ms),
        "interval": "Clopper-Pearson, 95%; none: 3/N",
        "plain": _sample_json(risk.plain),
        "search": None if risk.search is None else {"strategy": "random-walk", **_sample_json(risk.search)},
    }


def _sample_json(sample: Sample) -> dict[str, Any]:
    rate, between = None, None
    if sample.judged:
        rate = sample.violated / sample.judged
        bound = [0.0, min(1.0, 3 / sample.judged)]
        between = list(clopper_pearson(sample.violated, sample.judged)) if sample.violated else bound
    return {
        "runs": sample.judged + sample.inconclusive,
        "judged": sample.judged,
        "violated": sample.violated,
        "raced": sample.raced,
        "inconclusive": sample.inconclusive,
        "reason": sample.reason,
        "rate": rate,
        "between": between,
        "invariants": dict(sorted(sample.invariants.items())),
    }


def _inside(sample: Sample) -> Iterator[str]:
    """Say how often each invariant was violated, and what could not be judged."""
    if sample.invariants:
        yield f"    {', '.join(f'{plain(name)} {n}' for name, n in sorted(sample.invariants.items()))}"
    if sample.inconclusive:
        reason = plain(sample.reason or "no reason was given")
        yield f"    not counted, for they could not be judged: {sample.inconclusive}, first because {reason}"


def _many(number: float) -> str:
    """Write so many: whole from 10 on, where a tenth tells nothing, and finely near 1."""
    if number >= 9.95:
        return f"{number:.0f}"
    return f"{number:.1f}" if number >= 1.95 else f"{number:.2f}"


def _range(between: tuple[float, float]) -> str:
    return f"{between[0]:g} to {between[1]:g}"


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"
