"""The shape of a bug that only a fault shows: what it struck, what was answered, and what was done again."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from deadheat.history import Plane, StepKind
from deadheat.proof.shape import AGAIN, FINISH, KEY, LEDGER, REFUSE, SEARCH, UNIQUE, Shape, event_of, phase_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deadheat.history import History, Step
    from deadheat.proof.accesses import Access

HAPPENED = {
    "500 before": "Stripe answered 500 and had done nothing",
    "500 after": "Stripe had done it, and answered 500",
    "lost": "Stripe's answer was lost on its way",
    "cut before": "the connection was cut before Postgres had the statement",
    "cut after": "Postgres executed the statement, and the connection was cut before its answer came",
    "answer lost": "Stripe did not get the target's answer, and tries again",
    "caller gone": "the caller hung up, and the target went on",
    "pause": "the target stood still until everybody who waited had hung up, and went on",
    "kill": "the target was killed in all that it was doing, and started again",
}


def after_a_fault(
    invariant: str, seen: Sequence[Access], history: History, named: frozenset[int]
) -> Shape | None:
    """Find each fault, how what it struck was answered, and what was done once more because of it."""
    del invariant
    faults = history.of(Plane.FAULT)
    if not faults:
        return None
    told: list[tuple[str, int]] = []
    repairs: list[str] = []
    for fault in faults:
        told.append((_struck(fault), fault.seq))
        begun = _begun(history, fault)
        if begun is None and event_of(_strand(fault)):
            continue  # one of several deliveries: which is not certain
        answer = _answer(history, fault, begun, named)
        told.append(_answered(fault, begun, answer))
        if begun is not None and begun.plane is Plane.WEBHOOK:
            told += _came_again(history, seen, begun, answer)
            early = answer is not None and answer.seq < fault.seq
            repairs += [REFUSE, LEDGER] if early else [LEDGER, REFUSE]
    kept = list(_kept(history))
    told += kept
    twice = _twice(seen, named, faults[0].seq)
    told += [_told(*pair) for pair in twice]
    if kept:
        repairs += [FINISH, SEARCH]
    elif twice:
        repairs += [FINISH, KEY if twice[0][0].at_stripe else UNIQUE]
    elif not repairs:
        repairs += [FINISH, KEY]
    return Shape(
        name="after-a-fault",
        sentences=tuple(says for says, _ in told),
        steps=tuple(sorted({step for _, step in told if step})),
        repairs=tuple(dict.fromkeys(repairs)),
    )


def struck_events(history: History) -> frozenset[str]:
    """Give the types of the events whose deliveries were struck by a fault: by a kill, all that had come."""
    faults = history.of(Plane.FAULT)
    events = {event_of(_strand(fault)) for fault in faults}
    last = max((fault.seq for fault in faults if fault.data.get("fault") == "kill"), default=0)
    came = (s for s in history.of(Plane.WEBHOOK, StepKind.DELIVERY) if s.seq < last)
    return frozenset(events.union(step.label.partition(" ")[0] for step in came)) - {""}


def _struck(fault: Step) -> str:
    """Say what was made to fail: a call by a scenario's rule, or any step by a fault in its place."""
    what = fault.data.get("fault")
    if what is None:
        return f"Stripe failed {fault.actor}'s call: {fault.label} (step {fault.seq})."
    happened = f": {HAPPENED[what]}" if what in HAPPENED else ""
    return f"A fault struck {fault.actor}, {fault.label} (step {fault.seq}){happened}."


def _strand(fault: Step) -> str:
    return str(fault.data.get("strand") or "")


def _begun(history: History, fault: Step) -> Step | None:
    """Find the request or the delivery that a fault struck; None where it is not certain which."""
    event = event_of(_strand(fault))
    if event:
        deliveries = history.of(Plane.WEBHOOK, StepKind.DELIVERY)
        mine = [step for step in deliveries if step.label.partition(" ")[0] == event]
    else:
        mine = list(history.of(Plane.HTTP, StepKind.REQUEST))
    mine = [step for step in mine if step.seq < fault.seq and step.actor == fault.actor]
    if not mine or (event and len({step.label for step in mine}) > 1):
        return None
    return mine[-1]


def _answer(history: History, fault: Step, begun: Step | None, named: frozenset[int]) -> Step | None:
    """Find the answer to what was struck; where that is not known, the one that the evidence names."""
    if begun is None:
        answers = [s for s in history.of(Plane.HTTP, StepKind.ANSWER) if s.seq > fault.seq]
        mine = [step for step in answers if step.actor == fault.actor] or answers
        return next((step for step in mine if step.seq in named), mine[0] if mine else None)
    answers = [s for s in history.of(begun.plane, StepKind.ANSWER) if s.seq > begun.seq]
    mine = [step for step in answers if step.actor == begun.actor]
    if begun.plane is Plane.WEBHOOK:
        mine = [step for step in mine if step.label == begun.label]
    return mine[0] if mine else None


