"""Proofs: each shape of bug is recognised by its steps, and what lacks one of them is not called so."""

from __future__ import annotations

import pytest
from proof_stage import Story, broken, sign_ups

from deadheat.proof import UNKNOWN, Pair, prove

CREATED, DELETED = "customer.subscription.created", "customer.subscription.deleted"


def test_two_that_looked_before_either_wrote_cannot_be_put_in_order() -> None:
    story, mine, theirs = sign_ups()
    proof = prove(broken("one-customer-per-user", mine, theirs), story.history)
    assert proof.shape == "check-then-act"
    assert proof.says == (
        "A (sign-up) looked for a row of profiles and found none (step 3) before B (sign-up) wrote one "
        "(step 10): it comes before B (sign-up).",
        "B (sign-up) looked for a row of profiles and found none (step 6) before A (sign-up) wrote one "
        "(step 15): it comes before A (sign-up) as well.",
        "Each comes before the other, so no order of the two, one after the other, explains this run.",
        "Both acted on what they had not seen: A (sign-up) did `POST /v1/customers` (step 13: cus_a), and "
        "B (sign-up) did `POST /v1/customers` (step 8: cus_b).",
    )
    assert proof.conclusion == "So one-customer-per-user is broken: Ada has two."
    assert proof.pair == Pair(3, 10)
    assert set(proof.steps) == {3, 6, 8, 10, 13, 15}
    assert any("lock" in repair for repair in proof.repairs)
    assert any("Idempotency-Key" in repair for repair in proof.repairs)


def test_of_rows_it_is_the_look_for_these_rows_and_a_constraint_closes_it() -> None:
    story, _, _ = sign_ups()
    proof = prove(broken("one-profile-per-user"), story.history)
    assert "A (sign-up) did `insert profiles` (step 16)" in proof.says[3]
    assert "unique constraint" in proof.repairs[0]


def test_who_saw_the_others_row_is_no_race() -> None:
    story = Story()
    story.sql("A1", "select profiles")
    story.sql("A1", "insert profiles", 1)
    story.sql("B1", "select profiles")
    story.sql("B1", "insert profiles", 1)
    assert prove(broken("one-profile-per-user"), story.history).shape == UNKNOWN


@pytest.mark.parametrize("change", ["found", "failed", "another", "only looked"])
def test_without_one_of_its_steps_there_is_no_check_then_act(change: str) -> None:
    story = Story()
    story.sql("A1", "select profiles", 1 if change == "found" else 0)
    story.sql("B1", "select profiles", user="user-of-bob" if change == "another" else "user-of-ada")
    if change != "only looked":
        error = "23505" if change == "failed" else None
        user = "user-of-bob" if change == "another" else "user-of-ada"
        story.sql("B1", "insert profiles", 1, user=user, sqlstate=error)
    story.sql("A1", "insert profiles", 1)
    assert prove(broken("one-profile-per-user"), story.history).shape == UNKNOWN


def early(status: int = 200, *, writes: bool = False) -> Story:
    story = Story()
    story.asks("A", "check-out")
    story.event("C", CREATED)
    story.sql(f"C1/{CREATED}/1", "select subscriptions", user="cus_of_ada")
    if writes:
        story.sql(f"C1/{CREATED}/1", "insert subscriptions", 1, user="cus_of_ada")
    story.taken("C", CREATED, status)
    story.sql("A1", "insert subscriptions", 1, user="cus_of_ada")
    return story


def test_an_event_that_came_before_its_row_and_was_answered_2xx_is_lost() -> None:
    proof = prove(broken("no-lost-event"), early().history)
    assert (proof.shape, proof.pair) == ("event-before-its-row", Pair(4, 6))
    assert proof.says == (
        f"C delivered {CREATED}; the target looked for a row of subscriptions and found none (step 4), "
        "and wrote nothing.",
        "It answered 200 all the same (step 5), and what Stripe saw answered 2xx it does not send again.",
        "A wrote the row only later (step 6), with nothing of the event.",
    )
    assert "2xx" in proof.repairs[0]


@pytest.mark.parametrize("story", [early(503), early(writes=True)], ids=["refused", "kept"])
def test_an_event_that_was_refused_or_kept_is_not_lost(story: Story) -> None:
    assert prove(broken("no-lost-event"), story.history).shape == UNKNOWN


