"""What a proof says of a run in which a fault struck: each sentence follows from the steps that it names."""

from __future__ import annotations

from proof_stage import Story, broken

from deadheat.history import Plane, StepKind
from deadheat.proof import prove

CREATED = "customer.subscription.created"
PAID = "invoice.paid"
POST = "POST /v1/customers"


def test_what_was_made_twice_when_the_operation_was_tried_again() -> None:
    story = Story()
    story.asks("A", "sign-up")
    story.struck("A1", "kill", POST)
    story.answers("A", None)
    first = story.call("A1", POST, "cus_1", status=None)
    story.asks("A", "sign-up")
    second = story.call("A/again", POST, "cus_2")
    story.answers("A", 200)
    proof = prove(broken("one-customer-per-user", first, second), story.history)
    assert proof.says == (
        f"A fault struck A, kill {POST} (step 2): the target was killed in all that it was doing, and "
        "started again.",
        "The operation ended without an answer (step 3).",
        f"`{POST}` ran twice, in steps {first} and {second}: cus_1 and cus_2.",
    )
    assert proof.steps == (2, 3, second)
    assert any("Idempotency-Key" in repair for repair in proof.repairs)


def test_a_row_inserted_twice_behind_a_lost_commit_is_closed_by_a_constraint_and_no_key() -> None:
    story = Story()
    story.asks("A", "gift")
    first = story.sql("A1", "insert credits", 1)
    story.struck("A1", "cut after", "commit")
    second = story.sql("A1", "insert credits", 1)
    story.answers("A", 200)
    proof = prove(broken("applied-once"), story.history)
    assert proof.says[-1] == f"`insert credits` ran twice, in steps {first} and {second}."
    assert "unique constraint" in proof.repairs[-1]
    assert not any("Idempotency-Key" in repair for repair in proof.repairs)


def test_the_same_object_given_again_under_its_key_was_not_made_twice() -> None:
    story = Story()
    story.asks("A", "sign-up")
    story.struck("A1", "lost", POST)
    story.call("A1", POST, "cus_1", status=None)
    story.call("A1", POST, "cus_1")
    story.answers("A", 200)
    says = prove(broken("setup-complete"), story.history).says
    assert says[-1] == "The operation went on, and was answered 200 (step 9)."


def test_what_another_actor_made_or_was_made_before_the_fault_is_not_told_as_made_twice() -> None:
    story = Story()
    story.asks("A", "check-out")
    story.call("A1", "POST /v1/checkout/sessions", "cs_1")
    story.answers("A", 200)
    story.asks("A", "check-out")
    story.call("A2", "POST /v1/checkout/sessions", "cs_before")
    story.call("A2", "POST /v1/checkout/sessions", "cs_the_fault")
    story.struck("A2", "lost", "POST /v1/checkout/sessions")
    story.call("B1", "POST /v1/checkout/sessions", "cs_3")
    says = prove(broken("setup-complete"), story.history).says
    assert not any("twice" in sentence for sentence in says)


def test_a_fault_behind_the_answer_says_that_it_had_been_answered() -> None:
    story = Story()
    story.asks("A", "sign-up")
    answer = story.answers("A", 200)
    story.struck("A1", "cut before", "update people")
    assert prove(broken("setup-complete", answer), story.history).says == (
        "A fault struck A, cut before update people (step 3): the connection was cut before Postgres had "
        "the statement.",
        "The operation had been answered 200 before that (step 2): who asked believes it done, and asks no "
        "more.",
    )


def test_an_event_marked_as_done_before_its_work_comes_again_and_is_told_to_have_written_nothing() -> None:
    story = Story()
    story.event("B", CREATED)
    story.struck(f"B1/{CREATED}/1", "kill", "GET /v1/subscriptions/:id")
    story.taken("B", CREATED, None)
    story.event("stripe", CREATED)
    story.sql(f"stripe/settling/{CREATED}/1", "insert done", 0)
    story.taken("stripe", CREATED)
    proof = prove(broken("no-lost-event"), story.history)
    assert proof.says[1:] == (
        "The delivery ended without an answer (step 3).",
        "Stripe sent the event again (step 4); it was answered 200 (step 7), and nothing was written for it.",
    )
    assert "same transaction" in proof.repairs[0]
    assert not any("Idempotency-Key" in repair for repair in proof.repairs)


