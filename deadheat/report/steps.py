"""What a step is called in few words, and which steps are told as one.

A flight and its result are one thing to a reader, and so are the three crossings of a Stripe call,
as long as nothing of others came in between. `told` folds them; what was apart stays apart, since that
is what a race is about.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from deadheat.history import Plane, StepKind
from deadheat.report.plain import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deadheat.history import Step

CALL = (StepKind.RECEIVED, StepKind.EFFECT, StepKind.RESPONSE)
_OBJECT_ID = re.compile(r"[a-z]+(_test)?_[A-Za-z0-9]{8,}")


@dataclass(frozen=True, slots=True)
class Told:
    """Steps that are told as one, in the words for them. ``waits_for`` names who was waited for."""

    steps: tuple[Step, ...]
    says: str
    waits_for: str = ""

    @property
    def actor(self) -> str:
        """Whose steps they are."""
        return self.steps[0].actor

    @property
    def seqs(self) -> str:
        """Their numbers in the history, as in ``25-27``."""
        first, last = self.steps[0].seq, self.steps[-1].seq
        return str(first) if first == last else f"{first}-{last}"


def told(steps: Sequence[Step]) -> Iterator[Told]:
    """Fold steps that follow each other and are parts of one thing, and say what each is."""
    waiting = _waiting(steps)
    at = 0
    while at < len(steps):
        whole = _whole(steps, at)
        waits_for = waiting.get(steps[at].seq, "")
        yield Told(whole, plain(says(whole) + (f" waits for {waits_for}" if waits_for else "")), waits_for)
        at += len(whole)


def says(steps: Sequence[Step]) -> str:
    """Say what a step is, or steps that are parts of one thing; not made harmless yet."""
    first, last = steps[0], steps[-1]
    if first.plane is Plane.SQL:
        came = _came_of_flight(last) if last.kind is StepKind.RESULT else ""
        return f"{first.label}{' -> ' + came if came else ''}"
    if first.plane is Plane.STRIPE:
        return _call(steps)
    if first.plane is Plane.FAULT:
        return f"!! {first.label}"
    if first.kind is StepKind.ANSWER:
        return _answer(first)
    if first.kind is StepKind.RESULT:
        return f"{first.label} not done: {first.data.get('not done')}"
    if first.plane is Plane.WEBHOOK:
        forged = f" ({first.data['forged']})" if first.data.get("forged") else ""
        return f"event {first.label.partition(' ')[0]}{forged}"
    return first.label


def _whole(steps: Sequence[Step], at: int) -> tuple[Step, ...]:
    """Give the steps from ``at`` on that are one thing: a flight with its result, a call's crossings."""
    first = steps[at]
    if first.plane is Plane.SQL and first.kind is StepKind.FLIGHT:
        rest = steps[at + 1 : at + 2]
        if rest and rest[0].kind is StepKind.RESULT and _same(first, rest[0]) and rest[0].conn == first.conn:
            return (first, *rest) if "waited_for" not in rest[0].data else (first,)
    if first.plane is Plane.STRIPE and first.kind in CALL:
        whole = [first]
        for step, kind in zip(steps[at + 1 :], CALL[CALL.index(first.kind) + 1 :], strict=False):
            if step.kind is not kind or not _same(first, step):
                break
            whole.append(step)
        return tuple(whole)
    return (first,)


def _same(first: Step, other: Step) -> bool:
    """Whether two steps are of the same plane, strand and label."""
    of = first.data.get("strand"), other.data.get("strand")
    return (first.plane, first.actor, first.label) == (other.plane, other.actor, other.label) and (
        of[0] == of[1]
    )


def _waiting(steps: Sequence[Step]) -> dict[int, str]:
    """Say of the flights that were blocked, by number, for whom they waited."""
    sent: dict[int | None, Step] = {}
    waiting = {}
    for step in steps:
        if step.plane is Plane.SQL and step.kind is StepKind.FLIGHT:
            sent[step.conn] = step
        elif step.plane is Plane.SQL and (behind := step.data.get("waited_for")) and step.conn in sent:
            flight = sent[step.conn]
            waiting[flight.seq] = ", ".join(dict.fromkeys(_who(name, flight.actor) for name in behind))
    return waiting


def _who(strand: str, actor: str) -> str:
    """Name whoever is waited for: an actor, or another strand of the same one."""
    other = strand.split("/")[0].rstrip("0123456789")
    return other if other != actor else strand


def _came_of_flight(step: Step) -> str:
    """Say what came of a flight: its error, or how many rows where that is news."""
    if (sqlstate := step.data.get("sqlstate")) is not None:
        return f"error {sqlstate}"
    rows = step.data.get("rows") or 0
    tags: Sequence[Any] = step.data.get("tags") or ()
    counts = [
        int(tag.split()[-1]) for tag in map(str, tags) if tag.split()[-1:] and tag.split()[-1].isdigit()
    ]
    if not rows and not counts:
        return ""
    count = rows or counts[-1]
    as_expected = step.label.startswith("insert") and count == 1
    return "" if as_expected else f"{count} row" if count == 1 else f"{count} rows"


def _call(steps: Sequence[Step]) -> str:
    """Say what a Stripe call, or the part of it at hand, was and made; or what was done at Stripe."""
    first, kinds = steps[0], [step.kind for step in steps]
    if "notes" in first.data:
        return f"{first.label} (at Stripe)"
    made = next((step.data.get("objects") for step in steps if step.data.get("objects")), ())
    response = steps[-1].data if steps[-1].kind is StepKind.RESPONSE else None
    status = response.get("status") if response is not None else 200
    came = ", ".join(map(str, made or ()))
    if status is None:
        came = f"{came}, answer lost" if came else "answer lost"
    elif status >= 300 or (not came and kinds != [StepKind.RECEIVED]):
        came = str(status)
    if kinds[0] is StepKind.RECEIVED:
        return f"{first.label} -> {came}" if came else f"{first.label} received"
    if kinds[0] is StepKind.EFFECT:
        return f"{first.label} -> {came}" if made else f"{first.label} takes effect"
    return f"{first.label} <- {status if status is not None else 'lost'}"


def _answer(step: Step) -> str:
    status = step.data.get("status")
    why = f": {step.data['why']}" if step.data.get("why") else ""
    said = f"=> {status if status is not None else f'no answer{why}'}"
    if step.plane is Plane.WEBHOOK:
        return f"{said}{' (lost)' if step.data.get('lost') else ''} {step.label.partition(' ')[0]}"
    return f"{said} {step.data['customer']}" if step.data.get("customer") else said


def cut(text: str, chars_max: int) -> str:
    """Cut a text that is too long, what it can do without first.

    >>> cut("POST /v1/customers -> cus_ahNmBLTOhkB2dH", 24)
    'POST customers -> cus_a…'
    """
    if len(text) > chars_max:
        text = text.replace(" /v1/", " ", 1)
    return text if len(text) <= chars_max else f"{text[: max(chars_max - 1, 0)]}…"


def operations_of(steps: Sequence[Step], actor: str) -> str:
    """Say what an actor did: its operations in order, and ``deliveries``."""
    done = []
    for step in steps:
        if step.actor != actor:
            continue
        if step.plane is Plane.HTTP and step.kind is StepKind.REQUEST:
            done.append(str(step.data.get("operation", step.label)))
        elif step.plane is Plane.STRIPE and "notes" in step.data:
            done.append(step.label)
        elif step.plane is Plane.WEBHOOK:
            done.append("deliveries")
    return ", ".join(name for name, _ in groupby(done))
