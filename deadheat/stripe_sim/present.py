"""How objects look from outside, by API version.

The ledger keeps each object once, in the shape of `api_version.API_VERSION`, with what only we know
under names that begin with an underscore. `present` leaves those out and, for versions before
2025-03-31.basil, puts the periods of a subscription and the links of an invoice where they were, and for
those before 2025-09-30.clover the coupon of a discount and of a promotion code.

Source: Stripe docs, "API changelog", 2025-03-31.basil ("Adds support for … billing periods on items",
"Invoice parent", "multiple partial payments on invoices"), 2025-09-30.clover (``coupon`` of discounts and
promotion codes).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim.api_version import since_basil, since_clover, ui_modes

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Emitted
    from deadheat.stripe_sim.shelf import Json


def present(kept: Json, version: str) -> Json:
    """Give the JSON of an object in one version; nested parts are shared, not copied."""
    shown = kept.copy()
    for name in _only_ours(tuple(kept)):
        del shown[name]
    if not since_clover(version) and not kept.get("deleted"):
        _before_clover(kept, shown, version)
    elif kept["object"] == "checkout.session":
        shown["ui_mode"] = ui_modes(version).get(kept["ui_mode"], kept["ui_mode"])
    return shown


@lru_cache(maxsize=1000)
def _only_ours(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name.startswith("_"))


def _before_clover(kept: Json, shown: Json, version: str) -> None:
    kind = kept["object"]
    if kind in ("discount", "promotion_code"):
        del shown["source" if kind == "discount" else "promotion"]
        shown["coupon"] = present(kept["_coupon"], version)
    elif kind == "customer" and kept["discount"] is not None:
        shown["discount"] = present(kept["_discount"], version)
    if since_basil(version):
        return
    if kind in ("invoice", "subscription"):
        shown["discount"] = next((present(discount, version) for discount in kept["_discounts"]), None)
    before_basil = _BEFORE_BASIL.get(kind)
    if before_basil is not None:
        before_basil(kept, shown)


def present_event(event: Emitted, *, version: str, pending: int) -> Json:
    """Give the JSON of an event; ``pending`` is ``pending_webhooks``."""
    now = present(event.now, version)
    data: Json = {"object": now}
    if event.before is not None:
        data["previous_attributes"] = previous(present(event.before, version), now)
    return {
        "id": event.id,
        "object": "event",
        "api_version": version,
        "created": event.created,
        "data": data,
        "livemode": False,
        "pending_webhooks": pending,
        "request": {"id": event.request_id, "idempotency_key": event.key},
        "type": event.type,
    }


def previous(before: Json, now: Json) -> Json:
    """Give what differed before: changed names with their old values, maps name by name, arrays whole.

    >>> previous({"a": 1, "metadata": {"k": "v"}}, {"a": 2, "metadata": {"k": "v", "new": "x"}})
    {'a': 1, 'metadata': {'new': None}}
    """
    old: Json = {}
    for name in {**before, **now}:
        was, value = before.get(name), now.get(name)
        if was == value:
            continue
        both_maps = isinstance(was, dict) and isinstance(value, dict)
        old[name] = previous(was, value) if both_maps else was  # type: ignore[arg-type]
    return old


def listed(data: list[Json], url: str, *, has_more: bool = False) -> Json:
    """Give the list object around ``data``."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def _item(kept: Json, shown: Json) -> None:
    for name in ("current_period_start", "current_period_end"):
        del shown[name]


def _subscription(kept: Json, shown: Json) -> None:
    items = kept["items"]["data"]
    periods = ("current_period_start", "current_period_end")
    shown.update({name: items[0][name] for name in periods})
    without = [{k: v for k, v in item.items() if k not in periods} for item in items]
    shown["items"] = {**kept["items"], "data": without}
    only = items[0] if len(items) == 1 else None
    shown["plan"] = only["plan"] if only else None
    shown["quantity"] = only["quantity"] if only else None
    shown.pop("billing_mode", None)


def _invoice(kept: Json, shown: Json) -> None:
    parent = shown.pop("parent")
    shown["subscription"] = kept["_subscription"]
    details = (parent or {}).get("subscription_details")
    shown["subscription_details"] = details and {"metadata": details["metadata"]}
    shown["payment_intent"] = kept["_payment_intent"]
    shown["charge"] = kept["_charge"]
    shown["paid"] = kept["status"] == "paid"
    shown["paid_out_of_band"] = False
    shown["tax"] = None
    lines = [_line(*both) for both in zip(kept["lines"]["data"], kept["_priced"], strict=True)]
    shown["lines"] = {**kept["lines"], "data": lines}


def _line(line: Json, priced: Json) -> Json:
    """Give a line as it was: with the price and its plan in it, and without what names them."""
    parent = line["parent"]
    details = parent["subscription_item_details"] or parent["invoice_item_details"]
    shown = {k: v for k, v in line.items() if k not in ("parent", "pricing", "taxes")}
    shown.update(
        **priced,
        type="subscription" if details["invoice_item"] is None else "invoiceitem",
        invoice_item=details["invoice_item"],
        subscription=details["subscription"],
        subscription_item=details.get("subscription_item"),
        proration=details["proration"],
        proration_details=details["proration_details"],
        unit_amount_excluding_tax=line["pricing"]["unit_amount_decimal"],
    )
    return shown


def _invoiceitem(kept: Json, shown: Json) -> None:
    del shown["parent"], shown["pricing"], shown["net_amount"]
    unit = kept["pricing"]["unit_amount_decimal"]
    shown.update(
        **kept["_priced"],
        subscription=kept["_subscription"],
        subscription_item=kept["_subscription_item"],
        unit_amount=None if "." in unit else int(unit),
        unit_amount_decimal=unit,
    )


def _payment_intent(kept: Json, shown: Json) -> None:
    shown["invoice"] = kept["_invoice"]


_BEFORE_BASIL: dict[str, Any] = {
    "subscription": _subscription,
    "subscription_item": _item,
    "invoice": _invoice,
    "invoiceitem": _invoiceitem,
    "payment_intent": _payment_intent,
    "charge": _payment_intent,
}
