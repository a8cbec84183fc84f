"""The last words about what is a team's own: invariants that nothing has violated, and rows left behind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deadheat.engine.events import Left, SuiteFinished, Verdict
from deadheat.report.closing import closing_lines

FINISHED = SuiteFinished(
    verdict=Verdict.CLEAN, scenarios=(), runs=0, elapsed_s=1.0, invariants={}, not_checked={}
)
LIKE = "%.ab12cd%@example.test"


def test_an_invariant_that_nothing_has_violated_is_unproven() -> None:
    lines = closing_lines(replace(FINISHED, unproven=("credits-add-up",)), None)
    assert (
        "  unproven: credits-add-up (nothing has violated it yet: put a bug in once to see it fail)" in lines
    )


@pytest.mark.parametrize(
    ("left", "says"),
    [
        (None, []),
        (
            Left(users=2, rows={"customers": 2, "subscriptions": 1, "effects": 0}, like=LIKE),
            [
                f"2 rows of customers, 1 row of subscriptions, of 2 users whose e-mail is like {LIKE}, and "
                "whatever is not mapped; [target.cleanup] says how to take it away"
            ],
        ),
        (Left(users=1, rows={"customers": 0}, like=LIKE), ["nothing in customers, of 1 user"]),
        (
            Left(users=3, like=LIKE),
            [f"unknown, since nothing is mapped; 3 users had an e-mail like {LIKE}"],
        ),
        (Left(users=3, like=LIKE, problem="it is gone"), ["it is gone"]),
        (
            Left(users=1, rows={"customers": 0}, like=LIKE, problem="[target.cleanup] failed"),
            ["nothing in customers, of 1 user", "[target.cleanup] failed"],
        ),
    ],
)
def test_what_is_left_in_a_database_that_is_not_ours(left: Left | None, says: list[str]) -> None:
    lines = closing_lines(replace(FINISHED, left=left), None)
    assert [line for line in lines if "left in the database" in line] == [
        f"  left in the database: {one}" for one in says
    ]
