"""A finding on the page: what happened, why it cannot be right, how small and sure it is, every step."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from deadheat.invariants import BUILT_IN
from deadheat.proof import prove
from deadheat.report.findings import how_sure, proofs_of, shown_line
from deadheat.report.html.markup import Markup, joined, lines, tag
from deadheat.report.html.picture import picture
from deadheat.report.steps import told

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deadheat.engine.events import Finding
    from deadheat.history import Step
    from deadheat.report.findings import Group
    from deadheat.report.steps import Told

STEPS_MAX = 400
SWITCHES_MAX = 200
VALUE_CHARS_MAX = 1500
_HOLDS_WHEN = {invariant.id: invariant.holds_when for invariant in BUILT_IN}
_SHOWN_APART = frozenset({"sql", "strand"})


def finding_id(number: int) -> str:
    """Give a finding's place on the page."""
    return f"finding-{number}"


def finding_article(number: int, group: Group, replay_options: str) -> Markup:
    """Give a group of findings that one run shows."""
    first = group.first
    evidence = [one for finding in group.findings for one in finding.violation.evidence]
    proofs = proofs_of(group.findings)
    marked = {seq for one in evidence for seq in one.steps}
    drawn = picture(first.history, marked=marked, pair=proofs[0].pair if proofs else None)
    return tag(
        "article",
        tag("h3", first.scenario, ": ", tag("span", ", ".join(group.invariants), class_="violated")),
        *_why(group),
        tag("div", drawn, class_="wide", tabindex=0) if drawn is not None else None,
        *(_evidence(finding) for finding in group.findings),
        _how_sure(group, replay_options),
        _schedule(first),
        _steps(first.history.steps, marked | {seq for proof in proofs for seq in proof.steps}),
        id=finding_id(number),
    )


def _why(group: Group) -> Iterator[Markup]:
    """Give the proofs, each ending on the promise that is broken; told in order where none was found."""
    proofs = proofs_of(group.findings) or [prove(group.first.violation, group.first.history)]
    for proof in proofs:
        yield tag("h4", f"Why ({proof.shape})")
        yield tag("ol", *(tag("li", sentence) for sentence in proof.says), class_="proof")
        yield tag("p", proof.conclusion, class_="conclusion")
        if proof.repairs:
            yield tag("p", "What closes this class: ", "; or ".join(proof.repairs), ".")


def _evidence(finding: Finding) -> Markup:
    holds_when = _HOLDS_WHEN.get(finding.invariant)
    return joined(
        tag("h4", finding.invariant, f" holds when {holds_when}." if holds_when else ""),
        *(tag("p", one.says) for one in finding.violation.evidence),
        tag("p", shown_line(finding), class_="soft"),
    )


def _how_sure(group: Group, replay_options: str) -> Markup:
    said = tag("p", *(joined(line, tag("br")) for line in how_sure(group, None)))
    if group.first.token is None:
        return said
    return joined(said, tag("pre", f"deadheat replay {group.first.token}{replay_options}"))


def _schedule(finding: Finding) -> Markup | None:
    """Give the minimal schedule, and the one that was found first where it is known."""
    parts = []
    for title, schedule in (("as it was found", finding.original), ("minimal", finding.schedule)):
        if schedule is None:
            continue
        switches = [f"at {one.at} to {' and '.join(one.to)}" for one in schedule.switches[:SWITCHES_MAX]]
        left_out = f"left out: {', '.join(schedule.dropped)}" if schedule.dropped else "nothing is left out"
        parts += [
            tag("dt", title),
            tag(
                "dd",
                f"{len(schedule.steps)} choices; {left_out}; ",
                f"switches: {'; '.join(switches) or 'none'}",
            ),
        ]
    if not parts:
        return None
    return tag("details", tag("summary", "Schedules: where they leave the default"), tag("dl", *parts))


def _steps(steps: Sequence[Step], marked: set[int]) -> Markup:
    shown = list(told(steps[:STEPS_MAX]))
    more = f" (the first {STEPS_MAX} of {len(steps)})" if len(steps) > STEPS_MAX else ""
    return tag(
        "details",
        tag("summary", f"All {len(steps)} steps with what they carried{more}"),
        *(_step(one, any(step.seq in marked for step in one.steps)) for one in shown),
    )


def _step(one: Told, is_marked: bool) -> Markup:
    carried = [part for step in one.steps for part in _carried(step)]
    summary = tag("summary", f"{one.seqs:>7}  {one.actor:<3} {one.says}")
    class_ = "step marked" if is_marked else "step"
    return tag("details", summary, tag("dl", *carried), class_=class_)


def _carried(step: Step) -> Iterator[Markup]:
    """Give what a step carried: SQL as it was sent, everything else by its name."""
    yield tag("dt", f"step {step.seq}")
    how = f", connection {step.conn}" if step.conn is not None else ""
    whose = f", {step.actor}'s by {step.attribution}" if step.attribution else ""
    yield tag("dd", f"{step.plane.value} {step.kind.value} at {step.t_us / 1000:.1f} ms{how}{whose}")
    for statement in step.data.get("sql") or ():
        yield tag("dt", "SQL")
        yield tag("dd", tag("pre", lines(str(statement).strip(), VALUE_CHARS_MAX)))
    for name, value in step.data.items():
        if name in _SHOWN_APART or value in (None, [], {}, ""):
            continue
        yield tag("dt", name)
        yield tag("dd", _value(value))


def _value(value: object) -> Markup:
    if isinstance(value, str | int | float | bool):
        return tag("code", str(value)[:VALUE_CHARS_MAX])
    return tag("pre", lines(json.dumps(value, indent=1, ensure_ascii=False, default=str), VALUE_CHARS_MAX))
