"""Histories for proofs, written as one line a step: "A sql select profiles 0"."""

from __future__ import annotations

from typing import Any

from deadheat.history import History, Plane, Step, StepKind
from deadheat.invariants.settled import Evidence, Violation


class Story:
    """Builds a history; each method adds steps, and gives the number of the last one."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def add(self, actor: str, plane: Plane, kind: StepKind, label: str, **data: Any) -> int:
        seq = len(self.steps) + 1
        conn = data.pop("conn", None)
        self.steps.append(
            Step(
                run=1,
                seq=seq,
                t_us=seq,
                actor=actor,
                plane=plane,
                kind=kind,
                label=label,
                conn=conn,
                data=data,
            )
        )
        return seq

    def asks(self, actor: str, operation: str) -> int:
        return self.add(actor, Plane.HTTP, StepKind.REQUEST, f"POST /{operation}", operation=operation)

    def answers(self, actor: str, status: int | None) -> int:
        return self.add(actor, Plane.HTTP, StepKind.ANSWER, "POST /", status=status)

    def sql(
        self,
        strand: str,
        label: str,
        rows: int = 0,
        *,
        user: str = "user-of-ada",
        sqlstate: str | None = None,
    ) -> int:
        """Send a statement and take its result."""
        actor, conn = strand.split("/")[0].rstrip("0123456789"), sum(map(ord, strand))
        given = {"strand": strand, "conn": conn}
        self.add(actor, Plane.SQL, StepKind.FLIGHT, label, parameters=[user], **given)
        tag = f"{label.split()[0].upper()} {rows}"
        return self.add(actor, Plane.SQL, StepKind.RESULT, label, tags=[tag], sqlstate=sqlstate, **given)

    def call(self, strand: str, label: str, *made: str, status: int | None = 200, key: str = "") -> int:
        """Make a Stripe call; gives the number of its effect."""
        actor = strand.split("/")[0].rstrip("0123456789")
        self.add(actor, Plane.STRIPE, StepKind.RECEIVED, label, strand=strand, idempotency_key=key)
        effect = self.add(actor, Plane.STRIPE, StepKind.EFFECT, label, strand=strand, objects=list(made))
        self.add(actor, Plane.STRIPE, StepKind.RESPONSE, label, strand=strand, status=status)
        return effect

    def event(self, actor: str, event_type: str) -> int:
        return self.add(actor, Plane.WEBHOOK, StepKind.DELIVERY, f"{event_type} evt_1")

    def taken(self, actor: str, event_type: str, status: int | None = 200) -> int:
        return self.add(actor, Plane.WEBHOOK, StepKind.ANSWER, f"{event_type} evt_1", status=status)

    def fault(self, actor: str, label: str, **data: str) -> int:
        return self.add(actor, Plane.FAULT, StepKind.RECEIVED, label, **data)

    def struck(self, strand: str, what: str, label: str) -> int:
        """Let a fault of a schedule strike."""
        actor = strand.split("/")[0].rstrip("0123456789")
        return self.fault(actor, f"{what} {label}", strand=strand, fault=what)

    @property
    def history(self) -> History:
        return History(tuple(self.steps))


def broken(invariant: str, *steps: int, says: str = "Ada has two.") -> Violation:
    return Violation(invariant=invariant, evidence=(Evidence(says=says, steps=steps),))


def sign_ups() -> tuple[Story, int, int]:
    """Tell of two sign-ups that both look, both make a customer and both insert."""
    story = Story()
    story.asks("A", "sign-up")
    story.sql("A1", "select profiles")
    story.asks("B", "sign-up")
    story.sql("B1", "select profiles")
    theirs = story.call("B1", "POST /v1/customers", "cus_b")
    story.sql("B1", "insert profiles", 1)
    mine = story.call("A1", "POST /v1/customers", "cus_a")
    story.sql("A1", "insert profiles", 1)
    return story, mine, theirs
