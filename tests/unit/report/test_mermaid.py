"""A run as a Mermaid diagram: each step from its lane to its wire, harmless, and not too long."""

from __future__ import annotations

import doctest
import re
from typing import TYPE_CHECKING, Any

import pytest
from sample_suite import HOSTILE

from deadheat.history import History, Plane, Step, StepKind
from deadheat.report import mermaid
from deadheat.report.mermaid import ROWS_MAX, mermaid_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

STATEMENT = re.compile(
    r"(participant \w+( as .*)?|lane\w+->>(Postgres|Stripe): .*|Note over \w+(,\w+)?: .*|rect rgba\(.*\)|end)"
)


def steps(*told: tuple[str, Plane, StepKind, str, dict[str, Any]]) -> History:
    return History(
        tuple(
            Step(run=1, seq=n, t_us=n, actor=actor, plane=plane, kind=kind, label=label, data=data)
            for n, (actor, plane, kind, label, data) in enumerate(told, 1)
        )
    )


def checked(lines: Sequence[str]) -> list[str]:
    """Give the statements of a diagram, each one of those that Mermaid knows, blocks closed."""
    assert (lines[0], lines[1], lines[-1]) == ("```mermaid", "sequenceDiagram", "```")
    statements = [line.strip() for line in lines[2:-1]]
    for statement in statements:
        assert STATEMENT.fullmatch(statement), statement
        said = statement.partition(": ")[2] or statement.partition(" as ")[2]
        assert not re.search(r"[;`<>{}%]|#(?!\d+;)", re.sub(r"#\d+;", "", said)), statement
    assert statements.count("end") == sum(statement.startswith("rect ") for statement in statements)
    return statements


RACE = steps(
    ("A", Plane.HTTP, StepKind.REQUEST, "POST /sign-up", {"operation": "sign-up"}),
    ("A", Plane.SQL, StepKind.FLIGHT, "select profiles", {"sql": ["select 1"]}),
    ("B", Plane.STRIPE, StepKind.EFFECT, "POST /v1/customers", {"objects": ["cus_1"]}),
    ("A", Plane.HTTP, StepKind.ANSWER, "POST /sign-up", {"status": 200}),
    ("stripe", Plane.WEBHOOK, StepKind.DELIVERY, "customer.created 1", {"phase": "settling"}),
    ("stripe", Plane.WEBHOOK, StepKind.ANSWER, "customer.created 1", {"status": 200, "phase": "settling"}),
)


def test_steps_go_from_their_lane_to_their_wire_and_those_named_are_marked() -> None:
    assert mermaid_lines(RACE, marked={3})[2:-1] == [
        "    participant laneA as A sign-up",
        "    participant laneB as B",
        "    participant Postgres",
        "    participant Stripe",
        "    Note over laneA: 1 POST /sign-up",
        "    laneA->>Postgres: 2 select profiles",
        "    rect rgba(255, 170, 0, 0.25)",
        "      laneB->>Stripe: 3 POST /v1/customers → cus_1",
        "    end",
        "    Note over laneA: 4 ⇒ 200",
        "    Note over laneA,Stripe: 5-6 settling#58; event customer.created ⇒ 200",
    ]


@pytest.mark.parametrize("hostile", ["a; B->>C: x", "%%{init: {}}%%", "```\n# end", "end", HOSTILE])
def test_hostile_texts_make_no_statement(hostile: str) -> None:
    history = steps(
        ("A", Plane.SQL, StepKind.FLIGHT, hostile, {"sql": [hostile]}),
        (hostile, Plane.HTTP, StepKind.REQUEST, hostile, {"operation": hostile}),
        ("B", Plane.HTTP, StepKind.REQUEST, hostile, {"operation": hostile}),
    )
    checked(mermaid_lines(history, marked={1}))


def test_long_runs_are_folded() -> None:
    told = [("A" if n < 300 else "B", Plane.SQL, StepKind.FLIGHT, f"select t{n}", {}) for n in range(600)]
    statements = checked(mermaid_lines(steps(*told)))
    assert len(statements) <= ROWS_MAX + 4
    assert [s for s in statements if "… 300 steps" in s]


def test_a_run_without_steps_is_a_diagram_too() -> None:
    checked(mermaid_lines(History()))


def test_the_examples_in_its_docstrings() -> None:
    failed, tried = doctest.testmod(mermaid)
    assert (failed, tried > 0) == (0, True)
