"""Payment methods: the published test cards, attaching and detaching, and which one is charged.

A test card's token (``pm_card_visa``) stands for a card and for how its bank behaves. Cards that are
declined when charged are declined when attached too, except ``pm_card_chargeCustomerFail``, which
attaches and is declined from then on. Others want their customer to authenticate (3-D Secure): with each
payment while the customer is there, and while they are not, always, never, or until the card was set up.

Source: Stripe docs, "Testing" (cards by brand, declined payments, 3D Secure authentication) and "Decline
codes"; Stripe API reference, "PaymentMethods".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from deadheat.stripe_sim.api_error import ApiError, Problem, invalid, missing, no_such
from deadheat.stripe_sim.api_version import API_VERSION
from deadheat.stripe_sim.lists import list_of
from deadheat.stripe_sim.params import (
    accepted,
    anything,
    email,
    integer,
    listing,
    merged,
    metadata,
    one_of,
    record,
    text,
)
from deadheat.stripe_sim.present import present

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

VISA = "pm_card_visa"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decline:
    """Why a bank refuses: the error's ``code``, its ``decline_code`` and its words."""

    code: str
    decline_code: str
    message: str = "Your card was declined."

    def error(self, **extra: Any) -> ApiError:
        """Give the 402 of a call that was declined; ``extra`` are further fields of the error."""
        fields = {**extra, "decline_code": self.decline_code}
        return ApiError(
            Problem(status=402, type="card_error", code=self.code, message=self.message, extra=fields)
        )

    def noted(self, method: Json) -> Json:
        """Give what an intent notes of it, its ``last_payment_error`` or ``last_setup_error``."""
        return {
            "code": self.code,
            "decline_code": self.decline_code,
            "message": self.message,
            "payment_method": present(method, API_VERSION),
            "type": "card_error",
        }


def declined_as(decline_code: str) -> Decline:
    """Give the decline of one ``decline_code``: ``insufficient_funds``, ``expired_card``, …"""
    return _SPECIAL.get(decline_code) or Decline(
        code="card_declined",
        decline_code=decline_code,
        message=_WORDS.get(decline_code, "Your card was declined."),
    )


_WORDS = {"insufficient_funds": "Your card has insufficient funds."}
_SPECIAL = {
    code: Decline(code=code, decline_code=code, message=words)
    for code, words in (
        ("expired_card", "Your card has expired."),
        ("incorrect_cvc", "Your card's security code is incorrect."),
        (
            "processing_error",
            "An error occurred while processing your card. Try again in a little bit.",
        ),
        (
            "authentication_required",
            "Your card was declined. This transaction requires authentication.",
        ),
    )
}

# token without ``pm_card_`` or ``tok_`` -> brand, number, decline code
_CARDS: dict[str, tuple[str, str, str | None]] = {
    "visa": ("visa", "4242424242424242", None),
    "mastercard": ("mastercard", "5555555555554444", None),
    "amex": ("amex", "378282246310005", None),
    "chargeDeclined": ("visa", "4000000000000002", "generic_decline"),
    "chargeDeclinedInsufficientFunds": ("visa", "4000000000009995", "insufficient_funds"),
    "chargeDeclinedLostCard": ("visa", "4000000000009987", "lost_card"),
    "chargeDeclinedStolenCard": ("visa", "4000000000009979", "stolen_card"),
    "chargeDeclinedExpiredCard": ("visa", "4000000000000069", "expired_card"),
    "chargeDeclinedIncorrectCvc": ("visa", "4000000000000127", "incorrect_cvc"),
    "chargeDeclinedProcessingError": ("visa", "4000000000000119", "processing_error"),
    "chargeDeclinedVelocityLimitExceeded": ("visa", "4000000000006975", "card_velocity_exceeded"),
    "chargeCustomerFail": ("visa", "4000000000000341", "generic_decline"),
    "authenticationRequired": ("visa", "4000002760003184", None),
    "authenticationRequiredOnSetup": ("visa", "4000002500003155", None),
    "authenticationRequiredSetupForOffSession": ("visa", "4000003800000446", None),
    "authenticationRequiredChargeDeclinedInsufficientFunds": (
        "visa",
        "4000008260003178",
        "insufficient_funds",
    ),
    "threeDSecure2Required": ("visa", "4000000000003220", None),
    "threeDSecureRequired": ("visa", "4000000000003063", None),
    "threeDSecureRequiredChargeDeclined": ("visa", "4000008400001629", "generic_decline"),
    "threeDSecureOptional": ("visa", "4000000000003055", None),
}
# who asks for authentication -> when it asks while the customer is not there
_ASKS: dict[str, Literal["always", "until set up", "never"]] = {
    "authenticationRequired": "always",
    "authenticationRequiredOnSetup": "until set up",
    "authenticationRequiredSetupForOffSession": "never",
    "authenticationRequiredChargeDeclinedInsufficientFunds": "until set up",
    "threeDSecure2Required": "until set up",
    "threeDSecureRequired": "until set up",
    "threeDSecureRequiredChargeDeclined": "until set up",
}
_BY_NUMBER = {number: name for name, (_, number, _) in _CARDS.items()}
AUTHENTICATION_REQUIRED = "authentication_required"
"""The decline code of a bank that wants its customer to authenticate."""
DECLINE_CODES = tuple(sorted({AUTHENTICATION_REQUIRED, *(code for _, _, code in _CARDS.values() if code)}))
"""The decline codes that the test cards show."""
_ATTACHES = frozenset({"chargeCustomerFail", *_ASKS})

