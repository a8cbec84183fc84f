"""The diagram: lanes and rows as a person reads them, never wider than it may be, and harmless."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_suite import HOSTILE

from deadheat.history import History, Plane, Step, StepKind
from deadheat.report.diagram import diagram
from deadheat.report.steps import cut

HTTP, SQL, STRIPE, WEBHOOK = Plane.HTTP, Plane.SQL, Plane.STRIPE, Plane.WEBHOOK
REQUEST, FLIGHT, RESULT, ANSWER = StepKind.REQUEST, StepKind.FLIGHT, StepKind.RESULT, StepKind.ANSWER
RECEIVED, EFFECT, RESPONSE, DELIVERY = (
    StepKind.RECEIVED,
    StepKind.EFFECT,
    StepKind.RESPONSE,
    StepKind.DELIVERY,
)


class Told:
    """Writes a history step by step."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def step(
        self,
        actor: str,
        plane: Plane,
        kind: StepKind,
        label: str,
        conn: int | None = None,
        attribution: str | None = None,
        **data: object,
    ) -> Told:
        seq = len(self.steps) + 1
        self.steps.append(
            Step(
                run=1, seq=seq, t_us=seq, actor=actor, plane=plane, kind=kind, label=label,
                conn=conn, attribution=attribution, data=data,
            )
        )  # fmt: skip
        return self

    def sql(self, actor: str, label: str, conn: int = 1, *, within: bool = False, **came: Any) -> Told:
        self.step(actor, SQL, FLIGHT, label, conn, "transaction" if within else "cause")
        return self.step(actor, SQL, RESULT, label, conn, **came)

    def call(self, actor: str, label: str, made: str = "") -> Told:
        self.step(actor, STRIPE, RECEIVED, label)
        self.step(actor, STRIPE, EFFECT, label, objects=[made] if made else [])
        return self.step(actor, STRIPE, RESPONSE, label, status=200)

    @property
    def history(self) -> History:
        return History(tuple(self.steps))


def test_two_tabs() -> None:
    told = Told().step("before", HTTP, REQUEST, "POST /auth/sign-up", operation="sign-up")
    told.sql("before", "insert users").step("before", HTTP, ANSWER, "POST /auth/sign-up", status=303)
    told.step("A", HTTP, REQUEST, "POST /checkout", operation="check-out")
    told.sql("A", "select profiles", tags=["SELECT 0"], rows=0)
    told.step("B", HTTP, REQUEST, "POST /checkout", operation="check-out")
    told.sql("B", "select profiles", conn=2, rows=0, tags=["SELECT 0"])
    told.call("B", "POST /v1/customers", "cus_1")
    told.sql("B", "insert profiles", conn=2, tags=["INSERT 0 1"])
    told.step("B", HTTP, ANSWER, "POST /checkout", status=200, customer="cus_1")
    told.call("A", "POST /v1/customers", "cus_2")
    told.sql("A", "insert profiles", tags=["INSERT 0 0"])
    told.step("A", HTTP, ANSWER, "POST /checkout", status=500)
    told.step("stripe", WEBHOOK, DELIVERY, "customer.created evt_1", phase="settling")
    told.sql("stripe", "select profiles").step(
        "stripe", WEBHOOK, ANSWER, "customer.created evt_1", status=200
    )
    assert diagram(told.history, marked={13, 19}) == [
        "         A check-out                         B check-out",
        "   1-4   before: POST /auth/sign-up => 303",
        "     5   POST /checkout",
        "   6-7   select profiles -> 0 rows",
        "     8                                       POST /checkout",
        "  9-10                                       select profiles -> 0 rows",
        ">11-13                                       POST /v1/customers -> cus_1",
        " 14-15                                       insert profiles",
        "    16                                       => 200 cus_1",
        ">17-19   POST /v1/customers -> cus_2",
        " 20-21   insert profiles -> 0 rows",
        "    22   => 500",
        " 23-26   settling: event customer.created => 200",
    ]


def test_what_others_do_in_between_keeps_a_call_and_a_flight_apart() -> None:
    told = Told().step("A", STRIPE, RECEIVED, "POST /v1/customers")
    told.step("B", SQL, FLIGHT, "insert users", 2).step("A", SQL, FLIGHT, "insert users", 1)
    told.step("B", SQL, RESULT, "insert users", 2, sqlstate="23505", message="twice")
    told.step("A", STRIPE, EFFECT, "POST /v1/customers", objects=["cus_1"])
    told.step("A", STRIPE, RESPONSE, "POST /v1/customers", status=None)
    assert diagram(told.history)[1:] == [
        "   1   POST /v1/customers received",
        "   2                                        insert users",
        "   3   insert users",
        "   4                                        insert users -> error 23505",
        " 5-6   POST customers -> cus_1, answer l…",
    ]


