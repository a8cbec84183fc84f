"""The shapes of bugs that a history is searched for, the most telling first.

Each takes the invariant's id, the accesses, the history and the steps that the evidence names, and gives
what it recognised: sentences that name steps, the colliding pair, and the kinds of repair. None of them
guesses: what a sentence says follows from the order of the steps that it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING

from deadheat.history import Plane, StepKind
from deadheat.proof.faults import after_a_fault, struck_events
from deadheat.proof.shape import (
    AGAIN,
    GUARD,
    KEY,
    LEDGER,
    LOCK,
    REFETCH,
    REFUSE,
    UNIQUE,
    UPSERT,
    Shape,
    event_of,
    phase_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deadheat.history import History, Step
    from deadheat.proof.accesses import Access

ABOUT_EVENTS = ("no-lost-event", "paid-is-known", "applied-once", "one-row-per-subscription")
ABOUT_STATE = ("subscription-matches-stripe", "applied-once", "paid-is-known", "one-live-subscription")
IN_ORDER_MAX = 6


def check_then_act(
    invariant: str, seen: Sequence[Access], history: History, named: frozenset[int]
) -> Shape | None:
    """Find two strands that each looked before the other wrote, and wrote all the same."""
    del invariant
    best: tuple[tuple[int, bool], _Blind, _Blind] | None = None
    for a, b in combinations(dict.fromkeys(access.strand for access in seen), 2):
        for first, second in product(_blinds(seen, named, a, b), _blinds(seen, named, b, a)):
            weight = _weight(seen, named, a, b), first.look.shares_rows(second.look)
            if best is None or weight > best[0]:
                best = weight, first, second
    if best is None:
        return None
    one, other = sorted(best[1:], key=lambda blind: blind.look.done)
    who = _names(history, one.look, other.look)
    steps = {step for blind in (one, other) for step in (blind.look.done, blind.write.sent, blind.act.done)}
    return Shape(
        name="check-then-act",
        sentences=(
            f"{who[0]} looked for {_row(one.look, one.write)} and found none (step {one.look.done}) before "
            f"{who[1]} wrote one (step {one.write.sent}): it comes before {who[1]}.",
            f"{who[1]} looked for {_row(other.look, other.write)} and found none (step {other.look.done}) "
            f"before {who[0]} wrote one (step {other.write.sent}): it comes before {who[0]} as well.",
            "Each comes before the other, so no order of the two, one after the other, explains this run.",
            f"Both acted on what they had not seen: {who[0]} did {_what(one.act)}, and {who[1]} did "
            f"{_what(other.act)}.",
        ),
        steps=tuple(sorted(steps)),
        pair=(one.look.done, one.write.sent),
        repairs=(LOCK, KEY, UNIQUE) if one.act.at_stripe or other.act.at_stripe else (UNIQUE, LOCK),
    )


def early_event(
    invariant: str, seen: Sequence[Access], history: History, named: frozenset[int]
) -> Shape | None:
    """Find a delivery that found no row, changed nothing and was answered 2xx before the row was written."""
    del named
    if invariant not in ABOUT_EVENTS:
        return None
    for look in seen:
        if not look.found_nothing or not event_of(look.strand) or phase_of(look.strand) != "race":
            continue
        acted = any(a.wrote and a.strand == look.strand and a.sent > look.sent for a in seen)
        answer = _answer_of(history, look)
        write = next(
            (
                a
                for a in seen
                if a.wrote and a.strand != look.strand and a.sent > look.done and a.shares_rows(look)
            ),
            None,
        )
        if acted or answer is None or write is None or phase_of(write.strand) == AGAIN:
            continue
        event = event_of(look.strand)
        status = answer.data.get("status")
        return Shape(
            name="event-before-its-row",
            sentences=(
                f"{look.actor} delivered {event}; the target looked for {_row(look, write)} and found "
                f"none (step {look.done}), and wrote nothing.",
                f"It answered {status} all the same (step {answer.seq}), and what Stripe saw answered 2xx it "
                "does not send again.",
                f"{write.actor} wrote the row only later (step {write.sent}), with nothing of the event.",
            ),
            steps=(look.done, answer.seq, write.sent),
            pair=(look.done, write.sent),
            repairs=(REFUSE, UPSERT),
        )
    return None


def older_over_newer(
    invariant: str, seen: Sequence[Access], history: History, named: frozenset[int]
) -> Shape | None:
    """Find the last two deliveries, of different events, that wrote the same relation."""
    del named, history
    if invariant not in ABOUT_STATE:
        return None
    events = [a for a in seen if not a.at_stripe and event_of(a.strand) and phase_of(a.strand) != AGAIN]
    writes = [access for access in events if access.wrote]
    for last in reversed(writes):
        before = [
            a
            for a in writes
            if a.sent < last.sent and a.shares_rows(last) and event_of(a.strand) != event_of(last.strand)
        ]
        if not before:
            continue
        earlier = before[-1]
        look = next((a for a in seen if a.strand == last.strand and a.reads and a.shares_rows(last)), None)
        stale = look is not None and look.done < earlier.sent
        read = (
            f" What it wrote follows from what it had read before that (step {look.done})."
            if stale and look is not None
            else ""
        )
        return Shape(
            name="older-over-newer",
            sentences=(
                f"The event {event_of(earlier.strand)} wrote {_row(earlier, last)} (step {earlier.sent}).",
                f"The event {event_of(last.strand)} wrote it after that (step {last.sent}), and that is what "
                f"is left.{read}",
                "The order of arrival decided, not the order at Stripe.",
            ),
            steps=tuple(sorted({earlier.sent, last.sent, *([look.done] if stale and look else [])})),
            pair=(look.done if stale and look else earlier.sent, last.sent),
            repairs=(REFETCH, GUARD, LEDGER),
        )
    return None


def done_again(
    invariant: str, seen: Sequence[Access], history: History, named: frozenset[int]
) -> Shape | None:
    """Find an event that, brought once more after everything had settled, wrote once more.

    Where a fault struck its delivery that is what there is to tell: what it lost was done only now.
    """
    del named
    if invariant != "applied-once":
        return None
    struck = struck_events(history)
    if any(a.wrote and phase_of(a.strand) == AGAIN and event_of(a.strand) in struck for a in seen):
        return None
    for again in seen:
        if not again.wrote or phase_of(again.strand) != AGAIN or again.at_stripe:
            continue
        event = event_of(again.strand)
        first = next((a for a in seen if phase_of(a.strand) != AGAIN and event_of(a.strand) == event), None)
        had = f" It had been delivered before (step {first.sent})." if first is not None else ""
        return Shape(
            name="done-again",
            sentences=(
                f"When everything had settled the event {event} came once more, and the target did "
                f"`{again.label}` (step {again.sent}).{had}",
            ),
            steps=tuple(sorted({again.sent, *([first.sent] if first else [])})),
            pair=None if first is None else (first.sent, again.sent),
            repairs=(LEDGER, UPSERT),
        )
    return None


def in_order(history: History, named: frozenset[int]) -> Shape:
    """Tell the steps that the evidence names, in order, for want of a shape."""
    steps = [step for step in history if step.seq in named][:IN_ORDER_MAX]
    told = tuple(f"Step {step.seq}: {step.actor}, {step.label}{_outcome(step)}." for step in steps)
    return Shape(
        name="unknown",
        sentences=(*told, "No two steps were recognised as the pair that collided."),
        steps=tuple(step.seq for step in steps),
    )


SHAPES = (check_then_act, early_event, older_over_newer, done_again, after_a_fault)


@dataclass(frozen=True, slots=True)
class _Blind:
    """A look that found nothing, the other's write that it came before, and what was done in spite of it."""

    look: Access
    write: Access
    act: Access


