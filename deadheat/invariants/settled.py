"""What a settled run left behind: all that an invariant may look at, as plain values.

The engine fills a `Settled` once a run has settled; nothing here does I/O. Stripe objects are
their JSON as the API would give it now (events: as they were emitted), only those of this run.
Rows are those of the run's users, through the queries of ``[target.tables]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from deadheat.history import History

if TYPE_CHECKING:
    from deadheat.errors import DeadheatError

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user of the run. ``ids`` are all ids that the target knew them by, the current one last."""

    ids: tuple[str, ...]
    email: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerRow:
    """A row of ``customers``: one for each profile; the customer may be missing."""

    user_id: str
    stripe_customer_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRow:
    """A row of ``subscriptions``; ids and status may be missing (a row written before payment)."""

    user_id: str
    stripe_subscription_id: str | None
    stripe_customer_id: str | None
    status: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectRow:
    """A row of ``effects``: something done once for a source (a credit, a mail, a fulfilment)."""

    source_id: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """The mapped relations; None for one that is not mapped."""

    customers: tuple[CustomerRow, ...] | None = None
    subscriptions: tuple[SubscriptionRow, ...] | None = None
    effects: tuple[EffectRow, ...] | None = None

    def counts(self) -> dict[str, int]:
        """Give the number of rows of each mapped relation."""
        rows = {"customers": self.customers, "subscriptions": self.subscriptions, "effects": self.effects}
        return {relation: len(found) for relation, found in rows.items() if found is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeObjects:
    """What the run made at Stripe.

    ``owner`` maps an object's id to the id of the user whose actor made it, or for whom Stripe did.
    ``strangers`` are customers that somebody made at the dashboard, for nobody in the run.
    """

    customers: tuple[Json, ...] = ()
    subscriptions: tuple[Json, ...] = ()
    sessions: tuple[Json, ...] = ()
    invoices: tuple[Json, ...] = ()
    refunds: tuple[Json, ...] = ()
    events: tuple[Json, ...] = ()
    owner: Mapping[str, str] = field(default_factory=dict)
    strangers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one of the target's operations was answered. ``seq`` is the step in the history.

    ``status`` is None when there was no answer at all; ``why`` says then what came instead.
    ``promises_customer`` says that the
    operation is configured to name a customer; ``customer`` is the one it named. ``refusal``: the status
    is one that the operation is configured to refuse with. ``retried``: it was done once more after
    the race, since it had failed while something was made to fail.
    """

    seq: int
    actor: str
    operation: str
    user_id: str
    status: int | None
    success: bool
    promises_customer: bool = False
    customer: str | None = None
    session: bool = False
    in_race: bool = True
    refusal: bool = False
    retried: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One attempt to deliver an event and how it was answered; ``forged`` ones must be refused."""

    seq: int
    event_id: str
    event_type: str
    status: int | None
    forged: str | None = None
    phase: Literal["race", "settling", "again"] = "race"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """One settled run.

    ``before_again`` are the tables when the run had settled, ``after_again`` when every event had
    been delivered once more in order. ``refused`` are the events still refused after settling.
    ``forged_changed`` are forged deliveries after which the tables differed, by step.
    ``asked_for`` maps a user's id to how many subscriptions to one price the program asked for, one
    after the other (absent: one). ``made_to_fail`` says that a fault was asked for in this run,
    ``webhooks`` that the target has a ``[target.webhook]`` for events to go to. ``unseen`` maps what an
    invariant may need to the reason why it could not be seen. ``statuses`` maps the target's names of a
    status, case-folded, to those of Stripe that they stand for. ``offenders`` are the rows that queries
    of the team's own gave, by invariant; an error where Postgres did not take the query.
    """

    people: tuple[Person, ...]
    before_again: Tables = field(default_factory=Tables)
    after_again: Tables = field(default_factory=Tables)
    stripe: StripeObjects = field(default_factory=StripeObjects)
    answers: tuple[Answer, ...] = ()
    deliveries: tuple[Delivered, ...] = ()
    refused: tuple[str, ...] = ()
    forged_changed: tuple[int, ...] = ()
    asked_for: Mapping[str, int] = field(default_factory=dict)
    made_to_fail: bool = False
    webhooks: bool = True
    unseen: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[str, frozenset[str]] = field(default_factory=dict)
    offenders: Mapping[str, tuple[Json, ...] | DeadheatError] = field(default_factory=dict)
    history: History = field(default_factory=History)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Why an invariant does not hold: a sentence, and the rows, objects and steps that show it."""

    says: str
    user_id: str | None = None
    rows: tuple[Json, ...] = ()
    objects: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that did not hold in one run; ``holds_when`` says what it is."""

    invariant: str
    evidence: tuple[Evidence, ...]
    holds_when: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the invariants said of one run; ``not_checked`` maps an id to the reason."""

    violations: tuple[Violation, ...] = ()
    checked: tuple[str, ...] = ()
    not_checked: Mapping[str, str] = field(default_factory=dict)
