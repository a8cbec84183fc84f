"""The Stripe-Signature header of a webhook.

``t=<seconds>,v1=<HMAC-SHA256 of "t.body" under the endpoint's secret, hex>``, with a ``v1`` for each
secret where one is being rolled, and a ``v0`` that is of no use, as in Stripe's test mode. Source: Stripe
docs, "Verify webhook signatures manually".
"""

from __future__ import annotations

import hmac


def sign(body: bytes, now: int, *secrets: str) -> str:
    """Give the header for ``body``, signed at ``now`` (real time, seconds since 1970) with each secret."""
    signed = b"%d." % now + body
    signatures = [f"v1={_hmac(secret, signed)}" for secret in secrets]
    return ",".join((f"t={now}", *signatures, f"v0={_hmac('v0', signed)}"))


def _hmac(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, "sha256").hexdigest()
