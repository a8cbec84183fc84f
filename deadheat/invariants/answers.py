"""Invariants of what people were answered.

What an answer promised is judged twice: by the answer itself (it named a customer, and that one
exists) and by what is there once the run has settled (a profile row that names a live customer).
Where an answer and the settled profile name different customers, ``answers-agree`` says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.invariants.case import DELETE_ACCOUNT, called, listed, row_of
from deadheat.invariants.invariant import Invariant
from deadheat.invariants.settled import Evidence
from deadheat.invariants.stripe_json import LIVE, is_live_customer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadheat.invariants.case import Case
    from deadheat.invariants.settled import Answer, Person, Settled

PROMISE_A_PROFILE = frozenset({"sign-up", "create-customer", "check-out"})


def setup_complete(case: Case) -> Iterator[Evidence]:
    """Judge setup-complete, answer by answer."""
    set_up: set[str] = set()  # ids of users who were given a session by a success
    for answer in sorted(case.settled.answers, key=lambda a: a.seq):
        person = case.person(answer.user_id)
        ids = set(person.ids) if person else {answer.user_id}
        if answer.success:
            if person and case.has_left(person):
                yield from _left_behind(case, answer, person)
                continue
            yield from _by_the_answer(case, answer, person)
            if answer.promises_customer or answer.operation in PROMISE_A_PROFILE:
                yield from _by_the_rows(case, answer, person)
            if answer.session:
                set_up |= ids
        elif answer.retried and not answer.refusal:
            yield Evidence(
                says=f"{_let(answer, person)} It had failed while something was made to fail, and nothing "
                "was any more: whoever was turned away then stays turned away.",
                user_id=answer.user_id,
                steps=(answer.seq,),
            )
        elif answer.session and not ids & set_up:
            yield Evidence(
                says=f"{_let(answer, person)} It was no success, and yet it gave a session: the browser "
                "is logged in as somebody who was never set up.",
                user_id=answer.user_id,
                steps=(answer.seq,),
            )


def _by_the_answer(case: Case, answer: Answer, person: Person | None) -> Iterator[Evidence]:
    if not answer.promises_customer:
        return
    if answer.customer is None:
        fault = "It is configured to name a Stripe customer, and named none."
    elif is_live_customer(customer := case.customer(answer.customer)):
        return
    else:
        state = "does not exist at Stripe" if customer is None else "is deleted at Stripe"
        fault = f"It named customer {answer.customer}, which {state}."
    yield Evidence(
        says=f"{_let(answer, person)} {fault}",
        user_id=answer.user_id,
        objects=(answer.customer,) if answer.customer else (),
        steps=(answer.seq,),
    )


def _left_behind(case: Case, answer: Answer, person: Person) -> Iterator[Evidence]:
    """Judge an account that was deleted: nothing may be left at Stripe that could be billed."""
    if answer.operation != DELETE_ACCOUNT:
        return
    customers = [c for c in case.live_customers() if (o := case.owner(c)) and o.person == person]
    live = [s for s in case.settled.stripe.subscriptions if s.get("status") in LIVE]
    subscriptions = [str(s["id"]) for s in live if case.holder(s) == person]
    if customers or subscriptions:
        left = (*(f"customer {c}" for c in customers), *(f"live subscription {s}" for s in subscriptions))
        yield Evidence(
            says=f"{_let(answer, person)} The account is deleted, and Stripe still holds {listed(left)} "
            "of theirs.",
            user_id=person.ids[-1],
            objects=(*customers, *subscriptions),
            steps=(*case.made_in(*customers, *subscriptions), answer.seq),
        )


def _by_the_rows(case: Case, answer: Answer, person: Person | None) -> Iterator[Evidence]:
    rows = case.profiles_of(person) if person else ()
    named = [row.stripe_customer_id for row in rows if row.stripe_customer_id]
    if any(is_live_customer(case.customer(customer)) for customer in named):
        return
    if not rows:
        left = "no profile row"
    elif not named:
        left = "a profile row that names no customer"
    else:
        left = f"a profile row naming {listed(named)}, which Stripe does not hold"
    yield Evidence(
        says=f"{_let(answer, person)} A success promises a profile that names a live Stripe customer; "
        f"once all had settled there was {left}.",
        user_id=answer.user_id,
        rows=tuple(row_of(row) for row in rows),
        objects=tuple(named),
        steps=(answer.seq,),
    )


def answers_agree(case: Case) -> Iterator[Evidence]:
    """Judge answers-agree: among the answers, and with the settled profile where one names a customer."""
    for person in case.settled.people:
        naming = [a for a in case.answers_to(person) if a.customer]
        named = list(dict.fromkeys(a.customer for a in naming if a.customer))
        rows = case.profiles_of(person)
        kept = [row.stripe_customer_id for row in rows if row.stripe_customer_id]
        if len(named) > 1:
            told = [f"{a.customer} ({a.operation}, step {a.seq})" for a in naming]
            says = f"{called(person)} was told of {len(named)} different customers: {listed(told)}."
        elif named and kept and not set(named) & set(kept):
            told = [str(a.seq) for a in naming]
            says = (
                f"{called(person)} was told of customer {named[0]} (step {listed(told)}), "
                f"and the settled profile names {listed(kept)}."
            )
        else:
            continue
        yield Evidence(
            says=says,
            user_id=person.ids[-1],
            rows=tuple(row_of(row) for row in rows),
            objects=tuple(dict.fromkeys((*named, *kept))),
            steps=tuple(a.seq for a in naming),
        )


def no_server_error(case: Case) -> Iterator[Evidence]:
    """Judge no-server-error; a SQLSTATE of the same actor since its request is evidence."""
    for answer in case.settled.answers:
        if answer.status is None or answer.status < 500 or (case.settled.made_to_fail and not answer.retried):
            continue
        errors = _errors_before(case, answer)
        because = f" Postgres had said {listed([state for _, state in errors])} to it." if errors else ""
        more = " any more" if case.settled.made_to_fail else ""
        yield Evidence(
            says=f"{_let(answer, case.person(answer.user_id))} Nothing was made to fail{more}.{because}",
            user_id=answer.user_id,
            steps=(*(seq for seq, _ in errors), answer.seq),
        )


def _errors_before(case: Case, answer: Answer) -> list[tuple[int, str]]:
    """Give the SQLSTATEs that the actor's operation met, by step, since its previous answer."""
    errors = [error for error in case.index.sql_errors.get(answer.actor, ()) if error[0] < answer.seq]
    if not errors:
        return []
    earlier = [a.seq for a in case.settled.answers if a.actor == answer.actor and a.seq < answer.seq]
    begin = max(earlier, default=0)
    return [error for error in errors if error[0] > begin]


def _let(answer: Answer, person: Person | None) -> str:
    whose = called(person) if person else f"user {answer.user_id}"
    return f"Step {answer.seq} answered {answer.operation} of {whose} with {answer.status}."


def _made_to_fail(settled: Settled) -> str | None:
    retried = any(answer.retried for answer in settled.answers)
    return "something was made to fail" if settled.made_to_fail and not retried else None


INVARIANTS = (
    Invariant(
        id="setup-complete",
        holds_when="every operation answered with success left what it promises: a profile row naming a "
        "Stripe customer that exists; a sign-up that could not gave no session, and works once "
        "Stripe does; a deleted account left nothing live at Stripe",
        check=setup_complete,
        needs=("customers", "stripe"),
    ),
    Invariant(
        id="answers-agree",
        holds_when="every answer to one user named the same customer",
        check=answers_agree,
    ),
    Invariant(
        id="no-server-error",
        holds_when="no answer to a person was 5xx in a run in which nothing was made to fail",
        check=no_server_error,
        moot=_made_to_fail,
    ),
)
