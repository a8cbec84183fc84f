"""A Stripe account in memory, without I/O: every call in three steps, and what Stripe does by itself.

`Account.parse` reads a request and decides nothing. Then, in this order and as far apart as the
caller likes: `received` (errors, replays, and the key is taken), `effect` (everything changes and is
emitted here, at once), `response`. Between the last two an event may already be on its way. `fail`
makes a call go wrong between `received` and `effect`.

Source: Stripe API reference; the section "Stripe, as far as races can tell" of the design.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from deadheat.errors import ActRefused
from deadheat.stripe_sim import (
    access,
    answers,
    billing,
    cards,
    catalog,
    collection,
    coupons,
    customers,
    invoices,
    made,
    sessions,
    setup_intents,
)
from deadheat.stripe_sim.api_error import ApiError, Problem, not_modelled
from deadheat.stripe_sim.api_version import API_VERSION
from deadheat.stripe_sim.authentication import WAITS
from deadheat.stripe_sim.expand import expand
from deadheat.stripe_sim.faults import FaultRule, Faults
from deadheat.stripe_sim.idempotency import Keys, Stored
from deadheat.stripe_sim.ledger import Emitted, Ledger
from deadheat.stripe_sim.locks import Locks
from deadheat.stripe_sim.outbox import Outbox, api_outbox
from deadheat.stripe_sim.present import listed, present, present_event
from deadheat.stripe_sim.wire import ApiRequest, ApiResponse, Call, Stage

if TYPE_CHECKING:
    from deadheat.stripe_sim.dunning import Dunning
    from deadheat.stripe_sim.faults import When
    from deadheat.stripe_sim.made import Made
    from deadheat.stripe_sim.outbox import Endpoint
    from deadheat.stripe_sim.shelf import Json


class Account:
    """One account. ``started_at`` is its clock's first second; ids and secrets follow from ``seed``.

    Events are made, and shown by the API, in ``events_version``, whatever version a call speaks: Stripe API
    reference, "List all events". An endpoint may be told of them in another.
    """

    def __init__(
        self, *, seed: int, started_at: int, secret_key: str, events_version: str | None = None
    ) -> None:
        self.secret_key = secret_key
        self._events_version = events_version or API_VERSION
        self.ledger = Ledger(seed=seed, now=started_at)
        self.faults = Faults()
        self._keys = Keys()
        self._locks = Locks()
        self._outboxes: WeakValueDictionary[Endpoint, Outbox] = WeakValueDictionary()
        self._api_outboxes: dict[str, Outbox] = {}
        self.ledger.pending_webhooks = self._pending
        catalog.seed(self.ledger)

    # -- the three steps of a call ----------------------------------------------------------------

    def parse(self, request: ApiRequest) -> Call:
        """Read a request. Never fails and changes nothing: what is wrong is decided on receipt."""
        version = request.headers.get("stripe-version") or API_VERSION
        call = Call(request=request, id=self.ledger.ids.new("request"), api_version=version)
        access.read(call, self.secret_key)
        return call

    def received(self, call: Call) -> Call:
        """Step 1: decide errors and replays, or take the idempotency key."""
        _advance(call, Stage.RECEIVED)
        problem = call.objection
        if problem is None and call.matched is None and call.borrowed is None:
            problem = not_modelled(call.request.method, call.request.path).problem
        if problem is not None:
            self._decide(call, problem)
        elif call.key is not None:
            try:
                stored = self._keys.take(call.key, call.request.path, call.params, self.ledger.now)
            except ApiError as error:
                self._decide(call, error.problem)
            else:
                call.holds_key = stored is None
                if stored is not None:
                    call.decided = True
                    call.response = answers.replay(call, stored)
        if not call.decided:
            self._locks.take(call)
            rule = self.faults.strike(call, self.locked)
            if rule is not None:
                self.fail_by(call, rule)
        return call

    def effect(self, call: Call) -> None:
        """Step 2: execute, emit, and keep the answer under the key. Nothing if it was decided."""
        _advance(call, Stage.EFFECTED)
        fault = call.fault
        if not call.decided:
            self._locks.release(call)
            if fault is None or fault.has_effect:
                self._execute(call)
        if fault is not None and fault.problem is not None:
            call.response = answers.refusal(call, fault.problem)
        assert call.response is not None  # one of the two has given it, or received has
        if call.key is not None and call.holds_key:
            self._release(call, call.response)

    def response(self, call: Call) -> ApiResponse:
        """Step 3: give the answer; when the call is ``lost`` it is not to be sent."""
        _advance(call, Stage.ANSWERED)
        assert call.response is not None  # from the effect on
        return call.response

    def abandon(self, call: Call) -> None:
        """Let go of a call that will not be answered: the server is being closed, or failed itself."""
        self._locks.release(call)
        if call.key is not None and call.holds_key:
            self._keys.release(call.key, None)
            call.holds_key = False

    def fail(self, call: Call, *, status: int = 500, when: When = "before", code: str | None = None) -> None:
        """Make a call fail, between received and effect, as a `FaultRule` of these says."""
        self.fail_by(call, FaultRule(when=when, status=status, code=code))

    def fail_by(self, call: Call, rule: FaultRule) -> None:
        """Make a call fail as a rule says, between received and effect; ValueError elsewhere."""
        if call.stage is not Stage.RECEIVED:
            raise ValueError(
                f"a call fails between received and effect; this one is {call.stage.name.lower()}"
            )
        call.fault = rule
        if not rule.has_effect:
            self._locks.release(call)

    def lose(self, call: Call) -> None:
        """Let the answer of a call that had its effect get lost; ValueError before it is there, or given."""
        if call.stage is not Stage.EFFECTED:
            raise ValueError(
                f"only an answer that is there can be lost; this call is {call.stage.name.lower()}"
            )
        call.fault = FaultRule(when="lost")

    def locked(self, call: Call) -> bool:
        """Say whether another call is writing, between received and effect, what this one would write."""
        return self._locks.conflict(call)

    def object_to(self, call: Call, problem: Problem) -> None:
        """Add somebody else's objection to the parameters (stripe-mock's); ours goes first."""
        if call.stage is Stage.PARSED and call.objection is None:
            call.objection = problem

    def borrow(self, call: Call, response: ApiResponse) -> None:
        """Give the answer of somebody else (stripe-mock) to a call of a route that is not modelled."""
        if call.stage is Stage.PARSED and call.objection is None and call.matched is None:
            call.borrowed = response

    # -- what people and Stripe do ------------------------------------------------------------------

    @property
    def dunning(self) -> Dunning:
        """The rule for renewals that are not paid; may be set."""
        return self.ledger.dunning

    @dunning.setter
    def dunning(self, rule: Dunning) -> None:
        self.ledger.dunning = rule

    def complete_session(
        self,
        session_id: str,
        *,
        email: str | None = None,
        name: str | None = None,
        card: str = cards.VISA,
        promotion_code: str | None = None,
    ) -> Json:
        """Pay a checkout session as its customer; ActRefused when it is not open. Gives the session.

        ``email`` and ``name`` are what the customer types where the session does not know them; ``card``
        is the token of a test card, such as ``pm_card_chargeDeclined``: ActRefused when it is declined.
        ``promotion_code`` is a code that the customer types where the session takes any.
        """
        self.ledger.begin(None)
        self._expire()
        done = sessions.complete(
            self.ledger, session_id, email=email, name=name, card=card, promotion_code=promotion_code
        )
        return self._shown(done)

    def cancel_subscription(self, subscription_id: str) -> Json:
        """Cancel at once, from the dashboard; ActRefused when there is nothing to cancel."""
        found = self._subscription(subscription_id, "canceled", but=collection.ENDED)
        return self._shown(collection.end(self.ledger, found))

    def renew_subscription(self, subscription_id: str, *, decline: str | None = None) -> Json:
        """Begin the next period and charge for it; ActRefused when there is nothing to renew.

        ``decline`` is a decline code (``insufficient_funds``) with which the charge fails, whatever the
        card; without it the card decides. A trial ends by it.
        """
        found = self._subscription(
            subscription_id, "renewed", but=(*collection.ENDED, "incomplete", "paused")
        )
        return self._shown(billing.renew(self.ledger, found, decline=_decline(decline)))

    def retry_payment(self, subscription_id: str, *, decline: str | None = None) -> Json:
        """Try an unpaid renewal once more, as Stripe does by schedule; ActRefused when none is open."""
        found = self._subscription(subscription_id, "charged", but=collection.ENDED)
        after = billing.retry(self.ledger, found, decline=_decline(decline))
        if after is None:
            raise ActRefused(f"Subscription {subscription_id} has no open invoice: it is not charged.")
        return self._shown(after)

    def pay_invoice(self, invoice_id: str, *, card: str = cards.VISA) -> Json:
        """Pay an open invoice as its customer, by its hosted page; gives it, open if it was declined.

        A card that asks for its customer has them there: they pass the challenge.

        ActRefused when there is no such invoice, it is not open, its customer is gone, or no such card.
        """
        self.ledger.begin(None)
        self._expire()
        found = self.ledger.find("invoice", invoice_id)
        method = cards.of_token(self.ledger, card)
        if method is None or found is None or found["status"] != "open":
            state = "does not exist" if found is None else f"is {found['status']}"
            raise ActRefused(f"Invoice {invoice_id} {state}: it cannot be paid with {card}.")
        if (self.ledger.find("customer", found["customer"]) or {}).get("deleted"):
            raise ActRefused(f"Invoice {invoice_id} cannot be paid: its customer is deleted.")
        return self._shown(collection.pay_with(self.ledger, found, method, customer="authenticates"))

    def authenticate(self, intent_id: str, *, fails: bool = False) -> Json:
        """Pass, or fail, as the customer the challenge that an intent waits for; gives the intent.

        ``intent_id`` is that of a payment intent or a setup intent, which stands at ``requires_action``:
        ActRefused otherwise, or when its customer is gone. What follows is told by events, as after any
        payment; a card may be declined even then.
        """
        self.ledger.begin(None)
        self._expire()
        kind = "setup_intent" if intent_id.startswith("seti_") else "payment_intent"
        found = self.ledger.find(kind, intent_id)
        if found is None or found["status"] != WAITS:
            state = "does not exist" if found is None else f"is {found['status']}"
            raise ActRefused(f"Intent {intent_id} {state}: there is nothing to authenticate.")
        answered = setup_intents.answered if kind == "setup_intent" else collection.answered
        try:
            return self._shown(answered(self.ledger, found, passes=not fails))
        except ApiError as error:
            raise ActRefused(f"Intent {intent_id} goes no further: {error.problem.message}") from None

    def make_customer(self, *, email: str, name: str) -> Json:
        """Make a customer in the dashboard, whom no application has asked for."""
        self.ledger.begin(None)
        return self._shown(customers.make(self.ledger, {"email": email, "name": name}))

    def subscribe_customer(self, customer_id: str, price: str) -> Json:
        """Subscribe a customer in the dashboard, paid at once; ActRefused when there is no such customer."""
        self.ledger.begin(None)
        customer = self.ledger.find("customer", customer_id)
        if customer is None or customer.get("deleted"):
            raise ActRefused(f"There is no customer {customer_id} to subscribe.")
        method = cards.of_token(self.ledger, cards.VISA)
        assert method is not None  # a test card that everybody has
        method = cards.attached(self.ledger, method, customer)
        made, _ = billing.start(
            self.ledger,
            customer=customer,
            lines=[{"price": self.ledger.need("price", price), "quantity": 1}],
            data={"default_payment_method": method["id"]},
            api_version=API_VERSION,
            first="before",
            card=method,
            presence="absent",
        )
        return self._shown(made)

    def make_product(self, name: str) -> Json:
        """Make a product in the dashboard: an event of a type that billing code rarely knows."""
        self.ledger.begin(None)
        return self._shown(catalog.make_product(self.ledger, name))

    def refund_invoice(self, invoice_id: str) -> Json:
        """Refund what is left of an invoice's payment, from the dashboard; gives the refund."""
        self.ledger.begin(None)
        found = self.ledger.find("invoice", invoice_id)
        if found is None:
            raise ActRefused(f"There is no invoice {invoice_id} to refund.")
        try:
            refund = invoices.refund(self.ledger, found)
        except ApiError as error:
            raise ActRefused(f"Invoice {invoice_id} cannot be refunded: {error.problem.message}") from None
        if refund is None:
            raise ActRefused(f"Invoice {invoice_id} cannot be refunded: nothing was paid.")
        return self._shown(refund)

    # -- the run's clock ----------------------------------------------------------------------------

    def begin_run(self, started_at: int) -> None:
        """Set the clock for a new run. Open sessions of earlier runs stay as they are."""
        self.ledger.clock.now = started_at
        self.ledger.forget_reminders()

    def tick(self, seconds: int) -> None:
        """Let time pass; sessions whose time is up expire, with their events."""
        if seconds < 0:
            raise ValueError("time does not go back within a run")
        self.ledger.clock.now += seconds
        self.ledger.begin(None)
        self._expire()

    @property
    def now(self) -> int:
        """The run's time in seconds since 1970."""
        return self.ledger.now

    # -- what was made ------------------------------------------------------------------------------

    def mark(self) -> int:
        """Give a mark for `made_since` and `Outbox.emitted_since`."""
        return len(self.ledger.made)

    def made_since(self, mark: int) -> Made:
        """Give what was made since ``mark``: copies, in order of creation."""
        return made.made_since(self.ledger, mark, self.event_json)

    def ids_since(self, mark: int) -> list[tuple[str, str]]:
        """Give kind ("customer", "event", …) and id of what was made since ``mark``, in order."""
        return made.ids_since(self.ledger, mark)

    def object(self, kind: str, object_id: str) -> Json | None:
        """Give a copy of one object as the API would show it now; None if there is none."""
        kept = self.ledger.find(kind, object_id)
        return None if kept is None else self._shown(kept)

    def event_json(self, event_id: str, *, version: str = API_VERSION) -> Json:
        """Give an event in one API version, parts shared; KeyError if there is none."""
        event = self.ledger.event(event_id)
        if event is None:
            raise KeyError(event_id)
        return self._event(event, version)

    def join(self, outbox: Outbox) -> None:
        """Let this outbox stand for its endpoint, instead of an earlier one, for as long as it lives."""
        self._outboxes[outbox.endpoint] = outbox

    def outbox(self, endpoint_id: str) -> Outbox:
        """Give the outbox of an endpoint that was made through the API; KeyError if there is none.

        There is one, for as long as the endpoint is there.
        """
        kept = self.ledger.find("webhook_endpoint", endpoint_id)
        if kept is None or kept.get("deleted"):
            raise KeyError(endpoint_id)
        known = self._api_outboxes.get(endpoint_id)
        if known is None:
            known = self._api_outboxes[endpoint_id] = api_outbox(self, kept)
        known.endpoint = replace(known.endpoint, url=kept["url"])
        return known

    def outboxes(self) -> list[Outbox]:
        """Give the outboxes of all endpoints that were made through the API, in order of creation."""
        return [self.outbox(e["id"]) for e in self.ledger.of("webhook_endpoint") if not e.get("deleted")]

    # -- inside -------------------------------------------------------------------------------------

    def _subscription(self, subscription_id: str, done: str, *, but: tuple[str, ...]) -> Json:
        """Begin an act of Stripe's on a subscription; ActRefused where its status is one of ``but``."""
        self.ledger.begin(None)
        self._expire()
        found = self.ledger.find("subscription", subscription_id)
        if found is None or found["status"] in but:
            state = "does not exist" if found is None else f"is {found['status']}"
            raise ActRefused(f"Subscription {subscription_id} {state}: it is not {done}.")
        return found

    def _execute(self, call: Call) -> None:
        """Run the route and give its answer; of refusals only a 402 has changed anything."""
        if call.borrowed is not None:
            call.response = answers.borrowed(call, call.borrowed)
            call.begun = call.response.status < 300
            return
        assert call.matched is not None  # received has decided all others
        if self.ledger.has_due:
            self.ledger.begin(None)
            self._expire()
        self.ledger.begin(call)
        try:
            result = self._rendered(call, call.matched.act(self.ledger, call))
        except ApiError as error:
            call.object_ids = self.ledger.touched()
            call.response = answers.refusal(call, error.problem)
            call.begun = not error.problem.of_form
            return
        call.begun = True
        call.object_ids = self.ledger.touched()
        call.response = answers.success(call, result)

    def _rendered(self, call: Call, result: Json) -> Json:
        if result["object"] == "_event":
            return self._event(result["event"], self._events_version)
        if result["object"] == "_events":
            data = [self._event(event, self._events_version) for event in result["events"]]
            return listed(data, call.request.path, has_more=result["has_more"])
        assert call.matched is not None
        gives = call.matched.gives
        shown = result if gives.startswith("list of ") else present(result, call.api_version)
        paths = call.args.get("expand", ())
        return expand(self.ledger, shown, gives, paths, call.api_version) if paths else shown

    def _expire(self) -> None:
        """Do what time has brought: sessions expire, and what was never paid is given up."""
        for kind, object_id in self.ledger.due():
            if kind == "checkout.session":
                sessions.lapse(self.ledger, object_id)
            elif kind in ("coupon", "promotion_code"):
                coupons.lapse(self.ledger, kind, object_id)
            else:
                billing.lapse(self.ledger, kind, object_id)

    def _decide(self, call: Call, problem: Problem) -> None:
        call.decided = True
        call.response = answers.refusal(call, problem)

    def _release(self, call: Call, response: ApiResponse) -> None:
        assert call.key is not None
        begun = call.begun or response.status == 402 or response.status >= 500
        begun = begun and (call.fault is None or call.fault.when != "reset")
        kept = Stored(
            path=call.request.path,
            params=call.params,
            response=response,
            request_id=call.id,
            at=self.ledger.now,
        )
        self._keys.release(call.key, kept if begun else None)
        call.holds_key = False

    def _event(self, event: Emitted, version: str) -> Json:
        return present_event(event, version=version, pending=self._pending(event))

    def _pending(self, event: Emitted) -> int:
        if event.endpoints:
            self.outboxes()  # each of them counts, whether or not somebody has asked for it yet
        return sum(outbox.waits_for(event.id, event.type) for outbox in self._outboxes.values())

    def _shown(self, kept: Json) -> Json:
        return deepcopy(present(kept, API_VERSION))


def _advance(call: Call, stage: Stage) -> None:
    if call.stage != stage - 1:
        raise ValueError(f"a call that is {call.stage.name.lower()} cannot be {stage.name.lower()} next")
    call.stage = stage


def _decline(code: str | None) -> cards.Decline | None:
    return None if code is None else cards.declined_as(code)
