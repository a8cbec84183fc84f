"""What is looked up in a settled run, by key: a soak has thousands of each, and checks that go
through all of them for each of them take minutes.

Each index is made when it is first asked for. Where several things have one key the first counts, in
the order of the run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from deadheat.history import Plane, StepKind
from deadheat.invariants.stripe_json import charged, id_of, refunded, subscription_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from deadheat.history import Step
    from deadheat.invariants.settled import (
        Answer,
        CustomerRow,
        Delivered,
        Json,
        Person,
        Settled,
        SubscriptionRow,
    )

T = TypeVar("T")
K = TypeVar("K")


class Index:
    """The look-ups of one settled run."""

    def __init__(self, settled: Settled) -> None:
        self._settled = settled

    def person(self, user_id: object) -> Person | None:
        """Give the person whom the target knew by that id, in any case; None for nobody's."""
        return None if user_id is None else self._people.get(str(user_id).casefold())

    @cached_property
    def _people(self) -> dict[str, Person]:
        ids = ((one.casefold(), person) for person in self._settled.people for one in person.ids)
        return _first(ids)

    @cached_property
    def people_by_email(self) -> dict[str, list[Person]]:
        """People by their e-mail, trimmed and case-folded; nobody under the empty one."""
        found = _grouped(self._settled.people, lambda person: person.email.strip().casefold())
        found.pop("", None)
        return found

    @cached_property
    def profiles(self) -> dict[Person | None, list[CustomerRow]]:
        """Profile rows by whose they are."""
        return _grouped(self._settled.before_again.customers or (), lambda row: self.person(row.user_id))

    @cached_property
    def subscription_rows(self) -> dict[Person | None, list[SubscriptionRow]]:
        """Subscription rows by whose they are."""
        rows = self._settled.before_again.subscriptions or ()
        return _grouped(rows, lambda row: self.person(row.user_id))

    @cached_property
    def profiles_naming(self) -> dict[str | None, list[CustomerRow]]:
        """Profile rows by the customer that they name."""
        return _grouped(self._settled.before_again.customers or (), lambda row: row.stripe_customer_id)

    @cached_property
    def subscription_rows_naming(self) -> dict[str | None, list[SubscriptionRow]]:
        """Subscription rows by the customer that they name."""
        return _grouped(self._settled.before_again.subscriptions or (), lambda row: row.stripe_customer_id)

    @cached_property
    def row_of_subscription(self) -> dict[str | None, SubscriptionRow]:
        """The first row of each Stripe subscription."""
        rows = self._settled.before_again.subscriptions or ()
        return _first((row.stripe_subscription_id, row) for row in rows)

    @cached_property
    def customers(self) -> dict[object, Json]:
        """Stripe customers by id."""
        return _first((thing.get("id"), thing) for thing in self._settled.stripe.customers)

    @cached_property
    def subscriptions(self) -> dict[object, Json]:
        """Stripe subscriptions by id."""
        return _first((thing.get("id"), thing) for thing in self._settled.stripe.subscriptions)

    @cached_property
    def subscription_places(self) -> dict[object, int]:
        """The place of each Stripe subscription in the order of their making."""
        made = self._settled.stripe.subscriptions
        return _first((thing.get("id"), place) for place, thing in enumerate(made))

    @cached_property
    def about_customer(self) -> dict[str | None, list[Json]]:
        """Checkout sessions, then subscriptions, by the customer that they are about."""
        stripe = self._settled.stripe
        return _grouped((*stripe.sessions, *stripe.subscriptions), lambda thing: id_of(thing.get("customer")))

    @cached_property
    def paid_invoices(self) -> tuple[Json, ...]:
        """Invoices that took money and did not give all of it back."""
        stripe = self._settled.stripe
        return tuple(i for i in stripe.invoices if charged(i) > 0 and not refunded(i, stripe.refunds))

    @cached_property
    def paid_subscriptions(self) -> frozenset[str | None]:
        """Subscriptions of which an invoice took money and kept it."""
        return frozenset(subscription_of(invoice) for invoice in self.paid_invoices)

    @cached_property
    def answers(self) -> dict[Person | None, list[Answer]]:
        """Answers by whom they were given to."""
        return _grouped(self._settled.answers, lambda answer: self.person(answer.user_id))

    @cached_property
    def deliveries(self) -> dict[str, list[Delivered]]:
        """Deliveries by their event."""
        return _grouped(self._settled.deliveries, lambda delivered: delivered.event_id)

    @cached_property
    def events(self) -> dict[object, Json]:
        """Events by id."""
        return _first((event.get("id"), event) for event in self._settled.stripe.events)

    @cached_property
    def events_about(self) -> dict[str | None, list[tuple[int, Json]]]:
        """Events with their places in the order of emission, by the id of their object.

        The events of a checkout session stand under its subscription too.
        """
        found: dict[str | None, list[tuple[int, Json]]] = defaultdict(list)
        for place, event in enumerate(self._settled.stripe.events):
            thing = event.get("data", {}).get("object", {})
            about = {id_of(thing)}
            if thing.get("object") == "checkout.session":
                about.add(subscription_of(thing))
            for name in about - {None}:
                found[name].append((place, event))
        return found

    @cached_property
    def sql_errors(self) -> dict[str, list[tuple[int, str]]]:
        """The SQLSTATEs that each actor met, with the step of each."""
        found: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for step in self._settled.history.of(Plane.SQL):
            if step.data.get("sqlstate"):
                found[step.actor].append((step.seq, str(step.data["sqlstate"])))
        return found

    @cached_property
    def shown_in(self) -> dict[str, int]:
        """The step that first showed each text at Stripe: an effect, else any other."""
        steps = self._settled.history.of(Plane.STRIPE)
        effects = (step for step in steps if step.kind is StepKind.EFFECT)
        return _first((text, step.seq) for step in _all(effects, steps) for text in _texts(step.data))


def _all(effects: Iterator[Step], steps: tuple[Step, ...]) -> Iterator[Step]:
    yield from effects
    yield from steps


def _first(pairs: Iterable[tuple[K, T]]) -> dict[K, T]:
    found: dict[K, T] = {}
    for key, value in pairs:
        found.setdefault(key, value)
    return found


def _grouped(things: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    found: dict[K, list[T]] = defaultdict(list)
    for thing in things:
        found[key(thing)].append(thing)
    return dict(found)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