def _blinds(seen: Sequence[Access], named: frozenset[int], one: str, other: str) -> Iterator[_Blind]:
    """Find looks of ``one`` that found nothing before it acted and before ``other`` wrote; last first.

    What it acted by is what the evidence names, or else its own write of what it had looked for.
    """
    mine = [a for a in seen if a.strand == one and phase_of(a.strand) != AGAIN]
    told = next((a for a in mine if a.wrote and {a.sent, a.done} & named), None)
    for look in reversed([a for a in mine if a.found_nothing and (told is None or a.done < told.sent)]):
        act = told or next((a for a in mine if a.wrote and a.sent > look.done and a.shares_rows(look)), None)
        writes = [a for a in seen if a.strand == other and a.wrote and a.shares_rows(look)]
        if act is not None and writes and writes[0].sent > look.done:
            yield _Blind(look, writes[0], act)


def _weight(seen: Sequence[Access], named: frozenset[int], one: str, other: str) -> int:
    """Say how much two strands have to do with the evidence."""
    return sum(a.strand in (one, other) and bool({a.sent, a.done} & named) for a in seen)


def _what(act: Access) -> str:
    made = f": {act.made[0]}" if act.made else ""
    return f"`{act.label}` (step {act.done}{made})"


def _names(history: History, one: Access, other: Access) -> tuple[str, str]:
    """Name two strands as a reader knows them: by the actor, or the event where it is one actor."""
    if one.actor != other.actor:
        return f"{one.actor}{_doing(history, one)}", f"{other.actor}{_doing(history, other)}"
    return one.strand, other.strand


def _doing(history: History, access: Access) -> str:
    """Say what an actor was doing at that moment."""
    if event_of(access.strand):
        return f" (event {event_of(access.strand)})"
    requests = [s for s in history.of(Plane.HTTP, StepKind.REQUEST) if s.actor == access.actor]
    earlier = [step for step in requests if step.seq < access.sent]
    operation = earlier[-1].data.get("operation") if earlier else None
    return f" ({operation})" if operation else ""


def _answer_of(history: History, look: Access) -> Step | None:
    """Find how the delivery that a look belongs to was answered."""
    answers = history.of(Plane.WEBHOOK, StepKind.ANSWER)
    mine = [s for s in answers if s.seq > look.sent and s.actor == look.actor]
    event = event_of(look.strand)
    found = next((s for s in mine if s.label.partition(" ")[0] == event), None)
    status = found.data.get("status") if found is not None else None
    return found if status is not None and 200 <= status < 300 else None


def _row(look: Access, write: Access) -> str:
    shared = sorted(look.relations & write.relations) or sorted(look.relations)
    return f"a row of {', '.join(shared)}" if shared else "a row"


def _outcome(step: Step) -> str:
    status = step.data.get("status")
    return f" => {status}" if status is not None else ""
