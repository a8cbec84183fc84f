"""What is said of findings: those that share a schedule are told together, with the run that shows them.

First the smallest run as a diagram, then each invariant with its evidence, then how small and how sure
it is, and last the command that shows it again.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deadheat.invariants import BUILT_IN
from deadheat.proof import UNKNOWN, prove
from deadheat.report.diagram import diagram
from deadheat.report.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from deadheat.engine.events import Finding
    from deadheat.proof import Proof

EVIDENCE_MAX = 3
DIAGRAM_CHARS = 78  # two are the margin's

_ONE = {
    "operations": "operation",
    "deliveries": "delivery",
    "switches": "switch",
    "duplicates": "duplicate",
    "faults": "fault",
}
_MANY = {"switch": "switches", "delivery": "deliveries"}
_HOLDS_WHEN = {invariant.id: invariant.holds_when for invariant in BUILT_IN}


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one scenario that one run shows: of the same schedule, or seen in the same run."""

    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        """The finding that the schedule was made minimal for."""
        return self.findings[0]

    @property
    def invariants(self) -> tuple[str, ...]:
        """The ids of what was violated."""
        return tuple(dict.fromkeys(finding.invariant for finding in self.findings))

    @property
    def replays(self) -> tuple[int, int] | None:
        """How many of how many replays showed the one that they showed least."""
        return min((f.replays for f in self.findings if f.replays), default=None)

    @property
    def replays_diverged(self) -> int | None:
        """How many of these replays left the schedule; they count as the others do."""
        return max((f.replays_diverged for f in self.findings if f.replays), default=None)

    @property
    def without_yields(self) -> tuple[int, int] | None:
        """The same with no yield points in the database, where the schedule has some."""
        return min((f.without_yields for f in self.findings if f.without_yields), default=None)

    @property
    def runs_until_found(self) -> int:
        """The first run of the scenario that showed any of them."""
        return min(finding.runs_until_found for finding in self.findings)

    @property
    def overlaps(self) -> bool:
        """Whether two flights go together in the schedule, so that chance has a part in it."""
        schedule = self.first.schedule
        return schedule is not None and any(len(switch.to) > 1 for switch in schedule.switches)


def grouped(findings: Sequence[Finding]) -> list[Group]:
    """Put findings together that share a token or, without one, the run that they were seen in.

    A schedule that is too long for a token has one for each invariant, which only names a file.
    """
    groups: dict[object, list[Finding]] = {}
    for finding in findings:
        key = (finding.schedule or finding.token) if finding.token else (finding.strategy, finding.run)
        groups.setdefault(key, []).append(finding)
    return [Group(tuple(found)) for found in groups.values()]


def group_lines(group: Group, history: Path | None, replay_options: str = "") -> list[str]:
    """Give a group of findings: the run, the proofs, how small, how sure, and how to see it again."""
    names = list(map(plain, group.invariants))
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    lines = [f"{plain(group.first.scenario)}: {listed} {'is' if len(names) == 1 else 'are'} violated"]
    evidence = [one for finding in group.findings for one in finding.violation.evidence]
    proofs = proofs_of(group.findings)
    marked = {seq for one in evidence for seq in one.steps}
    marked |= {seq for proof in proofs if proof.pair for seq in (proof.pair.look, proof.pair.act)}
    drawn = diagram(group.first.history, marked=marked, width=DIAGRAM_CHARS)
    lines += [f"  {line}".rstrip() for line in drawn] + [""] * bool(drawn)
    for proof in proofs:
        lines += why_lines(proof)
    for finding in group.findings:
        lines += evidence_lines(finding)
        lines.append(f"    {shown_line(finding)}")
    lines += [f"  {line}" for line in how_sure(group, history)]
    if group.first.token is not None:
        lines.append(f"  deadheat replay {plain(group.first.token)}{replay_options}")
    return lines