BILLING_DETAILS = record(
    {"address": anything, "email": email, "name": text(), "phone": text(), "tax_id": text()},
)
CREATE = {
    "card": record(
        {
            "number": text(unset=False),
            "token": text(unset=False),
            "exp_month": integer(1, 12),
            "exp_year": integer(),
            **accepted("cvc", "networks"),
        }
    ),
    "billing_details": BILLING_DETAILS,
    "metadata": metadata,
    "type": one_of("card"),
    **accepted("allow_redisplay", "radar_options"),
}
ATTACH = {"customer": text(unset=False)}
LIST = listing(customer=text(unset=False), type=text(unset=False), **accepted("allow_redisplay"))


def of_token(ledger: Ledger, token: str) -> Json | None:
    """Make the card that a test token stands for; None where it stands for none."""
    name = token.removeprefix("pm_card_").removeprefix("tok_").removeprefix("visa_")
    return None if name == token or name not in _CARDS else _make(ledger, name)


def decline_of(method: Json) -> Decline | None:
    """Say how the bank of a card refuses it; None for one that pays."""
    code = _CARDS[method["_name"]][2]
    return None if code is None else declined_as(code)


def refusal_of(method: Json) -> Decline | None:
    """Say whether the bank of a card refuses already that it is kept; None for one that can be kept."""
    return None if method["_name"] in _ATTACHES else decline_of(method)


def asks(method: Json, *, off_session: bool) -> bool:
    """Say whether the bank of a card wants its customer to authenticate a payment.

    ``off_session``: the customer is not there to do it.
    """
    when = _ASKS.get(method["_name"])
    if when is None or not off_session:
        return when is not None
    return when == "always" or (when == "until set up" and not method["_set_up"])


def set_up(ledger: Ledger, method: Json) -> Json:
    """Remember that the customer of a card has agreed to be charged while they are not there."""
    if method["_set_up"] or method["_name"] not in _ASKS:
        return method
    return ledger.put({**method, "_set_up": True})


def usable(ledger: Ledger, method_id: str, *, param: str, customer: str | None = None) -> Json:
    """Find what a call may charge: a test token, or a payment method (of ``customer``, if given)."""
    found = ledger.find("payment_method", method_id)
    if found is None:
        made = of_token(ledger, method_id) if customer is None else None
        if made is None:
            raise no_such("PaymentMethod", method_id, param=param)
        return made
    if customer is not None and found["customer"] != customer:
        message = (
            f"The customer does not have a payment method with the ID {method_id}. The payment method must "
            "be attached to the customer."
        )
        raise invalid(message, param=param, code="resource_missing")
    return found


def chargeable(ledger: Ledger, method_id: str, customer: str | None, *, of: str = "PaymentIntent") -> Json:
    """Find what an intent may charge or set up: nothing of another customer's, nor what was detached."""
    found = usable(ledger, method_id, param="payment_method")
    if found["_detached"]:
        raise invalid(
            "The provided PaymentMethod was previously used without Customer attachment or was detached from "
            "a Customer. It may not be used again.",
            param="payment_method",
        )
    if found["customer"] is None or found["customer"] == customer:
        return found
    if customer is None:
        raise invalid(
            f"The payment method supplied ({method_id}) belongs to a Customer. Please include the Customer "
            f"in the `customer` parameter on the {of}.",
            param="payment_method",
        )
    raise invalid(
        f"The PaymentMethod {method_id} does not belong to the Customer you supplied {customer}. Please use "
        "this PaymentMethod with the Customer that it belongs to instead.",
        param="payment_method",
    )


