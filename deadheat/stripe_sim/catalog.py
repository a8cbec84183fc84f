"""Products and prices: the seeded ones, and those that a checkout makes from ``price_data``.

Source: Stripe API reference, "Products" and "Prices".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim.api_error import invalid
from deadheat.stripe_sim.lists import list_of
from deadheat.stripe_sim.params import (
    accepted,
    boolean,
    integer,
    listed,
    listing,
    metadata,
    one_of,
    record,
    text,
)

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

PRODUCT = "prod_deadheat"
MONTHLY = "price_deadheat_monthly"
YEARLY = "price_deadheat_yearly"

PRICE_DATA = record(
    {
        "currency": text(unset=False),
        "unit_amount": integer(0),
        "product": text(unset=False),
        "product_data": record(
            {
                "name": text(unset=False),
                "metadata": metadata,
                **accepted("description", "images", "tax_code", "unit_label"),
            },
            required=("name",),
        ),
        "recurring": record(
            {"interval": one_of("day", "week", "month", "year"), "interval_count": integer(1, 1095)},
            required=("interval",),
        ),
        **accepted("tax_behavior", "unit_amount_decimal"),
    },
    required=("currency",),
)

LIST_PRODUCTS = listing(active=boolean, **accepted("ids", "shippable", "url"))
LIST_PRICES = listing(
    active=boolean,
    currency=text(unset=False),
    lookup_keys=listed(text(unset=False)),
    product=text(unset=False),
    type=one_of("one_time", "recurring"),
    **accepted("recurring"),
)


def seed(ledger: Ledger) -> None:
    """Put the product and the prices that every account starts with, without events."""
    _product(ledger, "Deadheat", object_id=PRODUCT)
    for object_id, interval, amount in ((MONTHLY, "month", 2000), (YEARLY, "year", 20000)):
        recurring = {"interval": interval, "interval_count": 1}
        args = {"currency": "usd", "unit_amount": amount, "recurring": recurring}
        _price(ledger, args, PRODUCT, object_id=object_id, lookup_key=object_id.removeprefix("price_"))


def make_product(ledger: Ledger, name: str) -> Json:
    """Make a product, as in the dashboard; emits product.created."""
    made = _product(ledger, name)
    ledger.emit("product.created", made)
    return made


def check_item(ledger: Ledger, item: Json, at: str) -> Json | None:
    """Refuse a line item that names or describes no price; gives the price if it is there already."""
    if "price" in item:
        price = ledger.need("price", item["price"], param=f"{at}[price]")
        if not price["active"]:
            raise invalid(f"The price specified is inactive: {price['id']}", param=f"{at}[price]")
        return price
    if "price_data" not in item:
        raise invalid("You must provide one of `price` or `price_data` for each line item.", param=at)
    data = item["price_data"]
    if "product" in data:
        ledger.need("product", data["product"], param=f"{at}[price_data][product]")
    elif "product_data" not in data:
        raise invalid("You must provide one of `product` or `product_data`.", param=f"{at}[price_data]")
    return None


def price_from(ledger: Ledger, data: Json) -> Json:
    """Make the price that a checked ``price_data`` describes, and its product if it brings one."""
    if "product" in data:
        return _price(ledger, data, data["product"])
    described = data["product_data"]
    product = _product(ledger, described["name"], metadata=described.get("metadata") or {})
    return _price(ledger, data, product["id"])


def plan_of(price: Json) -> Json:
    """Give the ``plan`` that old and new clients alike find beside a recurring price."""
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": "per_unit",
        "created": price["created"],
        "currency": price["currency"],
        "interval": price["recurring"]["interval"],
        "interval_count": price["recurring"]["interval_count"],
        "livemode": False,
        "metadata": price["metadata"],
        "meter": None,
        "nickname": None,
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def retrieve_product(ledger: Ledger, call: Call) -> Json:
    """GET /v1/products/:id."""
    return ledger.need("product", call.path_id)


def retrieve_price(ledger: Ledger, call: Call) -> Json:
    """GET /v1/prices/:id."""
    return ledger.need("price", call.path_id)


def list_products(ledger: Ledger, call: Call) -> Json:
    """GET /v1/products."""
    return list_of(ledger, call, "product", ("active",))


def list_prices(ledger: Ledger, call: Call) -> Json:
    """GET /v1/prices, by product, lookup key, currency, type or activity."""
    keys = call.args.get("lookup_keys")
    return list_of(
        ledger,
        call,
        "price",
        ("active", "currency", "product", "type"),
        keep=lambda price: keys is None or price["lookup_key"] in keys,
    )


def _product(ledger: Ledger, name: str, *, object_id: str | None = None, **fields: Any) -> Json:
    made = ledger.new(
        "product",
        active=True,
        default_price=None,
        description=None,
        images=[],
        marketing_features=[],
        metadata=fields.get("metadata", {}),
        name=name,
        package_dimensions=None,
        shippable=None,
        statement_descriptor=None,
        tax_code=None,
        type="service",
        unit_label=None,
        updated=ledger.now,
        url=None,
    )
    return ledger.put({**made, "id": object_id or made["id"]})


def _price(
    ledger: Ledger, args: Json, product: str, *, object_id: str | None = None, lookup_key: str | None = None
) -> Json:
    recurring = args.get("recurring")
    amount = args.get("unit_amount", 0)
    made = ledger.new(
        "price",
        active=True,
        billing_scheme="per_unit",
        currency=args["currency"],
        custom_unit_amount=None,
        lookup_key=lookup_key,
        metadata={},
        nickname=None,
        product=product,
        recurring=None
        if recurring is None
        else {
            "interval": recurring["interval"],
            "interval_count": recurring.get("interval_count", 1),
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        },
        tax_behavior="unspecified",
        tiers_mode=None,
        transform_quantity=None,
        type="one_time" if recurring is None else "recurring",
        unit_amount=amount,
        unit_amount_decimal=str(amount),
    )
    return ledger.put({**made, "id": object_id or made["id"]})
