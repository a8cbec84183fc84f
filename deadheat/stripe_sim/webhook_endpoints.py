"""Webhook endpoints that are made through the API: create, retrieve, update, delete, list.

Which of them an event goes to is decided when it is emitted: those that are enabled and ask for its
type at that moment. The secret is given once, with the answer that creates the endpoint. They have no
events of their own. Bringing events to them is an `Outbox`'s work (`Account.outbox`).

Source: Stripe API reference, "Webhook Endpoints"; Stripe docs, "Receive Stripe events in your webhook
endpoint".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim.api_error import invalid
from deadheat.stripe_sim.api_version import is_version
from deadheat.stripe_sim.event_log import matches
from deadheat.stripe_sim.lists import list_of
from deadheat.stripe_sim.params import accepted, boolean, integer, listed, merged, metadata, text, url

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json, Shelf
    from deadheat.stripe_sim.wire import Call

KIND = "webhook_endpoint"

_EVENT = re.compile(r"\*|[a-z0-9_]+(\.[a-z0-9_]+)+")


def _event_type(value: Any, name: str) -> str:
    if not isinstance(value, str) or not _EVENT.fullmatch(value):
        raise invalid(f"Invalid {name}: must be the type of an event, or '*'", param=name)
    return value


def _event_types(value: Any, name: str) -> list[str]:
    types = listed(_event_type)(value, name)
    if not types:
        raise invalid("Invalid array: at least one event must be enabled", param=name)
    return list(dict.fromkeys(types))


def _version(value: Any, name: str) -> str:
    if not isinstance(value, str) or not is_version(value):
        raise invalid(f"Invalid {name}: must be a version of the Stripe API", param=name)
    return value


_FIELDS = {"description": text(), "enabled_events": _event_types, "metadata": metadata, "url": url}
CREATE = {**_FIELDS, "api_version": _version, **accepted("connect")}
UPDATE = {**_FIELDS, "disabled": boolean}
LIST = {
    "limit": integer(1, 100),
    "starting_after": text(unset=False),
    "ending_before": text(unset=False),
}


def create(ledger: Ledger, call: Call) -> Json:
    """POST /v1/webhook_endpoints; only this answer carries the secret."""
    args = call.args
    made = ledger.new(
        KIND,
        api_version=args.get("api_version"),
        application=None,
        description=args.get("description"),
        enabled_events=args["enabled_events"],
        metadata=merged({}, args.get("metadata", {})),
        status="enabled",
        url=args["url"],
        _secret=ledger.ids.new("webhook_secret"),
        _since=len(ledger.made),
    )
    ledger.put(made)
    return {**made, "secret": made["_secret"]}


def retrieve(ledger: Ledger, call: Call) -> Json:
    """GET /v1/webhook_endpoints/:id."""
    return ledger.need(KIND, call.path_id)


def update(ledger: Ledger, call: Call) -> Json:
    """POST /v1/webhook_endpoints/:id; ``disabled`` turns it off and on."""
    old = ledger.need(KIND, call.path_id)
    changes = {name: value for name, value in call.args.items() if name in old}
    if "metadata" in changes:
        changes["metadata"] = merged(old["metadata"], changes["metadata"])
    if "disabled" in call.args:
        changes["status"] = "disabled" if call.args["disabled"] else "enabled"
    return ledger.change(old, None, **changes)


def delete(ledger: Ledger, call: Call) -> Json:
    """DELETE /v1/webhook_endpoints/:id."""
    old = ledger.need(KIND, call.path_id)
    return ledger.put({"id": old["id"], "object": KIND, "deleted": True})


def listing_of(ledger: Ledger, call: Call) -> Json:
    """GET /v1/webhook_endpoints, newest first."""
    return list_of(ledger, call, KIND)


def subscribed(endpoints: Shelf, event_type: str) -> tuple[str, ...]:
    """Give the ids of the endpoints that an event of this type goes to."""
    if not len(endpoints):
        return ()
    return tuple(
        kept["id"]
        for kept in endpoints.newest_first({})
        if kept.get("status") == "enabled" and matches(event_type, kept["enabled_events"])
    )