def test_what_a_fault_lost_behind_the_answer_and_only_once_more_brought_is_told_as_the_fault() -> None:
    story = Story()
    story.event("B", PAID)
    story.taken("B", PAID)
    story.struck(f"B1/{PAID}/1", "cut before", "commit")
    story.sql(f"stripe/again/{CREATED}/1", "insert subs", 1)
    story.sql(f"stripe/again/{PAID}/2", "insert credits", 1)
    proof = prove(broken("applied-once"), story.history)
    assert proof.shape == "after-a-fault"
    assert proof.says[1].startswith("The delivery had been answered 200 before that (step 2)")
    assert proof.repairs[0].startswith("an answer other than 2xx")


def test_a_kill_strikes_every_event_that_had_come() -> None:
    story = Story()
    story.event("B", PAID)
    story.taken("B", PAID)
    story.struck(f"B1/{CREATED}/1", "kill", "commit")
    story.sql(f"stripe/again/{PAID}/2", "insert credits", 1)
    assert prove(broken("applied-once"), story.history).shape == "after-a-fault"


def test_an_event_that_no_fault_struck_and_that_writes_once_more_is_done_again() -> None:
    story = Story()
    story.event("B", PAID)
    story.struck(f"B1/{PAID}/1", "kill", "commit")
    story.sql(f"stripe/again/{CREATED}/1", "insert subs", 1)
    assert prove(broken("applied-once"), story.history).shape == "done-again"


def test_an_event_that_is_written_when_it_comes_again_is_not_told_to_have_written_nothing() -> None:
    story = Story()
    story.event("B", CREATED)
    story.struck(f"B1/{CREATED}/1", "answer lost", CREATED)
    story.taken("B", CREATED, None)
    story.event("stripe", CREATED)
    story.sql(f"stripe/settling/{CREATED}/1", "insert subs", 1)
    story.taken("stripe", CREATED)
    says = prove(broken("no-lost-event"), story.history).says
    assert says[-1] == "Stripe sent the event again (step 4); it was answered 200 (step 7)."


def test_a_delivery_is_not_guessed_at_where_two_of_its_type_were_there() -> None:
    story = Story()
    story.event("B", CREATED)
    story.add("B", Plane.WEBHOOK, StepKind.DELIVERY, f"{CREATED} evt_2")
    story.struck(f"B1/{CREATED}/2", "kill", "insert subs")
    story.taken("B", CREATED, 200)
    says = prove(broken("no-lost-event"), story.history).says
    assert len(says) == 1


def test_a_500_that_stripe_gives_again_under_its_key_is_told_and_no_stable_key_recommended() -> None:
    story = Story()
    story.asks("A", "sign-up")
    story.struck("A1", "500 after", POST)
    story.call("A1", POST, "cus_1", status=500, key="cus-ada")
    story.call("A1", POST, status=500, key="cus-ada")
    answer = story.answers("A", 500)
    proof = prove(broken("setup-complete", answer), story.history)
    assert proof.says[-1] == (
        f"`{POST}` came again with the same idempotency key, and Stripe gave the 500 of step 5 again "
        "(step 8): it keeps the first answer to a key for 24 hours."
    )
    assert "another key" in proof.repairs[1]
    assert not any("the same for every attempt" in repair for repair in proof.repairs)


def test_another_key_is_another_answer() -> None:
    story = Story()
    story.asks("A", "sign-up")
    story.struck("A1", "500 before", POST)
    story.call("A1", POST, status=500, key="cus-ada-1")
    story.call("A1", POST, status=500, key="cus-ada-2")
    story.call("A1", POST, status=402, key="cus-ada-3")
    story.call("A1", POST, status=402, key="cus-ada-3")
    answer = story.answers("A", 500)
    assert len(prove(broken("setup-complete", answer), story.history).says) == 2


def test_each_of_two_faults_is_told() -> None:
    story = Story()
    story.asks("A", "sign-up")
    story.struck("A1", "lost", POST)
    story.asks("B", "sign-up")
    story.struck("B1", "caller gone", POST)
    story.answers("B", None)
    answer = story.answers("A", 200)
    says = prove(broken("setup-complete", answer), story.history).says
    assert [sentence.split(",")[0] for sentence in says[::2]] == ["A fault struck A", "A fault struck B"]