def test_of_customers_no_event_is_spoken() -> None:
    assert prove(broken("one-customer-per-user"), early().history).shape == UNKNOWN


def test_the_last_of_two_events_is_what_is_left() -> None:
    story = Story()
    story.sql(f"C1/{CREATED}/1", "select subscriptions", 1)
    story.sql(f"C1/{DELETED}/1", "update subscriptions", 1)
    story.sql(f"C1/{CREATED}/1", "update subscriptions", 1)
    proof = prove(broken("subscription-matches-stripe"), story.history)
    assert (proof.shape, proof.pair) == ("older-over-newer", Pair(2, 5))
    assert proof.says[0] == f"The event {DELETED} wrote a row of subscriptions (step 3)."
    assert proof.says[1] == (
        f"The event {CREATED} wrote it after that (step 5), and that is what is left. What it wrote "
        "follows from what it had read before that (step 2)."
    )
    assert "fetched from Stripe under a lock" in proof.repairs[0]


def test_what_comes_once_more_after_all_has_settled_is_not_what_is_left() -> None:
    story = Story()
    story.sql(f"C1/{DELETED}/1", "update subscriptions", 1)
    story.sql(f"stripe/settling/{CREATED}/4", "update subscriptions", 1)
    for again in (CREATED, DELETED):
        story.sql(f"stripe/again/{again}/7", "update subscriptions", 1)
    proof = prove(broken("subscription-matches-stripe"), story.history)
    assert (proof.shape, proof.pair) == ("older-over-newer", Pair(1, 3))
    assert f"The event {CREATED} wrote it after that (step 3)" in proof.says[1]


def test_what_people_did_before_is_no_event() -> None:
    story = Story()
    story.sql("before/1", "insert subscriptions", 1)
    story.sql(f"C1/{CREATED}/1", "update subscriptions", 1)
    assert prove(broken("subscription-matches-stripe"), story.history).shape == UNKNOWN


def test_a_delivery_before_the_race_is_called_by_its_event() -> None:
    story = Story()
    story.sql(f"before/race/{DELETED}/1", "update subscriptions", 1)
    story.sql(f"C1/{CREATED}/1", "update subscriptions", 1)
    proof = prove(broken("subscription-matches-stripe"), story.history)
    assert proof.says[0] == f"The event {DELETED} wrote a row of subscriptions (step 1)."


def test_two_of_the_same_event_are_not_older_and_newer() -> None:
    story = Story()
    story.sql(f"C1/{CREATED}/1", "update subscriptions", 1)
    story.sql(f"C1/{CREATED}/1/b", "update subscriptions", 1)
    assert prove(broken("subscription-matches-stripe"), story.history).shape == UNKNOWN


def test_an_event_that_writes_when_it_comes_once_more_is_done_again() -> None:
    story = Story()
    story.sql(f"C1/{CREATED}/1", "insert credits", 1)
    story.sql(f"stripe/again/{CREATED}/7", "insert credits", 1)
    proof = prove(broken("applied-once"), story.history)
    assert (proof.shape, proof.pair) == ("done-again", Pair(1, 3))
    assert proof.says == (
        f"When everything had settled the event {CREATED} came once more, and the target did "
        "`insert credits` (step 3). It had been delivered before (step 1).",
    )
    assert "same transaction" in proof.repairs[0]


def test_a_fault_and_what_the_operation_was_answered() -> None:
    story = Story()
    story.asks("A", "confirm")
    story.fault("A", "before 500 POST /v1/customers")
    answer = story.answers("A", 303)
    proof = prove(broken("setup-complete", answer), story.history)
    assert proof.shape == "after-a-fault"
    assert proof.says == (
        "Stripe failed A's call: before 500 POST /v1/customers (step 2).",
        "The operation went on, and was answered 303 (step 3).",
    )


def test_what_has_no_shape_is_told_in_order_and_said_to_have_none() -> None:
    story = Story()
    story.asks("A", "sign-up")
    answer = story.answers("A", 500)
    proof = prove(broken("no-server-error", answer), story.history)
    assert (proof.shape, proof.pair, proof.repairs) == (UNKNOWN, None, ())
    assert proof.says == (
        "Step 2: A, POST / => 500.",
        "No two steps were recognised as the pair that collided.",
    )
