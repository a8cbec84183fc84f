"""The behaviours of Stripe that Deadheat answers for, and the routes that it does not model.

A behaviour's ``patterns`` are regular expressions over what tests say in their marks: whoever marks a
test writes a plain line, and here it is told which behaviour that is. ``missing`` says why no test
shows it. `fidelity` makes the page and finds what contradicts itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One row of the page."""

    area: str
    text: str
    patterns: tuple[str, ...] = ()
    missing: str = ""

    def shown_by(self, says: str) -> bool:
        """Say whether a test that says this shows the behaviour.

        What a mark has before its first colon, where that is the name of an area, keeps it there.
        """
        prefix, _, own = says.partition(": ")
        if prefix.casefold() in AREAS:
            if prefix.casefold() != self.area.casefold():
                return False
        else:
            own = says
        return own.casefold() == self.text.casefold() or any(
            re.search(pattern, own, re.IGNORECASE) for pattern in self.patterns
        )


_MISSING = {
    "The redirect waits for checkout.session.completed to be answered": (
        "in a race nobody is sent to `success_url`, and the page of `deadheat serve` redirects at once"
    ),
}

_ASKED: dict[str, tuple[tuple[str, ...], ...]] = {
    "Objects": (
        ("State is kept across requests", r"across requests"),
        ("Every object has a new id; an e-mail is no key", r"no e-?mail uniqueness", r"e-mail is no"),
        ("Metadata is stored, merged key by key, and unset by an empty string", r"metadata.*(merge|unset)"),
        ("An empty string unsets a field",),
        ("Lists page in both directions",),
        ("Lists are filtered by created",),
        ("Expansion, four levels deep", r"expan.*deep"),
        (
            "API versions see their own shapes: periods of a subscription",
            r"period fields",
            r"periods? .*version",
        ),
        ("API versions see their own shapes: invoice.parent", r"invoice\.parent"),
        ("Search lags behind list", r"search.*(lag|behind)"),
    ),
    "Errors": (
        ("An unknown parameter: 400 with code and param", r"unknown param"),
        ("A missing parameter: 400 with code and param", r"missing param"),
        ("An ill-typed parameter: 400 with param", r"ill-typed", r"\bill typed"),
        ("An id in the path that is not there: 404 resource_missing", r"404"),
        ("An id in a parameter that is not there: 400 resource_missing", r"400.*resource_missing"),
        ("A wrong API key, or none: 401", r"\b401\b(?!.*not stored)"),
    ),
    "Idempotency": (
        ("A key replays status and body", r"replays? .*(status|body)"),
        ("A key with other parameters: 400 idempotency_error", r"other param"),
        ("A key for another path: 400 idempotency_error", r"(other|another) path"),
        ("A key in use: 409 idempotency_key_in_use", r"key in use"),
        ("A 402 is stored", r"402.*stored"),
        ("A 500 is stored", r"500.*stored"),
        ("A validation 400 is not stored", r"(400|validation).*not stored"),
        ("A 401 is not stored", r"401.*not stored"),
        ("A 429 is not stored", r"429.*not stored"),
        ("A 409 is not stored", r"409.*not stored"),
        ("A lost response, then its replay", r"lost (response|answer).*replay"),
        ("A key lives for 24 hours", r"24 hours"),
    ),
    "Concurrency": (
        ("Concurrent writes to one object: 429 lock_timeout", r"lock_timeout"),
        ("A rate limit: 429 with its reason", r"rate.?limit"),
        ("The latency of received, effect and response can be set", r"latency"),
        ("An effect and its event come before the response", r"(webhook|event).*before.*(response|answer)"),
        ("A client that goes away does not stop its call",),
        ("Any interleaving keeps ids unique, one effect per key, money adding up", r"interleaving"),
    ),
    "Events and webhooks": (
        ("Events are delivered in any order", r"any order"),
        ("Duplicates come at any time", r"duplicates?\b"),
        ("Two events for one change", r"two events"),
        ("A retry follows a failure, with a fresh signature", r"retr.*fresh", r"fresh.*signature"),
        ("No retry after a 2xx that Stripe saw", r"(no|none|stops?) .*2xx"),
        ("The clock is the run's", r"clock"),
        ("Events tie in one second", r"\btie", r"same second", r"one second"),
        ("An event is an immutable snapshot", r"snapshot"),
        ("previous_attributes hold what changed", r"previous_attributes"),
        ("pending_webhooks counts endpoints that still wait", r"pending_webhooks"),
        ("request.id and request.idempotency_key name the call that caused it", r"request\.idempotency_key"),
        ("Signatures are checked by the official library, forgeries refused", r"forge"),
        ("Two secrets while one rolls", r"two (signing )?secrets", r"secret.*roll", r"roll.*secret"),
        ("Several endpoints, each with types, secret and version", r"several endpoints"),
        ("The webhook_endpoints API", r"webhook.endpoints? API", r"webhook_endpoints"),
    ),
    "Checkout": (
        ("A session is open, then complete", r"session.*complete(?!d webhook)"),
        ("A session expires, by its time or by a call", r"session.*expire"),
        ("Two open sessions can both be paid", r"two open sessions"),
        ("From basil on a subscription appears when it is paid", r"(from|since|after) basil"),
        ("Before basil a subscription is first incomplete", r"before basil"),
        ("subscription_data.metadata is copied to the subscription", r"subscription_data\.metadata"),
        ("The redirect waits for checkout.session.completed to be answered", r"redirect"),
        ("The customer who pays and never returns", r"never returns"),
    ),
    "Subscriptions and money": (
        ("Status `incomplete`", r"\bincomplete\b"),
        ("Status `incomplete_expired`", r"incomplete_expired"),
        ("Status `trialing`", r"\btrial"),
        ("Status `active`", r"\bactive\b"),
        ("Status `past_due`", r"past_due"),
        ("Status `unpaid`", r"\bunpaid\b"),
        ("Status `canceled`", r"\bcanceled\b"),
        ("Status `paused`", r"\bpaused\b"),
        ("A renewal begins the next period and has an invoice of its own", r"renewal (begins|is paid)"),
        ("A failed payment and its invoice", r"fail(s|ed)? .*payment", r"payment.*fail", r"declined renewal"),
        ("Quantities and items change", r"quantit"),
        (
            "Creation by POST /v1/subscriptions",
            r"POST /v1/subscriptions",
            r"created through the API",
            r"payment_behavior",
        ),
        ("Refunds add up to the charge", r"refund"),
        ("Credit: customer balance and credit notes", r"\bcredit"),
        ("Billing-portal sessions", r"portal"),
    ),
    "Faults by rule or by step": (
        ("Declines by test card", r"test card", r"decline.*card", r"card.*decline"),
        ("429", r"fault.*429", r"429.*fault"),
        ("5xx before the effect", r"5xx before", r"before the effect"),
        ("5xx after the effect", r"5xx.*after", r"after the effect"),
        ("Time-out", r"time-?outs?\b(?<!lock_timeout)"),
        ("Reset", r"\breset"),
        ("Slow", r"\bslow"),
        ("Per route, per object, at the n-th call", r"n-th", r"per (route|object)"),
    ),
    "Official libraries": (
        ("stripe-python, sync", r"python.*\bsync\b"),
        ("stripe-python, async", r"python.*\basync\b"),
        ("stripe-python pages through lists and search by itself", r"python.*pag"),
        ("stripe-python raises its own classes of errors", r"python.*error"),
        ("stripe-python retries under its own key", r"python.*retr"),
        ("stripe-python checks signatures", r"python.*(signature|construct_event)"),
        ("stripe-node, everyday calls", r"node.*everyday"),
        ("stripe-node pages through lists and search by itself", r"node.*pag"),
        ("stripe-node throws its own classes of errors", r"node.*error"),
        ("stripe-node retries under its own key", r"node.*retr"),
        ("stripe-node checks signatures", r"node.*(signature|constructEvent)"),
        ("stripe-node with versions before and after basil", r"node.*basil"),
    ),
    "stripe-mock behind": (
        ("It validates what we model, its objections in Stripe's shape", r"stripe-mock.*objection"),
        ("It answers routes that are not modelled", r"stripe-mock.*not modelled"),
        ("Its outage is told once and changes no result", r"outage"),
    ),
}

AREAS = frozenset(area.casefold() for area in _ASKED)
BEHAVIOURS = tuple(
    Behaviour(area, text, tuple(patterns), _MISSING.get(text, ""))
    for area, rows in _ASKED.items()
    for text, *patterns in rows
)

BORROWED = (
    "GET /v1/coupons",
    "GET /v1/promotion_codes",
    "GET /v1/tax_rates",
    "GET /v1/quotes",
    "GET /v1/setup_intents",
    "GET /v1/subscription_schedules",
    "GET /v1/payment_links",
    "GET /v1/disputes",
    "GET /v1/balance_transactions",
    "GET /v1/payouts",
    "GET /v1/test_helpers/test_clocks",
)
"""Routes of everyday billing code that are not modelled; a test asks stripe-mock for each."""

NOT_THERE = (
    "API v2 (`/v2/…`), and with it thin events and meter event streams",
    "file uploads, and anything else that is not form-encoded",
    "checkout sessions in `setup` mode: a 400 that says so",
    "search by `created`, by numbers and for `null`, and search of other objects than customers and "
    "subscriptions: stripe-mock answers the latter, whatever is stored",
    "Connect: a `Stripe-Account` header changes nothing",
)
