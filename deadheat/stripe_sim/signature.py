"""The Stripe-Signature header of a webhook.

``t=<seconds>,v1=<HMAC-SHA256 of "t.body" under the endpoint's secret, hex>``. Source: Stripe docs,
"Verify webhook signatures manually".
"""

from __future__ import annotations

import hmac


def sign(body: bytes, secret: str, now: int) -> str:
    """Give the header for ``body``, signed at ``now`` (real time, seconds since 1970)."""
    digest = hmac.new(secret.encode(), b"%d." % now + body, "sha256").hexdigest()
    return f"t={now},v1={digest}"
