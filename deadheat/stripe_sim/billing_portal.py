"""The billing portal: sessions that a customer is sent to, and what they may do there.

Nobody walks through the portal here; what a customer does in it is an act at the account. A session
without a configuration takes the default one, which is made when it is first asked for. The
``features`` of a configuration are taken and not kept: all show the default ones. Source:
Stripe API reference, "Customer Portal Session" and "Customer Portal Configuration".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim.api_error import invalid
from deadheat.stripe_sim.lists import list_of
from deadheat.stripe_sim.params import (
    accepted,
    anything,
    boolean,
    listing,
    merged,
    metadata,
    text,
    unsettable,
    url,
)

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

CREATE_SESSION = {
    "configuration": text(unset=False),
    "customer": text(unset=False),
    "return_url": url,
    **accepted("flow_data", "locale", "on_behalf_of"),
}
_CONFIGURED = {
    "default_return_url": unsettable(url),
    "features": anything,
    "metadata": metadata,
    "name": text(),
    **accepted("business_profile", "login_page"),
}
CREATE = _CONFIGURED
UPDATE = {**_CONFIGURED, "active": boolean}
LIST = listing(active=boolean, is_default=boolean)


def create_session(ledger: Ledger, call: Call) -> Json:
    """POST /v1/billing_portal/sessions; the link is good for nothing here."""
    args = call.args
    customer = ledger.need("customer", args["customer"], param="customer")
    if "configuration" in args:
        configuration = ledger.need(
            "billing_portal.configuration", args["configuration"], param="configuration"
        )
        if not configuration["active"]:
            raise invalid("This portal configuration is not active.", param="configuration")
    else:
        configuration = _default(ledger)
    made = ledger.new("billing_portal.session")
    made.update(
        configuration=configuration["id"],
        customer=customer["id"],
        flow=None,
        locale=None,
        on_behalf_of=None,
        return_url=args.get("return_url") or configuration["default_return_url"],
        url=f"https://billing.stripe.com/p/session/{made['id']}",
    )
    return ledger.put(made)


def create(ledger: Ledger, call: Call) -> Json:
    """POST /v1/billing_portal/configurations."""
    return _make(ledger, call.args, is_default=False)


def retrieve(ledger: Ledger, call: Call) -> Json:
    """GET /v1/billing_portal/configurations/:id."""
    return ledger.need("billing_portal.configuration", call.path_id)


def update(ledger: Ledger, call: Call) -> Json:
    """POST /v1/billing_portal/configurations/:id."""
    old = ledger.need("billing_portal.configuration", call.path_id)
    changes: dict[str, Any] = {
        name: call.args[name] for name in ("active", "default_return_url", "name") if name in call.args
    }
    if "metadata" in call.args:
        changes["metadata"] = merged(old["metadata"], call.args["metadata"])
    return ledger.change(old, "billing_portal.configuration.updated", **changes, updated=ledger.now)


def listing_of(ledger: Ledger, call: Call) -> Json:
    """GET /v1/billing_portal/configurations, by activity and default."""
    return list_of(ledger, call, "billing_portal.configuration", ("active", "is_default"))


def _default(ledger: Ledger) -> Json:
    return next(iter(ledger.of("billing_portal.configuration", is_default=True)), None) or _make(
        ledger, {}, is_default=True
    )


def _make(ledger: Ledger, args: Json, *, is_default: bool) -> Json:
    made = ledger.put(
        ledger.new(
            "billing_portal.configuration",
            active=True,
            application=None,
            business_profile={"headline": None, "privacy_policy_url": None, "terms_of_service_url": None},
            default_return_url=args.get("default_return_url"),
            features={
                "customer_update": {"allowed_updates": [], "enabled": False},
                "invoice_history": {"enabled": True},
                "payment_method_update": {"enabled": True, "payment_method_configuration": None},
                "subscription_cancel": {
                    "cancellation_reason": {"enabled": False, "options": []},
                    "enabled": True,
                    "mode": "at_period_end",
                    "proration_behavior": "none",
                },
                "subscription_update": {
                    "default_allowed_updates": [],
                    "enabled": False,
                    "proration_behavior": "none",
                },
            },
            is_default=is_default,
            login_page={"enabled": False, "url": None},
            metadata=merged({}, args.get("metadata", {})),
            name=args.get("name"),
            updated=ledger.now,
        )
    )
    if not is_default:
        ledger.emit("billing_portal.configuration.created", made)
    return made
