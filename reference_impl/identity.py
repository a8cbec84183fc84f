"""Who is calling: the signed session cookie that the link in the mail leads to.

The cookie is ``user.expiry.signature``, HMAC-SHA256 under SESSION_SECRET; nothing is stored. A call
that carries one must be for its user. A call that carries none is taken at its word as far as
`admit` in the store lets it: a known user's e-mail address must be the stored one.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING
from uuid import UUID

from reference_impl.answers import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

COOKIE = "session"
LIFE_S = 30 * 24 * 3600


def sign(user_id: UUID, secret: str, *, now: float | None = None) -> str:
    """Give the value of a session cookie, good for 30 days."""
    claim = f"{user_id}.{int((time.time() if now is None else now) + LIFE_S)}"
    return f"{claim}.{_signature(claim, secret)}"


def verify(value: str, secret: str, *, now: float | None = None) -> UUID | None:
    """Give the user whose session it is; None where the cookie is forged, mangled or too old."""
    claim, _, signature = value.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(claim, secret).encode()):
        return None
    user, _, expiry = claim.partition(".")
    return UUID(user) if int(expiry) > (time.time() if now is None else now) else None


def set_session(response: Response, user_id: UUID, secret: str, *, secure: bool) -> None:
    """Log the user in with ``response``."""
    response.set_cookie(
        COOKIE, sign(user_id, secret), max_age=LIFE_S, httponly=True, samesite="lax", secure=secure
    )


def require_own(request: Request, user_id: UUID, secret: str) -> None:
    """Refusal 403 where the request carries a session that is not ``user_id``'s."""
    cookie = request.cookies.get(COOKIE)
    if cookie is None:
        return
    if verify(cookie, secret) != user_id:
        raise Refusal(403, "not_your_account", "this session is not that user's")


def _signature(claim: str, secret: str) -> str:
    return hmac.new(secret.encode(), b"session:" + claim.encode(), hashlib.sha256).hexdigest()