def test_a_transaction_is_a_bar_and_a_lock_is_waited_for() -> None:
    told = Told().sql("A", "insert profiles", within=True, tags=["INSERT 0 1"])
    told.step("B", SQL, FLIGHT, "insert profiles", 2, "cause").call("A", "GET /v1/prices/:id")
    told.sql("A", "commit", within=True, tags=["COMMIT"])
    told.step("B", SQL, RESULT, "insert profiles", 2, waited_for=["A1"], tags=["INSERT 0 1"])
    told.step("A", HTTP, ANSWER, "POST /checkout", status=200)
    assert diagram(told.history)[1:] == [
        " 1-2 | insert profiles",
        "   3 |                                      insert profiles waits for A",
        " 4-6 | GET /v1/prices/:id -> 200",
        " 7-8 | commit",
        "   9                                        insert profiles",
        "  10   => 200",
    ]


def test_deliveries_say_their_event_and_nobody_s_steps_have_no_lane() -> None:
    told = Told().step("C", WEBHOOK, DELIVERY, "customer.created evt_1", forged="stale")
    told.step("?", SQL, FLIGHT, "select jobs", 9, "unattributed")
    told.step("C", WEBHOOK, ANSWER, "customer.created evt_1", status=400, lost=True)
    told.step("A", STRIPE, EFFECT, "pay", notes=["cs_1"])
    told.step("A", Plane.FAULT, RECEIVED, "before 500 POST /v1/customers")
    undone: Any = {"not done": "no session"}
    told.step("A", HTTP, RESULT, "pay", **undone)
    assert diagram(told.history) == [
        "     A pay                                 C deliveries",
        " 1                                         event customer.created (stale)",
        " 2   ? select jobs (of nobody known)",
        " 3                                         => 400 (lost) customer.created",
        " 4   pay (at Stripe)",
        " 5   !! before 500 POST /v1/customers",
        " 6   pay not done: no session",
    ]


def test_too_many_rows_fold_where_nothing_is_shared() -> None:
    told = Told()
    for n in range(40):
        told.sql("A", f"insert audit{n}", tags=["INSERT 0 1"])
    told.sql("A", "insert profiles", tags=["INSERT 0 1"])
    for _ in range(30):
        told.sql("B", "select settings", conn=2, rows=1)
    told.sql("B", "select profiles", conn=2, rows=1)
    assert [line[11:].strip() for line in diagram(told.history)[1:]] == [
        "… 80 steps",
        "insert profiles",
        "… 60 steps",
        "select profiles -> 1 row",
    ]
    assert len(diagram(told.history, rows_max=100)) == 73
    assert any(line.startswith(">") and "audit7" in line for line in diagram(told.history, marked={15}))


def test_nothing_to_draw_is_no_diagram() -> None:
    assert diagram(History(())) == []


def test_hostile_labels_neither_move_nor_forge_anything() -> None:
    told = Told().step("A", HTTP, REQUEST, HOSTILE, operation=HOSTILE).sql("B", HOSTILE)
    told.step("A", HTTP, ANSWER, HOSTILE, customer=HOSTILE, status=200).call("A", HOSTILE, HOSTILE)
    told.step(HOSTILE, WEBHOOK, DELIVERY, HOSTILE, phase=HOSTILE)
    text = "\n".join(diagram(told.history))
    assert all(line.isprintable() for line in text.split("\n"))
    assert "sk_live_51" not in text
    assert not [line for line in text.split("\n") if line.startswith("CLEAN")]


actors = st.sampled_from(["A", "B", "C", "D", "AA", "before", "stripe", "?", "Ada"])


@given(
    st.lists(
        st.tuples(actors, st.sampled_from(Plane), st.sampled_from(StepKind), st.text(max_size=90)),
        max_size=90,
    ),
    st.integers(60, 100),
)
def test_every_history_can_be_drawn_within_its_width(
    steps: list[tuple[str, Plane, StepKind, str]], width: int
) -> None:
    told = Told()
    for n, (actor, plane, kind, label) in enumerate(steps):
        told.step(actor, plane, kind, label, conn=n % 3, attribution="transaction" if n % 2 else None)
    lines = diagram(told.history, width=width)
    assert all(len(line) <= width for line in lines)
    assert not {unicodedata.category(char) for line in lines for char in line} & {
        "Cc",
        "Cf",
        "Cs",
        "Zl",
        "Zp",
    }
    assert bool(lines) == bool(steps)


@pytest.mark.parametrize(
    ("text", "chars_max", "shown"),
    [
        ("POST /v1/customers -> cus_1", 40, "POST /v1/customers -> cus_1"),
        ("POST /v1/customers -> cus_1", 24, "POST customers -> cus_1"),
        ("insert profiles", 8, "insert …"),
    ],
)
def test_cut(text: str, chars_max: int, shown: str) -> None:
    assert cut(text, chars_max) == shown
