"""The case before the invariants: a settled run with the look-ups that every check needs.

A check is a pure function from a `Case` to pieces of evidence, none when the invariant holds. A
person counts by all the ids that the target knew them by, so rows under an older id are theirs too.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from deadheat.invariants.index import Index
from deadheat.invariants.ownership import Owner, owner_of, owner_of_subscription
from deadheat.invariants.settled import CustomerRow, EffectRow, Settled, SubscriptionRow
from deadheat.invariants.stripe_json import (
    LIVE,
    id_of,
    is_live_customer,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deadheat.invariants.settled import Answer, Json, Person

Row = CustomerRow | SubscriptionRow | EffectRow

NAMES_ALIKE: Mapping[str, frozenset[str]] = {"cancelled": frozenset({"canceled"})}

DELETE_ACCOUNT = "delete-account"
"""The operation that ends what others promised: whose account is deleted is owed no row any more."""


@dataclass(frozen=True, slots=True)
class Case:
    """A settled run, and the ``[invariants]`` table that it is judged by."""

    settled: Settled
    settings: Mapping[str, str] = field(default_factory=dict)
    index: Index = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare the look-ups; each is made when it is first asked for."""
        object.__setattr__(self, "index", Index(self.settled))

    @property
    def profiles(self) -> tuple[CustomerRow, ...]:
        """The rows of ``customers`` once the run had settled."""
        return self.settled.before_again.customers or ()

    @property
    def subscription_rows(self) -> tuple[SubscriptionRow, ...]:
        """The rows of ``subscriptions`` once the run had settled."""
        return self.settled.before_again.subscriptions or ()

    def person(self, user_id: str) -> Person | None:
        """Give the person with that id."""
        return self.index.person(user_id)

    def has_left(self, person: Person) -> bool:
        """Say whether a person deleted their account, and was told so."""
        return any(a.operation == DELETE_ACCOUNT and a.success for a in self.answers_to(person))

    def answers_to(self, person: Person) -> tuple[Answer, ...]:
        """Give what a person was answered, under any of their ids."""
        return tuple(self.index.answers.get(person, ()))

    def profiles_of(self, person: Person) -> tuple[CustomerRow, ...]:
        """Give a person's profile rows, under any of their ids."""
        return tuple(self.index.profiles.get(person, ()))

    def subscription_rows_of(self, person: Person) -> tuple[SubscriptionRow, ...]:
        """Give a person's subscription rows, under any of their ids."""
        return tuple(self.index.subscription_rows.get(person, ()))

    def customer(self, customer_id: str) -> Json | None:
        """Give a Stripe customer of the run; None for one that Stripe never made."""
        return self.index.customers.get(customer_id)

    def subscription(self, subscription_id: str) -> Json | None:
        """Give a Stripe subscription of the run."""
        return self.index.subscriptions.get(subscription_id)

    def live_customers(self) -> tuple[str, ...]:
        """Give the ids of the customers that Stripe holds and has not deleted."""
        return tuple(str(c["id"]) for c in self.settled.stripe.customers if is_live_customer(c))

    def owner(self, customer_id: str) -> Owner | None:
        """Give the owner of a customer by the rule of `deadheat.invariants.ownership`."""
        return owner_of(customer_id, self.settled, self.index)

    def holder(self, subscription: Json) -> Person | None:
        """Give whose subscription it is; failing Stripe's word, whose row names it."""
        owner = owner_of_subscription(subscription, self.settled, self.index)
        if owner is not None:
            return owner.person
        named = self.index.row_of_subscription.get(subscription.get("id"))
        return self.person(named.user_id) if named else None

    def paid_invoices(self) -> tuple[Json, ...]:
        """Give the invoices that took money and did not give all of it back."""
        return self.index.paid_invoices

    def is_paid(self, subscription: Json) -> bool:
        """Say whether an invoice of that subscription took money and kept it."""
        return subscription.get("id") in self.index.paid_subscriptions

    def policy(self, invariant: str, default: str) -> str:
        """Give the policy set for an invariant, ``default`` where it is only on."""
        policy = self.settings.get(invariant, "on")
        return default if policy == "on" else policy

    def means(self, local_status: str | None) -> frozenset[str]:
        """Give the Stripe statuses that a status of the target's stands for, by ``[target.statuses]``."""
        name = (local_status or "").casefold()
        return {**NAMES_ALIKE, **self.settled.statuses}.get(name, frozenset({name}))

    def is_live_row(self, row: SubscriptionRow) -> bool:
        """Say whether the target takes that subscription for live."""
        return bool(self.means(row.status) & LIVE)

    def made_in(self, *object_ids: str) -> tuple[int, ...]:
        """Give the step that first showed each object at Stripe, where the history has one."""
        shown_in = self.index.shown_in
        return tuple(shown_in[one] for one in object_ids if one in shown_in)


def row_of(row: Row) -> dict[str, Any]:
    """Give a row as plain JSON, for evidence."""
    return asdict(row)


def called(person: Person) -> str:
    """Name a person in a sentence.

    >>> called(Person(ids=("u1",), email="ada@example.test", name="Ada"))
    'Ada (user u1)'
    """
    return f"{person.name} (user {person.ids[-1]})"


def customer_of(subscription: Json) -> str | None:
    """Give the customer that a subscription bills."""
    return id_of(subscription.get("customer"))


def listed(things: tuple[str, ...] | list[str]) -> str:
    """Join names for a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(part for part in (", ".join(things[:-1]), *things[-1:]) if part)


def at_step(seqs: tuple[int, ...]) -> str:
    """Give a clause that names steps; empty for none.

    >>> at_step((3, 7))
    ' (steps 3 and 7)'
    """
    if not seqs:
        return ""
    return f" (step{'s' if len(seqs) > 1 else ''} {listed([str(seq) for seq in seqs])})"
