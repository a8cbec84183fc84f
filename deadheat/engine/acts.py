"""What people and Stripe do at Stripe itself: pay, authenticate, cancel, renew, retry, refund, the dashboard.

An act is one effect at the account. What Stripe would not let anybody do (pay a session that is not
open) is no failure: it is noted in the step, and the run goes on. Whatever an act makes belongs to
the user it was done for, so that later calls about it are known to be theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deadheat.errors import ActRefused
from deadheat.invariants.stripe_json import LIVE
from deadheat.program import AtStripe, Authenticate, Cancel, Pay, Refund, Renew
from deadheat.stripe_sim import MONTHLY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deadheat.engine.cast import Cast, Part
    from deadheat.program import Act, ActOfUser
    from deadheat.stripe_sim import Account

ASKING = ("payment_intent", "setup_intent")
OWNED = ("customer", "subscription", "invoice", "refund")


@dataclass(frozen=True, slots=True)
class Acts:
    """Does acts in one run. ``mark`` is where the run began; ``strangers`` are customers of nobody."""

    account: Account
    cast: Cast
    mark: int
    strangers: set[str] = field(default_factory=set)

    def do(self, act: Act, actor: str) -> list[str]:
        """Do an act; returns notes: what it was done to, or why Stripe refused."""
        if isinstance(act, AtStripe):
            return [self._at_dashboard(act)]
        part = self.cast[act.user]
        began = self.account.mark()
        notes: list[str] = []
        try:
            notes.extend(self._of_user(act, part, actor))
        except ActRefused as refused:
            notes.append(str(refused))
        self.cast.made(self._ids_since(began), part)
        return notes

    def _of_user(self, act: ActOfUser, part: Part, actor: str) -> Iterator[str]:
        if isinstance(act, Pay):
            session = part.session_for(actor)
            if session is None:
                yield "there was no checkout session to pay"
            else:
                self.account.complete_session(session, promotion_code=act.promotion_code)
                yield session
        elif isinstance(act, Authenticate):
            asking = self._asking(part)
            for intent in asking:
                self.account.authenticate(intent, fails=act.fails)
                yield intent
            if not asking:
                yield "there was nothing to authenticate"
        elif isinstance(act, Refund):
            for invoice in self._paid_invoices(part)[-1:]:
                self.account.refund_invoice(invoice)
                yield invoice
        else:
            for subscription in self._live_subscriptions(part):
                if isinstance(act, Cancel):
                    self.account.cancel_subscription(subscription)
                elif isinstance(act, Renew):
                    self.account.renew_subscription(subscription, decline=act.decline)
                else:
                    self.account.retry_payment(subscription, decline=act.decline)
                yield subscription

    def _at_dashboard(self, act: AtStripe) -> str:
        if act.thing == "product":
            return str(self.account.make_product("Something new")["id"])
        n = len(self.strangers)
        email = f"stranger.{self.mark}.{n}@example.test"
        customer = str(self.account.make_customer(email=email, name="Somebody else")["id"])
        self.strangers.add(customer)
        if act.thing == "subscription":
            self.account.subscribe_customer(customer, MONTHLY)
        return customer

    def _asking(self, part: Part) -> list[str]:
        """Give the intents of a user that wait for them to authenticate."""
        found, mine = [], self._customers(part)
        for kind, intent_id in self.account.ids_since(self.mark):
            intent = self.account.object(kind, intent_id) if kind in ASKING else None
            if intent and intent["status"] == "requires_action" and {intent_id, intent["customer"]} & mine:
                found.append(intent_id)
        return found

    def _live_subscriptions(self, part: Part) -> list[str]:
        made, mine = self.account.made_since(self.mark), self._customers(part)
        return [s["id"] for s in made.subscriptions if s["customer"] in mine and s["status"] in LIVE]

    def _paid_invoices(self, part: Part) -> list[str]:
        made, mine = self.account.made_since(self.mark), self._customers(part)
        return [i["id"] for i in made.invoices if i["customer"] in mine and i["status"] == "paid"]

    def _customers(self, part: Part) -> set[str]:
        return {made for made, owner in self.cast.owner.items() if owner in part.ids}

    def _ids_since(self, mark: int) -> list[str]:
        return [made_id for kind, made_id in self.account.ids_since(mark) if kind in OWNED]