def check_attachable(method: Json) -> None:
    """Refuse a card that belongs to somebody, has been detached, or is declined when it is attached."""
    if method["customer"] is not None:
        raise invalid("The payment method you provided has already been attached to a customer.")
    if method["_detached"]:
        raise invalid(
            "This PaymentMethod was previously used without being attached to a Customer or was detached "
            "from a Customer, and may not be used again."
        )
    decline = refusal_of(method)
    if decline is not None:
        raise decline.error()


def attached(ledger: Ledger, method: Json, customer: Json) -> Json:
    """Attach a card to a customer, as far as its bank plays along; emits payment_method.attached."""
    if method["customer"] == customer["id"]:
        return method
    check_attachable(method)
    now = ledger.put({**method, "customer": customer["id"]})
    ledger.emit("payment_method.attached", now)
    return now


def default_of(ledger: Ledger, subscription: Json | None, customer: Json) -> Json | None:
    """Give what is charged when nobody names a card: the subscription's, else the customer's default."""
    named = (
        subscription.get("default_payment_method") if subscription else None,
        customer["invoice_settings"]["default_payment_method"],
    )
    for method_id in filter(None, named):
        found = ledger.find("payment_method", method_id)
        if found is not None and found["customer"] == customer["id"]:
            return found
    return None


def create(ledger: Ledger, call: Call) -> Json:
    """POST /v1/payment_methods: a card by a test number or a test token."""
    card = call.args.get("card", {})
    if "number" not in card and "token" not in card:
        raise missing("card")
    name = _BY_NUMBER.get(card.get("number", ""))
    made = _make(ledger, name) if name else of_token(ledger, card.get("token", ""))
    if made is None:
        raise Decline(
            code="incorrect_number", decline_code="incorrect_number", message="Your card number is incorrect."
        ).error(param="number")
    given = {field: card[field] for field in ("exp_month", "exp_year") if field in card}
    kept = {
        "billing_details": {**made["billing_details"], **call.args.get("billing_details", {})},
        "card": {**made["card"], **given},
        "metadata": merged({}, call.args.get("metadata", {})),
    }
    return ledger.put({**made, **kept})


def attach(ledger: Ledger, call: Call) -> Json:
    """POST /v1/payment_methods/:id/attach; a test token gives a new payment method."""
    method = usable(ledger, call.path_id, param="id")
    return attached(ledger, method, ledger.need("customer", call.args["customer"], param="customer"))


def detach(ledger: Ledger, call: Call) -> Json:
    """POST /v1/payment_methods/:id/detach; it cannot be used again."""
    old = ledger.need("payment_method", call.path_id)
    if old["customer"] is None:
        raise invalid(
            "The payment method you provided is not attached to a customer so detachment is impossible."
        )
    return ledger.change(old, "payment_method.detached", customer=None, _detached=True)


def retrieve(ledger: Ledger, call: Call) -> Json:
    """GET /v1/payment_methods/:id, and /v1/customers/:id/payment_methods/:id."""
    found = ledger.need("payment_method", call.path_ids[-1])
    if len(call.path_ids) == 2 and found["customer"] != call.path_id:
        raise no_such("PaymentMethod", found["id"])
    return found


def listing_of(ledger: Ledger, call: Call) -> Json:
    """GET /v1/payment_methods by customer, and /v1/customers/:id/payment_methods."""
    if call.path_ids:
        call.args["customer"] = ledger.need("customer", call.path_id)["id"]
    elif "customer" not in call.args:
        raise missing("customer")
    return list_of(ledger, call, "payment_method", ("customer", "type"))


def _make(ledger: Ledger, name: str) -> Json:
    brand, number, _ = _CARDS[name]
    return ledger.new(
        "payment_method",
        allow_redisplay="unspecified",
        billing_details={"address": None, "email": None, "name": None, "phone": None, "tax_id": None},
        card={
            "brand": brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": "US",
            "display_brand": brand,
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": f"fp{number[-14:]}",
            "funding": "credit",
            "generated_from": None,
            "last4": number[-4:],
            "networks": {"available": [brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        customer=None,
        metadata={},
        type="card",
        _name=name,
        _detached=False,
        _set_up=False,
    )
