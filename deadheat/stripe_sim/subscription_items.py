"""The API of subscription items: each changes the subscription that it lives in.

Source: Stripe API reference, "Subscription Items".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.stripe_sim import billing, items, prorations
from deadheat.stripe_sim.api_error import invalid, no_such
from deadheat.stripe_sim.collection import ENDED
from deadheat.stripe_sim.params import accepted, text
from deadheat.stripe_sim.present import listed, present
from deadheat.stripe_sim.subscriptions import check_status

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

UPDATE = {
    **items.PRICED,
    **prorations.ASKED,
    "payment_behavior": text(unset=False),
    **accepted("off_session"),
}
CREATE = {**UPDATE, "subscription": text(unset=False)}
DELETE = {**prorations.ASKED, "payment_behavior": text(unset=False), **accepted("clear_usage")}
LIST = {"subscription": text(unset=False), **accepted("ending_before", "limit", "starting_after")}


def create(ledger: Ledger, call: Call) -> Json:
    """POST /v1/subscription_items; emits customer.subscription.updated. One that has ended takes none."""
    old = ledger.need("subscription", call.args["subscription"], param="subscription")
    if old["status"] in ENDED:
        raise no_such("subscription", old["id"], param="subscription")
    now = _update(ledger, old, call.args)
    return now["items"]["data"][-1]  # type: ignore[no-any-return]


def retrieve(ledger: Ledger, call: Call) -> Json:
    """GET /v1/subscription_items/:id."""
    return _find(_parent(ledger, call.path_id), call.path_id)


def update(ledger: Ledger, call: Call) -> Json:
    """POST /v1/subscription_items/:id; emits customer.subscription.updated."""
    old = _open(_parent(ledger, call.path_id))
    return _find(_update(ledger, old, {**call.args, "id": call.path_id}), call.path_id)


def delete(ledger: Ledger, call: Call) -> Json:
    """DELETE /v1/subscription_items/:id, unless it is the last one."""
    old = _open(_parent(ledger, call.path_id))
    _update(ledger, old, {**call.args, "id": call.path_id, "deleted": True})
    return {"id": call.path_id, "object": "subscription_item", "deleted": True}


def listing_of(ledger: Ledger, call: Call) -> Json:
    """GET /v1/subscription_items of one subscription, all on one page."""
    subscription = ledger.need("subscription", call.args["subscription"], param="subscription")
    data = [present(item, call.api_version) for item in subscription["items"]["data"]]
    return listed(data, "/v1/subscription_items")


def _parent(ledger: Ledger, item_id: str) -> Json:
    subscription = ledger.find("subscription", ledger.parents.get(item_id, ""))
    if subscription is None:
        raise no_such("subscription_item", item_id)
    _find(subscription, item_id)
    return subscription


def _find(subscription: Json, item_id: str) -> Json:
    found = next((item for item in subscription["items"]["data"] if item["id"] == item_id), None)
    if found is None:
        raise no_such("subscription_item", item_id)
    return found  # type: ignore[no-any-return]


def _open(subscription: Json) -> Json:
    if subscription["status"] in ENDED:
        raise invalid(f"You cannot update a subscription that is `{subscription['status']}`.")
    return subscription


def _update(ledger: Ledger, old: Json, asked: Json) -> Json:
    check_status(old["status"], {"items": [asked]})
    prorations.check(ledger, old, asked)
    after = items.changed(ledger, old, [asked], at="")
    return billing.changed(ledger, old, {"items": after}, asked)
