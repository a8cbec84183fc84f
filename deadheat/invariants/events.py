"""Invariants of Stripe's events: none lost, each applied once, and forgeries refused."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from deadheat.invariants.case import at_step, called, listed, row_of
from deadheat.invariants.invariant import Invariant
from deadheat.invariants.settled import Evidence
from deadheat.invariants.stripe_json import LIVE, subscription_of
from deadheat.invariants.subscriptions import superseded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadheat.invariants.case import Case, Row
    from deadheat.invariants.settled import Delivered, Json, Person, Settled, Tables

RELATIONS = ("customers", "subscriptions", "effects")


def no_lost_event(case: Case) -> Iterator[Evidence]:
    """Judge no-lost-event: acknowledged and without trace, or refused to the end."""
    yield from _acknowledged_in_vain(case)
    for event_id in dict.fromkeys(case.settled.refused):
        attempts = [d for d in case.index.deliveries.get(event_id, ()) if d.forged is None]
        answers = [str(d.status or "no answer") for d in attempts]
        what = attempts[0].event_type if attempts else _event_type(case, event_id)
        steps = tuple(d.seq for d in attempts)
        yield Evidence(
            says=f"Event {event_id} ({what}) was still refused after settling: "
            f"answered {listed(answers) or 'never'}{at_step(steps)}.",
            objects=(event_id,),
            steps=steps,
        )


def _acknowledged_in_vain(case: Case) -> Iterator[Evidence]:
    rows = {row.stripe_subscription_id for row in case.subscription_rows}
    about = {str(event["id"]): _subscription_in(event) for event in case.settled.stripe.events}
    taken: dict[str, list[Delivered]] = {}
    for delivered in case.settled.deliveries:
        told = about.get(delivered.event_id)
        if told is not None and delivered.forged is None and _is_2xx(delivered.status):
            taken.setdefault(told, []).append(delivered)
    for name, deliveries in taken.items():
        subscription = case.subscription(name)
        if name in rows or subscription is None or not _owed(case, subscription):
            continue
        person = case.holder(subscription)
        events = list(dict.fromkeys(f"{d.event_id} ({d.event_type})" for d in deliveries))
        statuses = list(dict.fromkeys(str(d.status) for d in deliveries))
        steps = tuple(d.seq for d in deliveries)
        yield Evidence(
            says=f"The target answered {listed(statuses)} to {listed(events)}"
            f"{at_step(steps)}, so Stripe will not send them again; yet subscription {name} "
            f"({subscription.get('status')}) of {called(person) if person else 'nobody'} has no row.",
            user_id=person.ids[-1] if person else None,
            objects=(name, *dict.fromkeys(d.event_id for d in deliveries)),
            steps=steps,
        )


def _owed(case: Case, subscription: Json) -> bool:
    """Say whether the target owes that subscription a row.

    It owes none to somebody it cannot know (no owner; no profile and no operation that ever
    succeeded: the event may be kept until they appear), to a payment never made, or to an ended
    subscription whose row a later one took, or whose account was deleted.
    """
    person = case.holder(subscription)
    if person is None or not _has_met(case, person):
        return False
    if subscription.get("status") in ("incomplete", "incomplete_expired"):
        return False
    if subscription.get("status") in LIVE:
        return True
    return not case.has_left(person) and not superseded(case, subscription)


def _has_met(case: Case, person: Person) -> bool:
    answered = any(answer.success for answer in case.answers_to(person))
    return answered or bool(case.profiles_of(person) or case.subscription_rows_of(person))


def _subscription_in(event: Json) -> str | None:
    thing = event.get("data", {}).get("object")
    return subscription_of(thing) if thing else None


def _event_type(case: Case, event_id: str) -> str:
    event = case.index.events.get(event_id)
    return str(event.get("type")) if event else "of unknown type"


def _is_2xx(status: int | None) -> bool:
    return status is not None and 200 <= status < 300


def applied_once(case: Case) -> Iterator[Evidence]:
    """Judge applied-once: the second delivery of everything changes no mapped relation."""
    before, after = case.settled.before_again, case.settled.after_again
    for relation in RELATIONS:
        old, new = _rows(before, relation), _rows(after, relation)
        if old is None or new is None:
            continue
        gone, come = Counter(old) - Counter(new), Counter(new) - Counter(old)
        if gone or come:
            changed = (*gone.elements(), *come.elements())
            again = tuple(d.seq for d in case.settled.deliveries if d.phase == "again" and d.forged is None)
            yield Evidence(
                says=f"Every event was delivered once more, in order, and {relation} changed: "
                f"{gone.total()} rows went and {come.total()} came. What comes twice must "
                "change nothing the second time.",
                rows=tuple({"change": "gone", **row_of(row)} for row in gone.elements())
                + tuple({"change": "come", **row_of(row)} for row in come.elements()),
                user_id=next((row.user_id for row in changed if not hasattr(row, "kind")), None),
                steps=again,
            )
    effects = before.effects if after.effects is None else after.effects
    for effect, times in Counter(effects or ()).items():
        if times > 1:
            yield Evidence(
                says=f"{effect.kind} was done {times} times for {effect.source_id}; it is owed once.",
                rows=(row_of(effect),) * times,
                objects=(effect.source_id,),
            )


def _rows(tables: Tables, relation: str) -> tuple[Row, ...] | None:
    rows: tuple[Row, ...] | None = getattr(tables, relation)
    return rows


def _nothing_to_compare(settled: Settled) -> str | None:
    before = settled.before_again
    after = settled.after_again
    if all(_rows(before, relation) is None for relation in RELATIONS):
        return "none of customers, subscriptions and effects is mapped in [target.tables]"
    if all(_rows(after, relation) is None for relation in RELATIONS):
        return "the tables were not read again after a second delivery"
    return None


def bad_webhook_refused(case: Case) -> Iterator[Evidence]:
    """Judge bad-webhook-refused: by the answer, and by what changed."""
    changed = set(case.settled.forged_changed)
    for delivered in case.settled.deliveries:
        if delivered.forged is None:
            continue
        faults = [f"was answered {delivered.status}"] if _is_2xx(delivered.status) else []
        faults += ["changed the tables"] if delivered.seq in changed else []
        if faults:
            yield Evidence(
                says=f"A delivery ({delivered.forged}) of {delivered.event_id} ({delivered.event_type}) "
                f"{listed(faults)} in step {delivered.seq}; it must be refused and change nothing.",
                objects=(delivered.event_id,),
                steps=(delivered.seq,),
            )
    for seq in sorted(changed - {d.seq for d in case.settled.deliveries if d.forged is not None}):
        yield Evidence(says=f"A forged delivery in step {seq} changed the tables.", steps=(seq,))


def _nothing_forged(settled: Settled) -> str | None:
    forged = settled.forged_changed or any(d.forged is not None for d in settled.deliveries)
    return None if forged else "no forged webhook was delivered"


INVARIANTS = (
    Invariant(
        id="no-lost-event",
        holds_when="each Stripe subscription with an event answered 2xx has its row, and no event of the "
        "run is still refused after settling",
        check=no_lost_event,
        needs=("subscriptions", "webhook", "stripe"),
    ),
    Invariant(
        id="applied-once",
        holds_when="delivering every event once more changes no mapped relation, and no (source_id, kind) "
        "stands twice in effects",
        check=applied_once,
        needs=("webhook",),
        moot=_nothing_to_compare,
    ),
    Invariant(
        id="bad-webhook-refused",
        holds_when="unsigned, badly signed and stale deliveries were not answered 2xx and changed nothing",
        check=bad_webhook_refused,
        needs=("webhook",),
        moot=_nothing_forged,
    ),
)
