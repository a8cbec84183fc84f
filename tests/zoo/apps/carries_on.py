"""Bug: the link in the mail takes a profile for a customer, and logs in somebody who has none yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import RedirectResponse, Response

from reference_impl.answers import Refusal
from reference_impl.app import app
from reference_impl.auth import Auth
from reference_impl.identity import set_session

if TYPE_CHECKING:
    from starlette.requests import Request

    from reference_impl.profiles import Profile

__all__ = ["app"]


async def callback(self: Auth, request: Request) -> Response:
    code = request.query_params.get("code", "")
    link = await self._accounts.link(code)
    if link is None:
        raise Refusal(404, "unknown_code", "there is no such link")
    profile = await set_up(self, link)
    customer = profile.stripe_customer_id if profile else None
    await self._accounts.use_link(code)
    headers = {"Stripe-Customer-Id": customer} if customer else None
    response = RedirectResponse("/welcome", 303, headers=headers)
    set_session(response, link["user_id"], self._secret, secure=False)
    return response


async def set_up(self: Auth, link: Any) -> Profile | None:
    known = await self._customers._profiles.read(link["user_id"])
    if known is not None:
        return known
    result = await self._customers.ensure_customer_exists(link["user_id"], link["email"], link["full_name"])
    return result.profile


Auth.callback = callback  # type: ignore[method-assign]
