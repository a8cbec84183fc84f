"""The routes that are modelled: what each is called, what it accepts, what does it, what it gives.

A template such as ``POST /v1/customers/:id`` names a route everywhere: in faults, in histories, in
messages. ``gives`` is the type that expansion starts from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim import (
    amendments,
    billing_portal,
    cards,
    catalog,
    collection,
    coupons,
    credit_notes,
    credits,
    customers,
    discounts,
    draft_invoices,
    event_log,
    invoice_items,
    invoice_payments,
    invoices,
    own_account,
    payments,
    previews,
    search,
    sessions,
    setup_intents,
    subscription_items,
    subscriptions,
    webhook_endpoints,
)
from deadheat.stripe_sim.params import Check, listed, record, text
from deadheat.stripe_sim.wire import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call


def _route(
    template: str,
    act: Callable[[Ledger, Call], Json],
    gives: str,
    fields: Mapping[str, Check] | None = None,
    required: tuple[str, ...] = (),
) -> Route:
    known: dict[str, Any] = {**(fields or {}), "expand": listed(text(unset=False))}
    return Route(
        template=template,
        act=act,
        gives=gives,
        strict=record(known, required=required),
        lenient=record(known, required=required, closed=False),
    )


def _event(ledger: Ledger, call: Call) -> Json:
    """GET /v1/events/:id; the account presents it, as it knows the endpoints."""
    return {"object": "_event", "event": event_log.one(ledger, call.path_id)}


def _events(ledger: Ledger, call: Call) -> Json:
    """GET /v1/events."""
    found, has_more = event_log.page(ledger, call.args)
    return {"object": "_events", "events": found, "has_more": has_more}


ROUTES: tuple[Route, ...] = (
    _route("GET /v1/account", own_account.retrieve, "account"),
    _route("GET /v1/accounts/:id", own_account.retrieve, "account"),
    _route("POST /v1/customers", customers.create, "customer", customers.CREATE),
    _route("GET /v1/customers", customers.listing_of, "list of customer", customers.LIST),
    *(
        _route(f"GET /v1/{kind}s/search", search.of(kind), f"list of {kind}", search.SEARCH, ("query",))
        for kind in ("charge", "customer", "invoice", "payment_intent", "price", "product", "subscription")
    ),
    _route("GET /v1/customers/:id", customers.retrieve, "customer"),
    _route("POST /v1/customers/:id", customers.update, "customer", customers.UPDATE),
    _route("DELETE /v1/customers/:id", customers.delete, "customer"),
    _route("DELETE /v1/customers/:id/discount", discounts.delete_of_customer, "discount"),
    _route(
        "POST /v1/customers/:id/balance_transactions",
        credits.create,
        "customer_balance_transaction",
        credits.CREATE,
        ("amount", "currency"),
    ),
    _route(
        "GET /v1/customers/:id/balance_transactions",
        credits.listing_of,
        "list of customer_balance_transaction",
        credits.LIST,
    ),
    _route(
        "GET /v1/customers/:id/balance_transactions/:id", credits.retrieve, "customer_balance_transaction"
    ),
    _route("GET /v1/customers/:id/payment_methods", cards.listing_of, "list of payment_method", cards.LIST),
    _route("GET /v1/customers/:id/payment_methods/:id", cards.retrieve, "payment_method"),
    _route("POST /v1/payment_methods", cards.create, "payment_method", cards.CREATE, ("type",)),
    _route("GET /v1/payment_methods", cards.listing_of, "list of payment_method", cards.LIST),
    _route("GET /v1/payment_methods/:id", cards.retrieve, "payment_method"),
    _route(
        "POST /v1/payment_methods/:id",
        amendments.payment_method,
        "payment_method",
        amendments.PAYMENT_METHOD,
    ),
    _route(
        "POST /v1/payment_methods/:id/attach", cards.attach, "payment_method", cards.ATTACH, ("customer",)
    ),
    _route("POST /v1/payment_methods/:id/detach", cards.detach, "payment_method"),
    _route("POST /v1/products", catalog.create_product, "product", catalog.CREATE_PRODUCT, ("name",)),
    _route("POST /v1/products/:id", catalog.update_product, "product", catalog.UPDATE_PRODUCT),
    _route("DELETE /v1/products/:id", catalog.delete_product, "product"),
    _route("POST /v1/prices", catalog.create_price, "price", catalog.CREATE_PRICE, ("currency",)),
    _route("POST /v1/prices/:id", catalog.update_price, "price", catalog.UPDATE_PRICE),
    _route("GET /v1/products", catalog.list_products, "list of product", catalog.LIST_PRODUCTS),
    _route("GET /v1/products/:id", catalog.retrieve_product, "product"),
    _route(
        "GET /v1/products/:id/features",
        catalog.list_features,
        "list of product_feature",
        catalog.LIST_FEATURES,
    ),
    _route("GET /v1/prices", catalog.list_prices, "list of price", catalog.LIST_PRICES),
    _route("GET /v1/prices/:id", catalog.retrieve_price, "price"),
    _route("POST /v1/coupons", coupons.create, "coupon", coupons.CREATE),
    _route("GET /v1/coupons", coupons.listing_of, "list of coupon", coupons.LIST),
    _route("GET /v1/coupons/:id", coupons.retrieve, "coupon"),
    _route("POST /v1/coupons/:id", coupons.update, "coupon", coupons.UPDATE),
    _route("DELETE /v1/coupons/:id", coupons.delete, "coupon"),
    _route("POST /v1/promotion_codes", coupons.create_code, "promotion_code", coupons.CREATE_CODE),
    _route("GET /v1/promotion_codes", coupons.list_codes, "list of promotion_code", coupons.LIST_CODES),
    _route("GET /v1/promotion_codes/:id", coupons.retrieve_code, "promotion_code"),
    _route("POST /v1/promotion_codes/:id", coupons.update_code, "promotion_code", coupons.UPDATE_CODE),
    _route("POST /v1/checkout/sessions", sessions.create, "checkout.session", sessions.CREATE, ("mode",)),
    _route("GET /v1/checkout/sessions", sessions.listing_of, "list of checkout.session", sessions.LIST),
    _route("GET /v1/checkout/sessions/:id", sessions.retrieve, "checkout.session"),
    _route("POST /v1/checkout/sessions/:id", sessions.update, "checkout.session", sessions.UPDATE),
    _route("POST /v1/checkout/sessions/:id/expire", sessions.expire, "checkout.session"),
    _route(
        "GET /v1/checkout/sessions/:id/line_items", sessions.line_items, "list of item", sessions.LINE_ITEMS
    ),
    _route(
        "POST /v1/subscriptions", subscriptions.create, "subscription", subscriptions.CREATE, ("customer",)
    ),
    _route("GET /v1/subscriptions", subscriptions.listing_of, "list of subscription", subscriptions.LIST),
    _route("GET /v1/subscriptions/:id", subscriptions.retrieve, "subscription"),
    _route("POST /v1/subscriptions/:id", subscriptions.update, "subscription", subscriptions.UPDATE),
    _route("DELETE /v1/subscriptions/:id", subscriptions.cancel, "subscription", subscriptions.CANCEL),
    _route("DELETE /v1/subscriptions/:id/discount", discounts.delete_of_subscription, "discount"),
    _route("POST /v1/subscriptions/:id/resume", subscriptions.resume, "subscription", subscriptions.RESUME),
    _route(
        "POST /v1/subscription_items",
        subscription_items.create,
        "subscription_item",
        subscription_items.CREATE,
        ("subscription",),
    ),
    _route(
        "GET /v1/subscription_items",
        subscription_items.listing_of,
        "list of subscription_item",
        subscription_items.LIST,
        ("subscription",),
    ),
    _route("GET /v1/subscription_items/:id", subscription_items.retrieve, "subscription_item"),
    _route(
        "POST /v1/subscription_items/:id",
        subscription_items.update,
        "subscription_item",
        subscription_items.UPDATE,
    ),
    _route(
        "DELETE /v1/subscription_items/:id",
        subscription_items.delete,
        "subscription_item",
        subscription_items.DELETE,
    ),
    _route("POST /v1/invoiceitems", invoice_items.create, "invoiceitem", invoice_items.CREATE, ("customer",)),
    _route("GET /v1/invoiceitems", invoice_items.listing_of, "list of invoiceitem", invoice_items.LIST),
    _route("GET /v1/invoiceitems/:id", invoice_items.retrieve, "invoiceitem"),
    _route("POST /v1/invoiceitems/:id", invoice_items.update, "invoiceitem", invoice_items.UPDATE),
    _route("DELETE /v1/invoiceitems/:id", invoice_items.delete, "invoiceitem"),
    _route("POST /v1/invoices", draft_invoices.create, "invoice", draft_invoices.CREATE, ("customer",)),
    _route("POST /v1/invoices/create_preview", previews.create, "invoice", previews.PREVIEW),
    _route("GET /v1/invoices/upcoming", previews.upcoming, "invoice", previews.UPCOMING),
    _route("DELETE /v1/invoices/:id", draft_invoices.delete, "invoice"),
    _route("POST /v1/invoices/:id/send", draft_invoices.send, "invoice"),
    _route(
        "POST /v1/invoices/:id/add_lines",
        invoice_items.add_lines,
        "invoice",
        invoice_items.ADD_LINES,
        ("lines",),
    ),
    _route("GET /v1/invoices", invoices.listing_of, "list of invoice", invoices.LIST),
    _route("GET /v1/invoices/:id", invoices.retrieve, "invoice"),
    _route("POST /v1/invoices/:id", amendments.invoice, "invoice", amendments.INVOICE),
    _route("GET /v1/invoices/:id/lines", invoices.lines, "list of line_item", invoices.LINES),
    _route(
        "GET /v1/invoice_payments",
        invoice_payments.listing_of,
        "list of invoice_payment",
        invoice_payments.LIST,
    ),
    _route("GET /v1/invoice_payments/:id", invoice_payments.retrieve, "invoice_payment"),
    _route("POST /v1/invoices/:id/pay", collection.pay, "invoice", collection.PAY),
    _route("POST /v1/invoices/:id/finalize", collection.finalize, "invoice", collection.FINALIZE),
    _route("POST /v1/invoices/:id/void", collection.void, "invoice"),
    _route("POST /v1/invoices/:id/mark_uncollectible", collection.mark_uncollectible, "invoice"),
    _route(
        "POST /v1/payment_intents",
        collection.create_intent,
        "payment_intent",
        collection.CREATE_INTENT,
        ("amount", "currency"),
    ),
    _route("POST /v1/payment_intents/:id/confirm", collection.confirm, "payment_intent", collection.CONFIRM),
    _route(
        "POST /v1/payment_intents/:id/cancel",
        collection.cancel_intent,
        "payment_intent",
        collection.CANCEL_INTENT,
    ),
    _route(
        "GET /v1/payment_intents",
        payments.list_payment_intents,
        "list of payment_intent",
        payments.LIST_PAYMENT_INTENTS,
    ),
    _route("POST /v1/payment_intents/:id", amendments.intent, "payment_intent", amendments.INTENT),
    _route(
        "GET /v1/payment_intents/:id",
        payments.retrieve_payment_intent,
        "payment_intent",
        payments.RETRIEVE_PAYMENT_INTENT,
    ),
    _route("POST /v1/setup_intents", setup_intents.create, "setup_intent", setup_intents.CREATE),
    _route("GET /v1/setup_intents", setup_intents.listing_of, "list of setup_intent", setup_intents.LIST),
    _route("GET /v1/setup_intents/:id", setup_intents.retrieve, "setup_intent"),
    _route("POST /v1/setup_intents/:id", setup_intents.update, "setup_intent", setup_intents.UPDATE),
    _route(
        "POST /v1/setup_intents/:id/confirm", setup_intents.confirm, "setup_intent", setup_intents.CONFIRM
    ),
    _route("POST /v1/setup_intents/:id/cancel", setup_intents.cancel, "setup_intent", setup_intents.CANCEL),
    _route("GET /v1/charges", payments.list_charges, "list of charge", payments.LIST_CHARGES),
    _route("GET /v1/charges/:id", payments.retrieve_charge, "charge"),
    _route("POST /v1/charges/:id", amendments.charge, "charge", amendments.CHARGE),
    _route("POST /v1/refunds", payments.create_refund, "refund", payments.REFUND),
    _route("GET /v1/refunds", payments.list_refunds, "list of refund", payments.LIST_REFUNDS),
    _route("GET /v1/refunds/:id", payments.retrieve_refund, "refund"),
    _route("POST /v1/refunds/:id", amendments.refund, "refund", amendments.REFUND),
    _route("POST /v1/credit_notes", credit_notes.create, "credit_note", credit_notes.CREATE, ("invoice",)),
    _route("GET /v1/credit_notes", credit_notes.listing_of, "list of credit_note", credit_notes.LIST),
    _route("GET /v1/credit_notes/:id", credit_notes.retrieve, "credit_note"),
    _route(
        "POST /v1/billing_portal/sessions",
        billing_portal.create_session,
        "billing_portal.session",
        billing_portal.CREATE_SESSION,
        ("customer",),
    ),
    _route(
        "POST /v1/billing_portal/configurations",
        billing_portal.create,
        "billing_portal.configuration",
        billing_portal.CREATE,
        ("features",),
    ),
    _route(
        "GET /v1/billing_portal/configurations",
        billing_portal.listing_of,
        "list of billing_portal.configuration",
        billing_portal.LIST,
    ),
    _route(
        "GET /v1/billing_portal/configurations/:id",
        billing_portal.retrieve,
        "billing_portal.configuration",
    ),
    _route(
        "POST /v1/billing_portal/configurations/:id",
        billing_portal.update,
        "billing_portal.configuration",
        billing_portal.UPDATE,
    ),
    _route(
        "POST /v1/webhook_endpoints",
        webhook_endpoints.create,
        "webhook_endpoint",
        webhook_endpoints.CREATE,
        ("enabled_events", "url"),
    ),
    _route(
        "GET /v1/webhook_endpoints",
        webhook_endpoints.listing_of,
        "list of webhook_endpoint",
        webhook_endpoints.LIST,
    ),
    _route("GET /v1/webhook_endpoints/:id", webhook_endpoints.retrieve, "webhook_endpoint"),
    _route(
        "POST /v1/webhook_endpoints/:id",
        webhook_endpoints.update,
        "webhook_endpoint",
        webhook_endpoints.UPDATE,
    ),
    _route("DELETE /v1/webhook_endpoints/:id", webhook_endpoints.delete, "webhook_endpoint"),
    _route("GET /v1/events", _events, "list of event", event_log.LIST),
    _route("GET /v1/events/:id", _event, "event"),
)


def _table() -> dict[tuple[str, int, str], list[tuple[tuple[str, ...], Route]]]:
    """Sort the routes by method, number of segments and the segment behind ``v1``, which is never an id."""
    table: dict[tuple[str, int, str], list[tuple[tuple[str, ...], Route]]] = {}
    for route in ROUTES:
        segments = tuple(route.template.partition(" ")[2].strip("/").split("/"))
        table.setdefault((route.method, len(segments), segments[1]), []).append((segments, route))
    return table


_TABLE = _table()
_NO_IDS = frozenset({"create_preview", "preview", "search", "upcoming"})
_WITHOUT_IDS = {route.template: route for route in ROUTES if ":id" not in route.template}


def match(method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
    """Find the route of a request and the ids in its path; None where we model none.

    A path that only searches or previews (``/v1/invoices/search``) names no object.
    """
    found = _WITHOUT_IDS.get(f"{method} {path}")
    if found is not None:
        return found, ()
    given = path.strip("/").split("/")
    if len(given) < 2:
        return None
    for segments, route in _TABLE.get((method, len(given), given[1]), ()):
        ids = []
        for want, got in zip(segments, given, strict=True):
            if want == ":id":
                ids.append(got)
            elif want != got:
                break
        else:
            if not _NO_IDS.intersection(ids) and all(ids):
                return route, tuple(ids)
    return None