def _answered(fault: Step, begun: Step | None, answer: Step | None) -> tuple[str, int]:
    """Say how what was struck was answered, and whether that was before the fault."""
    it = "The delivery" if begun is not None and begun.plane is Plane.WEBHOOK else "The operation"
    if answer is None:
        return f"{it} was never answered.", 0
    status, at = answer.data.get("status"), f"(step {answer.seq})"
    if status is None:
        return f"{it} ended without an answer {at}.", answer.seq
    if answer.seq < fault.seq:
        believed = ": who asked believes it done, and asks no more" if 200 <= status < 400 else ""
        return f"{it} had been answered {status} before that {at}{believed}.", answer.seq
    if answer.data.get("lost"):
        return f"{it} was answered {status} {at}, which Stripe did not see.", answer.seq
    return f"{it} went on, and was answered {status} {at}.", answer.seq


def _came_again(
    history: History, seen: Sequence[Access], begun: Step, answer: Step | None
) -> Iterator[tuple[str, int]]:
    """Tell of the next delivery of the same event, and whether anything was written for it."""
    since = begun.seq if answer is None else answer.seq
    mine = [s for s in history.of(Plane.WEBHOOK) if s.label == begun.label and s.seq > since]
    again = next((s for s in mine if s.kind is StepKind.DELIVERY and s.data.get("phase") != AGAIN), None)
    if again is None:
        return
    end = next((s for s in mine if s.kind is StepKind.ANSWER and s.seq > again.seq), None)
    if end is None or end.data.get("status") is None:
        return
    event = begun.label.partition(" ")[0]
    wrote = any(a.wrote and again.seq < a.sent < end.seq and event_of(a.strand) == event for a in seen)
    nothing = "" if wrote else ", and nothing was written for it"
    yield (
        f"Stripe sent the event again (step {again.seq}); it was answered {end.data['status']} "
        f"(step {end.seq}){nothing}.",
        end.seq,
    )


def _kept(history: History) -> Iterator[tuple[str, int]]:
    """Tell of a 5xx that Stripe gave again because the same idempotency key came again."""
    keys: dict[tuple[str, str], str] = {}
    failed: dict[str, Step] = {}
    for step in history.of(Plane.STRIPE):
        call = str(step.data.get("strand")), step.label
        if step.kind is StepKind.RECEIVED and step.data.get("idempotency_key"):
            keys[call] = str(step.data["idempotency_key"])
        elif step.kind is StepKind.RESPONSE and (key := keys.pop(call, None)) is not None:
            status = step.data.get("status")
            if status is None or status < 500:
                continue
            if (first := failed.setdefault(key, step)) is not step:
                yield (
                    f"`{step.label}` came again with the same idempotency key, and Stripe gave the {status} "
                    f"of step {first.seq} again (step {step.seq}): it keeps the first answer to a key for "
                    "24 hours.",
                    step.seq,
                )
                return


def _twice(seen: Sequence[Access], named: frozenset[int], fault: int) -> list[tuple[Access, Access]]:
    """Find what an operation did again after the fault: one pair, that which the evidence names if any."""
    pairs = [
        (one, two)
        for one, two in combinations([a for a in seen if phase_of(a.strand) != AGAIN], 2)
        if two.sent > fault and one.label == two.label and _is_of(one, two) and _did(one, two)
    ]
    pairs.sort(key=lambda pair: not {pair[0].done, pair[1].done} & named)
    return pairs[:1]


def _told(one: Access, two: Access) -> tuple[str, int]:
    objects = f": {one.made[0]} and {two.made[0]}" if one.made and two.made else ""
    return f"`{one.label}` ran twice, in steps {one.done} and {two.done}{objects}.", two.done


def _is_of(one: Access, two: Access) -> bool:
    """Whether both were for one operation: within it, or when it was tried once more after the race."""
    return two.strand in (one.strand, f"{one.actor}/{AGAIN}")


def _did(one: Access, two: Access) -> bool:
    """Whether both made something new: objects at Stripe, answered or not, or rows."""
    if one.at_stripe:
        return bool(one.writes and one.made and two.made and one.made[0] != two.made[0])
    return one.wrote and two.wrote and one.label.startswith("insert ") and one.shares_rows(two)
