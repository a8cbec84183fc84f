"""The account itself, as an application sees it that asks whose key it has.

Libraries that keep a copy of Stripe's objects (dj-stripe) ask this first, and file everything under the
id. Nothing about it can be changed here, and there are no connected accounts.

Source: Stripe API reference, "Accounts", "Retrieve account".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deadheat.stripe_sim.api_error import ApiError, Problem

if TYPE_CHECKING:
    from deadheat.stripe_sim.ledger import Ledger
    from deadheat.stripe_sim.shelf import Json
    from deadheat.stripe_sim.wire import Call

NAME = "Deadheat"


def retrieve(ledger: Ledger, call: Call) -> Json:
    """GET /v1/account, and GET /v1/accounts/:id of its own id: 403 for any other."""
    if call.path_ids and call.path_id != ledger.account_id:
        message = (
            f"The provided key does not have access to account '{call.path_id}' (or that account does not "
            "exist). Application access may have been revoked."
        )
        raise ApiError(Problem(status=403, code="account_invalid", message=message))
    return {
        "id": ledger.account_id,
        "object": "account",
        "business_profile": {"mcc": None, "name": NAME, "support_email": None, "url": None},
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "country": "US",
        "default_currency": "usd",
        "details_submitted": True,
        "email": "account@example.test",
        "payouts_enabled": True,
        "settings": {
            "branding": {"icon": None, "logo": None, "primary_color": None, "secondary_color": None},
            "dashboard": {"display_name": NAME, "timezone": "Etc/UTC"},
        },
        "type": "standard",
    }
