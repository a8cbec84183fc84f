"""Every built-in invariant as the console tells it: a small run that breaks it, judged, and its finding.

The snapshot is there to be read: each text must let a stranger see what came in which order and why that
cannot be right.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from billing_world import BillingWorld, sub_row

from deadheat.engine.events import Finding
from deadheat.history import History, Plane, Step, StepKind
from deadheat.invariants import BUILT_IN
from deadheat.report.findings import Group, group_lines
from deadheat.schedule import Schedule, Switch

if TYPE_CHECKING:
    from collections.abc import Callable

    from syrupy.assertion import SnapshotAssertion

    from deadheat.invariants.settled import Answer, Delivered, Person

CREATED, DELETED = "customer.subscription.created", "customer.subscription.deleted"
LABELS = {Plane.STRIPE: "POST /v1/customers", Plane.HTTP: "POST /sign-up", Plane.WEBHOOK: CREATED}
SCHEDULE = Schedule(scenario="a.scenario", source="0a1b2c3d", switches=(Switch("A1s1", ("B1s1",)),))


class Tale(BillingWorld):
    """A world whose acts leave the steps that a real run leaves; ``actor`` is who acts."""

    actor = "A"

    def step(self, plane: Plane, kind: StepKind, actor: str = "", **data: Any) -> int:
        seq, actor = len(self.steps) + 1, actor or self.actor
        label, conn = data.pop("label", LABELS.get(plane, "")), data.pop("conn", None)
        if "notes" in data:  # something that a person did at Stripe
            label = "pay"
        elif kind is StepKind.EFFECT:
            data = {"objects": [data["id"]], "strand": f"{actor}1"}
        self.steps.append(
            Step(
                run=1, seq=seq, t_us=seq, actor=actor, plane=plane, kind=kind, label=label, conn=conn,
                data=data,
            )
        )  # fmt: skip
        return seq

    def asks(self, actor: str, operation: str) -> None:
        self.actor = actor
        self.step(Plane.HTTP, StepKind.REQUEST, label=f"POST /{operation}", operation=operation)

    def sql(
        self, strand: str, label: str, rows: int = 0, *, user: str = "user-1", sqlstate: str = ""
    ) -> None:
        """Send a statement and take its result."""
        given = {"strand": strand, "conn": sum(map(ord, strand)), "label": label}
        actor = strand.split("/")[0].rstrip("0123456789")
        self.step(Plane.SQL, StepKind.FLIGHT, actor, parameters=[user], **given)
        tags = [f"{label.split()[0].upper()} {rows}"]
        self.step(Plane.SQL, StepKind.RESULT, actor, tags=tags, sqlstate=sqlstate or None, **given)

    def acts(self, actor: str) -> Tale:
        """Let somebody act from now on."""
        self.actor = actor
        return self

    def answer(self, person: Person, operation: str = "sign-up", **fields: Any) -> Answer:
        made = super().answer(person, operation, actor=self.actor, **fields)
        told = {"status": made.status, "customer": made.customer, "strand": f"{self.actor}1"}
        self.steps[-1] = replace(self.steps[-1], data=told, label=f"POST /{operation}")
        return made

    def deliver(self, event_id: str, status: int | None, **fields: Any) -> Delivered:
        made = super().deliver(event_id, status, **fields)
        label = f"{made.event_type} {event_id}"
        told = {"status": status, **({"forged": made.forged} if made.forged else {})}
        self.steps[-1] = replace(self.steps[-1], actor="C", data=told, label=label)
        return made


def signed_up() -> tuple[Tale, Person, str]:
    """Tell of a person who has signed up, one thing after the other."""
    tale = Tale()
    ada = tale.person()
    return tale, ada, tale.sign_up(ada)


def two_sign_ups() -> tuple[Tale, Person, str, str]:
    """Tell of two sign-ups that both look, both make a customer and both insert."""
    tale = Tale()
    ada = tale.person()
    for actor in "AB":
        tale.asks(actor, "sign-up")
        tale.sql(f"{actor}1", "select profiles")
    theirs = tale.acts("B").customer(ada)
    tale.sql("B1", "insert profiles", 1)
    mine = tale.acts("A").customer(ada)
    tale.sql("A1", "insert profiles", 1)
    return tale, ada, mine, theirs


def setup_complete() -> Tale:
    tale = Tale(made_to_fail=True)
    ada = tale.person()
    tale.asks("A", "sign-up")
    tale.step(Plane.FAULT, StepKind.RECEIVED, label="before 500 POST /v1/customers")
    tale.profile(ada, None)
    tale.answer(ada, customer=None, session=True)
    return tale


def one_customer() -> Tale:
    tale, ada, mine, _ = two_sign_ups()
    tale.profile(ada, mine)
    return tale


def one_profile() -> Tale:
    tale, ada, mine, theirs = two_sign_ups()
    tale.profile(ada, mine)
    tale.profile(ada, theirs)
    return tale


def ids_agree() -> Tale:
    tale, ada, mine, theirs = two_sign_ups()
    tale.profile(ada, mine)
    assert tale.rows is not None
    tale.rows.append(sub_row(ada, None, theirs))
    return tale


def answers_agree() -> Tale:
    tale, ada, mine, theirs = two_sign_ups()
    tale.profile(ada, mine)
    tale.acts("B").answer(ada, customer=theirs)
    tale.acts("A").answer(ada, customer=mine)
    return tale


def two_subscriptions() -> Tale:
    tale, ada, customer = signed_up()
    for actor in "AB":
        tale.asks(actor, "check-out")
        tale.sql(f"{actor}1", "select subscriptions")
    for actor in "BA":
        tale.acts(actor).subscribe(ada, customer)
        tale.sql(f"{actor}1", "insert subscriptions", 1)
    return tale


def early_event(status: int = 200) -> Tale:
    """Tell of an event that is answered 2xx before its row is there."""
    tale, ada, customer = signed_up()
    tale.asks("A", "check-out")
    tale.step(Plane.WEBHOOK, StepKind.DELIVERY, "C", label=f"{CREATED} evt_1")
    tale.sql(f"C/{CREATED}/1", "select subscriptions")
    tale.subscribe(ada, customer, row=False, attempts=(status,))
    tale.sql("A1", "insert subscriptions", 1)
    return tale


def older_over_newer() -> Tale:
    tale, ada, customer = signed_up()
    tale.subscribe(ada, customer)
    tale.sql(f"C/{CREATED}/1", "select subscriptions", 1)
    tale.sql(f"C/{DELETED}/1", "update subscriptions", 1)
    tale.sql(f"C/{CREATED}/1", "update subscriptions", 1)
    (name,) = tale.subscriptions
    tale.subscriptions[name]["status"] = "canceled"
    tale.event(DELETED, {**tale.subscriptions[name]})
    return tale


def one_row() -> Tale:
    tale, ada, customer = signed_up()
    for attempt in (1, 2):
        tale.sql(f"C/{CREATED}/{attempt}", "select subscriptions")
    for attempt in (1, 2):
        tale.sql(f"C/{CREATED}/{attempt}", "insert subscriptions", 1)
    name = tale.subscribe(ada, customer)
    assert tale.rows is not None
    tale.rows.append(sub_row(ada, name, customer))
    return tale


def refused_for_ever() -> Tale:
    tale = early_event(503)
    tale.refused = [str(event["id"]) for event in tale.events]
    return tale


def done_again() -> Tale:
    tale, ada, customer = signed_up()
    tale.sql(f"C/{CREATED}/1", "insert credits", 1)
    tale.subscribe(ada, customer)
    tale.sql(f"stripe/again/{CREATED}/7", "insert credits", 1)
    assert tale.effects is not None
    tale.after_effects = [*tale.effects, *tale.effects]
    return tale


def server_error() -> Tale:
    tale, ada, _ = signed_up()
    tale.asks("B", "sign-up")
    tale.sql("B1", "insert profiles", sqlstate="23505")
    tale.answer(ada, success=False, status=500)
    return tale


def forged() -> Tale:
    tale, ada, customer = signed_up()
    tale.subscribe(ada, customer)
    tale.deliver(str(tale.events[0]["id"]), 200, forged="unsigned")
    return tale


TALES: dict[str, Callable[[], Tale]] = {
    "setup-complete": setup_complete,
    "one-customer-per-user": one_customer,
    "one-profile-per-user": one_profile,
    "no-orphan-customer": one_customer,
    "customer-ids-agree": ids_agree,
    "answers-agree": answers_agree,
    "one-live-subscription": two_subscriptions,
    "paid-is-known": early_event,
    "charged-once": two_subscriptions,
    "subscription-matches-stripe": older_over_newer,
    "one-row-per-subscription": one_row,
    "no-lost-event": refused_for_ever,
    "applied-once": done_again,
    "no-server-error": server_error,
    "bad-webhook-refused": forged,
}


def told(invariant: str) -> str:
    """Give what the console says of a finding of this invariant, by its own judgement."""
    tale = TALES[invariant]()
    violation = next(v for v in tale.judged().violations if v.invariant == invariant)
    finding = Finding(
        scenario="a.scenario", invariant=invariant, violation=violation, strategy="random-walk", run=7,
        history=History(tuple(tale.steps)), runs_until_found=3, shown_in=2, runs=9, schedule=SCHEDULE,
        token=SCHEDULE.token(), replays=(20, 20), actors=2, switches=1, choices_before=38, choices_after=31,
    )  # fmt: skip
    return "\n".join(group_lines(Group((finding,)), None))


def test_each_built_in_invariant_has_its_tale() -> None:
    assert list(TALES) == [invariant.id for invariant in BUILT_IN]


def test_what_the_console_says_of_each(snapshot: SnapshotAssertion) -> None:
    assert "\n\n\n".join(map(told, TALES)) == snapshot


def test_no_line_of_a_diagram_is_wider_than_a_terminal() -> None:
    for invariant in TALES:
        drawn = told(invariant).split("\n\n")[0].splitlines()[1:]
        assert max(map(len, drawn)) <= 80
