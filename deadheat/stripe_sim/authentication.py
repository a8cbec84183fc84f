"""Authentication (3-D Secure): what an intent shows while its customer is asked, and once they have failed.

A payment intent or setup intent whose card asks for it is at ``requires_action`` until the customer has
passed the challenge of their bank, or failed it, or the intent is confirmed with another card.

Source: Stripe API reference, "PaymentIntents" and "SetupIntents" (``next_action``, ``last_payment_error``,
``last_setup_error``); Stripe docs, "Error codes" (``…_authentication_failure``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from deadheat.stripe_sim.api_version import API_VERSION
from deadheat.stripe_sim.present import present

if TYPE_CHECKING:
    from deadheat.stripe_sim.shelf import Json

Presence = Literal["absent", "present", "authenticates"]
"""Where the customer is in an attempt: not there, there to be asked, or there and passing what is asked."""

WAITS = "requires_action"


def asked(intent: Json, method: Json, return_url: str | None = None) -> Json:
    """Give what changes in an intent when its card asks for the customer; ``return_url`` is where they go."""
    url = f"https://hooks.stripe.com/3d_secure_2/hosted?{intent['object']}={intent['id']}"
    action: Json
    if return_url is None:
        action = {
            "type": "use_stripe_sdk",
            "use_stripe_sdk": {"stripe_js": url, "type": "three_d_secure_redirect"},
        }
    else:
        action = {"redirect_to_url": {"return_url": return_url, "url": url}, "type": "redirect_to_url"}
    return {"next_action": action, "payment_method": method["id"], "status": WAITS}


def failure(intent: Json, method: Json) -> Json:
    """Give the error of a customer who has not passed; the intent wants another payment method then."""
    return {
        "code": f"{intent['object']}_authentication_failure",
        "message": "The provided PaymentMethod has failed authentication.",
        "payment_method": present(method, API_VERSION),
        "type": "invalid_request_error",
    }
