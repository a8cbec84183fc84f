"""The items of a subscription: each a price and a quantity, all with one period.

An item lives inside its subscription; the ledger knows which. Source: Stripe API reference, "Subscription
Items"; API changelog 2025-07-30.basil (mixed intervals, in billing mode flexible only: not modelled).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.stripe_sim import catalog
from deadheat.stripe_sim.api_error import invalid, missing, no_such
from deadheat.stripe_sim.clock import later
from deadheat.stripe_sim.params import (
    accepted,
    boolean,
    integer,
    listed,
    merged,
    metadata,
    record,
    text,
    unmodelled,
)
from deadheat.stripe_sim.present import listed as list_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json

PRICED = {
    "metadata": metadata,
    "plan": text(unset=False),
    "price": text(unset=False),
    "price_data": catalog.PRICE_DATA,
    "quantity": integer(0),
    **unmodelled("discounts"),
    **accepted("billing_thresholds", "tax_rates"),
}
ITEMS = listed(record({**PRICED, "id": text(unset=False), "deleted": boolean, **accepted("clear_usage")}))


def new(
    ledger: Ledger, subscription_id: str, price: Json, asked: Json, *, period_end: int | None = None
) -> Json:
    """Make an item whose first period begins now; ``period_end`` is a trial's, or another item's."""
    made = {
        "id": ledger.ids.new("subscription_item"),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": ledger.now,
        **period(price, ledger.now),
        "discounts": [],
        "metadata": merged({}, asked.get("metadata", {})),
        "plan": catalog.plan_of(price),
        "price": price,
        "quantity": asked.get("quantity", 1),
        "subscription": subscription_id,
        "tax_rates": [],
    }
    if period_end is not None:
        made["current_period_end"] = period_end
    ledger.parents[made["id"]] = subscription_id
    return made


def period(price: Json, begin: int) -> Json:
    """Give the period of an item that begins at ``begin``."""
    recurring = price["recurring"]
    until = later(begin, recurring["interval"], recurring["interval_count"])
    return {"current_period_start": begin, "current_period_end": until}


def listing_around(subscription_id: str, data: Sequence[Json]) -> Json:
    """Give the list object in which a subscription shows its items."""
    url = f"/v1/subscription_items?subscription={subscription_id}"
    return {**list_object(list(data), url), "total_count": len(data)}


def begun(items: Json, at: int | None = None) -> Json:
    """Give the items in their next period, which begins where the last one ends, or ``at`` a time."""
    data = [
        {**item, **period(item["price"], item["current_period_end"] if at is None else at)}
        for item in items["data"]
    ]
    return {**items, "data": data}


def amount(data: Sequence[Json]) -> int:
    """Give what items cost in a period."""
    return sum(int(item["price"]["unit_amount"] * item["quantity"]) for item in data)


def period_end(subscription: Json) -> int:
    """Give when the longest period of a subscription ends."""
    return max(int(item["current_period_end"]) for item in subscription["items"]["data"])


def price_of(ledger: Ledger, asked: Json, at: str, subscription: Json | None = None) -> Json | None:
    """Give the price that an item names or describes, None if neither; ApiError if it is of no use.

    It can still be named as ``plan``, as before there were prices.
    """
    if "plan" in asked and "price" not in asked:
        asked = {**asked, "price": asked["plan"]}
    if "price" not in asked and "price_data" not in asked:
        return None
    price = catalog.check_item(ledger, asked, at) or catalog.price_from(ledger, asked["price_data"])
    if price["recurring"] is None:
        raise invalid(
            "The price specified is set to `type=one_time` but this field only accepts prices with "
            "`type=recurring`.",
            param=f"{at}[price]" if at else "price",
        )
    if subscription is not None and price["currency"] != subscription["currency"]:
        raise invalid("The price specified has another currency than the subscription.", param=at or "price")
    return price


def changed(ledger: Ledger, old: Json, asked: list[Json], *, at: str = "items") -> Json:
    """Give the items after an update: by id changed or removed, without id added."""
    kept = {item["id"]: item for item in old["items"]["data"]}
    for n, change in enumerate(asked):
        here = f"{at}[{n}]" if at else ""
        price = price_of(ledger, change, here, old)
        if "id" not in change:
            if price is None:
                raise missing(f"{here}[price]" if here else "price")
            added = new(ledger, old["id"], price, change, period_end=period_end(old))
            kept[added["id"]] = added
            continue
        item = kept.get(change["id"])
        if item is None:
            raise no_such("subscription_item", change["id"], param=f"{here}[id]" if here else "id")
        if change.get("deleted"):
            del kept[item["id"]]
            continue
        kept[item["id"]] = _changed(item, price, change)
    if not kept:
        raise invalid("A subscription must have at least one active item.", param=at or None)
    check_together([item["price"] for item in kept.values()], at)
    return listing_around(old["id"], list(kept.values()))


def interval(price: Json) -> tuple[str, int]:
    """Give how long the period of a price is: so many days, weeks, months or years."""
    return price["recurring"]["interval"], price["recurring"].get("interval_count", 1)


def check_together(prices: Sequence[Json], at: str) -> None:
    """Refuse a subscription with two items of one price: it is the quantity that says how many."""
    ids = [price["id"] for price in prices]
    for n, price in enumerate(ids):
        if price in ids[:n]:
            raise invalid(
                f"Cannot add multiple subscription items with the same plan: {price}", param=at or "price"
            )
    check_intervals(prices, at)


def check_intervals(prices: Iterable[Json], at: str) -> None:
    """Refuse prices with periods of two lengths for one subscription."""
    if len({interval(price) for price in prices}) > 1:
        raise invalid(
            "Currency and interval fields must match across all plans on this subscription. Found mismatch "
            "in interval field. (Deadheat does not model the mixed intervals of billing mode flexible.)",
            param=at or "price",
        )


def _changed(item: Json, price: Json | None, change: Json) -> Json:
    now = {**item, "quantity": change.get("quantity", item["quantity"])}
    if price is not None:
        now.update(price=price, plan=catalog.plan_of(price))
    if "metadata" in change:
        now["metadata"] = merged(item["metadata"], change["metadata"])
    return now