def proofs_of(findings: Sequence[Finding]) -> list[Proof]:
    """Give the proofs of findings; of those with one shape and pair that which says most of the evidence.

    One that recognised nothing is left out.
    """
    proofs: dict[object, tuple[int, Proof]] = {}
    for finding in findings:
        proof = prove(finding.violation, finding.history)
        named = {step for one in finding.violation.evidence for step in one.steps}
        key, weight = (proof.shape, proof.pair), len(named & set(proof.steps))
        if proof.shape != UNKNOWN and (key not in proofs or weight > proofs[key][0]):
            proofs[key] = weight, proof
    return [proof for _, proof in proofs.values()]


def why_lines(proof: Proof) -> list[str]:
    """Give a proof in lines: what came in which order, and what closes bugs of this shape."""
    lines = [f"  Why ({proof.shape}):", *(f"    {plain(sentence)}" for sentence in proof.says)]
    return [*lines, f"    What closes this class: {'; or '.join(proof.repairs)}."]


def evidence_lines(finding: Finding) -> list[str]:
    """Give what shows that an invariant was violated."""
    holds_when = plain(finding.violation.holds_when) or _HOLDS_WHEN.get(finding.invariant)
    lines = [f"  {plain(finding.invariant)}{f' holds when {holds_when}.' if holds_when else ':'}"]
    evidence = finding.violation.evidence
    lines += [f"    {plain(one.says)}" for one in evidence[:EVIDENCE_MAX]]
    if len(evidence) > EVIDENCE_MAX:
        lines.append(f"    ... and {len(evidence) - EVIDENCE_MAX} more of the kind.")
    return lines


def shown_line(finding: Finding) -> str:
    """Say how often the strategy hit it."""
    return (
        f"Shown in {finding.shown_in} of {_many(finding.runs, 'run')} of {plain(finding.strategy)}, "
        f"first after {_many(finding.runs_until_found, 'run')} of the scenario."
    )


def target_option(target: str, folder: Path) -> str:
    """Give what a command must say so that it meets this target in that folder; empty for nothing.

    Without ``--target`` a settings file of the folder counts, else the reference.
    """
    files = ("deadheat.toml", "pyproject.toml")
    if target in files:
        return ""
    if target == "reference" and not any((folder / name).exists() for name in files):
        return ""
    return f" --target {shlex.quote(plain(target))}"


def how_sure(group: Group, history: Path | None) -> Iterator[str]:
    """Say how small the run is, how often it was replayed, and where its steps are."""
    first = group.first
    if first.token is None:
        yield _never_replayed(first)
    else:
        yield _how_small(group)
        yield _how_often(group)
    run = next((step.run for step in first.history), first.run)
    yield f"The steps are those of run {run}" + (f" in {plain(history)}" if history is not None else "")


def _how_small(group: Group) -> str:
    first = group.first
    removed = [_many(count, _ONE.get(kind, kind)) for kind, count in first.removed.items() if count]
    found = f"found after {_many(group.runs_until_found, 'run')}"
    if first.choices_before is not None:
        found += f", {first.choices_before} choices"
    minimal = f"; minimal {first.choices_after}" if first.choices_after is not None else ""
    taken = f"; removed: {', '.join(removed)}" if removed else ""
    size = f"{_many(first.actors or 0, 'actor')}, {_many(first.switches or 0, 'switch')}"
    size += f", {_many(first.faults, 'fault')}" if first.faults else ""
    return f"{size} ({found}{minimal}{taken})"


def _how_often(group: Group) -> str:
    parts = []
    if group.overlaps:
        parts.append("two flights overlapped, and what happened within is chance")
    if (replays := group.replays) is not None:
        said = f"replayed {replays[0]}/{replays[1]}"
        without = group.without_yields
        said += " with yield points" if without is not None else ""
        if astray := group.replays_diverged:
            said += f" ({astray} of the {replays[1]} left the schedule)"
        parts.append(said)
        if without is not None:
            parts.append(f"without them {without[0]}/{without[1]}")
    return "; ".join(parts) or "never replayed"


def _never_replayed(finding: Finding) -> str:
    if finding.choices_before is None:
        return f"found by {plain(finding.strategy)}: cannot be replayed"
    found = f"found by {plain(finding.strategy)}"
    if finding.replays is None:
        return f"{found}, and not replayed: the search was ended before"
    return f"{found}, and no replay showed it again: cannot be replayed"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {_MANY.get(noun, f'{noun}s')}"
