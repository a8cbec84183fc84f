"""Sign-up and the link in the mail.

Signing up gives a user and a link; following the link gives a session, but only when the user has a
customer. A link without success stays as it was and works again later; one that worked leads to the
same place again, so a double click ends like a single one.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, RedirectResponse, Response

from reference_impl import logs
from reference_impl.answers import Refusal, email_of, optional_text, read_object, unavailable
from reference_impl.identity import set_session
from reference_impl.logs import AUTH_CALLBACK

if TYPE_CHECKING:
    from starlette.requests import Request

    from reference_impl.accounts import Accounts
    from reference_impl.customer_service import CustomerService

CODE_LENGTH_MAX = 128


class Auth:
    """The two endpoints of sign-up."""

    def __init__(
        self, accounts: Accounts, customers: CustomerService, *, session_secret: str, app_url: str
    ) -> None:
        self._accounts = accounts
        self._customers = customers
        self._secret = session_secret
        self._app_url = app_url

    async def sign_up(self, request: Request) -> Response:
        """``POST /auth/sign-up {email, fullName}`` -> 202 ``{userId, code}``.

        The code is what the link in the mail would carry; answering with it stands for the mail.
        """
        body = await read_object(request)
        email, full_name = email_of(body, "email"), optional_text(body, "fullName")
        user = await self._accounts.register(email, full_name)
        code = secrets.token_urlsafe(32)
        await self._accounts.add_link(code, user)
        logs.info(AUTH_CALLBACK, "link sent", user=user)
        return JSONResponse({"userId": str(user), "code": code}, 202)

    async def callback(self, request: Request) -> Response:
        """``GET /auth/callback?code=…`` -> 303 with a session, or 503 without one."""
        code = request.query_params.get("code", "")
        if not 0 < len(code) <= CODE_LENGTH_MAX or not code.isascii() or not code.isprintable():
            raise Refusal(400, "invalid_code", "the link has no valid code")
        link = await self._accounts.link(code)
        if link is None:
            raise Refusal(404, "unknown_code", "there is no such link")
        if link["expired"]:
            raise Refusal(410, "expired_code", "the link is too old: sign up again for a new one")
        user = link["user_id"]
        result = await self._customers.ensure_customer_exists(user, link["email"], link["full_name"])
        if result.stripe_customer_id is None:
            logs.warning(AUTH_CALLBACK, "no customer, no session", user=user)
            raise unavailable("your account is not ready yet: follow the link again in a moment")
        await self._accounts.use_link(code)
        logs.info(AUTH_CALLBACK, "signed in", user=user, customer=result.stripe_customer_id)
        response = RedirectResponse(
            "/welcome", 303, headers={"Stripe-Customer-Id": result.stripe_customer_id}
        )
        set_session(response, user, self._secret, secure=self._app_url.startswith("https:"))
        return response
