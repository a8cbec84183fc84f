"""The behaviours of Stripe that Deadheat answers for, and the routes that it does not model.

A mark shows the behaviour whose text it says, or whose ``patterns`` (regular expressions) are found in
what it says: whoever marks a test may write a plain line of their own. ``missing`` says why no test shows
it. `fidelity` makes the page and finds what contradicts itself.
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


_MISSING: dict[str, str] = {}

_ASKED: dict[str, tuple[tuple[str, ...], ...]] = {
    "Objects": (
        ("State is kept across requests",),
        ("Every object has a new id; an e-mail is no key",),
        ("Metadata is stored, merged key by key, and unset by an empty string",),
        ("An empty string unsets a field",),
        ("Lists page in both directions",),
        ("Lists are filtered by created",),
        ("Expansion, four levels deep",),
        ("API versions see their own shapes: periods of a subscription",),
        ("API versions see their own shapes: invoice.parent", r"invoice\.parent"),
        ("Search lags behind list",),
    ),
    "Errors": (
        ("An unknown parameter: 400 with code and param",),
        ("A missing parameter: 400 with code and param",),
        ("An ill-typed parameter: 400 with param",),
        ("An id in the path that is not there: 404 resource_missing",),
        ("An id in a parameter that is not there: 400 resource_missing",),
        ("A wrong API key, or none: 401",),
    ),
    "Idempotency": (
        ("A key replays status and body",),
        ("A key with other parameters: 400 idempotency_error",),
        ("A key for another path: 400 idempotency_error",),
        ("A key in use: 409 idempotency_key_in_use",),
        ("A 402 is stored", r"402.*stored"),
        ("A 500 is stored",),
        ("A validation 400 is not stored",),
        ("A 401 is not stored",),
        ("A 429 is not stored",),
        ("A 409 is not stored",),
        ("A lost response, then its replay",),
        ("A key lives for 24 hours",),
    ),
    "Concurrency": (
        ("Concurrent writes to one object: 429 lock_timeout",),
        ("A rate limit: 429 with its reason",),
        ("The latency of received, effect and response can be set",),
        ("An effect and its event come before the response",),
        ("A client that goes away does not stop its call",),
        ("Any interleaving keeps ids unique, one effect per key, money adding up",),
    ),
    "Events and webhooks": (
        ("Events are delivered in any order",),
        ("Duplicates come at any time",),
        ("Two events for one change",),
        ("A retry follows a failure, with a fresh signature",),
        ("No retry after a 2xx that Stripe saw",),
        ("The clock is the run's",),
        ("Events tie in one second",),
        ("An event is an immutable snapshot",),
        ("previous_attributes hold what changed",),
        ("pending_webhooks counts endpoints that still wait",),
        ("request.id and request.idempotency_key name the call that caused it",),
        ("Signatures are checked by the official library, forgeries refused",),
        ("Two secrets while one rolls",),
        ("Several endpoints, each with types, secret and version",),
        ("The webhook_endpoints API",),
    ),
    "Checkout": (
        ("A session is open, then complete",),
        ("A session expires, by its time or by a call",),
        ("Two open sessions can both be paid",),
        ("From basil on a subscription appears when it is paid",),
        ("Before basil a subscription is first incomplete",),
        ("subscription_data.metadata is copied to the subscription",),
        ("The redirect waits for checkout.session.completed to be answered",),
        ("The customer who pays and never returns",),
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
        ("A renewal begins the next period and has an invoice of its own",),
        ("A failed payment and its invoice", r"fail(s|ed)? .*payment", r"payment.*fail"),
        ("Quantities and items change", r"quantit"),
        (
            "Creation by POST /v1/subscriptions",
            r"created through the API",
            r"payment_behavior",
        ),
        ("Refunds add up to the charge", r"refund"),
        ("Credit: customer balance and credit notes", r"\bcredit"),
        ("Billing-portal sessions", r"portal"),
    ),
    "Faults by rule or by step": (
        ("Declines by test card", r"test card", r"decline.*card", r"card.*decline"),
        ("429",),
        ("5xx before the effect",),
        ("5xx after the effect",),
        ("Time-out",),
        ("Reset",),
        ("Slow",),
        ("Per route, per object, at the n-th call", r"n-th", r"per (route|object)"),
    ),
    "Official libraries": (
        ("stripe-python, sync",),
        ("stripe-python, async",),
        ("stripe-python pages through lists and search by itself",),
        ("stripe-python raises its own classes of errors",),
        ("stripe-python retries under its own key",),
        ("stripe-python checks signatures",),
        ("stripe-node, everyday calls",),
        ("stripe-node pages through lists and search by itself",),
        ("stripe-node throws its own classes of errors",),
        ("stripe-node retries under its own key",),
        ("stripe-node checks signatures",),
        ("stripe-node with versions before and after basil",),
    ),
    "Invoice items": (
        ("A pending one is drawn into the subscription's next invoice",),
        ("Changed and deleted until their invoice is final",),
    ),
    "Invoices of one's own": (
        ("Drafted, finalized, paid, with their events",),
        ("auto_advance finalizes and charges an hour later",),
        ("A draft is deleted, an open one only voided",),
    ),
    "Previews": (("What they ask for is what the change bills, and nothing is written",),),
    "Prorations": (
        ("To the second, as pending items, without an invoice at once",),
        ("None makes no items, always_invoice bills them at once",),
        ("Discounts are taken off them, and not once more by their invoice",),
    ),
    "Coupons": (
        ("Two at once for the last redemption: the second is refused",),
        ("Of two open sessions for the last redemption one is paid",),
        ("A promotion code is active once for each customer, whatever its case",),
        ("One for once is used by the first invoice, and the subscription has none",),
    ),
    "stripe-mock behind": (
        ("It validates what we model, its objections in Stripe's shape",),
        ("It answers routes that are not modelled",),
        ("Its outage is told once and changes no result",),
    ),
}

AREAS = frozenset(area.casefold() for area in _ASKED)
BEHAVIOURS = tuple(
    Behaviour(area, text, tuple(patterns), _MISSING.get(text, ""))
    for area, rows in _ASKED.items()
    for text, *patterns in rows
)

BORROWED = (
    "GET /v1/tax_rates",
    "GET /v1/quotes",
    "GET /v1/subscription_schedules",
    "GET /v1/payment_links",
    "GET /v1/disputes",
    "GET /v1/balance_transactions",
    "GET /v1/payouts",
    "GET /v1/test_helpers/test_clocks",
)
"""Routes of everyday billing code that are not modelled; a test asks stripe-mock for each."""

NOT_THERE = (
    "taxes, metered and tiered prices: what a subscription costs is its prices times its quantities less its "
    "discounts",
    "prorations by what was charged (billing mode flexible): they go by what the old price costs now, as in "
    "mode classic; `error_if_incomplete` and `pending_if_incomplete` of a change that is invoiced at once: a "
    "400 that says so",
    "discounts of single items, and coupons in several currencies: a 400 that says so",
    "subscriptions whose invoices are sent (`collection_method=send_invoice`), invoices that are paid out of "
    "band: a 400 that says so",
    "payment methods other than cards, setup attempts, disputes, subscription schedules",
    "a challenge (3-D Secure) on Checkout's page that lasts: who pays there with a card that asks has passed "
    "it in the same moment",
    "the hour that a renewal's invoice stays a draft, the schedule of retries (each is an act), and renewals "
    "by the clock: a period ends when a scenario says so",
    "the events `invoice.updated` (but for credit notes, lines and `POST /v1/invoices/:id`) and "
    "`invoice.upcoming`; several payments of one invoice (`attach_payment`)",
    "a `pending_setup_intent`, but of a subscription created with `payment_behavior=default_incomplete` that "
    "has nothing to pay at first and no card",
    "payments that are held and captured later (`capture_method=manual`), `billing_cycle_anchor`, "
    "`trial_from_plan`: a 400 that says so, in every API version",
    "`invoice_creation` of a checkout session, `proration_behavior` of a resumption and of a session: taken "
    "and passed over",
    "a field that an API version no longer has can still be named in `expand`: nothing comes of it, where "
    "Stripe answers 400",
    "webhook endpoints of an organization, which Checkout's redirect does not wait for",
    "API v2 (`/v2/…`), and with it thin events and meter event streams",
    "file uploads, and anything else that is not form-encoded",
    "search of charges by their card or postal code, and of invoices by why they were not finalized",
    "Connect: a `Stripe-Account` header changes nothing",
)
