"""A small world of people, rows and Stripe objects, built act by act, that becomes a `Settled`.

Each act does what a correct application and Stripe would have done by the time a run has settled.
Tests then break one thing, by hand, in the lists.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from deadheat.history import History, Plane, Step, StepKind
from deadheat.invariants import judge
from deadheat.invariants.settled import (
    Answer,
    CustomerRow,
    Delivered,
    EffectRow,
    Evidence,
    Judgement,
    Person,
    Settled,
    StripeObjects,
    SubscriptionRow,
    Tables,
)

PRICE = "price_pro"


@dataclass
class BillingWorld:
    people: list[Person] = field(default_factory=list)
    profiles: list[CustomerRow] | None = field(default_factory=list)
    rows: list[SubscriptionRow] | None = field(default_factory=list)
    effects: list[EffectRow] | None = field(default_factory=list)
    after_profiles: list[CustomerRow] | None = None
    after_rows: list[SubscriptionRow] | None = None
    after_effects: list[EffectRow] | None = None
    customers: dict[str, dict[str, Any]] = field(default_factory=dict)
    subscriptions: dict[str, dict[str, Any]] = field(default_factory=dict)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    invoices: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    owner: dict[str, str] = field(default_factory=dict)
    strangers: set[str] = field(default_factory=set)
    answers: list[Answer] = field(default_factory=list)
    deliveries: list[Delivered] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    forged_changed: list[int] = field(default_factory=list)
    asked_for: dict[str, int] = field(default_factory=dict)
    made_to_fail: bool = False
    webhooks: bool = True
    statuses: dict[str, frozenset[str]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    counter: int = 0

    def next(self) -> int:
        self.counter += 1
        return self.counter

    def step(self, plane: Plane, kind: StepKind, actor: str = "A", **data: Any) -> int:
        seq = len(self.steps) + 1
        self.steps.append(
            Step(run=1, seq=seq, t_us=seq, actor=actor, plane=plane, kind=kind, label="x", data=data)
        )
        return seq

    def person(self, *ids: str, email: str | None = None) -> Person:
        n = self.next()
        made = Person(ids=ids or (f"user-{n}",), email=email or f"person{n}@example.test", name=f"Person {n}")
        self.people.append(made)
        return made

    def customer(self, person: Person | None, **fields: Any) -> str:
        """Make a customer at Stripe, by a step of the person's own actor."""
        name = f"cus_{self.next()}"
        self.customers[name] = {"id": name, "object": "customer", "email": None, "metadata": {}, **fields}
        if person is not None:
            self.owner[name] = person.ids[-1]
        self.step(Plane.STRIPE, StepKind.EFFECT, id=name)
        return name

    def delete(self, customer: str) -> None:
        self.customers[customer] = {"id": customer, "object": "customer", "deleted": True}

    def answer(self, person: Person, operation: str = "sign-up", **fields: Any) -> Answer:
        success = fields.pop("success", True)
        made = Answer(
            seq=self.step(Plane.HTTP, StepKind.ANSWER),
            actor=fields.pop("actor", "A"),
            operation=operation,
            user_id=fields.pop("user_id", person.ids[-1]),
            status=fields.pop("status", 200 if success else 503),
            success=success,
            promises_customer=fields.pop("promises_customer", True),
            **fields,
        )
        self.answers.append(made)
        return made

    def sign_up(self, person: Person) -> str:
        """Sign a person up: a customer, a profile that names it, an answer that does, a session."""
        customer = self.customer(person)
        self.profile(person, customer)
        self.answer(person, customer=customer, session=True)
        return customer

    def profile(self, person: Person, customer: str | None, user_id: str | None = None) -> CustomerRow:
        row = CustomerRow(user_id=user_id or person.ids[-1], stripe_customer_id=customer)
        assert self.profiles is not None
        self.profiles.append(row)
        return row

    def subscribe(
        self,
        person: Person,
        customer: str,
        *,
        price: str = PRICE,
        basil: bool = True,
        attempts: tuple[int, ...] = (200,),
        row: bool = True,
    ) -> str:
        """Check out and pay; every event is attempted with these answers, and the row is written."""
        n = self.next()
        name, invoice, payment = f"sub_{n}", f"in_{n}", f"pi_{n}"
        item = {"price": {"id": price}}
        self.subscriptions[name] = {
            "id": name,
            "object": "subscription",
            "customer": customer,
            "status": "active",
            "metadata": {},
            "items": {"object": "list", "data": [item]},
        }
        session = {
            "id": f"cs_{n}",
            "object": "checkout.session",
            "customer": customer,
            "subscription": name,
            "client_reference_id": person.ids[-1],
        }
        self.sessions.append(session)
        self.invoices[invoice] = {
            "id": invoice,
            "object": "invoice",
            "customer": customer,
            "status": "paid",
            "billing_reason": "subscription_create",
            "amount_paid": 1200,
            **(_in_basil if basil else _before_basil)(name, price, payment),
        }
        self.step(Plane.STRIPE, StepKind.EFFECT, notes=[invoice, name])
        self.event("customer.subscription.created", {**self.subscriptions[name]}, attempts)
        self.event("invoice.paid", self.invoices[invoice], attempts)
        self.event("checkout.session.completed", session, attempts)
        if row and self.rows is not None:
            self.rows.append(sub_row(person, name, customer))
        if row and self.effects is not None:
            self.effects.append(EffectRow(source_id=invoice, kind="credit"))
        return name

    def event(self, event_type: str, thing: dict[str, Any], attempts: tuple[int, ...] = (200,)) -> str:
        name = f"evt_{self.next()}"
        self.events.append({"id": name, "object": "event", "type": event_type, "data": {"object": thing}})
        for status in attempts:
            self.deliver(name, status)
        return name

    def deliver(self, event_id: str, status: int | None, **fields: Any) -> Delivered:
        event_type = next((e["type"] for e in self.events if e["id"] == event_id), "invoice.paid")
        seq = self.step(Plane.WEBHOOK, StepKind.ANSWER)
        made = Delivered(seq=seq, event_id=event_id, event_type=event_type, status=status, **fields)
        self.deliveries.append(made)
        return made

    def set_status(self, subscription: str, status: str) -> None:
        """Let Stripe change a subscription, tell the target, and the target its row."""
        self.subscriptions[subscription] = {**self.subscriptions[subscription], "status": status}
        kind = "deleted" if status == "canceled" else "updated"
        self.event(f"customer.subscription.{kind}", {**self.subscriptions[subscription]})
        assert self.rows is not None
        self.rows[:] = [
            SubscriptionRow(**{**fields(row), "status": status})
            if row.stripe_subscription_id == subscription
            else row
            for row in self.rows
        ]

    def refund(self, subscription: str, amount: int = 1200, **fields: Any) -> None:
        payment = f"pi_{subscription.removeprefix('sub_')}"
        self.refunds.append(
            {
                "id": f"re_{self.next()}",
                "payment_intent": payment,
                "amount": amount,
                "status": "succeeded",
                **fields,
            }
        )

    def settled(self) -> Settled:
        before = Tables(
            customers=_rows(self.profiles), subscriptions=_rows(self.rows), effects=_rows(self.effects)
        )
        after = Tables(
            customers=_rows(self.profiles if self.after_profiles is None else self.after_profiles),
            subscriptions=_rows(self.rows if self.after_rows is None else self.after_rows),
            effects=_rows(self.effects if self.after_effects is None else self.after_effects),
        )
        return Settled(
            people=tuple(self.people),
            before_again=before,
            after_again=after,
            stripe=StripeObjects(
                customers=tuple(self.customers.values()),
                subscriptions=tuple(self.subscriptions.values()),
                sessions=tuple(self.sessions),
                invoices=tuple(self.invoices.values()),
                refunds=tuple(self.refunds),
                events=tuple(self.events),
                owner=dict(self.owner),
                strangers=frozenset(self.strangers),
            ),
            answers=tuple(self.answers),
            deliveries=tuple(self.deliveries),
            refused=tuple(self.refused),
            forged_changed=tuple(self.forged_changed),
            asked_for=dict(self.asked_for),
            made_to_fail=self.made_to_fail,
            webhooks=self.webhooks,
            statuses=self.statuses,
            history=History(tuple(self.steps)),
        )

    def judged(self, **settings: str) -> Judgement:
        return judge(self.settled(), {name.replace("_", "-"): value for name, value in settings.items()})

    def tripped(self, **settings: str) -> set[str]:
        return {violation.invariant for violation in self.judged(**settings).violations}

    def evidence(self, invariant: str, **settings: str) -> tuple[Evidence, ...]:
        """Give the evidence against one invariant, none when it holds; it must have been checked."""
        judgement = self.judged(**settings)
        assert invariant in judgement.checked, judgement.not_checked
        return next((v.evidence for v in judgement.violations if v.invariant == invariant), ())


def sub_row(
    person: Person, subscription: str | None, customer: str | None, status: str | None = "active"
) -> SubscriptionRow:
    return SubscriptionRow(
        user_id=person.ids[-1],
        stripe_subscription_id=subscription,
        stripe_customer_id=customer,
        status=status,
    )


def fields(row: SubscriptionRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}


def _rows(rows: list[Any] | None) -> Any:
    return None if rows is None else tuple(rows)


def _in_basil(subscription: str, price: str, payment: str) -> dict[str, Any]:
    return {
        "parent": {"type": "subscription_details", "subscription_details": {"subscription": subscription}},
        "lines": {"object": "list", "data": [{"pricing": {"price_details": {"price": price}}}]},
        "payments": {"object": "list", "data": [{"payment": {"payment_intent": payment}}]},
    }


def _before_basil(subscription: str, price: str, payment: str) -> dict[str, Any]:
    lines = [{"price": {"id": price}}]
    return {
        "subscription": subscription,
        "payment_intent": payment,
        "lines": {"object": "list", "data": lines},
    }
