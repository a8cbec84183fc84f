"""Coupons and promotion codes: what may be taken off, how often, until when, and by whom.

A coupon says what is taken off and for how long; a promotion code is a word that people type to redeem
one. Each redemption is counted when a discount is made of it (`claimed`, then `redeemed`), so of two at
once for the last one the second is refused. Being used up, deleted or past its time makes a coupon
invalid and its codes inactive. A redemption has no event of its own kind: Stripe tells of none.

Source: Stripe API reference, "Coupons", "Promotion Code", "The Discount object"; Stripe docs, "Coupons and
promotion codes" (redemption limits); API changelog 2025-09-30.clover (``source``, ``promotion``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deadheat.stripe_sim.api_error import invalid, missing, unknown_parameter
from deadheat.stripe_sim.api_version import since_clover
from deadheat.stripe_sim.clock import later
from deadheat.stripe_sim.lists import list_of
from deadheat.stripe_sim.params import (
    boolean,
    currency,
    decimal,
    integer,
    listed,
    listing,
    merged,
    metadata,
    one_of,
    record,
    text,
    timestamp,
    unmodelled,
)

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

CREATE = {
    "amount_off": integer(1),
    "applies_to": record({"products": listed(text(unset=False))}),
    "currency": currency,
    **unmodelled("currency_options"),
    "duration": one_of("forever", "once", "repeating"),
    "duration_in_months": integer(1),
    "id": text(unset=False, longest=500),
    "max_redemptions": integer(1),
    "metadata": metadata,
    "name": text(longest=40),
    "percent_off": decimal(0, 100),
    "redeem_by": timestamp,
}
UPDATE = {**unmodelled("currency_options"), "metadata": metadata, "name": text(longest=40)}
LIST = listing()
_PROMOTION = record(
    {"coupon": text(unset=False), "type": one_of("coupon")},
    required=("type",),
)
_RESTRICTIONS = record(
    {
        **unmodelled("currency_options"),
        "first_time_transaction": boolean,
        "minimum_amount": integer(1),
        "minimum_amount_currency": currency,
    }
)
CREATE_CODE = {
    "active": boolean,
    "code": text(unset=False, longest=500),
    "coupon": text(unset=False),
    "customer": text(unset=False),
    "expires_at": timestamp,
    "max_redemptions": integer(1),
    "metadata": metadata,
    "promotion": _PROMOTION,
    "restrictions": _RESTRICTIONS,
}
UPDATE_CODE = {
    "active": boolean,
    "metadata": metadata,
    "restrictions": record({**unmodelled("currency_options")}),
}
LIST_CODES = listing(
    active=boolean, code=text(unset=False), coupon=text(unset=False), customer=text(unset=False)
)
DISCOUNTS = listed(
    record({name: text(unset=False) for name in ("coupon", "discount", "promotion_code")}),
)
"""What a ``discounts`` parameter accepts; the empty string is none."""


def create(ledger: Ledger, call: Call) -> Json:
    """POST /v1/coupons; emits coupon.created."""
    args = call.args
    if ("percent_off" in args) == ("amount_off" in args):
        raise invalid("You must pass either `percent_off` or `amount_off`, and not both.")
    if "amount_off" in args and "currency" not in args:
        raise missing("currency")
    duration = args.get("duration", "once")
    if (duration == "repeating") != ("duration_in_months" in args):
        raise invalid(
            "`duration_in_months` is required if `duration` is `repeating`, and only then.",
            param="duration_in_months",
        )
    object_id = args.get("id") or ledger.ids.letters(8)
    known = ledger.find("coupon", object_id)
    if known is not None and not known.get("deleted"):
        raise invalid("Coupon already exists.", param="id", code="resource_already_exists")
    if args.get("redeem_by", ledger.now + 1) <= ledger.now:
        raise invalid("`redeem_by` must be in the future.", param="redeem_by")
    products = args.get("applies_to", {}).get("products")
    for n, product in enumerate(products or ()):
        ledger.need("product", product, param=f"applies_to[products][{n}]")
    named = ("amount_off", "currency", "duration_in_months", "max_redemptions", "name", "percent_off")
    made: Json = {
        "id": object_id,
        "object": "coupon",
        **{name: args.get(name) for name in named},
        "created": ledger.now,
        "duration": duration,
        "livemode": False,
        "metadata": merged({}, args.get("metadata", {})),
        "redeem_by": args.get("redeem_by"),
        "times_redeemed": 0,
        "valid": True,
        "_applies_to": products,
    }
    if made["redeem_by"] is not None:
        ledger.remind(made["redeem_by"] + 1, "coupon", object_id)
    ledger.put(made)
    ledger.emit("coupon.created", made)
    return made


def retrieve(ledger: Ledger, call: Call) -> Json:
    """GET /v1/coupons/:id."""
    return ledger.need("coupon", call.path_id)


def update(ledger: Ledger, call: Call) -> Json:
    """POST /v1/coupons/:id, its name and metadata; emits coupon.updated if anything changed."""
    old = ledger.need("coupon", call.path_id)
    changes: dict[str, Any] = {"name": call.args["name"]} if "name" in call.args else {}
    if "metadata" in call.args:
        changes["metadata"] = merged(old["metadata"], call.args["metadata"])
    return ledger.change(old, "coupon.updated", **changes)


def delete(ledger: Ledger, call: Call) -> Json:
    """DELETE /v1/coupons/:id; what was redeemed stays, nobody redeems it again. Emits coupon.deleted."""
    old = ledger.need("coupon", call.path_id)
    gone = ledger.put({"id": old["id"], "object": "coupon", "deleted": True})
    ledger.emit("coupon.deleted", old)
    _deactivate(ledger, old["id"])
    return gone


def listing_of(ledger: Ledger, call: Call) -> Json:
    """GET /v1/coupons, newest first."""
    return list_of(ledger, call, "coupon")


def create_code(ledger: Ledger, call: Call) -> Json:
    """POST /v1/promotion_codes; one code is active at most once for a customer. promotion_code.created."""
    args = call.args
    coupon = _coupon_of(ledger, args, call.api_version)
    _usable(ledger, coupon, "promotion[coupon]")
    code = args.get("code") or ledger.ids.letters(8)
    if not all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in code):
        raise invalid("A promotion code has letters, digits and dashes.", param="code")
    customer = args.get("customer")
    if customer is not None:
        ledger.need("customer", customer, param="customer")
    active = args.get("active", True)
    if active:
        _alone(ledger, code, customer)
    limits = args.get("restrictions", {})
    if ("minimum_amount" in limits) != ("minimum_amount_currency" in limits):
        raise missing("restrictions[minimum_amount_currency]")
    made = ledger.new(
        "promotion_code",
        active=active,
        code=code,
        customer=customer,
        expires_at=args.get("expires_at"),
        max_redemptions=args.get("max_redemptions"),
        metadata=merged({}, args.get("metadata", {})),
        promotion={"coupon": coupon["id"], "type": "coupon"},
        restrictions={
            "first_time_transaction": limits.get("first_time_transaction", False),
            "minimum_amount": limits.get("minimum_amount"),
            "minimum_amount_currency": limits.get("minimum_amount_currency"),
        },
        times_redeemed=0,
        _coupon=coupon,
        _coupon_id=coupon["id"],
        _folded=code.casefold(),
    )
    if made["expires_at"] is not None:
        ledger.remind(made["expires_at"], "promotion_code", made["id"])
    ledger.put(made)
    ledger.emit("promotion_code.created", made)
    return made


def retrieve_code(ledger: Ledger, call: Call) -> Json:
    """GET /v1/promotion_codes/:id."""
    return ledger.need("promotion_code", call.path_id)


def update_code(ledger: Ledger, call: Call) -> Json:
    """POST /v1/promotion_codes/:id; emits promotion_code.updated. One that is used up stays inactive."""
    old = ledger.need("promotion_code", call.path_id)
    changes: dict[str, Any] = {}
    if "metadata" in call.args:
        changes["metadata"] = merged(old["metadata"], call.args["metadata"])
    if "active" in call.args:
        changes["active"] = call.args["active"]
        if changes["active"] and not old["active"]:
            coupon = ledger.need("coupon", old["_coupon_id"], param="active")
            _usable(ledger, coupon, "active")
            _refuse_spent(ledger, old, "active")
            _alone(ledger, old["code"], old["customer"])
    return ledger.change(old, "promotion_code.updated", **changes)


def list_codes(ledger: Ledger, call: Call) -> Json:
    """GET /v1/promotion_codes, by code (whatever its case), coupon, customer or activity."""
    if "code" in call.args:
        call.args["code"] = call.args["code"].casefold()
    fields = {"active": "active", "code": "_folded", "coupon": "_coupon_id", "customer": "customer"}
    return list_of(ledger, call, "promotion_code", fields)


def code_named(ledger: Ledger, code: str, customer: str | None) -> Json | None:
    """Find the active promotion code that a payer types: of them and of everybody there is one at most."""
    known = ledger.of("promotion_code", _folded=code.casefold())
    return next((c for c in known if c["active"] and c["customer"] in (None, customer)), None)


def claimed(
    ledger: Ledger,
    asked: Json,
    at: str,
    *,
    customer: str | None,
    subtotal: int,
    currency: str | None,
    **owner: Any,
) -> Json:
    """Make a discount of {coupon} or {promotion_code}, not yet written nor counted; ApiError if it may not.

    ``subtotal`` and ``currency`` are those of what it is for, ``owner`` the object that it will hang on:
    ``subscription``, ``invoice`` or ``checkout_session``. A customer's has no ``currency``.
    """
    if ("coupon" in asked) == ("promotion_code" in asked):
        raise invalid("A discount names either a `coupon` or a `promotion_code`.", param=at)
    code = None
    if "promotion_code" in asked:
        where = f"{at}[promotion_code]"
        code = ledger.need("promotion_code", asked["promotion_code"], param=where)
        _refuse_code(ledger, code, where, customer=customer, subtotal=subtotal, currency=currency)
    where = f"{at}[coupon]"
    coupon = ledger.need("coupon", code["_coupon_id"] if code else asked["coupon"], param=where)
    _usable(ledger, coupon, where)
    if currency is not None and coupon["currency"] not in (None, currency):
        raise invalid(
            f"The coupon {coupon['id']} is in {coupon['currency']} and cannot be applied to {currency}.",
            param=where,
        )
    end = None
    if coupon["duration"] == "repeating":
        end = later(ledger.now, "month", coupon["duration_in_months"])
    return {
        "id": ledger.ids.new("discount"),
        "object": "discount",
        **dict.fromkeys(("checkout_session", "invoice", "invoice_item", "subscription", "subscription_item")),
        "customer": customer,
        "end": end,
        "promotion_code": code["id"] if code else None,
        "source": {"coupon": coupon["id"], "type": "coupon"},
        "start": ledger.now,
        "_coupon": _counted(coupon, "valid"),
        **owner,
    }


def redeemed(ledger: Ledger, discount: Json, *, event: str = "customer.discount.created") -> Json:
    """Write a claimed discount and count it, in the coupon and in the code; emits ``event``."""
    coupon = ledger.put(_counted(ledger.need("coupon", discount["source"]["coupon"]), "valid"))
    if discount["promotion_code"] is not None:
        code = ledger.need("promotion_code", discount["promotion_code"])
        ledger.put({**_counted(code, "active"), "_coupon": coupon})
    if not coupon["valid"]:
        _deactivate(ledger, coupon["id"])
    ledger.put(discount)
    ledger.emit(event, discount)
    return discount


def lapse(ledger: Ledger, kind: str, object_id: str) -> None:
    """End a coupon or a promotion code whose time is up."""
    found = ledger.find(kind, object_id)
    if found is None or found.get("deleted"):
        return
    if kind == "promotion_code":
        ledger.change(found, None, active=False)
    else:
        ledger.change(found, None, valid=False)
        _deactivate(ledger, object_id)


def _coupon_of(ledger: Ledger, args: Json, version: str) -> Json:
    """Find the coupon that a new code is for; it is named by ``promotion`` from clover on."""
    wrong = "coupon" if since_clover(version) else "promotion"
    if wrong in args:
        raise unknown_parameter(wrong)
    if not since_clover(version):
        if "coupon" not in args:
            raise missing("coupon")
        return ledger.need("coupon", args["coupon"], param="coupon")
    if "coupon" not in args.get("promotion", {}):
        raise missing("promotion[coupon]" if "promotion" in args else "promotion")
    return ledger.need("coupon", args["promotion"]["coupon"], param="promotion[coupon]")


def _counted(found: Json, open_: str) -> Json:
    """Give a coupon or a code as it is after one redemption more; the last one ends it."""
    now = {**found, "times_redeemed": found["times_redeemed"] + 1}
    return {**now, open_: found[open_] and not _spent(now)}


def _spent(found: Json) -> bool:
    most = found["max_redemptions"]
    return most is not None and found["times_redeemed"] >= most


def _usable(ledger: Ledger, coupon: Json, param: str) -> None:
    if _spent(coupon):
        message = f"Coupon {coupon['id']} is used up and cannot be applied."
        raise invalid(message, param=param, code="coupon_expired")
    if coupon["redeem_by"] is not None and coupon["redeem_by"] < ledger.now:
        raise invalid(f"Coupon expired: {coupon['id']}", param=param, code="coupon_expired")


def _refuse_code(
    ledger: Ledger, code: Json, at: str, *, customer: str | None, subtotal: int, currency: str | None
) -> None:
    _refuse_spent(ledger, code, at)
    if not code["active"]:
        raise invalid(f"The promotion code {code['code']} is not active.", param=at)
    if code["customer"] not in (None, customer):
        raise invalid(f"The promotion code {code['code']} is another customer's.", param=at)
    limits = code["restrictions"]
    if limits["first_time_transaction"] and customer is not None and _has_paid(ledger, customer):
        raise invalid(
            "This promotion code cannot be redeemed because the associated customer has prior transactions.",
            param=at,
        )
    least = limits["minimum_amount"]
    if least is not None and (subtotal < least or limits["minimum_amount_currency"] != currency):
        raise invalid(
            f"The promotion code {code['code']} needs an amount of at least {least} "
            f"{limits['minimum_amount_currency']}.",
            param=at,
        )


def _refuse_spent(ledger: Ledger, code: Json, at: str) -> None:
    if _spent(code):
        raise invalid(f"The promotion code {code['code']} is used up and cannot be applied.", param=at)
    if code["expires_at"] is not None and code["expires_at"] <= ledger.now:
        raise invalid(f"The promotion code {code['code']} has expired.", param=at)


def _has_paid(ledger: Ledger, customer: str) -> bool:
    charged = any(charge["paid"] for charge in ledger.of("charge", customer=customer))
    return charged or any(invoice["status"] == "paid" for invoice in ledger.of("invoice", customer=customer))


def _alone(ledger: Ledger, code: str, customer: str | None) -> None:
    for other in ledger.of("promotion_code", _folded=code.casefold()):
        if other["active"] and (customer is None or other["customer"] in (None, customer)):
            raise invalid(f"An active promotion code with `code: {code}` already exists.", param="code")


def _deactivate(ledger: Ledger, coupon_id: str) -> None:
    """Let the codes of a coupon that is valid no more be active no more."""
    for code in ledger.of("promotion_code", _coupon_id=coupon_id):
        ledger.change(code, None, active=False)
