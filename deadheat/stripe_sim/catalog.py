"""Products and prices: the seeded ones, those made through the API, and those from ``price_data``.

Prices are per unit; tiers, custom amounts and metered usage are not modelled. Source: Stripe
API reference, "Products" and "Prices".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim.api_error import invalid, missing
from deadheat.stripe_sim.lists import list_of
from deadheat.stripe_sim.params import (
    accepted,
    boolean,
    currency,
    integer,
    listed,
    listing,
    merged,
    metadata,
    one_of,
    only,
    record,
    text,
    unmodelled,
)
from deadheat.stripe_sim.present import listed as listed_object

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

PRODUCT = "prod_deadheat"
MONTHLY = "price_deadheat_monthly"
YEARLY = "price_deadheat_yearly"

_INTERVALS_MAX = {"day": 1095, "week": 156, "month": 36, "year": 3}
_INTERVAL = record(
    {
        "interval": one_of(*_INTERVALS_MAX),
        "interval_count": integer(1, 1095),
        "usage_type": only("licensed"),
        **accepted("trial_period_days"),
        **unmodelled("meter"),
    },
    required=("interval",),
)


def _recurring(value: Any, name: str) -> Any:
    """Accept intervals of up to three years."""
    given = _INTERVAL(value, name)
    most = _INTERVALS_MAX[given["interval"]]
    if given.get("interval_count", 1) > most:
        message = f"This value must be less than or equal to {most}."
        raise invalid(message, param=f"{name}[interval_count]", code="parameter_invalid_integer")
    return given


def _decimal(value: Any, name: str) -> int:
    """Accept an amount in cents as a decimal; parts of a cent are not modelled."""
    whole, _, rest = str(value).partition(".")
    if rest.strip("0"):
        raise invalid(f"Deadheat does not model parts of a cent: `{name}`.", param=name)
    return int(integer(0)(whole, name))


_TAX_BEHAVIOR = one_of("exclusive", "inclusive", "unspecified")
_AMOUNT = {"unit_amount": integer(0), "unit_amount_decimal": _decimal}
_NOT_PER_UNIT = unmodelled(
    "currency_options", "custom_unit_amount", "tiers", "tiers_mode", "transform_quantity"
)
_NEW_PRODUCT = {
    "name": text(unset=False),
    "metadata": metadata,
    **accepted("statement_descriptor", "tax_code", "unit_label"),
}
PRICE_DATA = record(
    {
        "currency": currency,
        **_AMOUNT,
        "product": text(unset=False),
        "product_data": record(
            {
                "name": text(unset=False),
                "metadata": metadata,
                **accepted("description", "images", "tax_code", "unit_label"),
            },
            required=("name",),
        ),
        "recurring": _recurring,
        "tax_behavior": _TAX_BEHAVIOR,
    },
    required=("currency",),
)

UPDATE_PRODUCT = {
    "active": boolean,
    "default_price": text(unset=False),
    "description": text(),
    "images": listed(text(unset=False)),
    "metadata": metadata,
    "name": text(unset=False),
    "shippable": boolean,
    "statement_descriptor": text(longest=22),
    "tax_code": text(),
    "unit_label": text(longest=12),
    "url": text(),
    **accepted("marketing_features", "package_dimensions"),
}
_SHOWN = (
    "active",
    "description",
    "images",
    "shippable",
    "statement_descriptor",
    "tax_code",
    "unit_label",
    "url",
)
"""What a product shows as it was said."""
_DEFAULT_PRICE = record(
    {
        "currency": currency,
        "metadata": metadata,
        "recurring": _recurring,
        **_AMOUNT,
        "tax_behavior": _TAX_BEHAVIOR,
        **unmodelled("currency_options", "custom_unit_amount"),
    },
    required=("currency",),
)
CREATE_PRODUCT = {
    **UPDATE_PRODUCT,
    "default_price_data": _DEFAULT_PRICE,
    "id": text(unset=False),
    **accepted("type"),
}
del CREATE_PRODUCT["default_price"]
UPDATE_PRICE = {
    "active": boolean,
    "lookup_key": text(longest=200),
    "metadata": metadata,
    "nickname": text(),
    "transfer_lookup_key": boolean,
    "tax_behavior": _TAX_BEHAVIOR,
}
CREATE_PRICE = {
    **UPDATE_PRICE,
    "billing_scheme": only("per_unit"),
    "currency": currency,
    "product": text(unset=False),
    "product_data": record(_NEW_PRODUCT, required=("name",)),
    "recurring": _recurring,
    **_AMOUNT,
    **_NOT_PER_UNIT,
}
LIST_FEATURES = listing()
LIST_PRODUCTS = listing(active=boolean, ids=listed(text(unset=False)), **accepted("shippable", "url"))
LIST_PRICES = listing(
    active=boolean,
    currency=currency,
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
    _amount(data, f"{at}[price_data]")
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


def create_product(ledger: Ledger, call: Call) -> Json:
    """POST /v1/products; emits product.created, and price.created for its ``default_price_data``."""
    args = call.args
    if "id" in args and ledger.find("product", args["id"]) is not None:
        raise invalid("Product already exists.", param="id", code="resource_already_exists")
    if "default_price_data" in args:
        _amount(args["default_price_data"], "default_price_data")
    made = _product(ledger, args["name"], object_id=args.get("id"))
    kept: Json = {name: args[name] for name in _SHOWN if name in args}
    made = ledger.put({**made, **kept, "metadata": merged({}, args.get("metadata", {}))})
    price = None
    if "default_price_data" in args:
        data = args["default_price_data"]
        price = _price(ledger, data, made["id"])
        price = ledger.put({**price, "metadata": merged({}, data.get("metadata", {}))})
        made = ledger.put({**made, "default_price": price["id"]})
    ledger.emit("product.created", made)
    if price is not None:
        ledger.emit("price.created", price)
    return made


def delete_product(ledger: Ledger, call: Call) -> Json:
    """DELETE /v1/products/:id, of one without prices; emits product.deleted."""
    old = ledger.need("product", call.path_id)
    if ledger.of("price", product=old["id"]):
        raise invalid("This product cannot be deleted because it has one or more user-created prices.")
    gone = ledger.put({"id": old["id"], "object": "product", "deleted": True})
    ledger.emit("product.deleted", old)
    return gone


def update_product(ledger: Ledger, call: Call) -> Json:
    """POST /v1/products/:id; emits product.updated if anything changed."""
    old = ledger.need("product", call.path_id)
    if "default_price" in call.args:
        ledger.need("price", call.args["default_price"], param="default_price")
    return _updated(ledger, old, call.args, ("default_price", "name", *_SHOWN), "product.updated")


def create_price(ledger: Ledger, call: Call) -> Json:
    """POST /v1/prices, of a product or with a new one; emits price.created."""
    args = call.args
    _amount(args)
    if "product" in args:
        product = ledger.need("product", args["product"], param="product")["id"]
    elif "product_data" not in args:
        raise missing("product")
    _take_lookup_key(ledger, args)
    if "product" not in args:
        described = args["product_data"]
        made = _product(ledger, described["name"], metadata=described.get("metadata") or {})
        ledger.emit("product.created", made)
        product = made["id"]
    price = _price(ledger, args, product, lookup_key=args.get("lookup_key"))
    kept: Json = {name: args[name] for name in ("active", "nickname") if name in args}
    price = ledger.put({**price, **kept, "metadata": merged({}, args.get("metadata", {}))})
    ledger.emit("price.created", price)
    return price


def update_price(ledger: Ledger, call: Call) -> Json:
    """POST /v1/prices/:id; emits price.updated if anything changed. What it costs never changes."""
    old = ledger.need("price", call.path_id)
    _take_lookup_key(ledger, call.args)
    names = ("active", "lookup_key", "nickname", "tax_behavior")
    return _updated(ledger, old, call.args, names, "price.updated")


def _updated(ledger: Ledger, old: Json, args: Json, names: tuple[str, ...], event: str) -> Json:
    changes = {name: args[name] for name in names if name in args}
    if "metadata" in args:
        changes["metadata"] = merged(old["metadata"], args["metadata"])
    return ledger.change(old, event, **changes)


def _take_lookup_key(ledger: Ledger, args: Json) -> None:
    """Refuse a lookup key that another price has, or take it from there if that is asked for."""
    key = args.get("lookup_key")
    holder = next(iter(ledger.of("price", lookup_key=key)), None) if key is not None else None
    if holder is None:
        return
    if not args.get("transfer_lookup_key"):
        raise invalid(f"A price (`{holder['id']}`) already uses that lookup key.", param="lookup_key")
    ledger.change(holder, "price.updated", lookup_key=None)


def retrieve_product(ledger: Ledger, call: Call) -> Json:
    """GET /v1/products/:id."""
    return ledger.need("product", call.path_id)


def list_features(ledger: Ledger, call: Call) -> Json:
    """GET /v1/products/:id/features: entitlements are not modelled, so there are none."""
    product = ledger.need("product", call.path_id)
    return listed_object([], f"/v1/products/{product['id']}/features")


def retrieve_price(ledger: Ledger, call: Call) -> Json:
    """GET /v1/prices/:id."""
    return ledger.need("price", call.path_id)


def list_products(ledger: Ledger, call: Call) -> Json:
    """GET /v1/products, by activity or ids."""
    ids = call.args.get("ids")
    return list_of(
        ledger, call, "product", ("active",), keep=lambda product: ids is None or product["id"] in ids
    )


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


def _amount(args: Json, at: str = "") -> int:
    """Give what one unit costs, however it is said; ApiError where it is not."""
    for name in _AMOUNT:
        if name in args:
            return int(args[name])
    raise missing(f"{at}[unit_amount]" if at else "unit_amount")


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
    amount = _amount(args)
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
        tax_behavior=args.get("tax_behavior", "unspecified"),
        tiers_mode=None,
        transform_quantity=None,
        type="one_time" if recurring is None else "recurring",
        unit_amount=amount,
        unit_amount_decimal=str(amount),
    )
    return ledger.put({**made, "id": object_id or made["id"]})
